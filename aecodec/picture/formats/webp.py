"""WebP: the chunks of the RIFF file, and what follows it."""

from collections.abc import Iterator

from aecodec.picture.formats.facts import Facts, behind, once

_KNOWN = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF", b"XMP ")


def look(data: bytes) -> Facts:
    """Name what is left out; the rest is right in Pillow."""
    end = 8 + int.from_bytes(data[4:8], "little")
    names = (
        *(_name(kind) for kind in _chunks(data, min(end, len(data))) if kind not in _KNOWN),
        behind(max(0, len(data) - end - (end & 1))),
    )
    return Facts(left_out=once(names))


def _chunks(data: bytes, end: int) -> Iterator[bytes]:
    at = 12
    while at + 8 <= end:
        yield data[at : at + 4]
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + (size & 1)


def _name(kind: bytes) -> str:
    shown = kind.decode("ascii", "backslashreplace")
    return "Content Credentials (C2PA)" if kind == b"C2PA" else f"the chunk {shown!r}"
