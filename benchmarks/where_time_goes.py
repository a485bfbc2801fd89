"""Where the time of one picture goes: convolutions against all else, and importing torch.

python benchmarks/where_time_goes.py --picture kodim19.png
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from torch.profiler import ProfilerActivity, profile

import aecodec
from aecodec import pictures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", type=Path, required=True)
    picture = pictures.load(parser.parse_args().picture)
    codec = aecodec.Codec()
    data = codec.compress(picture)
    codec.decompress(data)  # both once outside the measurement: the model is loaded, torch is warm
    print(f"encode: {convolutions(lambda: codec.compress(picture)):.0%} in convolutions")
    print(f"decode: {convolutions(lambda: codec.decompress(data)):.0%} in convolutions")
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    print(f"a process that imports torch: {time.perf_counter() - start:.2f} s")


def convolutions(run: Callable[[], object]) -> float:
    """Share of the wall time that convolution kernels take."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        start = time.perf_counter()
        run()
        wall = time.perf_counter() - start
    events = profiler.key_averages()
    inside = sum(
        e.self_cpu_time_total for e in events if "conv" in e.key or e.key in ("aten::mm", "aten::addmm")
    )
    return inside / 1e6 / wall


if __name__ == "__main__":
    main()
