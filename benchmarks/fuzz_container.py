"""Mutation fuzz of the .aec parser and the coder: nothing but AecError may escape, and in bounded time.

    python benchmarks/fuzz_container.py --minutes 10

Seed files are mutated (flips, inserts, deletes, splices, extreme LEB128 numbers). Half of the mutants get
their checksums mended, so that damage reaches the code behind them. A file that is read must be written back
to the same bytes and give the same tiles one by one; one that is refused is read piece by piece.
"""

import argparse
import random
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any
from zlib import crc32

import numpy as np

from aecodec.coding.rans import Decoder, Encoder, clip
from aecodec.coding.tables import from_masses, gaussian_masses
from aecodec.errors import AecError, FormatError
from aecodec.file import container
from aecodec.file.container import LOSSLESS, NEURAL, Container, Header, Tile

SECONDS_AN_INPUT = 2.0  # far above what the slowest input takes; a hang is what this is to find
TABLES = from_masses([gaussian_masses(sigma, int(4 * sigma) + 1) for sigma in np.geomspace(0.11, 32, 20)])
INDEXES = np.arange(300, dtype=np.uint8) * 7 % TABLES.count
EXTREMES = [
    b"\x00",
    b"\x01",
    b"\x7f",
    b"\x80\x00",
    b"\x80\x80\x80\x80\x00",
    b"\x80\x80\x80\x80\x01",
    b"\xff\xff\xff\xff\x07",
    b"\xff\xff\xff\xff\x0f",
    b"\xff\xff\xff\xff\x10",
    b"\xff\xff\xff\xff\x7f",
    b"\xff" * 5,
    b"\xff" * 10,
]


def words(seed: int) -> bytes:
    """The words of symbols that TABLES code, some of them escaped."""
    rng = np.random.default_rng(seed)
    encoder = Encoder()
    encoder.push(clip(np.rint(rng.standard_t(2, 300) * 3).astype(np.int32), INDEXES, TABLES), INDEXES, TABLES)
    return encoder.words()


def seeds() -> list[bytes]:
    """Small files of every kind of tile and section."""
    model = Header(False, b"entropy!", b"synt", 700, 300, 3, 19, 44, 320, 128, 256)
    alpha = Header(True, b"entropy!", b"synt", 700, 300, 1, 19, 44, 320, 255, 256)
    no_model = Header(False, bytes(8), bytes(4), 40, 30, 3, 0, 0, 0, 0, 1024)
    neural = [Tile(NEURAL, seed, words(seed)[: 40 * seed]) for seed in range(6)]
    lossless = [Tile(LOSSLESS, seed, bytes(range(seed, 40))) for seed in range(6)]
    mixed = (*neural[:3], *lossless[3:])
    files = [
        Container(model, tuple(neural)),
        Container(model, mixed, icc=b"profile", exif=b"MM\0*", xmp=b"<x/>", resolution=(72000, 300000)),
        Container(
            alpha, mixed, alpha=tuple(bytes([n + 1] * 20) for n in range(6)), resolution=(0, 2**32 - 1)
        ),
        Container(no_model, (lossless[0],)),
        Container(
            Header(False, b"entropy!", b"synt", 40, 24, 3, 3, 2, 8, 9, 1024), (Tile(NEURAL, 7, words(7)),)
        ),
    ]
    data = [container.write(file) for file in files]
    unknown = bytes([0x41, 3]) + b"new"
    return [*data, append_section(data[1], unknown)]


def append_section(data: bytes, body: bytes) -> bytes:
    """The file with one more section; its count of sections is the last byte of its header."""
    _, end = container.read_header(data)
    header = data[: end - 5] + bytes([data[end - 5] + 1])
    return with_crc(header) + data[end:] + with_crc(body)


def with_crc(data: bytes) -> bytes:
    """The data and their CRC-32."""
    return data + crc32(data).to_bytes(4, "little")


def mutate(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """The data with one to four random changes."""
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        at, length = rng.randrange(len(out) + 1), rng.choice([1, 1, 2, 4, rng.randrange(64)])
        match rng.randrange(7):
            case 0:
                out[at : at + 1] = bytes(byte ^ 1 << rng.randrange(8) for byte in out[at : at + 1])
            case 1:
                out[at : at + length] = rng.randbytes(length)
            case 2:
                out[at:at] = rng.randbytes(length)
            case 3:
                del out[at : at + length]
            case 4:
                other = rng.choice(others)
                start = rng.randrange(len(other))
                out[at : at + rng.choice([0, length])] = other[start : start + length]
            case 5:
                out[at : at + rng.choice([0, 1, 2, 3])] = rng.choice(EXTREMES)
            case 6:
                out = out[:at]
    return bytes(out)


def number(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """The LEB128 number at a place, whatever its form, and the place after it."""
    value = shift = 0
    while at < len(data):
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            break
    return value, at


def mend(data: bytes) -> bytes:
    """The data with right checksums, as far as the fields before them can be followed."""
    out = bytearray(data)
    width, at = number(out, 20)
    height, at = number(out, at)
    at += 1  # channels
    for _ in range(3):  # latents
        _, at = number(out, at)
    tile_size, at = number(out, at + 1)  # after the level
    _, at = number(out, at)
    start = patch(out, 0, at)
    rows, columns = container.tile_grid(width, height, tile_size or 1)
    at = start
    for _ in range(min(rows * columns * (1 + (out[7:8] == b"\1")), len(out))):
        _, at = number(out, at)
    at = patch(out, start, at)
    while at < len(out):
        length, payload = number(out, at + 1)
        at = patch(out, at, payload + length)
    return bytes(out)


def patch(data: bytearray, start: int, stop: int) -> int:
    """Put the CRC-32 of a stretch after it, if there is room; the place after the CRC-32."""
    if stop + 4 <= len(data):
        data[stop : stop + 4] = crc32(data[start:stop]).to_bytes(4, "little")
    return stop + 4


def check(data: bytes) -> str:
    """Read the data in every way; the outcome. Raises whatever must not happen."""
    try:
        found = container.read(data)
    except FormatError as error:
        check_parts(data)
        return type(error).__name__
    parts = container.layout(data)
    assert parts[0].offset == 0
    assert all(part.offset + part.length == following.offset for part, following in pairwise(parts))
    assert parts[-1].offset + parts[-1].length == len(data)
    if not any(part.name.startswith("unknown") for part in parts):
        assert container.write(found) == data
    index = container.read_index(data)
    assert all(container.read_tile(data, n, index) == tile for n, tile in enumerate(found.tiles))
    for tile in found.tiles:
        check_words(tile.payload)
    return "read"


def check_parts(data: bytes) -> None:
    """Read a bad file piece by piece, as a salvage would."""
    attempt(container.layout, data)
    attempt(container.read_header, data)
    index = attempt(container.read_index, data)
    for number in range(min(len(index.tiles) - 1, 10) if index else 0):
        attempt(container.read_tile, data, number, index)
    for number in range(min(len(index.alpha) - 1, 10) if index else 0):
        attempt(container.read_alpha, data, number, index)


def attempt(reader: Callable[..., Any], *arguments: object) -> Any:
    """What the reader gives, or None after a FormatError."""
    try:
        return reader(*arguments)
    except FormatError:
        return None


def check_words(words: bytes) -> None:
    """Decode words; symbols that come out whole must give the same words again."""
    try:
        decoder = Decoder(words)
        symbols = decoder.pop(INDEXES, TABLES)
        decoder.finish()
    except AecError:
        return
    encoder = Encoder()
    encoder.push(symbols, INDEXES, TABLES)
    assert encoder.words() == words


def main() -> None:
    """Fuzz for some minutes and count the outcomes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    corpus = seeds()
    assert all(check(data) == "read" for data in corpus)
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    end = time.monotonic() + 60 * options.minutes
    while time.monotonic() < end:
        data = mutate(rng.choice(corpus), corpus, rng)
        data = mend(data) if rng.random() < 0.5 else data
        start = time.process_time()
        try:
            outcomes[check(data)] += 1
        except Exception as error:
            raise SystemExit(f"{error!r} after {outcomes.total()} inputs on\n{data.hex()}") from error
        slowest = max(slowest, time.process_time() - start)
        if slowest > SECONDS_AN_INPUT:
            raise SystemExit(f"{slowest:.1f} s on\n{data.hex()}")
    print(
        f"{outcomes.total()} inputs, slowest {1000 * slowest:.1f} ms, outcomes {dict(outcomes.most_common())}"
    )


if __name__ == "__main__":
    main()
