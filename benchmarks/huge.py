"""Huge pictures: peak memory and time of `aec compress` and `aec decompress` from 1 to 100 megapixels.

    python benchmarks/huge.py --picture photo.png [--megapixels 1 12 24 50 100]

Every size is the given picture, enlarged, as a PNG; every run is a process of its own, and its peak memory is
what the system says of it. Prints how the logarithm of time grows with that of size (1 is linear), and writes
benchmarks/results/huge.json.
"""

import argparse
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from process import measure

from aecodec import threads

LEAST = 12  # megapixels from which on the slope is taken: below, starting the process counts


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", type=Path, required=True)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1, 12, 24, 50, 100])
    arguments = parser.parse_args()
    rows = []
    for size in arguments.megapixels:
        rows.append(both(arguments.picture, size))
        print(json.dumps(rows[-1]), flush=True)
    report = {
        "threads": threads.allowed(),
        "rows": rows,
        "slope": {command: slope(rows, command) for command in ("compress", "decompress")},
    }
    print("slope of log time over log pixels:", report["slope"])
    out = Path(__file__).parent / "results" / "huge.json"
    out.write_text(json.dumps(report, indent=1) + "\n")


def both(picture: Path, megapixels: float) -> dict[str, Any]:
    """Compress and decompress a picture of a size and the shape 3 : 2."""
    width = round(math.sqrt(megapixels * 1.5e6))
    size = width, round(megapixels * 1e6 / width)
    with tempfile.TemporaryDirectory() as folder:
        large, coded = Path(folder) / "large.png", Path(folder) / "large.aec"
        with Image.open(picture) as image:
            image.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(large, compress_level=1)
        return {
            "megapixels": megapixels,
            "compress": measure(["compress", str(large), "-o", str(coded)], 1),
            "bytes": coded.stat().st_size,
            "decompress": measure(["decompress", str(coded), "-o", str(large), "-f"], 1),
        }


def slope(rows: list[dict[str, Any]], command: str) -> float:
    """Of the line through log time over log pixels."""
    points = [(row["megapixels"], row[command]["seconds"]) for row in rows if row["megapixels"] >= LEAST]
    if len(points) < 2:
        return math.nan
    sizes, seconds = np.log(np.array(points).T)
    return round(float(np.polyfit(sizes, seconds, 1)[0]), 3)


if __name__ == "__main__":
    main()
