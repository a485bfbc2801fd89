"""What belongs to a picture beside its pixels: ICC profile, EXIF, XMP and resolution, from and to Pillow."""

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageFile, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from aecodec.errors import BadArgument
from aecodec.picture import exif
from aecodec.picture.formats.facts import NOTHING, Facts, once, thousandths
from aecodec.picture.formats.png import XMP_KEYWORD

if TYPE_CHECKING:
    from aecodec.file.container import Container
    from aecodec.picture.pictures import Picture

_INFO = {
    "icc": "icc_profile",
    "exif": "exif",
    "xmp": "xmp",
    "resolution": "dpi",
}  # fields and names in `info`
_NAMES = {"icc": "the ICC profile", "exif": "EXIF", "xmp": "XMP", "resolution": "the resolution"}

_HOLDS = {  # what a format has a place for; formats that are not named hold pixels alone
    "AVIF": ("icc", "exif", "xmp"),
    "BMP": ("resolution",),
    "JPEG": ("icc", "exif", "xmp", "resolution"),
    "PNG": ("icc", "exif", "xmp", "resolution"),
    "TIFF": ("icc", "exif", "xmp", "resolution"),
    "WEBP": ("icc", "exif", "xmp"),
}
_THROUGH_PROFILE = "CMYK to RGB through its profile"  # among what was converted
_BYTES = {  # at most, of what would else not be written, or not be read by others
    ("JPEG", "icc"): 255 * 65519,
    ("JPEG", "exif"): 65527,
    ("JPEG", "xmp"): 65504,
    ("PNG", "icc"): 2**20 - 1,  # a larger one makes Pillow refuse the picture
}
_JPEG_DPI = (1, 65535)
_COLOUR_ALONE = ("AVIF", "WEBP")  # have no grey as Pillow writes them
_PARSES_EXIF = ("AVIF", "TIFF")  # writes it anew, without the thumbnail


# From Pillow


def gather(image: Image.Image, facts: Facts, changed: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Gather the fields icc, exif, xmp, resolution and left_out of a Picture from a loaded image.

    What the file says (`facts`) goes before what Pillow says, but for fields that its user has `changed`.
    """
    block, damaged = _exif(image)
    fields = {
        "icc": _bytes(image.info.get("icc_profile")),
        "exif": block,
        "xmp": _bytes(image.info.get("xmp")),
        "resolution": _resolution(image),
    }
    fields |= {field: value for field, value in facts.fields.items() if field not in changed}
    named = facts.left_out if facts is not NOTHING else _left_out(image)
    return {**fields, "left_out": once([damaged, *named])}


def changed(image: Image.Image, data: bytes) -> frozenset[str]:
    """Name the fields that the user of an opened image has changed in its `info` since."""
    if not isinstance(image, ImageFile.ImageFile):
        return frozenset(_INFO)
    try:
        fresh = type(image)(io.BytesIO(data), "").info
    except Exception:
        return frozenset(_INFO)
    return frozenset(field for field, name in _INFO.items() if image.info.get(name) != fresh.get(name))


def fit_profile(picture: "Picture", mode: str) -> "Picture":
    """Drop a profile that is for other colours than the pixels have; `mode`: of the image, for Pillow."""
    space = _space(picture.icc)
    if picture.icc is None or _THROUGH_PROFILE in picture.converted:
        return replace(picture, icc=None)
    if space == b"GRAY" and picture.pixels.shape[2] == 3:
        grey = picture.pixels[:, :, :1]
        if (picture.pixels == grey).all():
            return replace(picture, pixels=grey.copy())
    fits = space in (None, b"RGB ") or (space == b"GRAY" and picture.pixels.shape[2] == 1)
    if fits and mode not in ("CMYK", "HSV", "LAB"):
        return picture
    is_damaged = space is None or (mode, space) == ("CMYK", b"CMYK")
    colours = "that is damaged" if is_damaged else f"for {(space or b'').decode('latin-1').strip()}"
    return replace(picture, icc=None, left_out=(*picture.left_out, f"an ICC profile {colours}"))


def _space(icc: bytes | None) -> bytes | None:
    """Give the colour space that a profile is for; None if it is none."""
    return icc[16:20] if icc and icc[36:40] == b"acsp" else None


def _bytes(value: object) -> bytes | None:
    """Take a value of `info` only if it is bytes: a PNG text chunk may bear any name, "icc_profile" too."""
    return value if isinstance(value, bytes) and value else None


def _exif(image: Image.Image) -> tuple[bytes | None, str | None]:
    """Give the EXIF block, and the name of one that is there but cannot be taken over."""
    if block := exif.bare(image.info.get("exif")):
        return block, None
    if image.format != "TIFF" and "Raw profile type exif" not in image.info:
        return None, None
    try:
        return exif.of_tags(image), None
    except Exception:  # tags of any origin and type
        return None, "EXIF or TIFF tags that are damaged"


def _resolution(image: Image.Image) -> tuple[int, int] | None:
    """Give the resolution that the file says, not the one that Pillow makes up for files without any."""
    dpi = thousandths(image.info.get("dpi"))
    if isinstance(image, TiffImagePlugin.TiffImageFile) and dpi:
        turned = image._tile_size != image.size
        return None if 282 not in image.tag_v2 else dpi[::-1] if turned else dpi
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        said = dpi if image.info.get("jfif_unit") in (1, 2) else None
        return said or exif.resolution(exif.bare(image.info.get("exif")))
    return dpi


def _left_out(image: Image.Image) -> tuple[str | None, ...]:
    """Name what Pillow tells of a file that nobody else has looked into."""
    info: Mapping[Any, Any] = image.info
    texts = image.text if isinstance(image, PngImagePlugin.PngImageFile) else ()
    return (
        "a comment" if info.get("comment") else None,
        "where the cursor points" if info.get("hotspot") else None,
        "a gamma value" if "gamma" in info and not {"icc_profile", "srgb"} & info.keys() else None,
        "the shape of its pixels" if len(set(info.get("aspect", ()))) > 1 else None,
        *(f"the text {key!r}" for key in texts if key not in (XMP_KEYWORD, "Raw profile type exif")),
    )


# To Pillow


def to_info(picture: "Picture | Container") -> dict[Any, Any]:
    """Give the metadata there is under the names, and in the form, of Pillow's `info`."""
    dpi = picture.resolution and tuple(value / 1000 for value in picture.resolution)
    block = picture.exif and exif.PREFIX + picture.exif
    values = {"icc_profile": picture.icc, "exif": block, "xmp": picture.xmp, "dpi": dpi}
    return {name: value for name, value in values.items() if value is not None}


def to_options(picture: "Picture", format: str) -> dict[str, Any]:
    """Give the metadata as options of Image.save(), in the way that the format takes them."""
    options = to_info(picture)
    if format == "PNG" and picture.xmp is not None:
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt(XMP_KEYWORD, picture.xmp)
    if format == "TIFF":
        options["exif"] = exif.as_tags(picture.exif, picture.xmp)
    return options


def from_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Gather the fields of a Picture that options of Image.save() name; None or an empty value drops one.

    Raises:
        BadArgument: an option is of another type than Pillow's own formats take.

    """
    readers: dict[str, tuple[str, Callable[[Any], object]]] = {
        "icc_profile": ("icc", _bytes),
        "exif": (
            "exif",
            lambda exif_: exif.bare(exif_.tobytes() if isinstance(exif_, Image.Exif) else exif_),
        ),
        "xmp": ("xmp", lambda xmp: _bytes(xmp.encode() if isinstance(xmp, str) else xmp)),
        "dpi": ("resolution", thousandths),
    }
    fields = {}
    for name in filter(options.__contains__, readers):
        field, read = readers[name]
        fields[field] = read(options[name]) if options[name] else None
        if options[name] and fields[field] is None:
            raise BadArgument(f"{name}={options[name]!r}: give bytes, or two numbers above 0 as dpi")
    return fields


def fit(picture: "Picture", format: str) -> tuple["Picture", tuple[str, ...]]:
    """Take from the picture what files of the format have no place for; and name it."""
    present = [field for field in _NAMES if getattr(picture, field) is not None]
    lost = {field: _NAMES[field] for field in present if not _has_place(picture, field, format)}
    none: dict[str, Any] = dict.fromkeys(lost)
    fitting = replace(picture, **none)
    names = list(lost.values())
    if "icc" in lost and format in _COLOUR_ALONE:
        names[0] += ", which is for grey"
    if fitting.exif and format in _PARSES_EXIF and exif.has_thumbnail(fitting.exif):
        names.append("the thumbnail in EXIF")
    return fitting, tuple(names)


def _has_place(picture: "Picture", field: str, format: str) -> bool:
    value = getattr(picture, field)
    if field not in _HOLDS.get(format, ()):
        return False
    if field == "resolution":
        least, most = _JPEG_DPI if format == "JPEG" else (0, 2**32)
        return all(least <= round(side / 1000) <= most for side in value)
    if field == "icc" and _space(value) == b"GRAY" and format in _COLOUR_ALONE:
        return False
    if field == "exif" and format in _PARSES_EXIF and not exif.is_readable(value):
        return False
    return len(value) <= _BYTES.get((format, field), 2**31)
