"""A second decoder for .aec pictures, written from the page FORMAT.md alone and to be read beside it.

What the page says is not said again. Everything up to y_hat is int64 arithmetic, the synthesis is float32.
The command line is `python reference_decoder.py WEIGHTS FILE.aec OUT.png`.
"""

import hashlib
import json
import re
import sys
import zlib
from bisect import bisect_right
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Ints = NDArray[np.int64]
Pixels = NDArray[np.uint8]
Table = tuple[list[int], list[int]]  # frequencies and left; the radius is len(left) / 2 - 1
TILE, ALPHA_TILE, FLAT_ALPHA, ICC, EXIF, XMP, RESOLUTION = 0x81, 0x82, 0x83, 0x03, 0x04, 0x05, 0x06
NO_MODEL, NEURAL, LOSSLESS, PACKED = bytes(8), 0, 1, 3


@dataclass(eq=False)
class Refused(Exception):
    """The file or the weights are refused; `kind` is the name of the error in the page."""

    kind: str
    why: str


def require(holds: bool, kind: str, why: str) -> None:
    """Refuse with an error of this kind unless the condition holds."""
    if not holds:
        raise Refused(kind, why)


# ---- Conventions ----
class Reader:
    """Reads fields one after the other; `short` is the error where the bytes end inside a field."""

    def __init__(self, data: bytes, short: str = "Damaged") -> None:
        """Start at the first byte."""
        self.data, self.at, self.short = data, 0, short

    def take(self, count: int) -> bytes:
        """Read this many bytes."""
        require(self.at + count <= len(self.data), self.short, "the bytes end inside a field")
        self.at += count
        return self.data[self.at - count : self.at]

    def leb(self) -> int:
        """Read an unsigned LEB128 number."""
        data = self.take(1)
        while data[-1] & 128 and len(data) < 5:
            data += self.take(1)
        value = sum((byte & 127) << 7 * place for place, byte in enumerate(data))
        right = data[-1] < 128 and value < 2**32 and (data[-1] > 0 or len(data) == 1)
        require(right, "Damaged", "a leb is too large or not in its shortest form")
        return value

    def checksum(self, start: int) -> None:
        """Read a crc and compare it with that of the bytes from `start` to it."""
        right = zlib.crc32(self.data[start : self.at]).to_bytes(4, "little")
        require(self.take(4) == right, "Damaged", "a checksum does not fit its bytes")

    def section(self, allowed: range | list[int]) -> tuple[int, bytes]:
        """Read a section that must have one of the allowed tags; return the tag and the payload."""
        start, tag, payload = self.at, self.take(1)[0], self.take(self.leb())
        self.checksum(start)
        require(len(payload) > 0, "Damaged", "a section is empty")
        require(
            tag < 128 or tag in (TILE, ALPHA_TILE, FLAT_ALPHA), "UnknownSection", f"critical section {tag:#x}"
        )
        require(tag in allowed, "Damaged", f"section {tag:#x} stands where it may not")
        return tag, payload


# ---- The file ----
class File:
    """A file taken apart: fields of the header, payloads of `tiles` and `alpha_tiles`, `metadata` by tag."""

    def __init__(self, data: bytes) -> None:
        """Read the header, check what can be checked without the model, and read the sections."""
        reader = Reader(data, "Truncated")
        require(b"\x8eAEC\r\n".startswith(data[:6]), "NotAec", "the bytes do not start with the magic")
        require(reader.take(7)[6] == 1, "UnsupportedVersion", "version is not 1")
        flags, self.entropy_id, self.synthesis_id = reader.take(1)[0], reader.take(8), reader.take(4)
        self.width, self.height, self.channels = reader.leb(), reader.leb(), reader.take(1)[0]
        rows, columns, planes = self.latents = reader.leb(), reader.leb(), reader.leb()
        self.level, self.tile_size, self.sections = reader.take(1)[0], reader.leb(), reader.leb()
        reader.checksum(0)
        require(flags & ~5 == 0, "ReservedBits", "a reserved flag is set")
        self.alpha_in_tiles = flags >= 4
        self.samples = self.channels + self.alpha_in_tiles
        none = not any((*self.synthesis_id, *self.latents, self.level))
        some = 1 <= rows <= self.height and 1 <= columns <= self.width and planes >= 1
        good = none if self.entropy_id == NO_MODEL else some
        good &= 1 <= self.width < 2**31 and 1 <= self.height < 2**31 and self.channels in (1, 3)
        good &= flags < 5 and 256 <= self.tile_size <= 65536 and self.tile_size % 64 == 0
        require(good, "Damaged", "a header field is outside its range")
        self.across = ceil(self.width / self.tile_size)
        self.count = ceil(self.height / self.tile_size) * self.across
        self.pieces = self.sections - self.count * (1 + flags % 2)
        require(0 <= self.pieces <= 128, "Damaged", "the number of sections does not fit the tiles")
        require(self.width * self.height <= 2**28, "TooLarge", f"{self.width} x {self.height} pixels")
        self.read_sections(reader)
        require(reader.at == len(data), "TrailingBytes", "bytes follow the last section")

    def read_sections(self, reader: Reader) -> None:
        """Read the index and all sections."""
        start, indexed, payloads = reader.at, self.sections - self.pieces, []
        require(len(reader.data) - start >= indexed + 7 * self.sections, "Truncated", "no room for sections")
        lengths = [reader.leb() for _ in range(indexed)]
        reader.checksum(start)
        for number, length in enumerate(lengths):
            part = Reader(reader.take(length))
            tag, payload = part.section([TILE] if number < self.count else [ALPHA_TILE, FLAT_ALPHA])
            require(part.at == length, "Damaged", "a section is shorter than the index says")
            right = tag == TILE or (tag == FLAT_ALPHA) == (len(payload) == 1)
            require(right, "Damaged", "the length of an alpha tile")
            payloads.append(payload)
        self.tiles, self.alpha_tiles = payloads[: self.count], payloads[self.count :]
        for tile in self.tiles:
            require(tile[0] in (NEURAL, LOSSLESS, PACKED), "UnknownSection", f"kind {tile[0]} of tile")
            require(len(tile) >= 5 and (tile[0] > 0 or len(tile) % 4 == 1), "Damaged", "a tile's length")
            require(tile[0] == PACKED or not self.alpha_in_tiles, "Damaged", "a tile cannot hold alpha")
        neural = any(tile[0] == NEURAL for tile in self.tiles)
        require(neural == (self.entropy_id != NO_MODEL), "Damaged", "a model too many or too few")
        self.metadata: dict[int, bytes] = {}
        for _ in range(self.pieces):
            self.metadata.update([reader.section(range(max(self.metadata, default=-1) + 1, 128))])
        fields = Reader(self.metadata.get(RESOLUTION, bytes(2)))
        self.resolution = fields.leb(), fields.leb()
        require(fields.at == len(fields.data), "Damaged", "the resolution is not two leb")


def decode_png(stream: bytes, height: int, width: int, channels: int) -> Pixels:
    """Decode a PNG stream, which must be of this size: pixels [height, width, channels]."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, channels - 1, 0, 0, 0])
    right = stream.startswith(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + header)
    require(right, "Damaged", "a PNG stream of another size or type")
    reader, order, packed = Reader(stream[8:]), "", b""
    letters = {b"IHDR": "H", b"IDAT": "D", b"IEND": "E", b"tRNS": "?"}
    while reader.at < len(reader.data):
        size = int.from_bytes(reader.take(4), "big")
        name, content = reader.take(4), reader.take(size)
        right = reader.take(4) == zlib.crc32(name + content).to_bytes(4, "big")
        require(right and (name != b"IEND" or size == 0), "Damaged", f"PNG chunk {name!r}")
        order += letters.get(name, "a" if name[0] & 32 else "?")  # a: ancillary
        packed += content if name == b"IDAT" else b""
    require(re.fullmatch("Ha*D+a*E", order) is not None, "Damaged", f"order {order} of PNG chunks")
    return unfilter(packed, height, width, channels)


def inflate(packed: bytes, size: int) -> Pixels:
    """Inflate a zlib stream, which must give `size` bytes."""
    inflater = zlib.decompressobj()
    try:
        inflated = np.frombuffer(inflater.decompress(packed, size + 1), np.uint8)
    except zlib.error as error:
        raise Refused("Damaged", f"zlib stream: {error}") from error
    whole = inflater.eof and len(inflated) == size and not inflater.unused_data
    require(whole, "Damaged", "size of a zlib stream")
    return inflated


def unpack(body: bytes, height: int, width: int, samples: int) -> Pixels:
    """Decode packed samples [height, width, samples]."""
    if body[:1] == b"\0":
        return unfilter(body[1:], height, width, samples)
    require(body[:1] == b"\1" and len(body) > 1, "Damaged", "kind of packed samples")
    n = body[1] + 1
    d = next(d for d in (1, 2, 4, 8) if n <= 2**d)
    steps, rows = np.split(inflate(body[2:], n * samples + height * ceil(width * d / 8)), [n * samples])
    bits = np.unpackbits(rows.reshape(height, -1), axis=1)[:, : width * d]
    indexes = bits.reshape(height, width, d) @ (1 << np.arange(d)[::-1])
    require(int(indexes.max()) < n, "Damaged", "an index beyond the palette")
    return steps.reshape(n, samples).cumsum(0, np.uint8)[indexes]


def unfilter(packed: bytes, height: int, width: int, channels: int) -> Pixels:
    """Inflate the rows of a PNG and undo their filters: pixels [height, width, channels]."""
    rows = inflate(packed, height * (1 + width * channels)).reshape(height, -1)
    require(int(rows[:, 0].max()) <= 4, "Damaged", "filters of a PNG stream")
    lines = [[0] * (width * channels)]
    for kind, *line in rows.tolist():
        for at, b in enumerate(lines[-1]):
            a, c = (line[at - channels], lines[-1][at - channels]) if at >= channels else (0, 0)
            paeth = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            line[at] = (line[at] + (0, a, b, (a + b) // 2, paeth)[kind]) % 256
        lines.append(line)
    return np.array(lines[1:], np.uint8).reshape(height, width, channels)


# ---- The coder: from words to symbols ----
class Coder:
    """The coder of one tile; `tables[k - 1]` is the table of scale index k."""

    def __init__(self, words: list[int], tables: list[Table]) -> None:
        """Come to the start state."""
        self.words, self.tables, self.state = words, tables, 0
        require(not words or words[-1] != 0, "Damaged", "the last word is 0")
        self.refill()
        self.refill()

    def refill(self) -> None:
        """Take a word if there is one and the state has room for it."""
        if self.state < 2**32 and self.words:
            self.state = self.state * 2**32 + self.words.pop()

    def decode(self, frequencies: list[int], left: list[int]) -> int:
        """Decode an entry of a table."""
        q = self.state % 2**24
        entry = bisect_right(left, q) - 1
        self.state = self.state // 2**24 * frequencies[entry] + q - left[entry]
        self.refill()
        return entry

    def escape(self, radius: int) -> int:
        """Decode the symbol of an escape."""
        bit, n = ([2**23, 2**23], [0, 2**23]), 0
        while self.decode(*bit) == 0:
            n += 1
            require(n <= 11, "LatentsMismatch", "an escape has over 11 zeros")
        m = sum(self.decode(*bit) << place for place in reversed(range(n)))
        v = (1 << n) - 1 + m
        return -(radius + 1 + v // 2) if v % 2 else radius + 1 + v // 2

    def pop(self, indexes: Ints) -> Ints:
        """Decode a symbol for each scale index, in an array of the same shape."""
        flat = indexes.reshape(-1)
        symbols = np.zeros_like(flat)
        for k, table in enumerate(self.tables, 1):
            places, radius = np.flatnonzero(flat == k), len(table[0]) // 2 - 1
            entries = np.array([self.decode(*table) for _ in places], np.int64)
            symbols[places] = entries - radius
            for place in places[entries == 2 * radius + 1]:
                symbols[place] = self.escape(radius)
        return symbols.reshape(indexes.shape)


# ---- The model: from symbols to pixels ----
class Model:
    """A weights file: `fields` of the architecture, `tensors` by name, the ids, the tables of the coder."""

    def __init__(self, weights: bytes) -> None:
        """Read a safetensors file and check it."""
        start = 8 + int.from_bytes(weights[:8], "little")
        entries = json.loads(weights[8:start])
        strings = entries.pop("__metadata__")
        dtypes = {"I8": "<i1", "U8": "<u1", "I16": "<i2", "I32": "<i4", "F16": "<f2"}
        self.fields, self.tensors = json.loads(strings["architecture"]), dict[str, Array]()
        for name in sorted(entry for entry in entries if entry.startswith(("entropy.", "synthesis."))):
            first, last = entries[name]["data_offsets"]
            values = np.frombuffer(weights[start + first : start + last], dtypes[entries[name]["dtype"]])
            self.tensors[name] = values.reshape(entries[name]["shape"])
        entropy_fields = "latent_channels", "hyper_channels", "hyper_width", "scales"
        synthesis_fields = "latent_channels", "width", "synthesis_blocks", "quarter_width", "quarter_blocks"
        self.entropy_id = self.digest("entropy.", entropy_fields)[:8]
        self.synthesis_id = self.digest("synthesis.", synthesis_fields)[:4]
        named = strings["format"], strings["entropy_id"], strings["synthesis_id"]
        right = named == ("aecodec-weights-1", self.entropy_id.hex(), self.synthesis_id.hex())
        require(right, "BadWeights", "the tensors do not give the ids, or the format is another")
        frequencies, self.tables = self.tensors["entropy.tables.frequencies"].tolist(), list[Table]()
        for radius in self.tensors["entropy.tables.radius"].tolist():
            table, frequencies = frequencies[: 2 * radius + 2], frequencies[2 * radius + 2 :]
            require(min(table) >= 1 and sum(table) == 2**24, "BadWeights", "a table breaks its rules")
            self.tables.append((table, [0, *np.cumsum(table[:-1]).tolist()]))

    def digest(self, prefix: str, fields: tuple[str, ...]) -> bytes:
        """Compute the SHA-256 that an id is the beginning of."""
        record = {"format": 1} | {field: self.fields[field] for field in fields}
        sha = hashlib.sha256(json.dumps(record, sort_keys=True, separators=(",", ":")).encode())
        for name, tensor in filter(lambda item: item[0].startswith(prefix), self.tensors.items()):
            line = name.removeprefix(prefix), tensor.dtype.name, "x".join(map(str, tensor.shape))
            sha.update(f"\n{' '.join(line)}\n".encode() + tensor.tobytes())
        return sha.digest()

    def run(self, name: str, level: int, x: Ints, largest: int, low: int, high: int) -> Ints:
        """Run a layer on x [I, h, w], of magnitudes up to `largest`; give [O, h, w], of low..high."""
        tensors = (self.tensors[f"entropy.{name}.{part}"] for part in ("weight", "bias", "shift"))
        weight, bias, shift = (tensor.astype(np.int64) for tensor in tensors)
        bound = np.abs(weight).sum(tuple(range(1, weight.ndim))) * largest + np.abs(bias).max(0)
        require(max(bound) <= 2**24 and max(shift) <= 24, "BadWeights", f"layer {name} breaks the bound")
        sums: Ints = product(weight, x) + bias[level if len(bias) > 1 else 0, :, None, None]
        return (sums >> shift[:, None, None]).clip(low, high)

    def features(self, level: int, z: Ints, h: int, w: int) -> Ints:
        """Compute the features [n, h, w] of a tile from z [N, ceil(h / 4), ceil(w / 4)]."""
        x = self.run("hyper.enter", level, z, 127, 0, 1023)
        for stage in "quarter", "half", "full":
            x = x[:, :h, :w] if stage == "full" else x
            x = self.run(f"hyper.{stage}.spatial", level, x, 1023, -511, 511)
            x = self.run(f"hyper.{stage}.mix", level, x, 511, 0, 1023)
            x = shuffle(x, 2) if stage != "full" else x
        return self.run("hyper.leave", level, x, 1023, -511, 511)

    def latents(self, level: int, coder: Coder, height: int, width: int) -> tuple[Ints, Ints]:
        """Decode a tile of this size in pixels: z [N, ceil(H/64), ceil(W/64)], y_hat [M, ceil(H/16), ...]."""
        z_index = self.tensors["entropy.z_index"][level, :, None, None].astype(np.int64)
        z = coder.pop(np.tile(z_index, (1, ceil(height / 64), ceil(width / 64))))
        require(int(np.abs(z).max()) <= 127, "LatentsMismatch", "|z| > 127")
        x = self.features(level, z, ceil(height / 16), ceil(width / 16))
        x = self.run("pass0.enter", level, x, 511, 0, 1023)
        mu = self.run("pass0.mu", level, x, 1023, -16383, 16383)
        y_hat = 16 * coder.pop(self.run("pass0.index", level, x, 1023, 0, self.fields["scales"] - 1)) + mu
        require(coder.state == 0 and not coder.words, "LatentsMismatch", "the coder is not at its start")
        return z, y_hat

    def synthesis(self, level: int, y_hat: Ints, channels: int) -> Pixels:
        """Compute pixels u8 [16 h, 16 w, channels] from y_hat [M, h, w], that of the whole picture."""

        def dot(name: str, x: Array, swish: bool = False) -> Array:
            x = x * np.clip(x + 3, 0, 6) / 6 if swish else x
            weight, bias = (self.tensors[f"synthesis.{name}.{part}"] for part in ("weight", "bias"))
            return product(weight.astype(np.float32), x) + bias[:, None, None]

        def block(name: str, h: Array) -> Array:
            values = self.tensors[f"synthesis.{name}.level.values"][level, :, None, None]
            t = dot(f"{name}.spatial", dot(f"{name}.enter", h) + values, swish=True)
            h = h + dot(f"{name}.leave", t)
            return h + dot(f"{name}.contract", dot(f"{name}.expand", h), swish=True)

        h = y_hat.astype(np.float32) / 16 / self.tensors["synthesis.gain"][level, :, None, None]
        for number in range(self.fields["synthesis_blocks"][0]):
            h = block(f"coarse.{number}", h)
        h = shuffle(dot("up", h), 2)
        for number in range(self.fields["synthesis_blocks"][1]):
            h = block(f"fine.{number}", h)
        x_hat = shuffle(dot("leave", h), 8)
        if self.fields["quarter_blocks"]:
            h = shuffle(dot("quarter.up", h), 2)
            for number in range(self.fields["quarter_blocks"]):
                h = block(f"quarter.blocks.{number}", h)
            x_hat = x_hat + shuffle(dot("quarter.leave", h), 4)
        x_hat = x_hat.mean(0, keepdims=True) if channels == 1 else x_hat
        return np.array(np.rint(np.clip(255 * x_hat, 0, 255)), np.uint8).transpose(1, 2, 0)


def product(weight: Array, x: Array) -> Array:
    """Multiply [O, I] with x [I, h, w], or convolve x [O, h, w] with [O, 1, 3, 3]; give [O, h, w]."""
    if weight.ndim == 2:
        return np.tensordot(weight, x, 1)
    (_, h, w), padded, result = x.shape, np.pad(x, ((0, 0), (1, 1), (1, 1))), np.zeros_like(x)
    for a, b in np.ndindex(3, 3):
        result += weight[:, :, a, b, None] * padded[:, a : a + h, b : b + w]
    return result


def shuffle(x: Array, f: int) -> Array:
    """Turn [f^2 c, h, w] into [c, f h, f w]."""
    parts = x.reshape(-1, f, f, *x.shape[1:]).transpose(0, 3, 1, 4, 2)
    return parts.reshape(-1, f * x.shape[1], f * x.shape[2])


# ---- All together ----
@dataclass
class Decoded:
    """Pixels u8 [H, W, C], alpha u8 [H, W], z and y_hat of each neural tile (else None), metadata."""

    pixels: Pixels
    alpha: Pixels | None
    tiles: list[tuple[Ints, Ints] | None]
    icc: bytes | None
    exif: bytes | None
    xmp: bytes | None
    resolution: tuple[int, int] | None


def decode(data: bytes, weights: bytes) -> Decoded:
    """Decode a file with the weights of its model; without a model nothing looks at the weights."""
    file = File(data)
    try:
        model = Model(weights) if file.entropy_id != NO_MODEL else None
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise Refused("BadWeights", repr(error)) from error
    if model is not None:
        require(model.entropy_id == file.entropy_id, "UnknownModel", file.entropy_id.hex())
        require(model.synthesis_id == file.synthesis_id, "SynthesisMismatch", file.synthesis_id.hex())
        right = ceil(file.height / 16), ceil(file.width / 16), model.fields["latent_channels"]
        require(file.latents == right, "Damaged", "the latent numbers are not those of the model")
    pixels = np.zeros((file.height, file.width, file.samples), np.uint8)
    alpha, lossless = np.zeros(pixels.shape[:2], np.uint8), np.zeros(pixels.shape[:2], bool)
    y_hat = np.zeros((file.latents[2], *file.latents[:2]), np.int64)  # stays 0 in lossless tiles
    tiles: list[tuple[Ints, Ints] | None] = []
    for number, tile in enumerate(file.tiles):
        top, left = (place * file.tile_size for place in divmod(number, file.across))
        here = np.s_[top : top + file.tile_size, left : left + file.tile_size]
        h, w = lossless[here].shape
        if model is None or tile[0] != NEURAL:
            reader = decode_png if tile[0] == LOSSLESS else unpack
            pixels[here], lossless[here] = reader(tile[5:], h, w, file.samples), True
            tiles.append(None)
            decoded = pixels[here].tobytes()
        else:
            coder = Coder(np.frombuffer(tile, "<u4", offset=5).tolist(), model.tables)
            z, y = model.latents(file.level, coder, h, w)
            y_hat[:, top // 16 :, left // 16 :][:, : y.shape[1], : y.shape[2]] = y
            tiles.append((z, y))
            decoded = z.astype("<i4").tobytes() + y.astype("<i4").tobytes()
        same = zlib.crc32(decoded).to_bytes(4, "little") == tile[1:5]
        require(same, "LatentsMismatch", f"tile {number}: this decoder computes differently")
        if file.alpha_tiles:
            stream = file.alpha_tiles[number]
            alpha[here] = decode_png(stream, h, w, 1)[..., 0] if len(stream) > 1 else stream[0]
    if model is not None:
        picture = model.synthesis(file.level, y_hat, file.channels)[: file.height, : file.width]
        pixels = np.where(lossless[..., None], pixels, picture)
    if file.alpha_in_tiles:
        pixels, alpha = pixels[..., :-1], pixels[..., -1]
    found, resolution = file.metadata.get, file.resolution if RESOLUTION in file.metadata else None
    opacity = alpha if file.alpha_tiles or file.alpha_in_tiles else None
    return Decoded(pixels, opacity, tiles, found(ICC), found(EXIF), found(XMP), resolution)


if __name__ == "__main__":
    from PIL import Image

    weights_file, source, target = map(Path, sys.argv[1:])
    picture = decode(source.read_bytes(), weights_file.read_bytes())
    planes = picture.pixels if picture.alpha is None else np.dstack([picture.pixels, picture.alpha])
    Image.fromarray(planes if planes.shape[2] > 1 else planes[..., 0]).save(target, icc_profile=picture.icc)
