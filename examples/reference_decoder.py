"""A second decoder for .aec pictures, written from the page FORMAT.md alone and to be read beside it.

The sections have the names and the order of the page's, and what the page says is not said again. It takes NumPy
and zlib; plain Python makes it slow. Everything up to y_hat is int64 arithmetic, the synthesis is float32.

    python reference_decoder.py WEIGHTS FILE.aec OUT.png
"""

import hashlib
import json
import sys
import zlib
from bisect import bisect_right
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]
MAGIC, NO_MODEL, MAX_PIXELS = b"\x8eAEC\r\n", bytes(8), 2**28
TILE, ALPHA_TILE, ICC, EXIF, XMP, RESOLUTION = 0x81, 0x82, 0x03, 0x04, 0x05, 0x06


class Refused(Exception):
    """The file or the weights are refused; `kind` is the name of the error in the page."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(f"{kind}: {why}")
        self.kind = kind


def require(holds: bool, kind: str, why: str) -> None:
    """Refuse with an error of this kind unless the condition holds."""
    if not holds:
        raise Refused(kind, why)


# ---- Conventions -----------------------------------------------------------------------------------------


def ceil(a: int, b: int) -> int:
    """Return ceil(a / b)."""
    return -(-a // b)


class Reader:
    """Reads fields one after the other; `short` is the error where the bytes end inside a field."""

    def __init__(self, data: bytes, short: str = "Damaged") -> None:
        self.data, self.at, self.short = data, 0, short

    def left(self) -> int:
        """Return the number of bytes not yet read."""
        return len(self.data) - self.at

    def take(self, count: int) -> bytes:
        """Read this many bytes."""
        require(count <= self.left(), self.short, "the bytes end inside a field")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, count: int) -> int:
        """Read a u8 (count 1) or a u32 (count 4)."""
        return int.from_bytes(self.take(count), "little")

    def leb(self) -> int:
        """Read an unsigned LEB128 number."""
        data = self.take(1)
        while data[-1] & 128 and len(data) < 5:
            data += self.take(1)
        value = sum((byte & 127) << 7 * place for place, byte in enumerate(data))
        shortest = data[-1] > 0 or len(data) == 1
        require(shortest and data[-1] < 128 and value < 2**32, "Damaged", "a leb is too long or too large")
        return value

    def checksum(self, start: int) -> None:
        """Read a crc and compare it with that of the bytes from `start` to it."""
        right = zlib.crc32(self.data[start : self.at])
        require(self.number(4) == right, "Damaged", "a checksum does not fit its bytes")


# ---- The file --------------------------------------------------------------------------------------------


class Tile(NamedTuple):
    """The payload of a tile."""

    kind: int
    checksum: int
    body: bytes


class File:
    """A file taken apart: fields of the header, `tiles`, `alpha_tiles` (PNG streams), `metadata` by tag."""

    def __init__(self, data: bytes) -> None:
        reader = Reader(data, "Truncated")
        self.read_header(reader)
        self.read_sections(reader)
        require(reader.left() == 0, "TrailingBytes", "bytes follow the last section")

    def read_header(self, reader: Reader) -> None:
        """Read the header, and check what can be checked without the model."""
        require(MAGIC.startswith(reader.data[:6]), "NotAec", "the bytes do not start with the magic")
        reader.take(6)
        require(reader.number(1) == 1, "UnsupportedVersion", "version is not 1")
        self.flags, self.entropy_id, self.synthesis_id = reader.number(1), reader.take(8), reader.take(4)
        self.width, self.height, self.channels = reader.leb(), reader.leb(), reader.number(1)
        self.latents = reader.leb(), reader.leb(), reader.leb()  # height, width, channels
        self.level, self.tile_size, self.sections = reader.number(1), reader.leb(), reader.leb()
        reader.checksum(0)
        require(self.flags <= 1, "ReservedBits", "a reserved flag is set")
        good = 1 <= self.width < 2**31 and 1 <= self.height < 2**31 and self.channels in (1, 3)
        good &= 256 <= self.tile_size <= 65536 and self.tile_size % 64 == 0
        rows, columns, channels = self.latents
        if self.entropy_id == NO_MODEL:
            good &= not any((*self.synthesis_id, rows, columns, channels, self.level))
        else:
            good &= 1 <= rows <= self.height and 1 <= columns <= self.width and channels >= 1
        require(good, "Damaged", "a header field is outside its range")
        self.count = ceil(self.height, self.tile_size) * ceil(self.width, self.tile_size)
        self.indexed = self.count * (1 + self.flags)
        pieces = self.sections - self.indexed
        require(0 <= pieces <= 128, "Damaged", "the number of sections does not fit the tiles")
        require(self.width * self.height <= MAX_PIXELS, "TooLarge", f"{self.width} x {self.height} pixels")

    def boxes(self) -> list[tuple[slice, slice]]:
        """Return the rows and the columns of pixels of each tile."""
        tops, lefts = (range(0, size, self.tile_size) for size in (self.height, self.width))
        ends = [(min(top + self.tile_size, self.height), top) for top in tops]
        return [
            (slice(top, bottom), slice(left, min(left + self.tile_size, self.width)))
            for bottom, top in ends
            for left in lefts
        ]

    def read_sections(self, reader: Reader) -> None:
        """Read the index and all sections."""
        room = self.indexed + 7 * self.sections
        require(reader.left() >= room, "Truncated", "the file has no room for its sections")
        start, payloads = reader.at, []
        lengths = [reader.leb() for _ in range(self.indexed)]
        reader.checksum(start)
        for number, length in enumerate(lengths):
            section = Reader(reader.take(length))
            payloads.append(read_section(section, [TILE if number < self.count else ALPHA_TILE])[1])
            require(section.left() == 0, "Damaged", "a section is of another length than the index says")
        self.tiles = [read_tile(payload) for payload in payloads[: self.count]]
        self.alpha_tiles = payloads[self.count :]
        neural = any(tile.kind == 0 for tile in self.tiles)
        require(neural == (self.entropy_id != NO_MODEL), "Damaged", "a model too many or too few")
        self.metadata: dict[int, bytes] = {}
        for _ in range(self.sections - self.indexed):
            tag, payload = read_section(reader, range(max(self.metadata, default=-1) + 1, 128))
            self.metadata[tag] = payload
        self.resolution: tuple[int, int] | None = None
        if RESOLUTION in self.metadata:
            fields = Reader(self.metadata[RESOLUTION])
            self.resolution = fields.leb(), fields.leb()
            require(fields.left() == 0, "Damaged", "the resolution is not two leb")


def read_section(reader: Reader, allowed: Container[int]) -> tuple[int, bytes]:
    """Read a section that must have one of the allowed tags; return the tag and the payload."""
    start, tag = reader.at, reader.number(1)
    payload = reader.take(reader.leb())
    reader.checksum(start)
    require(len(payload) > 0, "Damaged", "a section is empty")
    require(tag < 128 or tag in (TILE, ALPHA_TILE), "UnknownSection", f"critical section {tag:#x}")
    require(tag in allowed, "Damaged", f"section {tag:#x} stands where it may not")
    return tag, payload


def read_tile(payload: bytes) -> Tile:
    """Read the payload of a tile."""
    reader = Reader(payload)
    kind = reader.number(1)
    require(kind in (0, 1), "UnknownSection", f"kind {kind} of tile")
    tile = Tile(kind, reader.number(4), payload[5:])
    require(kind == 1 or len(tile.body) % 4 == 0, "Damaged", "the words are not a multiple of 4 bytes")
    return tile


def decode_png(stream: bytes, height: int, width: int, channels: int) -> Pixels:
    """Decode a PNG stream, which must be of this size: pixels [height, width, channels]."""
    reader = Reader(stream)
    require(reader.take(8) == b"\x89PNG\r\n\x1a\n", "Damaged", "no PNG signature")
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, channels - 1, 0, 0, 0])
    names, data = [], b""
    while reader.left():
        size = int.from_bytes(reader.take(4), "big")
        name, content = reader.take(4), reader.take(size)
        right = reader.take(4) == zlib.crc32(name + content).to_bytes(4, "big")
        require(right and name != b"tRNS", "Damaged", "a chunk of a PNG stream is broken, or tRNS")
        require(name != b"IHDR" or content == header, "Damaged", "a PNG stream is of another size or type")
        require(name != b"IEND" or not content, "Damaged", "IEND of a PNG stream is not empty")
        names.append(name)
        data += content if name == b"IDAT" else b""
    critical, pieces = [name for name in names if not name[0] & 32], names.count(b"IDAT")
    require(critical == [b"IHDR"] + [b"IDAT"] * pieces + [b"IEND"], "Damaged", "wrong chunks in a PNG stream")
    together = pieces and names[names.index(b"IDAT") :][:pieces] == [b"IDAT"] * pieces
    ends = names[0] == b"IHDR" and names[-1] == b"IEND"
    require(bool(together and ends), "Damaged", "wrong order of chunks in a PNG stream")
    inflater, size = zlib.decompressobj(), height * (1 + width * channels)
    try:
        rows = inflater.decompress(data, size + 1)
    except zlib.error as error:
        raise Refused("Damaged", f"a PNG stream is broken: {error}") from error
    whole = inflater.eof and len(rows) == size and not inflater.unused_data
    require(whole, "Damaged", "a PNG stream has too many bytes or too few")
    return unfilter(np.frombuffer(rows, np.uint8).reshape(height, -1), channels)


def unfilter(rows: Pixels, channels: int) -> Pixels:
    """Undo the filters of PNG: rows [H, 1 + W * channels], filter first, to pixels [H, W, channels]."""
    require(int(rows[:, 0].max()) <= 4, "Damaged", "an unknown filter in a PNG stream")
    above = bytearray(channels + rows.shape[1] - 1)  # a pixel of zeros, and the row
    lines = []
    for kind, *values in rows.tolist():
        line = bytearray(channels) + bytearray(values)
        for at in range(channels, len(line) if kind else 0):
            a, b, c = line[at - channels], above[at], above[at - channels]
            if kind == 4:  # Paeth: the nearest to a + b - c
                guess = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            else:  # Sub, Up, Average
                guess = (a, b, (a + b) // 2)[kind - 1]
            line[at] = (line[at] + guess) & 255
        lines.append(line[channels:])
        above = line
    return np.frombuffer(b"".join(lines), np.uint8).reshape(len(lines), -1, channels)


# ---- The coder: from words to symbols --------------------------------------------------------------------


class Table(NamedTuple):
    """The table of a scale index."""

    radius: int
    frequencies: list[int]
    left: list[int]


BIT = Table(0, [2**23, 2**23], [0, 2**23])


class Coder:
    """The coder of one tile; `tables[k]` is for scale index k, `tables[0]` is of no use."""

    def __init__(self, words: list[int], tables: list[Table]) -> None:
        self.words, self.tables, self.state = words, tables, 0
        if words:
            self.state = words.pop()
            require(self.state != 0, "Damaged", "the last word is 0")
            self.refill()

    def refill(self) -> None:
        """Take a word if the state has room for it."""
        if self.state < 2**32 and self.words:
            self.state = self.state * 2**32 + self.words.pop()

    def decode(self, table: Table) -> int:
        """Decode an entry of the table."""
        q = self.state % 2**24
        entry = bisect_right(table.left, q) - 1
        self.state = self.state // 2**24 * table.frequencies[entry] + q - table.left[entry]
        self.refill()
        return entry

    def escape(self, radius: int) -> int:
        """Decode the symbol of an escape."""
        n, m = 0, 0
        while self.decode(BIT) == 0:
            n += 1
            require(n <= 11, "Damaged", "an escape has over 11 zeros")
        for _ in range(n):
            m = 2 * m + self.decode(BIT)
        v = 2**n - 1 + m
        return -(radius + 1 + v // 2) if v % 2 else radius + 1 + v // 2

    def pop(self, indexes: Ints) -> Ints:
        """Decode a symbol for each scale index, in an array of the same shape."""
        flat = indexes.reshape(-1)
        symbols = np.zeros_like(flat)
        for k, table in enumerate(self.tables[1:], 1):
            places = np.flatnonzero(flat == k)
            entries = np.array([self.decode(table) for _ in places], np.int64)
            symbols[places] = entries - table.radius
            for place in places[entries == 2 * table.radius + 1]:
                symbols[place] = self.escape(table.radius)
        return symbols.reshape(indexes.shape)

    def finish(self) -> None:
        """Check that the coder has come to its start state."""
        require(self.state == 0 and not self.words, "Damaged", "the coder does not end in its start state")


# ---- The model: from symbols to pixels -------------------------------------------------------------------

DTYPES = {"I8": "<i1", "U8": "<u1", "I16": "<i2", "I32": "<i4", "F16": "<f2"}
ENTROPY_FIELDS = "latent_channels", "hyper_channels", "hyper_width", "scales", "passes"
SYNTHESIS_FIELDS = "latent_channels", "width", "synthesis_blocks"


class Model:
    """A weights file: `fields` of the architecture, `tensors` by name, the ids, `tables` and `layers`."""

    def __init__(self, weights: bytes) -> None:
        start = 8 + int.from_bytes(weights[:8], "little")
        entries = json.loads(weights[8:start])
        strings = entries.pop("__metadata__")
        self.tensors: dict[str, NDArray[Any]] = {}
        for name in sorted(entries):
            if name.startswith(("entropy.", "synthesis.")):
                first, last = entries[name]["data_offsets"]
                values = np.frombuffer(weights[start + first : start + last], DTYPES[entries[name]["dtype"]])
                self.tensors[name] = values.reshape(entries[name]["shape"])
        self.fields = json.loads(strings["architecture"])
        self.entropy_id = self.digest("entropy.", ENTROPY_FIELDS)[:8]
        self.synthesis_id = self.digest("synthesis.", SYNTHESIS_FIELDS)[:4]
        ids = self.entropy_id.hex(), self.synthesis_id.hex()
        require(ids == (strings["entropy_id"], strings["synthesis_id"]), "BadWeights", "wrong ids")
        require(strings["format"] == "aecodec-weights-1", "BadWeights", "another format")
        self.tables = self.make_tables()
        self.layers = make_layers(self.fields)
        for name, layer in self.layers.items():
            self.check_layer(name, layer)

    def digest(self, prefix: str, fields: tuple[str, ...]) -> bytes:
        """Compute the SHA-256 that an id is the beginning of."""
        record = {"format": 1} | {field: self.fields[field] for field in fields}
        sha = hashlib.sha256(json.dumps(record, sort_keys=True, separators=(",", ":")).encode())
        for name, tensor in self.tensors.items():
            if name.startswith(prefix):
                shape = "x".join(map(str, tensor.shape))
                sha.update(f"\n{name.removeprefix(prefix)} {tensor.dtype.name} {shape}\n".encode())
                sha.update(tensor.tobytes())
        return sha.digest()
