"""Icons and cursors: the sizes that one file holds."""

from aecodec.picture.formats.facts import Facts, once

_ICNS_NO_PICTURES = (b"TOC ", b"icnV", b"name", b"info", b"s8mk", b"l8mk", b"h8mk", b"t8mk")


def look_ico(data: bytes) -> Facts:
    """ICO and CUR: how many pictures beside the one that Pillow takes, and where a cursor points."""
    count = int.from_bytes(data[4:6], "little")
    is_cursor = data[2:3] == b"\2"
    return Facts(left_out=once([_more(count - 1), "where the cursor points" if is_cursor else None]))


def look_icns(data: bytes) -> Facts:
    """ICNS: how many pictures beside the largest."""
    at, count = 8, 0
    while at + 8 <= len(data):
        count += data[at : at + 4] not in _ICNS_NO_PICTURES
        at += max(8, int.from_bytes(data[at + 4 : at + 8], "big"))
    return Facts(left_out=once([_more(count - 1)]))


def _more(count: int) -> str | None:
    return f"{count} smaller picture{'s' * (count > 1)} of the icon" if count > 0 else None
