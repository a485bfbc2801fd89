"""PNG: the chunks of a file, checked, and what Pillow is to see of them."""

import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from aecodec.errors import TruncatedImage, UnsupportedPicture
from aecodec.picture import exif
from aecodec.picture.formats.facts import Facts, behind, once, thousandths

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD = "XML:com.adobe.xmp"
_RAW_EXIF_KEYWORD = "Raw profile type exif"  # older than PNG's chunk for EXIF

_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_ANIMATION = (b"acTL", b"fcTL", b"fdAT")
_PIXELS = (*_CRITICAL, *_ANIMATION, b"tRNS")  # what Pillow needs
_SILENT = (*_PIXELS, b"iCCP", b"eXIf", b"sRGB", b"sBIT", b"hIST", b"iDOT")  # kept, or no news for a person
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_NAMES = {
    b"caBX": "Content Credentials (C2PA)",
    b"bKGD": "a background colour",
    b"tIME": "the time of its last change",
    b"mDCV": "HDR metadata",
    b"cLLI": "HDR metadata",
}
_SRGB_GAMMA = 45455  # hundred-thousandths, as the values of cHRM
_SRGB_PRIMARIES = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)  # white, red, green, blue
_LIMIT = 2**26  # bytes that a compressed profile or text may take


class Chunk(NamedTuple):
    """One chunk: its type and data, where it begins, and whether its checksum is right."""

    type: bytes
    body: bytes
    offset: int
    intact: bool


def chunks(data: bytes) -> tuple[list[Chunk], int]:
    """Give the chunks up to IEND or as far as they are whole, and the offset behind them."""
    found: list[Chunk] = []
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            break
        kind, body = data[at + 4 : at + 8], data[at + 8 : end - 4]
        right = zlib.crc32(body, zlib.crc32(kind)) == int.from_bytes(data[end - 4 : end], "big")
        found.append(Chunk(kind, body, at, right))
        at = end
        if kind == b"IEND":
            break
    return found, at


def pixels_alone(data: bytes) -> bytes:
    """Give the file without the chunks that are not needed for its pixels.

    Pillow would take a text chunk of any name for a property of the picture, and a large profile for damage.

    Raises:
        TruncatedImage: the checksum of a chunk that is needed is wrong.
        UnsupportedPicture: a chunk that must be understood is not known.

    """
    parts, end = chunks(data)
    for part in parts:
        if part.type in _PIXELS and not part.intact:
            reason = f"the chunk {part.type.decode()} at byte {part.offset} is damaged"
            raise TruncatedImage(f"the PNG picture is damaged ({reason}): get it again")
        if part.intact and part.type.isalpha() and part.type[:1].isupper() and part.type not in _CRITICAL:
            kind = "Apple's own kind (CgBI)" if part.type == b"CgBI" else f"a kind with {part.type.decode()}"
            raise UnsupportedPicture(f"this PNG is of {kind}: save it as an ordinary PNG first")
    kept = (data[p.offset : p.offset + 12 + len(p.body)] for p in parts if p.type in _PIXELS)
    return b"".join([SIGNATURE, *kept, data[end:] if parts[-1:] and parts[-1].type != b"IEND" else b""])


def look(data: bytes) -> Facts:
    """Read depth and metadata from the chunks and name what is left out."""
    parts, end = chunks(data)
    first = {part.type: part.body for part in reversed(parts) if part.intact}
    header = first.get(b"IHDR", b"").ljust(13, b"\0")
    texts = [text for part in parts if part.intact and part.type in _TEXTS for text in [_text(part)] if text]
    icc, damaged = _profile(first.get(b"iCCP"))
    resolution, shape = _resolution(first.get(b"pHYs", b""))
    block, bad_exif = _exif(first, texts)
    xmp = next((value for keyword, value in texts if keyword == XMP_KEYWORD and value), None)
    spoken_for = (XMP_KEYWORD, _RAW_EXIF_KEYWORD)
    names = (
        damaged,
        bad_exif,
        *_colour(first),
        *(_name(part) for part in parts),
        "the shape of its pixels" if shape else None,
        *(f"the text {keyword!r}" for keyword, _ in texts if keyword not in spoken_for),
        behind(len(data) - end) if parts and parts[-1].type == b"IEND" else None,
    )
    fields: dict[str, Any] = {"icc": icc, "exif": block, "xmp": xmp, "resolution": resolution}
    return Facts(header[8] or 8, header[8:10] == b"\x10\x04", fields=fields, left_out=once(names))


def _name(part: Chunk) -> str | None:
    """Name a chunk that a Picture has no place for."""
    kind = part.type.decode("ascii", "backslashreplace")
    if not part.intact:
        return f"a damaged chunk {kind!r}"
    if part.type in (*_SILENT, *_TEXTS, b"gAMA", b"cHRM", b"cICP", b"pHYs"):
        return None
    return _NAMES.get(part.type, f"the chunk {kind!r}")


def _text(part: Chunk) -> tuple[str, bytes] | None:
    """Give keyword and value of a text chunk; None where there is no keyword."""
    keyword, _, rest = part.body.partition(b"\0")
    if part.type == b"zTXt":
        rest = _inflated(rest[1:]) or b""
    elif part.type == b"iTXt":
        packed, value = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
        rest = (_inflated(value) or b"") if packed else value
    return (keyword.decode("latin-1"), rest) if keyword else None


def _inflated(packed: bytes) -> bytes | None:
    """Decompress as much as anybody needs; None if it is damaged, or more than that."""
    decompressor = zlib.decompressobj()
    try:
        value = decompressor.decompress(packed, _LIMIT)
    except zlib.error:
        return None
    return value if decompressor.eof else None


def _profile(body: bytes | None) -> tuple[bytes | None, str | None]:
    if body is None:
        return None, None
    _, _, rest = body.partition(b"\0")
    profile = _inflated(rest[1:])
    return profile or None, None if profile else "an ICC profile that is damaged"


def _exif(first: dict[bytes, bytes], texts: list[tuple[str, bytes]]) -> tuple[bytes | None, str | None]:
    """Give the block of the chunk for EXIF, or of the text that older programs write in its place."""
    if block := exif.bare(first.get(b"eXIf")):
        return block, None
    raw = next((value for keyword, value in texts if keyword == _RAW_EXIF_KEYWORD), None)
    if raw is None:
        return None, None
    try:
        block = exif.bare(bytes.fromhex("".join(raw.decode("latin-1").split("\n")[3:])))
    except ValueError:
        block = None
    return block, None if block else "EXIF that is damaged"


def _resolution(body: bytes) -> tuple[tuple[int, int] | None, bool]:
    """Give the resolution; and whether the pixels are said not to be square, in no unit of length."""
    across, down = int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big")
    if body[8:9] == b"\1":
        return thousandths((across * 0.0254, down * 0.0254)), False
    return None, across != down and min(across, down) > 0


def _colour(first: dict[bytes, bytes]) -> Iterator[str]:
    """Name the colour space that chunks other than the profile give the picture, unless it is sRGB."""
    cicp = first.get(b"cICP", b"")
    if len(cicp) == 4:
        yield from cicp_name(cicp[0], cicp[1])
        return
    if b"iCCP" in first or b"sRGB" in first:  # which go before these
        return
    primaries = first.get(b"cHRM", b"")
    values = [int.from_bytes(primaries[n : n + 4], "big") for n in range(0, len(primaries) & ~3, 4)]
    if values and not (len(values) == 8 and all(map(_near, values, _SRGB_PRIMARIES))):
        yield "its primaries (cHRM)"
    gamma = int.from_bytes(first.get(b"gAMA", b""), "big")
    if gamma and not _near(gamma, _SRGB_GAMMA):
        yield "a gamma value"


def _near(value: int, wanted: int) -> bool:
    return abs(value - wanted) <= 100


def cicp_name(primaries: int, transfer: int) -> Iterator[str]:
    """Name a colour space by its numbers in H.273, unless it is sRGB."""
    is_srgb = primaries in (1, 2) and transfer in (1, 2, 6, 13)  # 2: not specified; 1, 6: what video calls it
    if not is_srgb:
        yield f"its colour space (CICP {primaries}/{transfer})"
