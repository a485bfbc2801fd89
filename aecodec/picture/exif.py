"""EXIF blocks: TIFF files without pixels, in a Picture without the "Exif" that begins them in a JPEG."""

from typing import Any

from PIL import ExifTags, Image

from aecodec.picture.formats.facts import thousandths

PREFIX = b"Exif\0\0"  # in a JPEG, and in `info` of Pillow

# Tags of a TIFF file that lay out its pixels, or that a Picture holds in its own fields (XMP 700, ICC 34675,
# resolution 282, 283, 296): in another file they would be wrong, or said twice.
_TIFF_LAYOUT = frozenset(
    (*range(254, 260), 262, 266, 273, *range(277, 280), 282, 283, 284, 292, 293, 296, 317, *range(320, 326))
    + (330, *range(338, 342), 347, *range(512, 522), *range(529, 533), 700, 34675)
)
_XMP_TAG = 700  # of a TIFF file
_INCH, _CENTIMETRE = 2, 3  # of ResolutionUnit


def bare(block: object) -> bytes | None:
    """Give the block without what stands before it in a JPEG; None if there is none."""
    if not isinstance(block, bytes):
        return None
    while block.startswith(PREFIX):
        block = block[len(PREFIX) :]
    return block or None


def resolution(block: bytes | None) -> tuple[int, int] | None:
    """Give the horizontal and vertical resolution in thousandths of pixels per inch, if the block says it."""
    try:
        tags = _load(block or b"")
        unit = tags.get(ExifTags.Base.ResolutionUnit, _INCH)
        sides = (tags.get(ExifTags.Base.XResolution), tags.get(ExifTags.Base.YResolution))
        scale = {_INCH: 1.0, _CENTIMETRE: 2.54}[unit]
        return thousandths(tuple(float(side) * scale for side in sides if side is not None))
    except Exception:  # a block that nobody can parse says nothing
        return None


def is_readable(block: bytes) -> bool:
    """Say whether Pillow can parse the block."""
    try:
        as_tags(block, None)
    except Exception:
        return False
    return True


def has_thumbnail(block: bytes | None) -> bool:
    """Say whether a small picture lies in the block."""
    try:
        return bool(_load(block or b"").get_ifd(ExifTags.IFD.IFD1))
    except Exception:
        return False


def of_tags(image: Image.Image) -> bytes | None:
    """Give the tags of a TIFF file that belong to the picture as an EXIF block. Raises what Pillow does."""
    tags = image.getexif()
    for group in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        if group in tags and ExifTags.IFD.Interop in tags.get_ifd(group):
            tags.get_ifd(ExifTags.IFD.Interop)  # while the file is there to read it from
    for tag in _TIFF_LAYOUT.intersection(tags):
        del tags[tag]
    tags.bigtiff = False  # EXIF is never that
    return bare(tags.tobytes()) if len(tags) else None


def as_tags(block: bytes | None, xmp: bytes | None) -> Image.Exif:
    """Give EXIF and XMP as tags of a TIFF file."""
    tags = Image.Exif()
    if block is not None:
        tags.load(block)
        _join_interoperability(tags)
    for tag in _TIFF_LAYOUT.intersection(tags):
        del tags[tag]
    if xmp is not None:
        tags[_XMP_TAG] = xmp
    return tags


def _join_interoperability(tags: Image.Exif) -> None:
    """Put the directory itself in the place of its offset, which is another one in another file."""
    inner: dict[int, Any] = tags.get_ifd(ExifTags.IFD.Exif)
    if ExifTags.IFD.Interop in inner:
        directory = tags.get_ifd(ExifTags.IFD.Interop)
        if directory:
            inner[ExifTags.IFD.Interop] = directory
        else:
            del inner[ExifTags.IFD.Interop]


def _load(block: bytes) -> Image.Exif:
    tags = Image.Exif()
    tags.load(block)
    return tags
