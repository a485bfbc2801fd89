"""Picture file <-> Picture: 8-bit pixels, and what belongs to them.

Pillow reads and writes the files. What an .aec file cannot hold is refused by name or named in
`Picture.left_out`: nothing is dropped in silence.
"""

import io
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, ImageOps, TiffImagePlugin

from aecodec import metadata
from aecodec.errors import (
    BadArgument,
    InputMissing,
    NotAnImage,
    OutputUnwritable,
    TooLarge,
    TruncatedImage,
    UnsupportedPicture,
)

Pixels = npt.NDArray[np.uint8]

MAX_PIXELS = 2**28  # 16384 x 16384, 0.8 GB of pixels

_BYTES_A_PIXEL = 10  # while a file is read: Pillow's copy (4), its bytes (3) and ours (3)
_NO_PIXELS = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")  # need another program, as EPS needs Ghostscript

_KINDS = {  # what a person calls these modes of Pillow
    "1": "1-bit black and white",
    "CMYK": "CMYK",
    "F": "floating point",
    "I": "32-bit grey",
    "I;16": "16-bit grey",
    "LA": "grey with alpha",
    "P": "palette",
    "PA": "palette with alpha",
    "RGBA": "RGB with alpha",
}

_QUALITY: Mapping[str, dict[str, Any]] = {  # as little second loss as the format allows
    "AVIF": {"quality": 95, "subsampling": "4:4:4"},
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},
    "WEBP": {"lossless": True},
}


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Pixels and what belongs to them.

    `pixels` is uint8 [H, W, C], C = 1 (grey) or 3 (RGB), as stored: an orientation in EXIF is not applied.
    `exif` is a TIFF block without "Exif" before it, `resolution` is horizontal and vertical thousandths of
    pixels per inch. `left_out` names, for a person, what else the picture file held, such as "a comment".
    """

    pixels: Pixels
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    resolution: tuple[int, int] | None = None
    left_out: tuple[str, ...] = ()


def load(source: Any, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read a picture from whatever holds one.

    `source` is a path, the bytes of a picture file, an open binary file, a PIL image, a uint8 array
    [H, W, 3], [H, W, 1] or [H, W], or a uint8 torch tensor [3, H, W] or [1, H, W]. An array that lies in
    memory as a Picture wants it is shared, not copied.

    Raises:
        InputMissing, NotAnImage, TruncatedImage, UnsupportedPicture: the picture cannot be had.
        TooLarge: it has more than `max_pixels` pixels; said before they are decoded.
        BadArgument: `source` is of another type, shape or dtype.

    """
    torch = sys.modules.get("torch")  # whoever has a tensor has imported torch
    if torch is not None and isinstance(source, torch.Tensor):
        source = _tensor_to_array(source)
    if isinstance(source, np.ndarray):
        return _from_array(source, max_pixels)
    if isinstance(source, Image.Image):
        return _from_image(source, max_pixels)
    data = read_source(source)
    image = _open(data)
    is_deep = _IS_DEEP.get(image.format or "")
    if is_deep and is_deep(image, data):  # Pillow would drop the lower bits and not say so
        raise UnsupportedPicture(
            f"this {image.format} picture has more than 8 bits a channel, which is not supported: "
            "convert it to 8 bits first"
        )
    return _from_image(image, max_pixels)


def read_source(source: Any) -> bytes:
    """Give the bytes of a path or an open binary file, or bytes as they are.

    Raises:
        InputMissing: there is no such file, it is a folder, or it may not be read.
        BadArgument: `source` is of another type.

    """
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if isinstance(source, str | os.PathLike):
        try:
            return Path(source).read_bytes()
        except (OSError, ValueError) as fault:  # ValueError: a zero byte in the name
            reason = getattr(fault, "strerror", None) or fault
            raise InputMissing(f"{source} cannot be read ({reason}): name a file that can") from fault
    if hasattr(source, "read"):
        return bytes(source.read())
    raise BadArgument(
        f"a {type(source).__name__} cannot be read: give a path, bytes or an open binary file; a picture may "
        "also be a PIL image, a uint8 array or a uint8 torch tensor"
    )


def to_pil(picture: Picture) -> Image.Image:
    """Give the picture as a PIL image of mode RGB or L, with its metadata in `info` under Pillow's names."""
    grey = picture.pixels.shape[2] == 1
    image = Image.fromarray(picture.pixels[:, :, 0] if grey else picture.pixels)
    image.info.update(metadata.to_info(picture))
    return image


def save(picture: Picture, target: str | Path | IO[bytes], format: str) -> tuple[str, ...]:
    """Write the picture with its metadata as `format`, in Pillow's names: "PNG", "JPEG", ...

    Where EXIF has no place its orientation is applied to the pixels, so that no picture lies on its side.
    Returns the names of the metadata that the format has no place for.

    Raises:
        OutputUnwritable: the format cannot hold this picture.
        OSError: the file system failed.

    """
    if not metadata.holds_exif(format):
        picture = upright(picture)
    image = to_pil(picture)
    image.info.clear()  # some plugins take metadata from there, all take it from the options
    try:
        image.save(target, format, **_QUALITY.get(format, {}), **metadata.to_options(picture, format))
    except Exception as fault:  # Pillow's encoders raise ValueError, KeyError, struct.error and more
        if isinstance(fault, MemoryError) or getattr(fault, "errno", None) is not None:
            raise
        reason = f"{format} cannot hold this picture ({fault}): choose another format"
        raise OutputUnwritable(reason) from fault
    return metadata.not_held(picture, format)


def format_of(name: str) -> str:
    """Give Pillow's name of the format that a file name ends in.

    Raises:
        OutputUnwritable: no format that can be written has this ending.

    """
    ending = os.path.splitext(name)[1].lower()
    format = Image.registered_extensions().get(ending, "")
    if format not in Image.SAVE or format in _NO_PIXELS:
        reason = f"Pillow writes no format with the ending {ending}" if ending else "the name has no ending"
        raise OutputUnwritable(f"{reason}: choose a name like {name}.png")
    return format


def upright(picture: Picture) -> Picture:
    """Turn the pixels as the orientation in EXIF or XMP says, and take it out of there."""
    if picture.exif is None and picture.xmp is None:
        return picture
    try:
        image = ImageOps.exif_transpose(to_pil(picture))
    except Exception:  # metadata that nobody can parse names no orientation
        return picture
    return _from_image(image, max_pixels=picture.pixels.size)


# Reading


def _open(data: bytes) -> ImageFile.ImageFile:
    """Do what Image.open() does, but without its process-wide limit of pixels: `max_pixels` stands for it."""
    promised = None  # the format that the first bytes promise
    tried = set(_NO_PIXELS)
    for find_plugins in (Image.preinit, Image.init):  # the common ones, then all
        find_plugins()
        for name in [name for name in Image.ID if name not in tried]:
            tried.add(name)
            factory, accept = Image.OPEN[name]
            accepted = False
            try:
                accepted = accept is not None and accept(data[:16]) is True
                if accepted or accept is None:
                    return factory(io.BytesIO(data), "")
            except MemoryError:
                raise
            except Image.DecompressionBombError as fault:
                raise TooLarge(f"Pillow refuses to read this {name} picture: {fault}") from fault
            except Exception:  # plugins raise what they like on bytes that are not theirs
                promised = promised or (name if accepted else None)
    if promised is not None:
        raise TruncatedImage(f"the {promised} picture is cut short or damaged: get it again")
    reason = "this is no picture that Pillow can read" if data else "the file is empty"
    raise NotAnImage(f"{reason}: give a picture file")


def _from_image(image: Image.Image, max_pixels: int) -> Picture:
    """Check that an .aec file can hold the image, then decode it and gather its metadata."""
    _check_size(image.width, image.height, max_pixels)
    _check_kind(image)
    try:
        image.load()
    except MemoryError:
        raise
    except Image.DecompressionBombError as fault:
        raise TooLarge(f"Pillow refuses to read this {image.format} picture: {fault}") from fault
    except Exception as fault:  # decoders raise OSError, SyntaxError, EOFError, struct.error, zlib.error ...
        reason = f"the {image.format} picture is cut short or damaged ({fault}): get it again"
        raise TruncatedImage(reason) from fault
    pixels = np.array(image)  # [H, W] or [H, W, 3], a copy that may be written to
    return Picture(pixels if pixels.ndim == 3 else pixels[:, :, None], **metadata.from_pil(image))


def _from_array(array: npt.NDArray[Any], max_pixels: int) -> Picture:
    if array.dtype != np.uint8:
        raise BadArgument(f"the array is of {array.dtype}: give uint8 values from 0 to 255")
    pixels = array[:, :, None] if array.ndim == 2 else array
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
        raise BadArgument(f"the array has the shape {array.shape}: give [H, W], [H, W, 1] or [H, W, 3]")
    _check_size(pixels.shape[1], pixels.shape[0], max_pixels)
    return Picture(np.ascontiguousarray(pixels))


def _tensor_to_array(tensor: Any) -> npt.NDArray[Any]:
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3):
        raise BadArgument(f"the tensor has the shape {tuple(tensor.shape)}: give [3, H, W] or [1, H, W]")
    if str(tensor.dtype) != "torch.uint8":  # numpy has no bfloat16 to complain of later
        raise BadArgument(f"the tensor is {tensor.dtype}: give uint8, 0 to 255")
    array: npt.NDArray[Any] = tensor.detach().cpu().permute(1, 2, 0).numpy()  # [H, W, C]
    return array


# Checks


def _check_size(width: int, height: int, max_pixels: int) -> None:
    count = width * height
    if count == 0:
        raise BadArgument(f"the picture has {width} x {height} pixels: at least one is needed")
    if count > max_pixels:
        raise TooLarge(
            f"the picture has {width} x {height} = {count} pixels, max_pixels is {max_pixels}: to read it "
            f"takes {count * _BYTES_A_PIXEL / 1e9:.1f} GB of memory, raise the limit if you have that much"
        )


def _check_kind(image: Image.Image) -> None:
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # a photograph with previews or a gain map behind it
        raise UnsupportedPicture(f"the {image.format} file holds {frames} pictures: save one of them alone")
    mode = image.mode
    if mode not in ("RGB", "L"):
        kind = _KINDS.get(mode, "of another kind")
        raise UnsupportedPicture(f"the picture is {kind} (mode {mode}): convert it to RGB or grey (L) first")
    if "transparency" in image.info:
        raise UnsupportedPicture(f"the {mode} picture has a transparent colour (tRNS): make it opaque first")


def _avif_is_deep(image: ImageFile.ImageFile, data: bytes) -> bool:
    at = data.find(b"av1C")  # AV1 configuration box; bit 6 of its third byte: high bit depth
    return at >= 0 and any(flags & 0x40 for flags in data[at + 6 : at + 7])


def _jpeg2000_is_deep(image: ImageFile.ImageFile, data: bytes) -> bool:
    at = data.find(b"\xff\x4f\xff\x51") + 42  # start of codestream; Ssiz of the first channel
    return any(size & 0x7F > 7 for size in data[at : at + 1])


def _ppm_is_deep(image: ImageFile.ImageFile, data: bytes) -> bool:
    args = image.tile[0].args  # (mode, largest value), or the mode where that is 255
    return isinstance(args, tuple) and isinstance(args[-1], int) and args[-1] > 255


def _tiff_is_deep(image: ImageFile.ImageFile, data: bytes) -> bool:
    assert isinstance(image, TiffImagePlugin.TiffImageFile)
    return any(bits > 8 for bits in image.tag_v2.get(258, ()))  # BitsPerSample


_IS_DEEP: Mapping[str, Callable[[ImageFile.ImageFile, bytes], bool]] = {
    "AVIF": _avif_is_deep,
    "JPEG2000": _jpeg2000_is_deep,
    "PNG": lambda image, data: data[24] > 8,  # bit depth in IHDR
    "PPM": _ppm_is_deep,
    "SGI": lambda image, data: data[3] > 1,  # bytes a channel
    "TIFF": _tiff_is_deep,
}
