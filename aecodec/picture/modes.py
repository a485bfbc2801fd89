"""Every mode of Pillow -> 8-bit grey or RGB with or without alpha, and what a file says that Pillow hides.

What loses something says so in words: bits of a channel, colours outside sRGB. Palettes, 1-bit pictures and
transparent colours lose nothing.
"""

import io
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageFile, TiffImagePlugin

from aecodec.errors import UnsupportedPicture

PLAIN = ("L", "LA", "RGB", "RGBA")  # the modes that a Picture holds

_LOSSY = {"CMYK": "RGB", "HSV": "RGB", "LAB": "RGB", "La": "LA", "RGBa": "RGBA", "YCbCr": "RGB"}
_NAMES = {"La": "premultiplied grey", "RGBa": "premultiplied RGB", "LAB": "L*a*b*"}  # for a person
_WHITE_IS_ZERO = 0  # of PhotometricInterpretation, tag 262 of a TIFF file


class Hidden(NamedTuple):
    """What Pillow does not say of a file: bits a channel, and whether what it reads as RGBA is grey."""

    bits: int = 8
    is_grey: bool = False


NOTHING = Hidden()  # of an image in memory nothing more is known


def flatten(image: Image.Image, hidden: Hidden) -> tuple[Image.Image, tuple[str, ...]]:
    """Give a loaded image of any mode in one of the PLAIN ones, and what was changed for it, for a person.

    Raises:
        UnsupportedPicture: nobody can say what the image looks like.

    """
    try:
        flat, changed = _convert(image, hidden.bits)
    except (ValueError, TypeError, OSError, ImageCms.PyCMSError) as fault:
        reason = f"the picture (mode {image.mode}) cannot be converted to RGB ({fault})"
        raise UnsupportedPicture(f"{reason}: convert it first") from fault
    if hidden.bits > 8:
        changed = (f"{hidden.bits} bits a channel to 8", *changed)
    return (flat.convert("LA") if hidden.is_grey else flat), changed


def _convert(image: Image.Image, bits: int) -> tuple[Image.Image, tuple[str, ...]]:
    mode = image.mode
    key = image.info.get("transparency")  # of one colour; a PNG text chunk may bear the name, too
    if mode in ("P", "PA"):
        return _from_palette(image), ()
    if mode.startswith("I"):
        return _from_deep_grey(image, key, bits)
    if mode in ("1", "L", "RGB") and isinstance(key, int | tuple):
        return _with_alpha(image, bits), ()
    if mode in PLAIN:
        return image, ()
    if mode in ("1", "RGBX"):
        return image.convert("L" if mode == "1" else "RGB"), ()
    if mode in _LOSSY:
        flat, how = _by_profile(image) if mode == "CMYK" else (image.convert(_LOSSY[mode]), "")
        return flat, (f"{_NAMES.get(mode, mode)} to {_LOSSY[mode]}{how}",)
    what = "floating point: which value is white?" if mode == "F" else "of a kind that is not known"
    raise UnsupportedPicture(f"the picture is {what} (mode {mode}): convert it to RGB or grey (L) first")


def _from_palette(image: Image.Image) -> Image.Image:
    """RGB or RGBA; grey if all its colours are, unless there is a profile, which is one for RGB."""
    flat = image.convert("RGBA" if image.has_transparency_data else "RGB")
    found = flat.getcolors(image.width * image.height) or []
    colours = np.array([colour for _, colour in found])
    if (colours[:, :3] == colours[:, :1]).all() and not image.info.get("icc_profile"):
        return flat.convert("LA" if flat.mode == "RGBA" else "L")
    return flat


def _with_alpha(image: Image.Image, bits: int) -> Image.Image:
    """LA or RGBA of a 1-bit, grey or RGB picture with a transparent colour."""
    if bits > 8:
        raise UnsupportedPicture(
            f"a transparent colour is of {bits} bits: convert the picture to 8 bits first"
        )
    if image.mode == "L" and bits in (2, 4):  # Pillow scales the pixels to 8 bits, but not this colour
        image = image.copy()
        image.info["transparency"] *= 255 // (2**bits - 1)
    return image.convert("RGBA" if image.mode == "RGB" else "LA")


def _from_deep_grey(image: Image.Image, key: Any, bits: int) -> tuple[Image.Image, tuple[str, ...]]:
    """L or LA of 16-bit grey, or of 32-bit grey whose values are those of 16 or 8 bits."""
    values: npt.NDArray[Any] = np.asarray(image)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        reason = f"the picture is 32-bit grey from {low} to {high}, where white is not known"
        raise UnsupportedPicture(f"{reason}: convert it to 8 or 16 bits first")
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    white = 4095 if tags and bits == 12 else 65535
    means_16 = image.mode != "I" or image.format in ("PNG", "PPM")  # it is 32-bit from elsewhere
    if high < 256 and not means_16:
        white = 255
    grey = np.minimum((255 * np.arange(65536) + white // 2) // white, 255).astype(np.uint8)[values]
    if tags.get(262) == _WHITE_IS_ZERO:
        grey = 255 - grey  # Pillow turns it for 8 bits alone
    flat = Image.fromarray(grey)
    if isinstance(key, int):
        flat.putalpha(Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)))
    how = "32-bit grey to 8 bits, values as they are" if white == 255 else "16 bits a channel to 8"
    return flat, () if bits > 8 else (how,)


def _by_profile(image: Image.Image) -> tuple[Image.Image, str]:
    """RGB of a CMYK picture, through its profile if it has a right one, and how it was made."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        flat = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
        assert flat is not None  # as it is where inPlace is set
    except (KeyError, TypeError, OSError, ImageCms.PyCMSError):
        return image.convert("RGB"), " without a profile"
    return flat, " through its profile"


def keeps_profile(mode: str) -> bool:
    """Say whether the profile of a picture of this mode speaks of the colours that `flatten` gives."""
    return mode not in ("CMYK", "HSV", "LAB", "YCbCr")


# What Pillow hides


def look(image: ImageFile.ImageFile, data: bytes) -> Hidden:
    """Look into the picture file that the image was opened from."""
    depth = _DEPTHS.get(image.format or "")
    is_grey_png = image.format == "PNG" and data[24:26] == b"\x10\x04"  # 16-bit grey with alpha
    return Hidden(depth(image, data) if depth else 8, is_grey_png)


def colour_tags(image: ImageFile.ImageFile, data: bytes) -> tuple[str, ...]:
    """Name the colour space that a file names by numbers (CICP) alone, unless it is sRGB: Pillow drops it."""
    if image.format == "PNG":
        at = data.find(b"cICP", 0, max(0, data.find(b"IDAT"))) + 4
        primaries, transfer = data[at : at + 2] if at >= 4 else (1, 13)
    elif image.format == "AVIF" and (at := data.find(b"colrnclx", 0, 4096) + 8) >= 8:
        primaries, transfer = (int.from_bytes(data[at + n : at + n + 2], "big") for n in (0, 2))
    else:
        return ()
    is_srgb = primaries in (1, 2) and transfer in (1, 2, 6, 13)  # 2: not specified; 1, 6: what video calls it
    return () if is_srgb else (f"its colour space (CICP {primaries}/{transfer})",)


def _avif_depth(image: ImageFile.ImageFile, data: bytes) -> int:
    at = data.find(b"av1C") + 6  # AV1 configuration box; bits of its third byte: high bit depth, twelve bits
    flags = data[at] if 6 <= at < len(data) else 0
    return (12 if flags & 0x20 else 10) if flags & 0x40 else 8


def _jpeg2000_depth(image: ImageFile.ImageFile, data: bytes) -> int:
    at = data.find(b"\xff\x4f\xff\x51") + 42  # start of codestream; Ssiz of the first channel
    return (data[at] & 0x7F) + 1 if 42 <= at < len(data) else 8


def _ppm_depth(image: ImageFile.ImageFile, data: bytes) -> int:
    args = image.tile[0].args  # (mode, largest value), or the mode where that is 255
    largest = args[-1] if isinstance(args, tuple) else 255
    return largest.bit_length() if isinstance(largest, int) else 8


def _tiff_depth(image: ImageFile.ImageFile, data: bytes) -> int:
    assert isinstance(image, TiffImagePlugin.TiffImageFile)
    return max(image.tag_v2.get(258, (8,)), default=8)  # BitsPerSample


_DEPTHS: Mapping[str, Callable[[ImageFile.ImageFile, bytes], int]] = {
    "AVIF": _avif_depth,
    "JPEG2000": _jpeg2000_depth,
    "PNG": lambda image, data: data[24],  # in IHDR
    "PPM": _ppm_depth,
    "SGI": lambda image, data: 8 * data[3],  # bytes a channel
    "TIFF": _tiff_depth,
}
