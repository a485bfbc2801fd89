"""What one process does: encode, write, read back, decode and compare one picture with one codec."""

import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aecodec.bench import codecs, inputs
from aecodec.bench.inputs import Failure, Input
from aecodec.measure import metrics

Row = dict[str, Any]  # picture, codec, quality, bytes, bpp and the metrics; JSON values

_codecs: dict[str, codecs.BenchCodec] = {}  # of this process, filled by `start`


@dataclass(frozen=True, slots=True)
class Unit:
    """One picture and one codec: the qualities still to be measured, each with its metrics."""

    picture: Input
    codec: str
    points: tuple[tuple[float, tuple[str, ...]], ...]
    folder: Path  # for the files that are made


def start(words: Sequence[str] | None, device: str) -> None:
    """Prepare a process of the pool: its codecs, one thread, and a quiet end when the run is stopped."""
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(130))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _codecs.update((codec.name, codec) for codec in codecs.choose(words, device)[0])


def _end_with_parent() -> None:
    """A pool's process would wait for ever for a parent that was killed."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def measure(unit: Unit) -> list[Row | Failure]:
    """A row for each point of the unit, or the failure in its place: one bad file does not end a run."""
    original, results = inputs.load(unit.picture.path), list[Row | Failure]()
    for quality, names in unit.points:
        try:
            results.append(_row(unit, original, quality, names))
        except Exception as fault:  # codecs raise what they like
            reason = f"{type(fault).__name__}: {fault}"
            results.append(Failure(unit.picture.name, unit.codec, quality, reason))
    return results


def _row(unit: Unit, original: inputs.Pixels, quality: float, names: Sequence[str]) -> Row:
    codec = _codecs[unit.codec]
    file = file_of(unit.folder, unit.picture.name, codec, quality)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(codec.encode(original, quality))
    data = file.read_bytes()
    decoded = codec.decode(data)
    if decoded.shape != original.shape:
        raise ValueError(f"decodes to {decoded.shape} where the picture is {original.shape}")
    row = {"picture": unit.picture.name, "codec": codec.name, "quality": quality, "bytes": len(data)}
    row["bpp"] = 8 * len(data) / (unit.picture.width * unit.picture.height)
    return row | metrics.measure(original, decoded, names)


def file_of(folder: Path, picture: str, codec: codecs.BenchCodec, quality: float) -> Path:
    """Where the file of a picture, codec and quality is kept."""
    return folder / picture / f"{codec.name}-{quality:g}{codec.suffix}"
