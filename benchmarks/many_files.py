"""Pictures per second on a folder of 200: `aec compress -r`, and `aec compress` once for each picture.

    python benchmarks/many_files.py --data FOLDER

The folder is made of crops of 512 x 384 pixels from the pictures in FOLDER; a process for each is measured
on the first 20 of them. Writes benchmarks/results/many_files.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from PIL import Image

COUNT, ONE_BY_ONE = 200, 20
SIZE = (512, 384)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    sources = sorted(parser.parse_args().data.glob("*.png"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "in"
        made = make(folder, sources)
        rates = {"one process after the other": one_by_one(made[:ONE_BY_ONE])}
        for jobs in sorted({1, 2, len(os.sched_getaffinity(0))}):
            rates[f"-r --jobs {jobs}"] = together(folder, Path(name) / f"out-{jobs}", jobs)
    results = {
        "pictures": COUNT,
        "size": SIZE,
        "cores": len(os.sched_getaffinity(0)),
        "pictures_per_second": {how: round(rate, 3) for how, rate in rates.items()},
    }
    print(json.dumps(results, indent=1))
    out = Path(__file__).parent / "results" / "many_files.json"
    out.write_text(json.dumps(results, indent=1) + "\n")


def make(folder: Path, sources: list[Path]) -> list[Path]:
    """Crops at places that are the same in every run."""
    folder.mkdir()
    random = np.random.default_rng(0)
    made = []
    for number, source in enumerate(islice(cycle(sources), COUNT)):
        with Image.open(source) as image:
            left, top = (
                int(random.integers(side - wanted + 1)) for side, wanted in zip(image.size, SIZE, strict=True)
            )
            made.append(folder / f"{number:03}.png")
            image.convert("RGB").crop((left, top, left + SIZE[0], top + SIZE[1])).save(made[-1])
    return made


def one_by_one(paths: list[Path]) -> float:
    """Pictures per second with a process for each."""
    start = time.perf_counter()
    for path in paths:
        aec("compress", str(path), "-o", f"{path}.aec")
    return len(paths) / (time.perf_counter() - start)


def together(folder: Path, out: Path, jobs: int) -> float:
    """Pictures per second with one command for all."""
    start = time.perf_counter()
    aec("compress", str(folder), "-r", "-O", str(out), "--jobs", str(jobs))
    return COUNT / (time.perf_counter() - start)


def aec(*arguments: str) -> None:
    """Run the command line from a cold start."""
    subprocess.run([sys.executable, "-m", "aecodec", *arguments], check=True, capture_output=True)


if __name__ == "__main__":
    main()
