"""Formats of one header: what they hold beside pixels."""

from typing import Any

from PIL import ImageFile

from aecodec.picture.formats.facts import Facts, behind, once


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def look_bmp(data: bytes) -> Facts:
    """BMP: the profile of a header of version 5, and primaries by number in one of version 4 or 5."""
    fields: dict[str, Any] = {}
    names: list[str | None] = []
    if data.startswith(b"BM") and data[28:34] == b"\x20\0\0\0\0\0":  # 32 bits, 8 of them of no known meaning
        fourth = data[_u32(data, 10) + 3 :: 4]
        names.append("a fourth channel" if fourth.strip(b"\0") and fourth.strip(b"\xff") else None)
    if data.startswith(b"BM") and _u32(data, 14) >= 108:
        kind = data[70:74][::-1]  # of colour space
        if kind == b"MBED" and _u32(data, 14) >= 124:
            at, size = 14 + _u32(data, 126), _u32(data, 130)
            fields["icc"] = data[at : at + size] or None
        elif kind == b"LINK":
            names.append("the name of an ICC profile")
        elif kind == bytes(4) and any(data[74:122]):
            names.append("its primaries and gamma values")
    return Facts(fields=fields, left_out=once(names))


def look_ppm(data: bytes, image: ImageFile.ImageFile) -> Facts:
    """PPM: depth, comments, and what follows the first picture."""
    tile = image.tile[0] if image.tile else None
    args = tile.args if tile else None  # (mode, largest value), or the mode where that is 255
    largest = args[-1] if isinstance(args, tuple) else 255
    bits = largest.bit_length() if isinstance(largest, int) else 8
    names: list[str | None] = []
    if tile and data[1:2] in b"456":
        names.append("a comment" if b"#" in data[: tile.offset] else None)
        pixel = {"1": 0, "L": 1, "RGB": 3, "CMYK": 4}.get(image.mode, 1) * (2 if bits > 8 else 1)
        row = image.width * pixel if pixel else (image.width + 7) // 8
        names.append(behind(len(data[tile.offset + image.height * row :].strip(b"\0\n\r "))))
    return Facts(bits, left_out=once(names))


def look_sgi(data: bytes) -> Facts:
    """SGI: depth and name."""
    has_name = bool(data[24:104].strip(b"\0")) and not data[24:104].startswith(b"no name")
    return Facts(8 * data[3] if len(data) > 3 else 8, left_out=once(["its name" if has_name else None]))


def look_tga(data: bytes) -> Facts:
    """TGA: identification, and the areas that a footer points to."""
    footer = data[-26:] if data.endswith(b"TRUEVISION-XFILE.\0") else b""
    names = (
        "a comment" if data[:1].strip(b"\0") else None,
        "its extension area" if any(footer[:4]) else None,
        "its developer area" if any(footer[4:8]) else None,
    )
    return Facts(left_out=once(names))


def look_dds(data: bytes) -> Facts:
    """DDS: the other sides of a cube, slices of a volume, pictures of an array, and smaller pictures."""
    flags, mipmaps, caps = _u32(data, 8), _u32(data, 28), _u32(data, 112)
    is_array = data[84:88] == b"DX10" and _u32(data, 140) > 1
    names = (
        "the other sides of the cube" if caps & 0x200 else None,
        "the other slices of the volume" if caps & 0x200000 else None,
        "the other pictures of the array" if is_array else None,
        "its smaller pictures (mipmaps)" if flags & 0x20000 and mipmaps > 1 else None,
    )
    return Facts(left_out=once(names))


def look_qoi(data: bytes) -> Facts:
    """QOI: whether its values are linear light."""
    return Facts(left_out=("its colour space (linear light)",) if data[13:14] == b"\1" else ())


def look_fits(data: bytes) -> Facts:
    """FITS: the cards of its header beside those that lay out the pixels."""
    cards = [data[at : at + 8].strip() for at in range(0, min(len(data), 2880 * 36), 80)]
    own = cards[: cards.index(b"END")] if b"END" in cards else cards
    layout = (b"SIMPLE", b"BITPIX", b"EXTEND", b"NAXIS", b"NAXIS1", b"NAXIS2", b"")
    return Facts(left_out=once("its header" if card not in layout else None for card in own))


def look_pcd(data: bytes) -> Facts:
    """Photo CD: Pillow reads the picture of 768 x 512 alone."""
    return Facts(left_out=("its larger pictures",))
