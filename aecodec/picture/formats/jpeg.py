"""JPEG: the segments of its first picture, and what lies behind its end."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from aecodec.picture import exif
from aecodec.picture.formats.facts import Facts, behind, label, once, thousandths

_EOI, _SOS, _COM = 0xD9, 0xDA, 0xFE
_APP = 0xE0  # APP0; APP15 is 0xEF
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7}
_PROCESSES = {0xC3: "lossless", 0xCB: "lossless", 0xF7: "JPEG-LS", 0xC5: "hierarchical", 0xC6: "hierarchical"}
_NO_LENGTH = {0x00, 0x01, *range(0xD0, 0xD9)}  # 00: an escaped FF among junk
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")

_EXIF, _XMP, _ICC, _FLIR = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0", b"FLIR\0"
_XMP_EXTENSION = b"http://ns.adobe.com/xmp/extension/"
_GAIN_MAP = re.compile(rb'hdrgm:|urn:iso:std:iso:ts:21496|HDRGainMap|Semantic="GainMap')
_DEPTH_MAP = re.compile(rb'GDepth:|DepthMap|Semantic="Depth')
_FILM = re.compile(rb"....ftyp(?!heic|mif1|avif)", re.DOTALL)


class Segment(NamedTuple):
    """A marker, and what stands between its length and the next marker."""

    marker: int
    body: bytes


def segments(data: bytes) -> tuple[list[Segment], int]:
    """Give the segments of the first picture and the offset behind its end, or behind the data if cut."""
    found: list[Segment] = []
    at = 2
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        marker = data[at + 1]
        if marker == _EOI:
            return found, at + 2
        if marker == 0xFF or marker in _NO_LENGTH:
            at += 1 if marker == 0xFF else 2
            continue
        size = max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
        found.append(Segment(marker, data[at + 4 : at + 2 + size]))
        at += 2 + size
        if marker == _SOS:
            end = _END_OF_SCAN.search(data, at)
            at = end.start() if end else len(data)
    return found, len(data)


def unsupported(data: bytes) -> str | None:
    """Say what kind of JPEG this is if it is one that Pillow does not read."""
    for marker, body in segments(data)[0]:
        if marker in _FRAMES and len(body) > 5:
            if marker in _PROCESSES or marker in (0xC7, 0xCD, 0xCE, 0xCF):
                return f"a JPEG of the {_PROCESSES.get(marker, 'hierarchical')} kind"
            if body[0] != 8:
                return f"a JPEG of {body[0]} bits a channel"
            if body[5] not in (1, 3, 4):
                return f"a JPEG of {body[5]} channels"
            return None
    return None


def look(data: bytes, is_first: bool) -> Facts:
    """Read metadata from the segments and name what is left out. `is_first`: no later picture of an MPO."""
    parts, end = segments(data)
    icc, damaged = _icc(parts)
    blocks = [body for _, body in parts if body.startswith(_EXIF)]
    block = _joined_exif(blocks)
    resolution, shape = _resolution(parts, block)
    fields = {"icc": icc, "exif": block, "xmp": _xmp(parts), "resolution": resolution}
    extra = _behind(data, end, parts) if is_first else ()
    names = (
        damaged,
        "a second EXIF block" if _is_second(blocks) else None,
        *map(_name, parts),
        "the shape of its pixels" if shape else None,
        *extra,
    )
    return Facts(fields=fields, left_out=once(names))


def _icc(parts: list[Segment]) -> tuple[bytes | None, str | None]:
    """Join the profile from its numbered pieces, wherever they stand; and its name if it is damaged."""
    pieces = sorted((body[12:14], body[14:]) for _, body in parts if body.startswith(_ICC) and len(body) > 14)
    if not pieces:
        return None, None
    count = len(pieces)
    if [number for number, _ in pieces] != [bytes([n, count]) for n in range(1, count + 1) if count < 256]:
        return None, "an ICC profile that is damaged"
    return b"".join(piece for _, piece in pieces), None


def _is_second(blocks: list[bytes]) -> bool:
    return any(block[6:8] in (b"II", b"MM") for block in blocks[1:])


def _joined_exif(blocks: list[bytes]) -> bytes | None:
    """One block: later segments continue the first one, unless they begin anew."""
    continued = [block[6:] for block in blocks[1:] if block[6:8] not in (b"II", b"MM")]
    return exif.bare(b"".join([*blocks[:1], *continued]))


def _xmp(parts: list[Segment]) -> bytes | None:
    packets = [body[len(_XMP) :] for marker, body in parts if marker == _APP + 1 and body.startswith(_XMP)]
    return packets[-1] or None if packets else None


def _resolution(parts: list[Segment], block: bytes | None) -> tuple[tuple[int, int] | None, bool]:
    """Give the resolution that JFIF or else EXIF says; and whether the pixels are said not to be square."""
    jfif = next((body for marker, body in parts if marker == _APP and body.startswith(b"JFIF\0")), b"")
    unit, across, down = jfif[7:8], int.from_bytes(jfif[8:10], "big"), int.from_bytes(jfif[10:12], "big")
    per_inch = {b"\1": 1.0, b"\2": 2.54}.get(unit)
    said = thousandths((across * per_inch, down * per_inch)) if per_inch else None
    found = said or exif.resolution(block)
    return found, unit == b"\0" and not found and across != down and min(across, down) > 0


def _name(segment: Segment) -> str | None:
    """Name what a segment holds and a Picture has no place for."""
    marker, body = segment
    if marker == _COM:
        return "a comment" if body else None
    if not _APP <= marker <= _APP + 15 or body.startswith((_EXIF, _XMP, _ICC, b"MPF\0", b"Adobe")):
        return None
    if body.startswith((b"JFIF\0", b"JFXX\0")):
        return "a thumbnail" if body.startswith(b"JFXX") or body[12:14].strip(b"\0") else None
    if body.startswith(b"Ducky") and len(body) <= 15:  # the quality that Photoshop was asked for
        return None
    known = {
        _XMP_EXTENSION: "a depth map" if _DEPTH_MAP.search(body) else "XMP beyond its first 64 kB",
        _FLIR: "thermal data (FLIR)",
        b"urn:iso:std:iso:ts:21496": "a gain map for HDR",
        b"Photoshop": "Photoshop and IPTC records",
        b"FPXR\0": "FlashPix data",
        b"JP": "Content Credentials (C2PA)" if b"c2pa" in body else "JUMBF data",
    }
    for start, name in known.items():
        if body.startswith(start):
            return name
    what = label(body)
    return f"data of {what!r} (APP{marker - _APP})" if what else f"a segment APP{marker - _APP}"


def _behind(data: bytes, end: int, parts: list[Segment]) -> Iterator[str | None]:
    """Name what lies behind the end of the first picture."""
    if not data[end:].strip(b"\0\xff"):  # nothing, or padding
        return
    pictures = data.find(b"\xff\xd8\xff", end) >= 0
    xmp = b"".join(body for _, body in parts if body.startswith((_XMP, _XMP_EXTENSION)))
    gains = pictures and (_GAIN_MAP.search(data, end) or _GAIN_MAP.search(xmp))
    depths = pictures and _DEPTH_MAP.search(xmp)
    film = _FILM.search(data, end) or data.find(b"MotionPhoto_Data", end) >= 0
    yield "a gain map for HDR" if gains else None
    yield "a depth map" if depths else None
    yield "a film (motion photo)" if film else None
    yield "the pictures behind the first one" if pictures and not gains and not depths else None
    yield behind(len(data) - end) if not (pictures or film) else None
