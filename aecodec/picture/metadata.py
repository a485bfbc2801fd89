"""What belongs to a picture beside its pixels: ICC profile, EXIF, XMP and resolution, from and to Pillow."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from PIL import Image, PngImagePlugin, TiffImagePlugin

from aecodec.errors import BadArgument

if TYPE_CHECKING:
    from aecodec.file.container import Container
    from aecodec.picture.pictures import Picture

ONE_PICTURE = ("MPO", "PSD")  # a photograph with previews behind it, a drawing with its layers

_EXIF_PREFIX = b"Exif\0\0"  # stands before the block in a JPEG, not in an .aec file

# Tags of a TIFF file that lay out its pixels, or that a Picture holds in its own fields (XMP 700, ICC 34675,
# resolution 282, 283, 296): in another file they would be wrong, or said twice.
_TIFF_LAYOUT = frozenset(
    (*range(254, 260), 262, 266, 273, *range(277, 280), 282, 283, 284, 292, 293, 296, 317, *range(320, 326))
    + (330, *range(338, 342), 347, *range(512, 522), *range(529, 533), 700, 34675)
)
_XMP_TAG = 700  # of a TIFF file
_XMP_KEYWORD = "XML:com.adobe.xmp"  # of a PNG text chunk
_RAW_EXIF_KEYWORD = "Raw profile type exif"  # of a PNG text chunk, older than PNG's chunk for EXIF
_XMP_EXTENSION = b"http://ns.adobe.com/xmp/extension/"  # starts a JPEG segment

_HOLDS = {  # what a format has a place for; formats that are not named hold pixels alone
    "AVIF": ("icc", "exif", "xmp"),
    "BMP": ("resolution",),
    "JPEG": ("icc", "exif", "xmp", "resolution"),
    "PNG": ("icc", "exif", "xmp", "resolution"),
    "TIFF": ("icc", "exif", "xmp", "resolution"),
    "WEBP": ("icc", "exif", "xmp"),
}
_NAMES = {"icc": "the ICC profile", "exif": "EXIF", "xmp": "XMP", "resolution": "the resolution"}


def from_pil(image: Image.Image) -> dict[str, Any]:
    """Gather the fields icc, exif, xmp, resolution and left_out of a Picture from a loaded image."""
    exif, damaged = _exif(image)
    return {
        "icc": _bytes(image.info.get("icc_profile")),
        "exif": exif,
        "xmp": _bytes(image.info.get("xmp")),
        "resolution": _resolution(image),
        "left_out": damaged + _left_out(image),
    }


def to_info(picture: "Picture | Container") -> dict[Any, Any]:
    """Give the metadata there is under the names of Pillow's `info`."""
    dpi = picture.resolution and tuple(value / 1000 for value in picture.resolution)
    values = {"icc_profile": picture.icc, "exif": picture.exif, "xmp": picture.xmp, "dpi": dpi}
    return {name: value for name, value in values.items() if value is not None}


def to_options(picture: "Picture", format: str) -> dict[str, Any]:
    """Give the metadata as options of Image.save(), in the way that the format takes them."""
    options = to_info(picture)
    if format == "JPEG" and picture.exif is not None:
        options["exif"] = _EXIF_PREFIX + picture.exif
    if format == "PNG" and picture.xmp is not None:
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt(_XMP_KEYWORD, picture.xmp)
    if format == "TIFF":
        options["exif"] = _tiff_tags(picture)
    return options


def from_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Gather the fields of a Picture that options of Image.save() name; None or an empty value drops one.

    Raises:
        BadArgument: an option is of another type than Pillow's own formats take.

    """
    readers: dict[str, tuple[str, Callable[[Any], object]]] = {
        "icc_profile": ("icc", _bytes),
        "exif": ("exif", lambda exif: _block(exif.tobytes() if isinstance(exif, Image.Exif) else exif)),
        "xmp": ("xmp", lambda xmp: _bytes(xmp.encode() if isinstance(xmp, str) else xmp)),
        "dpi": ("resolution", _thousandths),
    }
    fields = {}
    for name in filter(options.__contains__, readers):
        field, read = readers[name]
        fields[field] = read(options[name]) if options[name] else None
        if options[name] and fields[field] is None:
            raise BadArgument(f"{name}={options[name]!r}: give bytes, or two numbers above 0 as dpi")
    return fields


def holds_exif(format: str) -> bool:
    """Say whether files of this format can hold EXIF, so that an orientation need not be applied."""
    return "exif" in _HOLDS.get(format, ())


def not_held(picture: "Picture", format: str) -> tuple[str, ...]:
    """Name the metadata of the picture that files of this format have no place for."""
    lost = [field for field in _NAMES if field not in _HOLDS.get(format, ())]
    return tuple(_NAMES[field] for field in lost if getattr(picture, field) is not None)


def _bytes(value: object) -> bytes | None:
    """Take a value of `info` only if it is bytes: a PNG text chunk may bear any name, "icc_profile" too."""
    return value if isinstance(value, bytes) and value else None


def _block(value: object) -> bytes | None:
    """Take an EXIF block, as _bytes() does, without what stands before it in a JPEG."""
    block = _bytes(value)
    return (block or b"").removeprefix(_EXIF_PREFIX) or None


def _exif(image: Image.Image) -> tuple[bytes | None, tuple[str, ...]]:
    """Give the EXIF block, and the name of one that is there but cannot be taken over."""
    if block := _block(image.info.get("exif")):
        return block, ()
    if image.format != "TIFF" and _RAW_EXIF_KEYWORD not in image.info:
        return None, ()
    try:
        exif = image.getexif()
        for tag in _TIFF_LAYOUT.intersection(exif):
            del exif[tag]
        return (exif.tobytes().removeprefix(_EXIF_PREFIX) if exif else None), ()
    except Exception:  # tags of any origin and type
        return None, ("EXIF or TIFF tags that are damaged",)


def _resolution(image: Image.Image) -> tuple[int, int] | None:
    """Give the resolution that the file says, not the one that Pillow makes up for a TIFF without any."""
    is_made_up = isinstance(image, TiffImagePlugin.TiffImageFile) and 282 not in image.tag_v2
    return None if is_made_up else _thousandths(image.info.get("dpi"))


def _thousandths(dpi: object) -> tuple[int, int] | None:
    """Turn dots per inch into thousandths, if they are numbers that the format can say."""
    if not isinstance(dpi, tuple) or len(dpi) != 2:
        return None
    try:
        across, down = (round(1000 * float(value)) for value in dpi)
    except (ArithmeticError, TypeError, ValueError):  # 0/0 in a TIFF, infinity, text
        return None
    return (across, down) if 0 < across < 2**32 and 0 < down < 2**32 else None


def _left_out(image: Image.Image) -> tuple[str, ...]:
    """Name what the picture file holds and a Picture has no place for."""
    info: Mapping[str | tuple[int, int], Any] = image.info
    segments = [block for _, block in getattr(image, "applist", ())]  # of a JPEG
    held = {
        "an ICC profile that is damaged": info.get("icc_profile", b"") is None,
        "a comment": bool(info.get("comment")),
        "Photoshop and IPTC records": bool(info.get("photoshop")),
        "XMP beyond its first 64 kB": any(block.startswith(_XMP_EXTENSION) for block in segments),
        "a gamma value": "gamma" in info and not {"icc_profile", "srgb"} & info.keys(),
        "the pictures behind the first one": image.format in ONE_PICTURE
        and getattr(image, "n_frames", 1) > 1,
        "the shape of its pixels": len(set(info.get("aspect", ()))) > 1,
    }
    texts = image.text if isinstance(image, PngImagePlugin.PngImageFile) else ()
    unnamed = [key for key in texts if key not in (_XMP_KEYWORD, _RAW_EXIF_KEYWORD)]
    return (*(name for name in held if held[name]), *(f"the text {key!r}" for key in unnamed))


def _tiff_tags(picture: "Picture") -> Image.Exif:
    """EXIF and XMP as tags of the TIFF file itself."""
    tags = Image.Exif()
    if picture.exif is not None:
        tags.load(picture.exif)
    for tag in _TIFF_LAYOUT.intersection(tags):
        del tags[tag]
    if picture.xmp is not None:
        tags[_XMP_TAG] = picture.xmp
    return tags
