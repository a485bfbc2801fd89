"""Formats made of boxes: AVIF and HEIF (ISO/IEC 23008-12), JPEG 2000 (ISO/IEC 15444-1)."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from aecodec.picture import exif
from aecodec.picture.formats.facts import Facts, behind, label, once
from aecodec.picture.formats.png import cicp_name

_C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_UUID_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_UUID_EXIF = b"JpgTiffExif->JP2"
_AUXILIARY = {b"depth": "a depth map", b"hdrgainmap": "a gain map for HDR", b"gainmap": "a gain map for HDR"}
_KNOWN = (b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"jP  ", b"jp2h", b"jp2c", b"uuid", b"rreq")


class Box(NamedTuple):
    """One box: its type, and where its content begins and ends."""

    type: bytes
    start: int
    end: int


def boxes(data: bytes, start: int = 0, stop: int | None = None) -> Iterator[Box]:
    """Give the boxes of a stretch as far as they are whole; one of length 0 ends where the stretch does."""
    stop = len(data) if stop is None else stop
    at = start
    while at + 8 <= stop:
        size, head = int.from_bytes(data[at : at + 4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        end = at + size if size else stop
        if size and size < head or end > stop:
            return
        yield Box(data[at + 4 : at + 8], at + head, end)
        at = end


def _child(data: bytes, box: Box, kind: bytes, skip: int = 0) -> Box | None:
    inner = boxes(data, box.start + skip, box.end)
    return next((child for child in inner if child.type == kind), None)


def look_heif(data: bytes) -> Facts:
    """AVIF and HEIF: depth, colour by numbers, and what stands beside the picture."""
    top = list(boxes(data))
    meta = next((box for box in top if box.type == b"meta"), None)
    names: list[str | None] = [*_beside(data, top)]
    bits, is_grey = 8, False
    if meta:
        properties = _child(data, meta, b"iprp", 4)
        container = properties and _child(data, properties, b"ipco")
        if container:
            held = list(boxes(data, container.start, container.end))
            bits, is_grey = _depth(data, held)
            names += _properties(data, held)
        if b"tmap" in data[meta.start : meta.end]:
            names.append("a gain map for HDR")
    return Facts(bits, is_grey, left_out=once(names))


def _depth(data: bytes, held: list[Box]) -> tuple[int, bool]:
    """Bits of the deepest channel and whether all is grey, by the configurations of the decoders."""
    depths, greys = [8], []
    for box in held:
        body = data[box.start : box.end]
        if box.type == b"av1C" and len(body) > 2:  # bits: tier, high depth, twelve bits, monochrome
            depths.append((12 if body[2] & 0x20 else 10) if body[2] & 0x40 else 8)
            greys.append(bool(body[2] & 0x10))
        elif box.type == b"hvcC" and len(body) > 17:  # chroma format; depth of luma above 8
            depths.append(8 + (body[17] & 7))
            greys.append(not body[16] & 3)
    return max(depths), bool(greys) and all(greys)


def _properties(data: bytes, held: list[Box]) -> Iterator[str | None]:
    """Name properties of the picture, and of pictures that belong to it, that are left out."""
    colours = [data[box.start : box.start + 4] for box in held if box.type == b"colr"]
    has_profile = b"prof" in colours or b"rICC" in colours  # which goes before numbers
    for box in held:
        body = data[box.start : box.end]
        if box.type == b"colr" and body.startswith(b"nclx") and not has_profile:
            yield from cicp_name(int.from_bytes(body[4:6], "big"), int.from_bytes(body[6:8], "big"))
        elif box.type == b"pasp" and body[:4] != body[4:8]:
            yield "the shape of its pixels"
        elif box.type == b"clap":
            yield "the crop that it asks for (clap)"
        elif box.type in (b"clli", b"mdcv", b"cclv", b"amve"):
            yield "HDR metadata"
        elif box.type == b"auxC":
            yield next((name for key, name in _AUXILIARY.items() if key in body.lower()), None)


def _beside(data: bytes, top: list[Box], kept: tuple[bytes, ...] = ()) -> Iterator[str | None]:
    """Name boxes beside those that hold the picture, and what follows. `kept`: uuids that are not lost."""
    for box in top:
        if box.type == b"uuid":
            kind = data[box.start : box.start + 16]
            if kind not in kept:
                yield "Content Credentials (C2PA)" if kind == _C2PA else "data of other programs (uuid)"
        elif box.type == b"mpvd":
            yield "a film (motion photo)"
        elif box.type == b"jumb":
            yield "Content Credentials (C2PA)" if b"c2pa" in data[box.start : box.end] else "JUMBF data"
        elif box.type == b"xml ":
            yield "XML"
        elif box.type not in _KNOWN:
            yield f"the box {label(box.type)!r}"
    end = top[-1].end if top else 0
    yield behind(len(data) - end)


def look_jpeg2000(data: bytes) -> Facts:
    """JPEG 2000: depth, profile, metadata of known kinds, and what else the boxes hold."""
    if not data.startswith(b"\0\0\0\x0cjP"):  # a codestream alone
        return Facts(_siz_depth(data))
    top = list(boxes(data))
    fields: dict[str, Any] = {}
    names: list[str | None] = [*_beside(data, top, kept=(_UUID_XMP, _UUID_EXIF))]
    for box in top:
        kind, body = data[box.start : box.start + 16], data[box.start + 16 : box.end]
        if box.type == b"uuid" and kind == _UUID_XMP:
            fields["xmp"] = body or None
        elif box.type == b"uuid" and kind == _UUID_EXIF:
            fields["exif"] = exif.bare(body)
    header = next((box for box in top if box.type == b"jp2h"), None)
    colours = [box for box in boxes(data, header.start, header.end) if box.type == b"colr"] if header else []
    for box in colours[:1]:
        method, number = data[box.start : box.start + 1], data[box.start + 3 : box.start + 7]
        if method in (b"\2", b"\3"):
            fields["icc"] = data[box.start + 3 : box.end] or None
        elif method == b"\1" and int.from_bytes(number, "big") not in (0, 12, 15, 16, 17, 18):
            names.append(f"its colour space (number {int.from_bytes(number, 'big')})")
    return Facts(_siz_depth(data), fields=fields, left_out=once(names))


def _siz_depth(data: bytes) -> int:
    """Bits of the deepest channel, by the SIZ segment at the start of the codestream."""
    start = re.search(rb"\xff\x4f\xff\x51", data)
    if not start:
        return 8
    channels = int.from_bytes(data[start.end() + 36 : start.end() + 38], "big")
    depths = data[start.end() + 38 : start.end() + 38 + 3 * channels : 3]
    return max(((depth & 0x7F) + 1 for depth in depths), default=8)
