"""A small picture file of each format that Pillow reads, and the pieces to make others of.

files() -> by Pillow's name of the format: files. Pillow writes what it can, others are made here.
"""

import io
import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageCms

WIDTH, HEIGHT = 20, 13
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><note>h\xc3\xb6her</note></x:xmpmeta>'
ORIENTATION, ARTIST, EXIF_IFD, GPS_IFD, INTEROPERABILITY = 0x0112, 0x013B, 0x8769, 0x8825, 0xA005


def pixels(height: int = HEIGHT, width: int = WIDTH, channels: int = 3) -> np.ndarray:
    """A smooth picture, uint8 [H, W, C], so that lossy formats come close to it."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([(4 * x + 3 * y + 40 * c) % 200 for c in range(channels)], axis=-1).astype(np.uint8)


def saved(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


# TIFF


def tiff(
    samples: np.ndarray,
    tags: dict[int, Any] | None = None,
    order: str = "<",
    big: bool = False,
    **layout: Any,
) -> bytes:
    """A TIFF of one page."""
    return tiff_of_pages([(samples, tags or {}, layout)], order, big)


def tiff_of_pages(
    pages: Sequence[tuple[np.ndarray, dict[int, Any], dict[str, Any]]], order="<", big=False
) -> bytes:
    """Pages: samples uint8 or uint16 [H, W, C], tags that replace others, layout as for _layout_tags."""
    word = "Q" if big else "I"
    mark = b"II" if order == "<" else b"MM"
    out = bytearray(
        mark + (struct.pack(order + "HHHQ", 43, 8, 0, 0) if big else struct.pack(order + "HI", 42, 0))
    )
    link = len(out) - struct.calcsize(word)
    for samples, tags, layout in pages:
        all_tags = _layout_tags(samples, order, out, **layout) | tags
        fields = sorted((tag, *_field(value, order)) for tag, value in all_tags.items() if value is not None)
        for _, _, _, body in fields:
            if len(body) > struct.calcsize(word):
                out += bytes(len(out) % 2)
        entries = b""
        for tag, kind, count, body in fields:
            place = body.ljust(struct.calcsize(word), b"\0")
            if len(body) > struct.calcsize(word):
                place = struct.pack(order + word, len(out))
                out += body + bytes(len(body) % 2)
            entries += struct.pack(order + "HH" + word, tag, kind, count) + place
        struct.pack_into(order + word, out, link, len(out))
        out += struct.pack(order + ("Q" if big else "H"), len(fields)) + entries
        link = len(out)
        out += bytes(struct.calcsize(word))
    return bytes(out)


def _layout_tags(samples, order, out, photometric=None, planar=1, packed=False, data=None) -> dict[int, Any]:
    """Write the strips of a page; the tags that lead to them."""
    height, width, channels = samples.shape
    bits = 8 * samples.dtype.itemsize
    planes = [samples[:, :, c] for c in range(channels)] if planar == 2 else [samples]
    strips = [data] if data is not None else []
    for plane in planes if data is None else ():
        for rows in (plane[: height // 2], plane[height // 2 :]):
            raw = rows.astype(rows.dtype.newbyteorder(order)).tobytes()
            strips.append(zlib.compress(raw) if packed else raw)
    offsets = []
    for strip in strips:
        offsets.append(len(out))
        out += strip
    rows = height if data is not None else height // 2
    last = height - rows
    if data is None and last > rows:  # an odd height: the second strip is the longer one
        raise ValueError("give an even height")
    return {
        256: width, 257: height, 258: (bits,) * channels, 259: 8 if packed else 1,
        262: photometric if photometric is not None else (2 if channels >= 3 else 1),
        273: tuple(offsets), 277: channels, 278: rows, 279: tuple(map(len, strips)), 284: planar,
    }  # fmt: skip


def _field(value: Any, order: str) -> tuple[int, int, bytes]:
    """Type, count and bytes: text, bytes of no type, rationals (floats), else numbers of 16 or 32 bits."""
    if isinstance(value, str):
        return 2, len(value) + 1, value.encode() + b"\0"
    if isinstance(value, bytes):
        return 7, len(value), value
    values = value if isinstance(value, tuple) else (value,)
    if isinstance(values[0], float):
        parts = [part for v in values for part in (round(v * 1000), 1000)]
        return 5, len(values), struct.pack(f"{order}{len(parts)}I", *parts)
    code, kind = ("H", 3) if max(values) < 65536 else ("I", 4)
    return kind, len(values), struct.pack(f"{order}{len(values)}{code}", *values)


# JPEG and PNG


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """The JPEG with segments behind its first one, JFIF."""
    end = 4 + int.from_bytes(jpeg[4:6], "big")
    return jpeg[:end] + b"".join(segments) + jpeg[end:]


def without_jfif(jpeg: bytes) -> bytes:
    return jpeg[:2] + jpeg[4 + int.from_bytes(jpeg[4:6], "big") :]


def chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


def with_chunks(png: bytes, *chunks: bytes, before: bytes = b"IDAT") -> bytes:
    at = png.index(before) - 4
    return png[:at] + b"".join(chunks) + png[at:]


# Formats that Pillow does not write


def files() -> dict[str, list[bytes]]:
    """One or more files of each format."""
    return _written() | _made()


def _written() -> dict[str, list[bytes]]:
    colour = Image.fromarray(pixels())
    grey, palette = colour.convert("L"), colour.quantize(9)
    clear = colour.copy()
    clear.putalpha(grey)
    exif = Image.Exif()
    exif[ARTIST], exif[ORIENTATION], exif[282], exif[283], exif[296] = "A. Painter", 6, 300.0, 150.0, 2
    two = {"save_all": True, "append_images": [palette.convert("RGB").rotate(180)]}
    jpeg = saved(colour, "JPEG", exif=exif.tobytes(), icc_profile=ICC, xmp=XMP, comment=b"hello")
    plain = tiff(pixels(12), {700: XMP, 34675: ICC, 282: 300.0, 283: 150.0})
    return {
        "AVIF": [saved(clear, "AVIF", exif=exif.tobytes(), xmp=XMP), saved(grey, "AVIF", **two)],
        "BLP": [saved(palette, "BLP")],
        "BMP": [saved(image, "BMP") for image in (colour, palette, clear)],
        "DDS": [saved(clear, "DDS"), saved(grey, "DDS")],
        "DIB": [saved(colour, "DIB")],
        "GIF": [saved(palette, "GIF", comment=b"hello"), saved(palette, "GIF", **two)],
        "ICNS": [icns(16, 32)],
        "ICO": [
            saved(clear.resize((32, 32)), "ICO"),
            saved(colour.resize((16, 16)), "ICO", bitmap_format="bmp"),
        ],
        "IM": [saved(colour, "IM"), saved(palette, "IM")],
        "JPEG": [jpeg, saved(colour, "JPEG", progressive=True), saved(colour.convert("CMYK"), "JPEG")],
        "MPO": [saved(colour, "MPO", **two)],
        "JPEG2000": [saved(colour, "JPEG2000"), saved(grey, "JPEG2000", no_jp2=True)],
        "MSP": [saved(grey.convert("1"), "MSP")],
        "PCX": [saved(colour, "PCX"), saved(palette, "PCX")],
        "PNG": [
            saved(colour, "PNG", exif=exif.tobytes(), icc_profile=ICC, dpi=(300, 150)),
            saved(palette, "PNG", transparency=3),
            saved(colour, "PNG", **two),
        ],
        "PPM": [saved(image, "PPM") for image in (colour, grey, grey.convert("1"))]
        + [b"P3 2 1 15\n# made by hand\n1 2 3 4 5 6", b"P5 2 1 1023\n\0\1\3\xff"],
        "QOI": [saved(clear, "QOI")],
        "SGI": [saved(colour, "SGI"), saved(grey, "SGI", bpc=2)],
        "SPIDER": [saved(grey, "SPIDER")],
        "TGA": [saved(clear, "TGA"), saved(palette, "TGA", rle=True)],
        "TIFF": [
            plain,
            tiff(pixels(12).astype(np.uint16) * 257, planar=2, order=">"),
            saved(colour, "TIFF", compression="tiff_lzw", exif=exif),
            saved(colour, "TIFF", compression="jpeg"),
            saved(grey.convert("1"), "TIFF", compression="group4"),
            tiff_of_pages([(pixels(12), {34675: ICC}, {}), (pixels(10, 8, 1), {700: XMP}, {})]),
        ],
        "WEBP": [
            saved(clear, "WEBP", exif=exif.tobytes(), xmp=XMP, icc_profile=ICC),
            saved(colour, "WEBP", **two),
        ],
        "XBM": [saved(grey.convert("1"), "XBM")],
    }  # fmt: skip


def psd(
    samples: np.ndarray, resources: Iterable[tuple[int, bytes]] = (), layers: bytes = b"", mode: int = 3
) -> bytes:
    """A Photoshop file of uint8 or uint16 [H, W, C]."""
    height, width, channels = samples.shape
    bits = 8 * samples.dtype.itemsize
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, channels, height, width, bits, mode)
    held = b"".join(
        b"8BIM" + struct.pack(">HHI", number, 0, len(body)) + body + bytes(len(body) % 2)
        for number, body in resources
    )
    planes = b"\0\0" + samples.transpose(2, 0, 1).tobytes()
    return (
        head
        + bytes(4)
        + struct.pack(">I", len(held))
        + held
        + struct.pack(">I", len(layers))
        + layers
        + planes
    )


def cursor(size: int = 16) -> bytes:
    """A cursor of two sizes."""
    bitmap = bytearray(saved(Image.fromarray(pixels(2 * size, size)), "DIB"))
    entry = struct.pack("<BBBBHHII", size, size, 0, 0, 3, 4, len(bitmap), 6 + 32)
    return struct.pack("<HHH", 0, 2, 2) + entry + entry + bytes(bitmap)


def icns(*sizes: int) -> bytes:
    """A Mac icon of some of the sizes 16, 32, 64 and 128."""
    codes = {16: b"icp4", 32: b"icp5", 64: b"icp6", 128: b"ic07"}
    images = [(codes[size], saved(Image.fromarray(pixels(size, size, 4)))) for size in sizes]
    body = b"".join(code + (len(data) + 8).to_bytes(4, "big") + data for code, data in images)
    return b"icns" + (len(body) + 8).to_bytes(4, "big") + body


def fits(bits: int = 8, *cards: str) -> bytes:
    lines = ["SIMPLE  =                    T", f"BITPIX  = {bits:20}", "NAXIS   =                    2"]
    lines += [f"NAXIS1  = {WIDTH:20}", f"NAXIS2  = {HEIGHT:20}", *cards, "END"]
    head = "".join(line.ljust(80) for line in lines).encode()
    return head.ljust(2880, b" ") + bytes(WIDTH * HEIGHT * abs(bits) // 8)


def _made() -> dict[str, list[bytes]]:
    colour = pixels()
    raw = colour.tobytes()
    pcx = saved(Image.fromarray(colour), "PCX")
    header = struct.pack(">8I", 0x59A66A95, WIDTH, HEIGHT, 24, len(raw), 1, 0, 0)
    fli = struct.pack("<IHHHHHHI", 0, 0xAF12, 2, WIDTH, HEIGHT, 8, 3, 50).ljust(128, b"\0")
    rows = struct.pack("<IHH8xIH", 16 + 6 + WIDTH * HEIGHT, 0xF1FA, 1, 6 + WIDTH * HEIGHT, 16)
    fli += (rows + raw[: WIDTH * HEIGHT]) * 2
    area = [0, 4, 0, 0, 0, 0, 0, 0, HEIGHT, WIDTH, 1, 0, 0, 1, 0] + [0] * 18 + [256] + [0] * 30
    texture = (
        b"FTEX" + struct.pack("<i2i2i2i", 1, WIDTH, HEIGHT, 1, 1, 1, 32) + struct.pack("<i", len(raw)) + raw
    )
    iptc = (
        b"".join(
            b"\x1c" + struct.pack(">BBH", *tag, len(body)) + body
            for tag, body in (
                ((3, 60), b"\1\0"),
                ((3, 20), bytes([WIDTH])),
                ((3, 30), bytes([2])),
                ((3, 120), b"\1"),
            )
        )
        + b"\x1c\x08\x0a"
        + struct.pack(">H", 2 * WIDTH)
        + raw[: 2 * WIDTH]
    )
    lines = [f'"{"a" * WIDTH}",' for _ in range(HEIGHT)]
    xpm = "\n".join(
        ["/* XPM */", "static char *x[] = {", f'"{WIDTH} {HEIGHT} 1 1",', '"a c #204060",', *lines, "};"]
    )
    return {
        "CUR": [cursor()],
        "DCX": [struct.pack("<4I", 0x3ADE68B1, 16, 0, 0) + pcx],
        "FITS": [fits(), fits(16)],
        "FLI": [fli],
        "FTEX": [texture],
        "GBR": [struct.pack(">5I4sI6s", 28 + 6, 2, WIDTH, HEIGHT, 1, b"GIMP", 10, b"brush") + raw],
        "IMT": [b"width %d\nheight %d\npixel n8\n\x0c" % (WIDTH, HEIGHT) + raw],
        "IPTC": [iptc],
        "MCIDAS": [struct.pack(">64i", *area) + raw],
        "PCD": [bytes(2048) + b"PCD_IPI".ljust(96 * 2048, b"\0") + bytes(768 * 512 * 3 // 2)],
        "PIXAR": [struct.pack("<4s412xHH4xHH596x", b"\x80\xe8", HEIGHT, WIDTH, 14, 2) + raw],
        "PSD": [psd(colour, [(1005, struct.pack(">IHHIHH", 300 << 16, 1, 1, 150 << 16, 1, 1)), (1060, XMP)])],
        "SUN": [header + raw + bytes(64)],
        "XPM": [xpm.encode()],
        "XVThumb": [b"P7 332\n#END_OF_COMMENTS\n%d %d 255\n" % (WIDTH, HEIGHT) + raw[: WIDTH * HEIGHT]],
    }  # fmt: skip
