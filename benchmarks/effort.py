"""What effort buys: rate and seconds to encode, over a folder of pictures (Kodak).

    python benchmarks/effort.py --data FOLDER [--model NAME|FILE]

BD-rates in PSNR of every effort against effort 0, in bytes of whole files, and on Kodak against JPEG 4:2:0 as
`kodak.py` measured it and the published points of VTM. Writes benchmarks/results/effort.json.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from aecodec import Codec, threads
from aecodec.bench import inputs, published
from aecodec.bench.results import points
from aecodec.measure import metrics
from aecodec.measure.bd import Curve, bd_rate
from aecodec.weights import find

EFFORTS = (0, 1, 2, 4, 9)
QUALITIES = (0, 15, 30, 45, 60, 75, 90, 100)
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model")
    arguments = parser.parse_args()
    codec, curves, rows = Codec(arguments.model), {}, []
    found, _ = inputs.gather([arguments.data])
    pictures = [inputs.load(picture.path) for picture in found]
    others = anchors() if len(pictures) == 24 else {}
    codec.encode(pictures[0])
    for effort in EFFORTS:
        measured = [[point(codec, x, quality, effort) for x in pictures] for quality in QUALITIES]
        bpp, psnr, seconds = np.asarray(measured).transpose(2, 0, 1)
        curves[effort] = bpp.mean(1).tolist(), psnr.mean(1).tolist()
        row: dict[str, Any] = {"effort": effort, "encode_median_s": round(statistics.median(seconds.flat), 4)}
        for name, anchor in ({"effort 0": curves[0]} | others).items():
            row[f"against {name}"] = round(bd_rate(anchor, curves[effort]).value, 2)
        rows.append(row)
        print(json.dumps(row), flush=True)
    entropy_id = find(arguments.model).entropy_id.hex()
    report = {"entropy_id": entropy_id, "threads": threads.allowed(), "rows": rows, "curves": curves}
    (RESULTS / "effort.json").write_text(json.dumps(report, indent=1) + "\n")


def anchors() -> dict[str, Curve]:
    """JPEG and VTM on Kodak."""
    results = json.loads((RESULTS / "kodak" / "results.json").read_text())
    (vtm,) = (curve for curve in published.published_curves(results) if curve["name"].startswith("VTM"))
    return {"JPEG 4:2:0": points(results["curves"]["jpeg"], "psnr"), "VTM": (vtm["bpp"], vtm["psnr"])}


def point(codec: Codec, x: np.ndarray, quality: float, effort: int) -> tuple[float, float, float]:
    """Bits per pixel of the whole file, PSNR, seconds to encode."""
    start = time.perf_counter()
    data = codec.encode(x, quality, effort=effort)
    seconds = time.perf_counter() - start
    decoded = codec.decode(data, "numpy")
    assert isinstance(decoded, np.ndarray)
    psnr = metrics.psnr_of(metrics.mse(x, decoded))
    assert psnr is not None
    return 8 * len(data) / (x.shape[0] * x.shape[1]), psnr, seconds


if __name__ == "__main__":
    main()
