"""Time and memory of each codec: one after the other, after everything else, on an otherwise idle machine.

In process: the model is loaded, one call goes before, the median counts. From a cold start: a new Python
process that reads a file, encodes or decodes it once and ends; its peak memory is the resident set.

    python -m aecodec.bench.speed encode|decode CODEC DEVICE QUALITY IN OUT
"""

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory
from typing import Any

from aecodec.bench import codecs, inputs
from aecodec.bench.inputs import Failure, Input
from aecodec.bench.worker import Row

RATE = 0.75  # bits per pixel: codecs are timed at the quality that came nearest to it
REPEATS, SECONDS = 10, 2.0  # calls in process, unless they take longer than this in all
PICTURES = 8  # at most, in process


def measure(
    codec: codecs.BenchCodec,
    device: str,
    curve: Sequence[Row],
    rows: Sequence[Row],
    pictures: Sequence[Input],
) -> Row | Failure:
    """Time a codec at the point of its curve nearest to RATE, on the pictures that have a row there."""
    point = min(curve, key=lambda p: abs(p["bpp"] - RATE))
    there = {r["picture"] for r in rows if (r["codec"], r["quality"]) == (codec.name, point["quality"])}
    able = [picture for picture in pictures if picture.name in there]
    try:
        return _times(codec, device, point, able)
    except Exception as fault:  # codecs raise what they like
        reason = f"not timed: {type(fault).__name__}: {fault}"
        return Failure(able[0].name, codec.name, point["quality"], reason)


def _times(codec: codecs.BenchCodec, device: str, point: Row, pictures: Sequence[Input]) -> Row:
    """Median seconds to encode and decode, seconds and peak megabytes of a cold start (the first picture)."""
    quality, first = point["quality"], pictures[0]
    times: dict[str, list[float]] = {"encode_s": [], "decode_s": []}
    for picture in pictures[:PICTURES]:
        original = inputs.load(picture.path)
        data = codec.encode(original, quality)
        times["encode_s"].append(_median(partial(codec.encode, original, quality)))
        times["decode_s"].append(_median(partial(codec.decode, data)))
    row = {"codec": codec.name, "quality": quality, "bpp": point["bpp"], "picture": first.name}
    row["pictures"] = len(times["encode_s"])
    row["megapixels"] = fmean(p.width * p.height for p in pictures[:PICTURES]) / 1e6
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"file{codec.suffix}"
        cold = _cold("encode", codec, device, quality, first.path, file)
        cold |= _cold("decode", codec, device, quality, file, Path(folder) / "picture")
    return row | {name: median(values) for name, values in times.items()} | cold


def _median(call: Callable[[], Any]) -> float:
    seconds: list[float] = []
    while len(seconds) < REPEATS and (len(seconds) < 3 or sum(seconds) < SECONDS):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def _cold(
    what: str, codec: codecs.BenchCodec, device: str, quality: float, source: Path, target: Path
) -> dict[str, float]:
    command = [sys.executable, "-m", "aecodec.bench.speed", what, codec.name, device, str(quality)]
    start = time.perf_counter()
    run = subprocess.run([*command, source, target], capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if run.returncode:
        last = run.stderr.strip().rpartition("\n")[2] or f"exit code {run.returncode}"
        raise RuntimeError(f"in a new process: {last}")
    return {f"cold_{what}_s": seconds, f"{what}_peak_mb": float(run.stdout)}


def _run_cold(what: str, name: str, device: str, quality: str, source: str, target: str) -> None:
    codec = next(c for c in codecs.choose([name], device)[0] if c.name == name)
    if what == "encode":
        Path(target).write_bytes(codec.encode(inputs.load(Path(source)), float(quality)))
    else:
        Path(target).write_bytes(codec.decode(Path(source).read_bytes()).tobytes())
    print(peak_megabytes())


def peak_megabytes() -> float:
    """Peak resident memory of this process."""
    status = Path("/proc/self/status")  # Linux's getrusage counts what the parent held before it became us
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)  # macOS counts bytes


if __name__ == "__main__":
    _run_cold(*sys.argv[1:])
