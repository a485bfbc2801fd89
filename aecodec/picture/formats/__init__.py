"""What picture files say themselves, where Pillow hides, misreads or drops it: one module a format."""

from collections.abc import Callable, Mapping
from contextlib import suppress

from PIL import Image, ImageFile

from aecodec.errors import UnsupportedPicture
from aecodec.picture.formats import boxes, gif, icons, jpeg, photoshop, png, simple, tiff, webp
from aecodec.picture.formats.facts import NOTHING, Facts

__all__ = ["NOTHING", "Facts", "count", "look", "unsupported"]

_LOOKS: Mapping[str, Callable[[bytes], Facts]] = {
    "AVIF": boxes.look_heif,
    "BMP": simple.look_bmp,
    "CUR": icons.look_ico,
    "DDS": simple.look_dds,
    "FITS": simple.look_fits,
    "GIF": gif.look,
    "HEIF": boxes.look_heif,
    "ICNS": icons.look_icns,
    "ICO": icons.look_ico,
    "JPEG": lambda data: jpeg.look(data, is_first=True),
    "JPEG2000": boxes.look_jpeg2000,
    "PCD": simple.look_pcd,
    "PNG": png.look,
    "PSD": photoshop.look,
    "QOI": simple.look_qoi,
    "SGI": simple.look_sgi,
    "TGA": simple.look_tga,
    "WEBP": webp.look,
}
_MAGIC = {  # where it is not the first bytes of a format that the data begin with, nothing is read from them
    "JPEG": b"\xff\xd8", "MPO": b"\xff\xd8", "PNG": png.SIGNATURE, "GIF": b"GIF8", "WEBP": b"RIFF",
    "PSD": b"8BPS", "DDS": b"DDS ", "ICNS": b"icns",
}  # fmt: skip


def look(image: ImageFile.ImageFile, data: bytes) -> Facts:
    """Look at the frame that the image shows, in the file that it was opened from.

    Raises:
        UnsupportedPicture: Pillow would read another picture than the file holds.

    """
    format = image.format or ""
    if not data.startswith(_MAGIC.get(format, b"")):
        return NOTHING
    if format == "TIFF":
        return _look_tiff(image, data)
    if format == "PPM":
        return simple.look_ppm(data, image)
    if format == "MPO":
        return jpeg.look(data[max(0, image.tile[0].offset) if image.tile else 0 :], image.tell() == 0)
    if format == "FITS" and image.mode != "L":
        raise UnsupportedPicture(
            "the FITS picture is of more than 8 bits: which value is white? Convert it first"
        )
    find = _LOOKS.get(format)
    return find(data) if find else NOTHING


def _look_tiff(image: ImageFile.ImageFile, data: bytes) -> Facts:
    tags = tiff.page(data, image.tell())
    if reason := tiff.refusal(tags):
        raise UnsupportedPicture(f"the TIFF picture has {reason}: convert it to plain RGB or grey first")
    return tiff.look(tags) if tags else NOTHING


def unsupported(format: str, data: bytes, frame: int = 0) -> str | None:
    """Say what kind a picture is that Pillow has failed to read, if it is whole, but of no kind to read."""
    if format in ("JPEG", "MPO"):
        return jpeg.unsupported(data)
    if format == "PSD":
        return photoshop.unsupported(data)
    return tiff.unsupported(data, frame) if format == "TIFF" else None


def count(image: Image.Image, data: bytes) -> int | None:
    """Give the number of pictures, without decoding any of them; None if it cannot be told."""
    if image.format == "TIFF" and data:
        return max(1, len(tiff.pages(data)))
    with suppress(Exception):  # plugins raise what they like on later pictures that are damaged
        return 1 if image.format == "PSD" else int(getattr(image, "n_frames", 1))  # no frames, but layers
    return None
