"""Every mode of Pillow -> 8-bit grey or RGB with or without alpha.

What loses something says so in words: bits of a channel, colours outside sRGB. Palettes, 1-bit pictures and
transparent colours lose nothing.
"""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, TiffImagePlugin

from aecodec.errors import UnsupportedPicture
from aecodec.picture.formats.facts import Facts

PLAIN = ("L", "LA", "RGB", "RGBA")  # the modes that a Picture holds

_LOSSY = {"CMYK": "RGB", "HSV": "RGB", "LAB": "RGB", "La": "LA", "RGBa": "RGBA", "YCbCr": "RGB"}
_NAMES = {"La": "premultiplied grey", "RGBa": "premultiplied RGB", "LAB": "L*a*b*"}  # for a person
_ZERO_IS_NO_ALPHA = ("BMP", "CUR", "DIB", "ICO", "TGA")  # of 32 bits a pixel, 8 of them not used
_WHITE_IS_ZERO = 0  # of PhotometricInterpretation, tag 262 of a TIFF file


def flatten(image: Image.Image, facts: Facts, icc: bytes | None) -> tuple[Image.Image, tuple[str, ...]]:
    """Give a loaded image of any mode in one of the PLAIN ones, and what was changed for it, for a person.

    `icc`: its profile, which CMYK is converted through.

    Raises:
        UnsupportedPicture: nobody can say what the image looks like.

    """
    try:
        flat, changed = _convert(_without_text(image), facts.bits, icc)
    except (MemoryError, UnsupportedPicture):
        raise
    except Exception as fault:  # Pillow raises ValueError, TypeError, OSError, AssertionError, PyCMSError ...
        detail = str(fault) or "it has no palette"
        reason = f"the picture (mode {image.mode}) cannot be converted to RGB ({detail})"
        raise UnsupportedPicture(f"{reason}: convert it first") from fault
    if facts.bits > 8:
        changed = (f"{facts.bits} bits a channel to 8", *changed)
    if facts.is_grey and flat.mode in ("RGB", "RGBA"):
        flat = flat.convert("LA" if flat.mode == "RGBA" else "L")
    if flat.mode in ("LA", "RGBA") and (facts.is_opaque or _means_opaque(image, flat)):
        flat = flat.convert(flat.mode[:-1])
    return flat, (*changed, *facts.converted)


def _means_opaque(image: Image.Image, flat: Image.Image) -> bool:
    """Say whether alpha is 0 everywhere in a file of a format where that means that there is none."""
    return image.format in _ZERO_IS_NO_ALPHA and flat.getextrema()[-1] == (0, 0)


def _without_text(image: Image.Image) -> Image.Image:
    """The image without a property that is no transparency: a PNG text chunk may bear its name."""
    if not isinstance(image.info.get("transparency"), str):
        return image
    image = image.copy()
    del image.info["transparency"]
    return image


def _convert(image: Image.Image, bits: int, icc: bytes | None) -> tuple[Image.Image, tuple[str, ...]]:
    mode = image.mode
    key = image.info.get("transparency")
    if mode in ("P", "PA"):
        return _from_palette(image, icc), ()
    if mode.startswith("I"):
        return _from_deep_grey(image, key, bits)
    if mode in ("1", "L", "RGB") and isinstance(key, int | tuple):
        return _with_alpha(image, bits), ()
    if mode in PLAIN:
        return image, ()
    if mode in ("1", "RGBX"):
        return image.convert("L" if mode == "1" else "RGB"), ()
    if mode in _LOSSY:
        flat, how = _by_profile(image, icc) if mode == "CMYK" else (image.convert(_LOSSY[mode]), "")
        return flat, (f"{_NAMES.get(mode, mode)} to {_LOSSY[mode]}{how}",)
    what = "floating point: which value is white?" if mode == "F" else "of a kind that is not known"
    raise UnsupportedPicture(f"the picture is {what} (mode {mode}): convert it to RGB or grey (L) first")


def _from_palette(image: Image.Image, icc: bytes | None) -> Image.Image:
    """RGB or RGBA; grey if all its colours are, unless there is a profile, which is one for RGB."""
    flat = image.convert("RGBA" if image.has_transparency_data else "RGB")
    found = flat.getcolors(image.width * image.height) or []
    colours = np.array([colour for _, colour in found])
    if (colours[:, :3] == colours[:, :1]).all() and not icc:
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


def _by_profile(image: Image.Image, icc: bytes | None) -> tuple[Image.Image, str]:
    """RGB of a CMYK picture, through its profile if it has a right one, and how it was made."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc or b""))
        flat = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
        assert flat is not None  # as it is where inPlace is set
    except (TypeError, OSError, ImageCms.PyCMSError):
        return image.convert("RGB"), " without a profile"
    return flat, " through its profile"
