"""How near `target_size`, `bpp` and `psnr` come to what was asked for, over a folder of pictures (Kodak).

    python benchmarks/target_size.py --data FOLDER [--model NAME|FILE]

Errors are measured on the bytes and on the decoded pixels; beside them stand the files that a search made and
its seconds. What a picture cannot reach is counted apart. Writes benchmarks/results/target_size.json.
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import aecodec
from aecodec import threads
from aecodec.encoder import rate
from aecodec.errors import TargetOutOfReach
from aecodec.file import container
from aecodec.weights import find

BPPS = (0.2, 0.3, 0.5, 0.75, 1.0, 1.5)  # target sizes are those of the same bits a pixel
PSNRS = (30, 32, 34, 36, 38)

Row = dict[str, Any]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model")
    arguments = parser.parse_args()
    codec = aecodec.Codec(arguments.model)
    rows = []
    for path in sorted(arguments.data.glob("*.png")):
        x = np.asarray(Image.open(path).convert("RGB"))
        pixels = x.shape[0] * x.shape[1]
        goals = [("target_size", round(pixels * bpp / 8)) for bpp in BPPS]
        goals += [("bpp", bpp) for bpp in BPPS] + [("psnr", psnr) for psnr in PSNRS]
        rows += [one(codec, path.stem, x, name, value) for name, value in goals]
    report = {
        "entropy_id": find(arguments.model).entropy_id.hex(),
        "threads": threads.allowed(),
        "summary": {name: summary(rows, name) for name in ("target_size", "bpp", "psnr")},
        "rows": rows,
    }
    print(json.dumps(report["summary"], indent=1))
    out = Path(__file__).parent / "results" / "target_size.json"
    out.write_text(json.dumps(report, indent=1) + "\n")


def one(codec: aecodec.Codec, name: str, x: np.ndarray, goal: str, value: float) -> Row:
    """One search: error (in dB, or relative to the value), files made and seconds, unless out of reach."""
    made, make = [], rate._Trials.make

    def counted(trials: Any, level: int) -> rate.Trial:
        made.append(level)
        return make(trials, level)

    rate._Trials.make = counted  # type: ignore[method-assign]
    start = time.perf_counter()
    row: Row = {"picture": name, "goal": goal, "value": value}
    try:
        data = codec.encode(x, **{goal: value})
    except TargetOutOfReach as fault:
        return row | {"out_of_reach": str(fault)}
    finally:
        rate._Trials.make = make  # type: ignore[method-assign]
    seconds = round(time.perf_counter() - start, 3)
    reached: float = len(data)
    if goal == "bpp":
        reached = 8 * len(data) / (x.shape[0] * x.shape[1])
    if goal == "psnr":
        error = np.mean(np.square(x.astype(float) - codec.decode(data, "numpy")))
        reached = 10 * math.log10(255**2 / error)
    difference = reached - value if goal == "psnr" else reached / value - 1
    level = container.read_header(data)[0].level
    return row | {"error": round(difference, 5), "level": level, "files": len(made), "seconds": seconds}


def summary(rows: list[Row], goal: str) -> dict[str, float]:
    """Errors, files and seconds over all pictures and values of one kind of goal."""
    mine = [row for row in rows if row["goal"] == goal]
    reached = [row for row in mine if "error" in row]
    errors = np.array([row["error"] for row in reached])
    files = [row["files"] for row in reached]
    return {
        "searches": len(mine),
        "out_of_reach": len(mine) - len(reached),
        "lowest_error": float(errors.min()),
        "highest_error": float(errors.max()),
        "mean_absolute_error": round(float(np.abs(errors).mean()), 5),
        "mean_files": round(float(np.mean(files)), 2),
        "most_files": max(files),
        "mean_seconds": round(float(np.mean([row["seconds"] for row in reached])), 3),
    }


if __name__ == "__main__":
    main()
