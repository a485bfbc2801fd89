"""What a format module tells of one picture in a file."""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

NO_FIELDS: Mapping[str, Any] = MappingProxyType({})


class Facts(NamedTuple):
    """What the bytes of a file say that Pillow hides, misreads or leaves stale.

    `bits` a channel; `is_grey`: grey although Pillow reads RGB; `is_opaque`: what Pillow takes for alpha is
    another channel; `fields`: icc, exif, xmp and resolution of a Picture, where they are not to be taken from
    Pillow; `left_out` and `converted`: as in a Picture.
    """

    bits: int = 8
    is_grey: bool = False
    is_opaque: bool = False
    fields: Mapping[str, Any] = NO_FIELDS
    left_out: tuple[str, ...] = ()
    converted: tuple[str, ...] = ()


NOTHING = Facts()  # of an image in memory nothing more is known


def once(names: Iterable[str | None]) -> tuple[str, ...]:
    """Give the names there are, each once, in their order."""
    return tuple(dict.fromkeys(name for name in names if name))


def label(data: bytes) -> str:
    """Give the printable text that binary data begin with, at most 20 characters."""
    match = re.match(rb"[ -~]{0,20}", data)
    return match[0].decode("ascii").strip() if match else ""


def behind(count: int) -> str | None:
    """Name bytes that follow the end of a picture."""
    return f"{count} bytes behind the end of the picture" if count else None


def thousandths(dpi: object) -> tuple[int, int] | None:
    """Turn dots per inch into thousandths, if they are numbers that the format can say."""
    if not isinstance(dpi, tuple) or len(dpi) != 2:
        return None
    try:
        across, down = (round(1000 * float(value)) for value in dpi)
    except (ArithmeticError, TypeError, ValueError):  # 0/0 in a TIFF, infinity, text
        return None
    return (across, down) if 0 < across < 2**32 and 0 < down < 2**32 else None
