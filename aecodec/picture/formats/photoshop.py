"""PSD: the resources of a Photoshop file, its layers and channels."""

from collections.abc import Iterator
from typing import Any

from aecodec.picture import exif
from aecodec.picture.formats.facts import Facts, once, thousandths

_MODES = {  # names and channels
    0: ("bitmap", 1), 1: ("grey", 1), 2: ("palette", 1), 3: ("RGB", 3), 4: ("CMYK", 4),
    7: ("channels", 1), 8: ("duotone", 1), 9: ("L*a*b*", 3),
}  # fmt: skip
_RESOLUTION, _ICC, _EXIF, _XMP, _ASPECT = 1005, 1039, 1058, 1060, 1064
_KEPT = (_RESOLUTION, _ICC, _EXIF, _XMP)


def unsupported(data: bytes) -> str | None:
    """Say what kind of Photoshop file this is if it is one that Pillow does not read."""
    version, channels = (int.from_bytes(data[at : at + 2], "big") for at in (4, 12))
    bits, mode = (int.from_bytes(data[at : at + 2], "big") for at in (22, 24))
    if version == 2:
        return "a large Photoshop file (PSB)"
    name, least = _MODES.get(mode, (f"mode {mode}", 1))
    if len(data) > 26 and (bits not in (1, 8) or channels < least):
        return f"a Photoshop file of {bits} bits a channel, {name}, {channels} channels"
    return None


def look(data: bytes) -> Facts:
    """Read metadata from the resources and name what is left out."""
    channels, mode = (int.from_bytes(data[at : at + 2], "big") for at in (12, 24))
    at = 30 + int.from_bytes(data[26:30], "big")
    end = at + 4 + int.from_bytes(data[at : at + 4], "big")
    held = dict(_resources(data[at + 4 : end]))
    aspect = held.get(_ASPECT, b"")
    layers = int.from_bytes(data[end : end + 4], "big") > 4
    count = int.from_bytes(data[end + 8 : end + 10], "big", signed=True) if layers else 0
    has_alpha = mode == 3 and channels > 3 and count < 0  # so a negative count says
    spare = channels - _MODES.get(mode, ("", 1))[1] - has_alpha
    names = (
        "its layers" if layers else None,
        f"{spare} more channel{'s' * (spare > 1)}" if spare > 0 else None,
        "the shape of its pixels" if len(aspect) >= 12 and aspect[4:12] != b"\x3f\xf0" + bytes(6) else None,
        "Photoshop and IPTC records" if any(number not in _KEPT for number in held) else None,
    )
    return Facts(is_opaque=not has_alpha, fields=_fields(held), left_out=once(names))


def _fields(held: dict[int, bytes]) -> dict[str, Any]:
    fields: dict[str, Any] = {"icc": held.get(_ICC) or None}
    fields["exif"] = exif.bare(held.get(_EXIF))
    fields["xmp"] = held.get(_XMP) or None
    body = held.get(_RESOLUTION, b"")
    sides = tuple(int.from_bytes(body[at : at + 4], "big") / 65536 for at in (0, 8))  # pixels per inch
    fields["resolution"] = thousandths(sides)
    return fields


def _resources(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 12 <= len(data):
        number = int.from_bytes(data[at + 4 : at + 6], "big")
        name = 1 + data[at + 6]
        start = at + 6 + name + (name & 1)
        size = int.from_bytes(data[start : start + 4], "big")
        yield number, data[start + 4 : start + 4 + size]
        at = start + 4 + size + (size & 1)
