"""GIF: the extensions of the file, and the shape of its pixels."""

from collections.abc import Iterator

from aecodec.picture.formats.facts import Facts, behind, label, once

_SQUARE = (0, 49)  # of the byte for the aspect ratio: not given; (49 + 15) / 64
_APPLICATIONS = {
    b"XMP DataXMP": "XMP",
    b"ICCRGBG1012": "an ICC profile",
    b"NETSCAPE2.0": None,  # how often an animation is shown
    b"ANIMEXTS1.0": None,
}


def look(data: bytes) -> Facts:
    """Name what is left out."""
    shape = data[12:13] and data[12] not in _SQUARE
    return Facts(left_out=once(["the shape of its pixels" if shape else None, *_extensions(data)]))


def _extensions(data: bytes) -> Iterator[str | None]:
    """Walk the blocks of the file as far as they are whole."""
    at = 13 + _palette(data[10:11])
    while at < len(data):
        kind = data[at : at + 1]
        if kind == b";":
            yield behind(len(data[at + 1 :].rstrip(b"\0")))
            return
        if kind == b"!":
            yield _name(data[at + 1 : at + 2], data[at + 3 : at + 14])
            at += 2
        elif kind == b",":
            at += 11 + _palette(data[at + 9 : at + 10])
        else:
            return
        while at < len(data) and data[at]:  # sub-blocks
            at += 1 + data[at]
        at += 1


def _palette(flags: bytes) -> int:
    """The bytes of the palette that the flags announce."""
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0


def _name(kind: bytes, start: bytes) -> str | None:
    if kind == b"\xfe":
        return "a comment"
    if kind == b"\x01":
        return "text that is drawn over it"
    if kind == b"\xff":
        return _APPLICATIONS.get(start, f"data of {label(start)!r}")
    return None
