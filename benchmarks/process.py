"""Whole processes: wall time and peak memory of `aec` from a cold start.

    python benchmarks/process.py --picture kodim05.png

Each command runs five times, the median counts (once for the 24-megapixel picture, which is made by enlarging
the given one). Writes benchmarks/results/process.json.
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

LARGE = (6000, 4000)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", type=Path, required=True)
    picture = parser.parse_args().picture
    with tempfile.TemporaryDirectory() as folder:
        large, small = Path(folder) / "large.png", Path(folder) / "small.aec"
        Image.open(picture).convert("RGB").resize(LARGE, Image.Resampling.LANCZOS).save(
            large, compress_level=1
        )
        jobs = {
            "aec --help": (5, ["--help"]),
            "aec compress, cold": (5, ["compress", str(picture), "-o", str(small), "-f"]),
            "aec info": (5, ["info", str(small)]),
            "aec decompress, cold": (5, ["decompress", str(small), "-o", str(small) + ".png", "-f"]),
            "aec compress, 24 megapixels": (1, ["compress", str(large), "-o", str(large) + ".aec"]),
            "aec decompress, 24 megapixels": (1, ["decompress", str(large) + ".aec"]),
        }
        rows = {name: measure(arguments, runs) for name, (runs, arguments) in jobs.items()}
    print(json.dumps(rows, indent=1))
    out = Path(__file__).parent / "results" / "process.json"
    out.write_text(json.dumps(rows, indent=1) + "\n")


def measure(arguments: list[str], runs: int) -> dict[str, float]:
    """Median wall seconds and largest peak memory (MB) of some runs of `aec`."""
    context = multiprocessing.get_context("spawn")  # a parent of its own: the peak of children never falls
    with context.Pool(1, maxtasksperchild=1) as pool:
        results = [pool.apply(run, (arguments,)) for _ in range(runs)]
    return {
        "seconds": round(statistics.median(seconds for seconds, _ in results), 3),
        "peak_mb": round(max(peak for _, peak in results), 1),
    }


def run(arguments: list[str]) -> tuple[float, float]:
    """One run: wall seconds, peak memory in MB."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "aecodec", *arguments], check=True, capture_output=True)
    return time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000


if __name__ == "__main__":
    main()
