"""TIFF: the tags of each page, read from the file itself, for Pillow carries some from page to page."""

import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from aecodec.picture.formats.facts import Facts, once, thousandths

Tags = Mapping[int, tuple[Any, ...]]

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, ORIENTATION, SAMPLES, STRIP_BYTES, PLANAR = 273, 274, 277, 279, 284
COLOUR_MAP, TILE_OFFSETS, TILE_BYTES, SUB_IFDS, EXTRA_SAMPLES, SAMPLE_FORMAT = 320, 324, 325, 330, 338, 339
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT, XMP, ICC = 282, 283, 296, 700, 34675

WHITE_IS_ZERO, YCBCR = 0, 6  # of PHOTOMETRIC
UNCOMPRESSED = 1
_NO_UNIT, _INCH, _CENTIMETRE = 1, 2, 3
_SIDEWAYS = (5, 6, 7, 8)  # orientations that exchange width and height
_SIGNED = 2
_PREMULTIPLIED, _UNSPECIFIED = 1, 0  # of EXTRA_SAMPLES

_READ = {
    WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIP_OFFSETS, ORIENTATION, SAMPLES, STRIP_BYTES, PLANAR,
    COLOUR_MAP, TILE_OFFSETS, TILE_BYTES, SUB_IFDS, EXTRA_SAMPLES, SAMPLE_FORMAT, X_RESOLUTION, Y_RESOLUTION,
    RESOLUTION_UNIT, XMP, ICC,
}  # fmt: skip
_MAX_PAGES = 100_000
_CODES = {  # of struct, by type
    1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q",
}  # fmt: skip
_TEXT, _UNDEFINED, _RATIONALS = 2, 7, {5: "I", 10: "i"}
_SIZES = {kind: struct.calcsize("<" + code) for kind, code in _CODES.items()}  # bytes, by type
_SIZES |= {_TEXT: 1, _UNDEFINED: 1, 5: 8, 10: 8}
_PHOTOMETRICS = {
    0: "grey", 1: "grey", 2: "RGB", 3: "palette", 4: "a mask", 5: "CMYK", 6: "YCbCr", 8: "L*a*b*",
    9: "ICC L*a*b*", 10: "ITU L*a*b*", 32803: "raw sensor data", 32844: "LogL", 32845: "LogLuv",
    34892: "linear raw data",
}  # fmt: skip
_FORMATS = {1: "integers", 2: "signed integers", 3: "floating point"}


def pages(data: bytes) -> list[int]:
    """Give the offset of the directory of each page, as far as the file can be followed."""
    layout = _layout(data)
    found: dict[int, None] = {}
    at = _number(data, layout.first, layout.order + layout.word) if layout else 0
    while layout and 0 < at < len(data) and at not in found and len(found) < _MAX_PAGES:
        found[at] = None
        count = _number(data, at, layout.order + layout.counter)
        after = at + struct.calcsize("<" + layout.counter) + layout.entry * count
        at = _number(data, after, layout.order + layout.word)
    return list(found)


def page(data: bytes, frame: int) -> Tags:
    """Give the tags of a page that tell of its pixels; none if there is no such page."""
    layout, directories = _layout(data), pages(data)
    if not layout or not 0 <= frame < len(directories):
        return {}
    start = directories[frame] + struct.calcsize("<" + layout.counter)
    count = _number(data, directories[frame], layout.order + layout.counter)
    tags: dict[int, tuple[Any, ...]] = {}
    for place in range(start, min(start + layout.entry * count, len(data) - layout.entry + 1), layout.entry):
        (tag,) = struct.unpack_from(layout.order + "H", data, place)
        if tag in _READ and tag not in tags:  # a file may point to the same bytes any number of times
            tags[tag] = _values(data, place, layout)
    return {tag: values for tag, values in tags.items() if values}


class _Layout(NamedTuple):
    """How numbers are written: byte order, codes of an offset and of a counter, bytes of an entry."""

    order: str
    word: str
    counter: str
    entry: int
    first: int  # where the offset of the first directory stands


def _layout(data: bytes) -> _Layout | None:
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return None
    return _Layout(order, "Q", "Q", 20, 8) if 43 in data[2:4] else _Layout(order, "I", "H", 12, 4)


def _number(data: bytes, at: int, code: str) -> int:
    try:
        return int(struct.unpack_from(code, data, at)[0])
    except struct.error:
        return 0


def _values(data: bytes, place: int, layout: _Layout) -> tuple[Any, ...]:
    """The values of an entry; texts, bytes of no type and long lists of bytes as one value."""
    kind, length = struct.unpack_from(f"{layout.order}H{layout.word}", data, place + 2)
    width = struct.calcsize("<" + layout.word)
    size, at = _SIZES.get(kind, 0) * length, place + layout.entry - width
    if size > width:
        at = _number(data, at, layout.order + layout.word)
    if not 0 < size <= len(data) - at:
        return ()
    if kind in (_TEXT, _UNDEFINED) or (kind == 1 and length > 8):
        return (data[at : at + size],)
    if code := _RATIONALS.get(kind):
        pairs = struct.iter_unpack(layout.order + 2 * code, data[at : at + size])
        return tuple(over / under if under else 0.0 for over, under in pairs)
    return struct.unpack_from(f"{layout.order}{length}{_CODES[kind]}", data, at)


def unsupported(data: bytes, frame: int) -> str | None:
    """Say what kind of TIFF a page is, if it is whole: then Pillow, which failed, does not read the kind."""
    tags = page(data, frame)
    if not is_whole(data, tags):
        return None
    kind = _PHOTOMETRICS.get(_one(tags, PHOTOMETRIC, 0), f"of photometric kind {_one(tags, PHOTOMETRIC, 0)}")
    bits = "/".join(str(bits) for bits in dict.fromkeys(tags.get(BITS, (1,))))
    form = _FORMATS.get(_one(tags, SAMPLE_FORMAT, 1), "samples of a kind that is not known")
    layout = ", in planes" if _one(tags, PLANAR, 1) == 2 else ""
    samples = _one(tags, SAMPLES, 1)
    compression = _one(tags, COMPRESSION, UNCOMPRESSED)
    packed = f", compression {compression}" if compression != UNCOMPRESSED else ""
    return f"a TIFF file with {kind}, {samples} x {bits} bits, {form}{layout}{packed}"


def is_whole(data: bytes, tags: Tags) -> bool:
    """Say whether a page has what it must have, and its strips or tiles lie within the file."""
    if WIDTH not in tags or HEIGHT not in tags:
        return False
    places = _numbers(tags, STRIP_OFFSETS) or _numbers(tags, TILE_OFFSETS)
    lengths = _numbers(tags, STRIP_BYTES) or _numbers(tags, TILE_BYTES) or [1] * len(places)
    inside = (at > 0 and at + length <= len(data) for at, length in zip(places, lengths, strict=False))
    return bool(places) and all(inside)


def _one(tags: Tags, tag: int, default: int) -> int:
    value = tags.get(tag, (default,))[0]
    return value if isinstance(value, int) else default


def refusal(tags: Tags) -> str | None:
    """Say why a page that Pillow reads cannot be taken."""
    samples, bits = _one(tags, SAMPLES, 1), max(_numbers(tags, BITS), default=1)
    if _one(tags, SAMPLE_FORMAT, 1) == _SIGNED and bits < 32:
        return f"signed samples of {bits} bits: which value is white?"
    if _one(tags, PLANAR, 1) == 2 and samples > 1 and _one(tags, PHOTOMETRIC, 0) not in (2, 5):
        return "samples in planes that are neither RGB nor CMYK"
    return None


def needs_libtiff(tags: Tags) -> bool:
    """Say whether Pillow's own reader is wrong: it takes planes for 8 bits, and YCbCr for full and fine."""
    plain = _one(tags, COMPRESSION, UNCOMPRESSED) == UNCOMPRESSED
    return plain and (_one(tags, PLANAR, 1) == 2 or _one(tags, PHOTOMETRIC, 0) == YCBCR)


def palette(tags: Tags) -> bytes | None:
    """Give a palette of 8 bits a value, red, green and blue after each other; the format says 16."""
    values = _numbers(tags, COLOUR_MAP)
    return bytes(values) if values and max(values) < 256 and min(values) >= 0 else None


def bits(tags: Tags) -> int:
    """Give the bits of a channel."""
    return max(_numbers(tags, BITS), default=8)


def _numbers(tags: Tags, tag: int) -> list[int]:
    return [value for value in tags.get(tag, ()) if isinstance(value, int)]


def look(tags: Tags) -> Facts:
    """Read depth and metadata of a page and name what is left out; EXIF is left to Pillow."""
    resolution, shape = _resolution(tags)
    icc, xmp = (_bytes(tags.get(tag)) for tag in (ICC, XMP))
    extra = _numbers(tags, EXTRA_SAMPLES)
    alpha = extra[:1] if extra[:1] != [_UNSPECIFIED] else []
    spare = len(extra) - len(alpha)
    left_out = (
        "the shape of its pixels" if shape else None,
        f"{spare} more channel{'s' * (spare > 1)}" if spare else None,
        "the pictures within it (SubIFDs)" if SUB_IFDS in tags else None,
    )
    converted = ("premultiplied colours to plain ones",) if alpha == [_PREMULTIPLIED] else ()
    fields = {"icc": icc, "xmp": xmp, "resolution": resolution}
    return Facts(bits(tags), fields=fields, left_out=once(left_out), converted=converted)


def _bytes(values: tuple[Any, ...] | None) -> bytes | None:
    """Give the bytes of a tag, whatever type they were written as."""
    if not values:
        return None
    if isinstance(values[0], bytes):
        return values[0]
    return bytes(values) if all(isinstance(value, int) and 0 <= value < 256 for value in values) else None


def _resolution(tags: Tags) -> tuple[tuple[int, int] | None, bool]:
    """Give the resolution of the picture as it stands; and whether the pixels are said not to be square."""
    sides = [tags.get(tag, (0,))[0] for tag in (X_RESOLUTION, Y_RESOLUTION)]
    across, down = (side if isinstance(side, int | float) else 0 for side in sides)
    unit = _one(tags, RESOLUTION_UNIT, _INCH)
    if _one(tags, ORIENTATION, 1) in _SIDEWAYS:  # Pillow turns the pixels
        across, down = down, across
    if unit == _NO_UNIT:
        return None, across != down and min(across, down) > 0
    scale = 2.54 if unit == _CENTIMETRE else 1.0
    return thousandths((across * scale, down * scale)), False
