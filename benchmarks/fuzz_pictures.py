"""Mutation fuzz of every picture format that Pillow reads: nothing but AecError may escape, in bounded time.

    python benchmarks/fuzz_pictures.py --count 10000 [--format TIFF ...]

Files of tests/picture_files.py are mutated; checksums of PNG are mended in half of the mutants. Nothing may
be written to standard error behind Python's back, as libtiff does with damaged files.
"""

import argparse
import logging
import os
import random
import struct
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from zlib import crc32

from fuzz_container import mutate

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import picture_files  # noqa: E402

from aecodec.errors import AecError  # noqa: E402
from aecodec.picture import pictures  # noqa: E402

MAX_PIXELS = 2**19
SECONDS_AN_INPUT = 5.0  # far above what the slowest input takes on an idle machine
FRAMES = (None, 0, 1)


def mend(data: bytes) -> bytes:
    """The data with right checksums if they are the chunks of a PNG."""
    out, at = bytearray(data), 8
    while data.startswith(b"\x89PNG") and at + 12 <= len(out):
        end = at + 8 + int.from_bytes(out[at : at + 4], "big")
        if end + 4 > len(out):
            break
        out[end : end + 4] = struct.pack(">I", crc32(out[at + 4 : end]))
        at = end + 4
    return bytes(out)


def outcome(data: bytes, frame: int | None) -> str:
    """What becomes of the data. Raises whatever must not happen."""
    try:
        picture = pictures.load(data, MAX_PIXELS, frame=frame)
    except AecError as error:
        assert error.exit_code > 1 and "\n" not in str(error)
        return type(error).__name__
    assert picture.pixels.shape[2] in (1, 3) and picture.pixels.size
    return "read"


def fuzz(format: str, count: int, rng: random.Random) -> tuple[Counter[str], float]:
    """Outcomes of mutants of one format, and the seconds of the slowest."""
    corpus = picture_files.files()[format]
    assert all(outcome(data, 0) in ("read", "UnsupportedPicture") for data in corpus), format
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    for _ in range(count):
        data = mutate(rng.choice(corpus), corpus, rng)
        data = mend(data) if rng.random() < 0.5 else data
        frame = rng.choice(FRAMES)
        start = time.process_time()
        try:
            outcomes[outcome(data, frame)] += 1
        except Exception as error:
            path = Path(tempfile.gettempdir()) / f"aec-fuzz-{format}-{crc32(data):08x}"
            path.write_bytes(data)
            raise SystemExit(f"{format}, frame {frame}: {error!r} on {path}") from error
        slowest = max(slowest, time.process_time() - start)
        if slowest > SECONDS_AN_INPUT:
            raise SystemExit(f"{format}, frame {frame}: {slowest:.1f} s on {data[:2000].hex()}")
    return outcomes, slowest


def main() -> None:
    """Fuzz each format and print the outcomes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10_000, help="mutants of each format")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers")
    parser.add_argument("--format", nargs="*", help="Pillow's names; all without it")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="PIL")  # as the command line does
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    with tempfile.TemporaryFile() as lines:
        behind_python = os.dup(2)
        os.dup2(lines.fileno(), 2)
        try:
            for format in options.format or picture_files.files():
                rng = random.Random(f"{options.seed} {format}")
                outcomes, slowest = fuzz(format, options.count, rng)
                print(
                    f"{format}: slowest {1000 * slowest:.0f} ms, {dict(outcomes.most_common())}", flush=True
                )
        finally:
            os.dup2(behind_python, 2)
        lines.seek(0)
        if said := lines.read():
            raise SystemExit(f"written to standard error: {said[:500]!r}")


if __name__ == "__main__":
    main()
