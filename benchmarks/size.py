"""Time and memory against the size of the picture, 0.1 to 50 megapixels.

    python benchmarks/size.py --picture kodim05.png [--out benchmarks/results]

The picture is enlarged to each size. In a process of its own the model is loaded and used once; then the time
to encode pixels into bytes, or to decode them, is taken, and the peak of the process' resident memory, the
picture's own pixels included; benchmarks/huge.py measures the command line. Writes size.json, size.png; the
slopes are those of lines through the logarithms.
"""

import argparse
import json
import math
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from aecodec.bench.speed import peak_megabytes

MEGAPIXELS = (0.1, 0.4, 1, 2, 12, 24, 50)
SLOPE_FROM = 1  # megapixels: one tile; below, what each picture costs once counts too


def main() -> None:
    """Measure each size in processes of its own, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)  # encode or decode, picture, file
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one(*arguments.one)))
        return
    with tempfile.TemporaryDirectory() as folder:
        picture, file = Path(folder) / "picture.tiff", Path(folder) / "picture.aec"
        rows = []
        for megapixels in MEGAPIXELS:
            in_process(enlarge, arguments.picture, picture, megapixels)
            row: dict[str, Any] = {"megapixels": megapixels}
            for what in ("encode", "decode"):
                command = [__file__, "--picture", "-", "--one", what, picture, file]
                done = subprocess.run([sys.executable, *command], check=True, capture_output=True, text=True)
                row |= {f"{what}_{name}": value for name, value in json.loads(done.stdout).items()}
            rows.append(row)
            print(row, flush=True)
    report = {
        "python": platform.python_version(),
        "rows": rows,
        "slope": {what: slope(rows, f"{what}_seconds") for what in ("encode", "decode")},
    }
    (arguments.out / "size.json").write_text(json.dumps(report, indent=1) + "\n")
    draw(rows, arguments.out / "size.png")
    print(report["slope"])


def in_process(function: Any, *arguments: Any) -> None:
    """Call a function in a process of its own: what it holds must not count as ours."""
    from multiprocessing import get_context

    process = get_context("spawn").Process(target=function, args=arguments)
    process.start()
    process.join()


def enlarge(source: Path, target: Path, megapixels: float) -> None:
    """The picture at so many megapixels, 3 to 2, uncompressed."""
    height = math.sqrt(megapixels * 1e6 / 1.5)
    size = round(1.5 * height), round(height)
    Image.open(source).convert("RGB").resize(size, Image.Resampling.LANCZOS).save(target)


def one(what: str, picture: str, file: str) -> dict[str, float]:
    """Encode a picture into a file, or decode the file."""
    from aecodec import Codec
    from aecodec.picture import pictures

    codec = Codec()
    codec.decode(codec.encode(np.zeros((64, 64, 3), np.uint8)))
    source = pictures.load(picture) if what == "encode" else Path(file).read_bytes()
    start = time.perf_counter()
    result = codec.compress(source) if what == "encode" else codec.decompress(source)
    seconds = time.perf_counter() - start
    if what == "encode":
        Path(file).write_bytes(result)
    return {"seconds": round(seconds, 4), "peak_megabytes": round(peak_megabytes())}


def slope(rows: list[dict[str, Any]], name: str) -> float:
    """Of log time over log pixels; 1 is linear."""
    large = [row for row in rows if row["megapixels"] >= SLOPE_FROM]
    x, y = (np.log([row[key] for row in large]) for key in ("megapixels", name))
    return round(float(np.polyfit(x, y, 1)[0]), 3)


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Two panels, both axes logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    x = [row["megapixels"] for row in rows]
    panels = {"seconds": "seconds", "peak_megabytes": "peak memory of the process, MB"}
    for axis, (name, title) in zip(axes, panels.items(), strict=True):
        for what, mark in (("encode", "o-"), ("decode", "s-")):
            label = f"{what}, slope {slope(rows, f'{what}_seconds')}" if name == "seconds" else what
            axis.loglog(x, [row[f"{what}_{name}"] for row in rows], mark, label=label, markersize=4)
        axis.set(xlabel="megapixels", ylabel=title)
        axis.grid(alpha=0.3)
        axis.legend()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
