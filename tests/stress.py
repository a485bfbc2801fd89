"""A stress set: small pictures of every kind that people have, as files, with what must come out of them.

files() -> cases: name, bytes of a picture file, mode of the decoded picture, samples where Pillow hides them
"""

import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import skimage
from cmyk_profile import cmyk_profile
from PIL import Image, ImageCms, ImageDraw, ImageFont
from samples import PHOTO, chunk, photo

SKIMAGE = Path(skimage.__file__).parent / "data"
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><note>h\xc3\xb6her</note></x:xmpmeta>'
SIDE = 160  # pixels of most pictures


@dataclass(frozen=True)
class Case:
    """A picture file, the mode it must be decoded to, and how.

    `samples` uint8 [H, W] or [H, W, n]: what it shows, if Pillow's conversion does not tell; `apart`: by how
    many levels Pillow's reading may differ from that; `least`: PSNR in dB. `drawn`: tiny or synthetic.
    """

    name: str
    data: bytes
    mode: str
    drawn: bool = False
    frame: int | None = None
    converted: str = ""
    samples: np.ndarray | None = None
    apart: int = 0
    least: float = 29
    metadata: tuple[str, ...] = ()


def saved(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def files() -> list[Case]:
    """All cases."""
    return [*drawn(), *tiny(), *alpha(), *deep(), *other_modes(), *formats(), *real(), *with_metadata()]


# What is drawn


def gradient(kind: Callable[[np.ndarray, np.ndarray], np.ndarray], size: int = SIDE) -> np.ndarray:
    y, x = np.mgrid[:size, :size] / size
    return (255 * kind(x, y)).clip(0, 255).astype(np.uint8)


def drawing(
    mode: str, background: Any, colours: list[Any], size: int = SIDE, text: bool = True
) -> Image.Image:
    image = Image.new(mode, (size, size), background)
    pen = ImageDraw.Draw(image)
    for number, colour in enumerate(colours):
        step = size * (number + 1) // (len(colours) + 2)
        box = step // 2, step // 3, step // 2 + size // 2, step // 3 + size // 3
        pen.ellipse(box, outline=colour, width=1 + number % 3)
        pen.line((0, step, size, size - 2 * step), fill=colour)
        pen.rectangle((step, step, step + size // 8, step + size // 9), fill=colour)
    if text:
        words = "The quick brown\nfox jumps over\nthe lazy dog"
        pen.multiline_text((4, 4), words, colours[0], ImageFont.load_default())
    return image


def drawn() -> Iterator[Case]:
    black = drawing("1", 1, [0])
    names = {"1": "L", "L": "L", "RGB": "RGB", "P": "RGB"}
    palette = photo(SIDE, SIDE, left=230, top=130)
    pictures = {
        "line-drawing-1-bit": black,
        "dithered-1-bit": Image.fromarray(photo(SIDE, SIDE)).convert("1"),
        "noise-1-bit": Image.fromarray(noise(1)[:, :, 0] > 127),
        "line-drawing-grey": drawing("L", 255, [0, 128]),
        "line-drawing": drawing("RGB", "white", ["black", "red", "#3060c0", "green"]),
        "flat-grey": Image.new("L", (SIDE, SIDE), 77),
        "flat": Image.new("RGB", (SIDE, SIDE), "teal"),
        "flat-wide": Image.new("RGB", (1200, 900), "navy"),
        "gradient-across": Image.fromarray(gradient(lambda x, y: x)),
        "gradient-down": Image.fromarray(gradient(lambda x, y: y)),
        "gradient-diagonal": Image.fromarray(gradient(lambda x, y: (x + y) / 2, 256)),
        "gradient-radial": Image.radial_gradient("L"),
        "gradient-colours": Image.fromarray(
            np.dstack([gradient(lambda x, y: x), gradient(lambda x, y: y), gradient(lambda x, y: 1 - x)])
        ),
        "sine": Image.fromarray(gradient(lambda x, y: (1 + np.sin(40 * x * y)) / 2)),
        "chessboard-of-pixels": Image.fromarray((np.indices((SIDE, SIDE)).sum(0) % 2 * 255).astype(np.uint8)),
        "chessboard": Image.fromarray((np.indices((SIDE, SIDE)) // 8).sum(0).astype(np.uint8) % 2 * 255),
        "stripes": Image.fromarray(np.tile(np.uint8([[255, 0, 0], [0, 0, 255], [9, 9, 9]]), (90, 30, 1))),
        "tiled-noise": Image.fromarray(np.tile(noise(3)[:16, :16], (10, 10, 1))),
        "screenshot": screenshot(),
        "palette-2": drawing("RGB", "navy", ["yellow"]).quantize(2),
        "palette-4": drawing("RGB", "white", ["red", "lime", "blue"]).quantize(4),
        "palette-16": drawing("RGB", "white", ["red", "lime", "blue", "cyan", "gray"]).quantize(16),
        "palette-of-greys": drawing("L", 255, [0, 128, 200]).quantize(8),
        "palette-256-photo": Image.fromarray(palette).quantize(256),
        "palette-5-photo": Image.fromarray(palette).quantize(5, dither=Image.Dither.NONE),
    }
    for name, image in pictures.items():
        mode = "L" if name == "palette-of-greys" else names[image.mode]
        yield Case(name, saved(image), mode, drawn=True)
    yield Case("noise-grey", saved(Image.fromarray(noise(1)[:, :, 0])), "L", least=20)
    yield Case("noise", saved(Image.fromarray(noise(3))), "RGB", least=12)


def noise(channels: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (SIDE, SIDE, channels), np.uint8)


def screenshot() -> Image.Image:
    """Text, flat areas, an icon, and a piece of a photograph in it."""
    image = drawing("RGB", "#f4f4f4", ["#202020", "#d04040"], 320)
    image.paste(Image.fromarray(photo(64, 48, left=230, top=130)), (240, 260))
    return image


def tiny() -> Iterator[Case]:
    colours = {"1": 1, "L": 9, "LA": (9, 40), "RGB": (1, 2, 3), "RGBA": (1, 2, 3, 0)}
    for mode, colour in colours.items():
        yield Case(f"1x1-{mode}", saved(Image.new(mode, (1, 1), colour)), mode.replace("1", "L"), drawn=True)
    for size in (2, 8, 16, 32):
        image = Image.fromarray(photo(4 * size, 4 * size, left=230, top=130)).resize((size, size))
        yield Case(f"thumbnail-{size}", saved(image), "RGB", drawn=True)
    for width, height in ((1, 300), (300, 1), (1, 65535), (3, 4000)):
        picture = np.resize(photo(400, 100), (height, width, 3))
        yield Case(f"strip-{width}x{height}", saved(Image.fromarray(picture)), "RGB", drawn=True)


# Alpha


def faded(mode: str, alpha: np.ndarray | Image.Image, size: int = SIDE) -> Image.Image:
    image = Image.fromarray(photo(size, size, left=230, top=130)).convert(mode[:-1])
    image.putalpha(alpha if isinstance(alpha, Image.Image) else Image.fromarray(alpha))
    return image


def icon(size: int) -> Image.Image:
    return drawing("RGBA", (0, 0, 0, 0), ["#d02020ff", "#ffffff80"], size, text=False)


def alpha() -> Iterator[Case]:
    disc = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(disc).ellipse((20, 20, 140, 140), fill=255)
    slope = gradient(lambda x, y: x)
    pictures = {
        "rgba-opaque": faded("RGBA", np.full((SIDE, SIDE), 255, np.uint8)),
        "rgba-slope": faded("RGBA", slope),
        "rgba-disc": faded("RGBA", disc),
        "rgba-noise-in-alpha": faded("RGBA", noise(1)[:, :, 0]),
        "rgba-all-transparent": faded("RGBA", np.zeros((SIDE, SIDE), np.uint8)),
        "la-slope": faded("LA", slope),
        "la-disc": faded("LA", disc),
    }
    for name, image in pictures.items():
        yield Case(name, saved(image), image.mode)
    for size in (16, 48, 128):
        yield Case(f"icon-{size}", saved(icon(size)), "RGBA", drawn=True)
    palette = icon(96).quantize(12)
    yield Case("palette-with-alphas", saved(palette), "RGBA", drawn=True)
    plain = drawing("RGB", "white", ["red", "blue"]).quantize(8)
    data = saved(plain, transparency=plain.getpixel((0, 159)))
    yield Case("palette-with-a-transparent-colour", data, "RGBA", True)
    data = saved(drawing("RGB", "white", ["red"]), transparency=(255, 255, 255))
    yield Case("rgb-with-trns", data, "RGBA", True)
    yield Case("grey-with-trns", saved(drawing("L", 255, [0]), transparency=255), "LA", True)
    yield Case("1-bit-with-trns", saved(drawing("1", 1, [0]), transparency=1), "LA", True)
    four = np.uint8([[0, 17, 34, 51] * 10] * 20)
    expected = np.dstack([four, np.where(four == 51, 0, 255)]).astype(np.uint8)
    yield Case("4-bit-grey-with-trns", grey_png(four // 17, 4, 3), "LA", True, samples=expected)
    yield Case("tga-with-alpha", saved(faded("RGBA", slope), "TGA"), "RGBA")
    yield Case("webp-with-alpha", saved(faded("RGBA", disc), "WEBP", lossless=True), "RGBA")
    yield Case("avif-with-alpha", saved(faded("RGBA", disc), "AVIF"), "RGBA")
    yield Case("tiff-la", saved(faded("LA", slope), "TIFF"), "LA")
    yield Case("ico", saved(icon(64), "ICO", sizes=[(64, 64)]), "RGBA", True)


def grey_png(values: np.ndarray, bits: int, transparent: int) -> bytes:
    """A grey PNG of 1, 2 or 4 bits with a transparent value."""
    unpacked = np.unpackbits(values[:, :, None], axis=2)[:, :, 8 - bits :]
    rows = np.packbits(unpacked.reshape(len(values), -1), axis=1)
    return png_file(rows, values.shape[1], bits, 0, chunk(b"tRNS", bytes([0, transparent])))


def png_file(rows: np.ndarray, width: int, bits: int, kind: int, chunks: bytes = b"") -> bytes:
    """A PNG without filters; rows uint8 [H, bytes a row]."""
    header = width.to_bytes(4, "big") + len(rows).to_bytes(4, "big") + bytes([bits, kind, 0, 0, 0])
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    parts = [chunk(b"IHDR", header), chunks, chunk(b"IDAT", packed), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


# More than 8 bits


def deep_png(samples: np.ndarray) -> bytes:
    """A PNG of 16 bits a sample of samples uint16 [H, W, 1 to 4]."""
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[samples.shape[2]]
    rows = samples.astype(">u2").reshape(len(samples), -1).view(np.uint8)
    return png_file(rows, samples.shape[1], 16, kind)


def deep() -> Iterator[Case]:
    colour = photo(SIDE, SIDE, left=230, top=130)
    grey, slope = colour[:, :, 1:2], gradient(lambda x, y: x)[:, :, None]
    said = "16 bits a channel to 8"

    def widened(samples: np.ndarray) -> np.ndarray:
        return samples.astype(np.uint16) * 257

    for samples in (grey, np.dstack([grey, slope]), colour, np.dstack([colour, slope])):
        mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[samples.shape[2]]
        wide = widened(samples)
        yield Case(f"16-bit-png-{mode}", deep_png(wide), mode, converted=said, samples=samples.squeeze())
    one = grey[:, :, 0]
    wide = widened(one)
    for name, data in {
        "16-bit-tiff": saved(Image.fromarray(wide), "TIFF"),
        "16-bit-tiff-of-the-other-order": saved(Image.fromarray(wide.astype(">u2")), "TIFF"),
        "16-bit-jpeg-2000": saved(Image.fromarray(wide), "JPEG2000"),
        "16-bit-pgm": b"P5 %d %d 65535\n" % (SIDE, SIDE) + wide.astype(">u2").tobytes(),
    }.items():
        yield Case(name, data, "L", converted=said, samples=one, apart=1)
    ppm = b"P6 %d %d 65535\n" % (SIDE, SIDE) + widened(colour).astype(">u2").tobytes()
    yield Case("16-bit-ppm", ppm, "RGB", converted=said, samples=colour)
    signed = Image.fromarray(wide.astype(np.int32))
    yield Case("32-bit-tiff", saved(signed, "TIFF"), "L", converted="32 bits a channel to 8", samples=one)


# Other modes and formats


def other_modes() -> Iterator[Case]:
    image = Image.fromarray(photo(SIDE, SIDE, left=230, top=130))
    cmyk, lab = image.convert("CMYK"), image.convert("YCbCr")
    profiled = "CMYK to RGB through its profile"
    yield Case("cmyk-tiff", saved(cmyk, "TIFF"), "RGB", converted="CMYK to RGB without a profile")
    yield Case("cmyk-jpeg", saved(cmyk, "JPEG"), "RGB", converted="CMYK to RGB without a profile")
    data = saved(cmyk, "TIFF", icc_profile=cmyk_profile())
    expected = np.asarray(cmyk.convert("RGB"))  # the profile agrees with Pillow at full and no ink
    yield Case(
        "cmyk-tiff-with-profile", data, "RGB", converted=profiled, samples=expected, apart=60, least=20
    )
    expected = np.asarray(lab.convert("RGB"))  # as of a JPEG, which holds YCbCr too
    yield Case("ycbcr-tiff", saved(lab, "TIFF"), "RGB", samples=expected, apart=2)
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    tiff = saved(ImageCms.applyTransform(image, to_lab), "TIFF")
    yield Case("lab-tiff", tiff, "RGB", converted="L*a*b* to RGB", samples=np.asarray(image), apart=25)


def formats() -> Iterator[Case]:
    image = Image.fromarray(photo(SIDE, 120, left=230, top=130))
    grey, black = image.convert("L"), drawing("1", 1, [0])
    yield Case("jpeg", saved(image, "JPEG"), "RGB")
    yield Case("jpeg-progressive", saved(image, "JPEG", progressive=True, quality=40), "RGB")
    yield Case("jpeg-grey", saved(grey, "JPEG"), "L")
    yield Case("webp", saved(image, "WEBP"), "RGB")
    yield Case("avif", saved(image, "AVIF"), "RGB")
    yield Case("jpeg-2000", saved(image, "JPEG2000"), "RGB")
    yield Case("bmp", saved(image, "BMP"), "RGB")
    yield Case("bmp-palette", saved(image.quantize(40), "BMP"), "RGB")
    yield Case("ppm", saved(image, "PPM"), "RGB")
    yield Case("pgm", saved(grey, "PPM"), "L")
    yield Case("pbm", saved(black, "PPM"), "L", True)
    yield Case("tiff", saved(image, "TIFF", compression="tiff_lzw"), "RGB")
    yield Case("tiff-fax", saved(black, "TIFF", compression="group4"), "L", True)
    yield Case("tiff-palette", saved(image.quantize(9), "TIFF"), "RGB", True)
    yield Case("gif", saved(drawing("RGB", "white", ["red", "blue"]).quantize(8), "GIF"), "RGB", True)
    red, blue = Image.new("RGB", (40, 40), "red"), drawing("RGB", "white", ["blue"], 40, text=False)
    for format in ("GIF", "PNG", "WEBP", "TIFF", "AVIF"):
        options = {"lossless": True} if format == "WEBP" else {}
        data = saved(red, format, save_all=True, append_images=[blue], **options)
        yield Case(f"second-of-two-{format}", data, "RGB", True, frame=1)


def real() -> Iterator[Case]:
    yield Case("photo", PHOTO.read_bytes(), "RGB")
    names = (
        "coffee.png camera.png chelsea.png brick.png text.png page.png moon.png ihc.png coins.png cell.png"
    )
    for name in (names + " rocket.jpg hubble_deep_field.jpg logo.png horse.png chessboard_GRAY.png").split():
        with Image.open(SKIMAGE / name) as image:
            image.load()
            left, top = image.width // 3, image.height // 3
            piece = image.crop((left, top, min(left + 200, image.width), min(top + 200, image.height)))
            drawn = name in ("horse.png", "chessboard_GRAY.png")
            mode = {"1": "L"}.get(image.mode, image.mode)
            yield Case(name, saved(piece), mode, drawn)
    yield Case("frame-2-of-a-real-gif", (SKIMAGE / "no_time_for_that_tiny.gif").read_bytes(), "RGB", frame=2)


# Metadata


def exif_block(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x013B], exif[0x0112] = "A. Painter", orientation
    return exif.tobytes()


def tiff_tags() -> Image.Exif:
    """EXIF and XMP for a TIFF, without an orientation: Pillow would turn the picture upright."""
    exif = Image.Exif()
    exif[0x013B], exif[700] = "A. Painter", XMP
    return exif


def with_metadata() -> Iterator[Case]:
    image = Image.fromarray(photo(SIDE, 120, left=230, top=130))
    clear = faded("RGBA", gradient(lambda x, y: y))
    all_of = {"icc_profile": ICC, "exif": exif_block(6), "xmp": XMP, "dpi": (300, 150)}
    held = ("icc", "exif", "xmp", "resolution")
    for format in ("JPEG", "WEBP", "AVIF", "TIFF"):
        options = all_of if format in ("JPEG", "TIFF") else {k: v for k, v in all_of.items() if k != "dpi"}
        if format == "TIFF":
            options = options | {"exif": tiff_tags()}
        fields = held if format in ("JPEG", "TIFF") else held[:3]
        yield Case(f"metadata-{format}", saved(image, format, **options), "RGB", metadata=fields)
        if format != "JPEG":
            yield Case(
                f"metadata-and-alpha-{format}", saved(clear, format, **options), "RGBA", metadata=fields
            )
    del all_of["xmp"]
    fields = ("icc", "exif", "resolution")
    yield Case("metadata-PNG", saved(image, **all_of), "RGB", metadata=fields)
    yield Case("metadata-and-alpha-PNG", saved(clear, **all_of), "RGBA", metadata=fields)
    yield Case("metadata-of-an-icon", saved(icon(32), **all_of), "RGBA", True, metadata=fields)
