"""Tiles without loss: pixels <-> PNG streams, and packed tiles: PNG's rows without PNG's frame.

    tile -> rows, filtered and deflated by Pillow, or a palette and indexes, deflated -> packed tile

Every stream is measured before it is decoded, so none takes more memory than its tile.
"""

import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from PIL import Image, PngImagePlugin

from aecodec.errors import Damaged, LatentsMismatch
from aecodec.file import container
from aecodec.file.container import TILE_SIZE, Container, Header, Tile
from aecodec.file.fields import AGAIN
from aecodec.picture.pictures import Picture, Pixels
from aecodec.tiles.grid import Box, tile_box, tile_boxes

TILE_PIXELS = 2**22  # larger pictures are cut into tiles of 2048 x 2048: so many pixels are in memory twice

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LETTERS = {b"IHDR": "H", b"IDAT": "D", b"IEND": "E", b"tRNS": "?"}
_ORDER = re.compile("Ha*D+a*E")  # of chunks; a: ancillary
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # samples a pixel: PNG's number for them
_MAX_COLOURS = 256

_GLANCE_ROWS, _GLANCE_COLUMNS = 8, 384  # of a picture: a look at so much of it takes under a millisecond
_GLANCE_FIXED = 64  # bytes of what deflate gives that do not grow with the pixels: mostly its tables
_HOPE = 2  # a lossless file is made if the look promises one up to so many times larger: it is a rough guess


# The choice


def cheaper(picture: Picture, file: Container) -> Container:
    """The picture as packed tiles if these take no more bytes than `file`, which holds it with loss.

    They are made only if a look at a few rows says that they may: a photograph costs no more than that look.
    """
    taken = _bytes(file)
    if _glance(picture) > _HOPE * taken:
        return file
    lossless = packed(picture, file)
    return lossless if _bytes(lossless) <= taken else file


def within(picture: Picture, file: Container, size: int) -> Container | None:
    """The picture as packed tiles if the whole file takes at most `size` bytes, else None.

    They are made only if a look at a few rows says that they may be so small. `file`: all but its tiles.
    """
    if _glance(picture) > _HOPE * size:
        return None
    lossless = packed(picture, file)
    return lossless if len(container.write(lossless)) <= size else None


def packed(picture: Picture, file: Container) -> Container:
    """`file` with packed tiles that hold the very pixels and alpha of the picture, and without a model."""
    height, width = picture.pixels.shape[:2]
    size = _tile_size(width, height)
    tiles = []
    for box in tile_boxes(width, height, size):
        pixels = _samples(picture, box)
        tiles.append(Tile(container.PACKED, zlib.crc32(pixels.tobytes()), pack(pixels)))
    header = replace(
        file.header,
        entropy_id=bytes(container.ENTROPY_ID_BYTES),
        synthesis_id=bytes(container.SYNTHESIS_ID_BYTES),
        latent_height=0,
        latent_width=0,
        latent_channels=0,
        level=0,
        tile_size=size,
        alpha_in_tiles=picture.alpha is not None,
    )
    return replace(file, header=header, tiles=tuple(tiles), alpha=())


def _bytes(file: Container) -> int:
    """What tiles and alpha tiles take, with what the container adds to each."""
    payloads = [tile.payload for tile in file.tiles] + list(file.alpha)
    return sum(len(payload) + 16 for payload in payloads)


def _tile_size(width: int, height: int) -> int:
    """One tile if it is not too large: each new one costs bytes and forgets what the last one knew."""
    step = container.TILE_SIZE_STEP
    one = -(-max(width, height) // step) * step
    if width * height > TILE_PIXELS or one > container.MAX_TILE_SIZE:
        return 2 * TILE_SIZE
    return max(one, container.MIN_TILE_SIZE)


def _samples(picture: Picture, box: Box) -> Pixels:
    """Colour and alpha of a box: uint8 [h, w, 1 to 4]."""
    alpha = None if picture.alpha is None else picture.alpha[box.slices]
    return np.ascontiguousarray(replace(picture, pixels=picture.pixels[box.slices], alpha=alpha).samples)


def _glance(picture: Picture) -> float:
    """Guess what the picture would take without loss, in bytes, from a few pairs of rows."""
    height, width = picture.pixels.shape[:2]
    left = max(0, (width - _GLANCE_COLUMNS) // 2)
    rows = np.linspace(0, max(0, height - 2), _GLANCE_ROWS // 2).astype(int)
    rows = np.unique(np.minimum(np.concatenate([rows, rows + 1]), height - 1))
    planes = [picture.pixels] if picture.alpha is None else [picture.pixels, picture.alpha[:, :, None]]
    seen = np.concatenate([plane[:, left : left + _GLANCE_COLUMNS][rows] for plane in planes], axis=2)
    across = np.diff(seen, axis=1, prepend=np.uint8(0))
    down = np.diff(seen, axis=0)[::2]
    parts = [part.tobytes() for part in (seen, across, down) if part.size]
    least: int = min(len(zlib.compress(part, 1)) * seen.size // len(part) for part in parts)
    fixed = min(least, _GLANCE_FIXED)
    pixels = rows.size * min(width, _GLANCE_COLUMNS)
    guess: float = fixed + (least - fixed) * height * width / pixels
    return guess


# Packed tiles


def pack(pixels: Pixels) -> bytes:
    """The body of a packed tile: uint8 [h, w, 1 to 4], any samples, under a palette where that is smaller."""
    image = _image(pixels)
    plain = b"".join(content for name, content in _chunks(encode_png(image)) if name == b"IDAT")
    found = image.getcolors(_MAX_COLOURS)  # None if there are more
    if found is None:
        return b"\0" + plain
    colours = np.array(sorted(colour for _, colour in found), np.uint8).reshape(len(found), -1)
    steps = np.diff(colours, axis=0, prepend=np.uint8(0))
    under = bytes([1, len(colours) - 1]) + zlib.compress(steps.tobytes() + _indexes(pixels, colours), 9)
    return min(b"\0" + plain, under, key=len)


def unpack(body: bytes, height: int, width: int, samples: int, name: str) -> Pixels:
    """Pixels uint8 [height, width, samples] of a packed tile. Raises Damaged, which calls it `name`."""
    if body[:1] == b"\0":
        return _decode_rows(body[1:], height, width, samples, name)
    if body[:1] != b"\1" or len(body) < 2:
        raise _damaged(name, "it is packed in a way that is not known")
    count = body[1] + 1
    depth = _depth(count)
    stride = -(-width * depth // 8)
    inflated = np.frombuffer(_inflate(body[2:], count * samples + height * stride, name), np.uint8)
    colours = inflated[: count * samples].reshape(count, samples).cumsum(axis=0, dtype=np.uint8)
    bits = np.unpackbits(inflated[count * samples :].reshape(height, stride), axis=1)
    bits = bits[:, : width * depth].reshape(height, width, depth)
    indexes = np.packbits(bits, axis=2)[:, :, 0] >> 8 - depth
    if indexes.max() >= count:
        raise _damaged(name, f"it has colour {indexes.max()} of a palette of {count}")
    pixels: Pixels = colours[indexes]
    return pixels


def _depth(colours: int) -> int:
    """Bits an index of a palette takes: 1, 2, 4 or 8."""
    return next(depth for depth in (1, 2, 4, 8) if colours <= 1 << depth)


def _indexes(pixels: Pixels, colours: Pixels) -> bytes:
    """Which of the sorted colours [n, samples] each pixel has, row by row in as few bits as they need."""
    depth = _depth(len(colours))
    places = 256 ** np.arange(colours.shape[1], dtype=np.uint32)[::-1]
    numbers = colours @ places
    rows = []
    for row in pixels:  # one by one: the numbers take four times the memory of the pixels
        indexes = np.searchsorted(numbers, row @ places).astype(np.uint8)
        rows.append(np.packbits(np.unpackbits(indexes[:, None], axis=1)[:, 8 - depth :]))
    return b"".join(row.tobytes() for row in rows)


# PNG streams


def _image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels if pixels.shape[2] > 1 else pixels[:, :, 0])


def encode_png(image: Image.Image) -> bytes:
    """A PNG stream without metadata."""
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def decode_png(stream: bytes, height: int, width: int, channels: int, name: str) -> Pixels:
    """Pixels uint8 [height, width, channels] of a PNG stream. Raises Damaged, which calls it `name`.

    A stream of another size or type than asked for is refused before anything of it is unpacked.
    """
    if not stream.startswith(_SIGNATURE + _header(height, width, _COLOUR_TYPES[channels])):
        raise _damaged(name, "its PNG stream is of another size or type")
    packed, order = [], ""
    for chunk, content in _chunks(stream, name):
        packed += [content] if chunk == b"IDAT" else []
        order += "?" if chunk == b"IEND" and content else _LETTERS.get(chunk, "a" if chunk[0] & 32 else "?")
    if not _ORDER.fullmatch(order):
        raise _damaged(name, "the chunks of its PNG stream are not those of a plain one")
    return _decode_rows(b"".join(packed), height, width, channels, name)


def _chunks(stream: bytes, name: str = "") -> Iterator[tuple[bytes, bytes]]:
    """Names and contents of the chunks of a PNG stream. Raises Damaged."""
    at = len(_SIGNATURE)
    while at < len(stream):
        size = int.from_bytes(stream[at : at + 4], "big")
        named = stream[at + 4 : at + 8 + size]
        at += 12 + size
        if zlib.crc32(named) != int.from_bytes(stream[at - 4 : at], "big") or at > len(stream):
            raise _damaged(name, "a chunk of its PNG stream is cut short or wrong")
        yield named[:4], named[4:]


def _decode_rows(packed: bytes, height: int, width: int, samples: int, name: str) -> Pixels:
    """Samples uint8 [height, width, samples] of the zlib stream of a PNG."""
    _inflate(packed, height * (1 + width * samples), name)
    chunks = _header(height, width, _COLOUR_TYPES[samples]), _chunk(b"IDAT", packed), _chunk(b"IEND")
    try:
        image = PngImagePlugin.PngImageFile(io.BytesIO(_SIGNATURE + b"".join(chunks)))
        pixels: Pixels = np.array(image)  # [height, width] or [height, width, samples]
    except (OSError, SyntaxError, ValueError) as fault:
        raise _damaged(name, f"its rows cannot be decoded ({fault})") from fault
    return pixels.reshape(height, width, samples)


def _inflate(packed: bytes, size: int, name: str) -> bytes:
    """Inflate a zlib stream that must give so many bytes and end there; never takes memory for more."""
    inflater = zlib.decompressobj()
    try:
        inflated = inflater.decompress(packed, size + 1)
    except zlib.error as fault:
        raise _damaged(name, f"its stream cannot be inflated ({fault})") from fault
    if not inflater.eof or inflater.unused_data or len(inflated) != size:
        raise _damaged(name, f"its stream does not inflate to {size} bytes and end there")
    return inflated


def _header(height: int, width: int, kind: int) -> bytes:
    """The IHDR chunk of 8 bits a sample."""
    return _chunk(b"IHDR", width.to_bytes(4, "big"), height.to_bytes(4, "big"), bytes([8, kind, 0, 0, 0]))


def _chunk(name: bytes, *content: bytes) -> bytes:
    body = b"".join([name, *content])
    return (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")


def _damaged(name: str, reason: str) -> Damaged:
    return Damaged(f"{name}: {reason}: the file is damaged, {AGAIN}")


# Tiles of a file


def decode_tile(header: Header, number: int, tile: Tile) -> Pixels:
    """Samples uint8 [h, w, n] of a lossless or packed tile: with alpha, if tiles hold it.

    Raises Damaged, LatentsMismatch.
    """
    box, name = tile_box(number, header.width, header.height, header.tile_size), f"tile {number}"
    decode = unpack if tile.kind == container.PACKED else decode_png
    samples = header.channels + header.alpha_in_tiles
    pixels = decode(tile.payload, box.height, box.width, samples, name)
    if zlib.crc32(pixels.tobytes()) != tile.latents_crc:
        raise LatentsMismatch(f"{name}: its pixels are not those that its checksum was taken of")
    return pixels
