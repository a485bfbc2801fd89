"""Picture file <-> Picture: 8-bit pixels, and what belongs to them.

Pillow reads and writes the files. What an .aec file cannot hold is refused by name or named in
`Picture.left_out` or `Picture.converted`: nothing is dropped in silence.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, SupportsIndex

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageFile, ImageOps

from aecodec import sources
from aecodec.errors import BadArgument, OutputUnwritable, TooLarge, UnsupportedPicture
from aecodec.picture import formats, metadata, modes, opening

Pixels = npt.NDArray[np.uint8]

MAX_PIXELS = 2**28  # 16384 x 16384, 0.8 GB of pixels

_BYTES_A_PIXEL = 7  # while a file is read: Pillow's copy (4) and ours (3)
_STRIP = 256  # rows
_SIDEWAYS = (5, 6, 7, 8)  # orientations that exchange width and height

_HOLD_ALPHA = ("AVIF", "DDS", "JPEG2000", "PNG", "SGI", "TGA", "TIFF", "WEBP")

_QUALITY: Mapping[str, dict[str, Any]] = {  # as little second loss as the format allows
    "AVIF": {"quality": 95, "subsampling": "4:4:4"},
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},
    "WEBP": {"lossless": True, "exact": True},
}


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Pixels and what belongs to them.

    `pixels` is uint8 [H, W, C], C = 1 (grey) or 3 (RGB), as stored: an orientation in EXIF is not applied.
    `alpha` is uint8 [H, W], 0 transparent to 255 opaque; the colours are not multiplied by it.
    `exif` is a TIFF block without "Exif" before it, `resolution` is horizontal and vertical thousandths of
    pixels per inch. `left_out` names, for a person, what else the picture file held, such as "a comment";
    `converted` what was changed, such as "16 bits a channel to 8".
    """

    pixels: Pixels
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    resolution: tuple[int, int] | None = None
    left_out: tuple[str, ...] = ()
    alpha: Pixels | None = None
    converted: tuple[str, ...] = ()

    @property
    def samples(self) -> Pixels:
        """Colour and alpha together: uint8 [H, W, 1 to 4]; the pixels themselves if there is no alpha."""
        return self.pixels if self.alpha is None else np.dstack([self.pixels, self.alpha])


def of_samples(samples: Pixels, channels: int, alpha: Pixels | None, metadata: Mapping[str, Any]) -> Picture:
    """The picture of uint8 [H, W, n]: its channels, and alpha behind them, or apart, uint8 [H, W]."""
    if samples.shape[2] > channels:
        alpha = samples[:, :, -1].copy()
    return Picture(np.ascontiguousarray(samples[:, :, :channels]), alpha=alpha, **metadata)


def load(
    source: Any, max_pixels: int = MAX_PIXELS, *, frame: SupportsIndex | None = None, strict: bool = False
) -> Picture:
    """Read a picture from whatever holds one.

    `source` is a path, the bytes of a picture file, an open binary file, a PIL image, a uint8 array [H, W] or
    [H, W, C], or a uint8 torch tensor [C, H, W]; C is 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha).
    An array that lies in memory as a Picture wants it is shared, not copied. `frame`, from 0, chooses one of
    several pictures. `strict`: refuse what would have to be changed (`Picture.converted`). A PIL image whose
    pixels are loaded already tells no more of its file: there 8 bits a channel are taken for granted.

    Raises:
        InputMissing, NotAnImage, TruncatedImage, UnsupportedPicture: the picture cannot be had.
        TooLarge: it has more than `max_pixels` pixels; said before they are decoded.
        BadArgument: `source` is of another type, shape or dtype, or there is no such frame.

    """
    picture = _load(source, max_pixels, frame)
    if strict and picture.converted:
        changes = ", ".join(picture.converted)
        raise UnsupportedPicture(
            f"the picture would be changed, {changes}: convert it as you like, or let it be without strict"
        )
    return picture


def _load(source: Any, max_pixels: int, frame: SupportsIndex | None) -> Picture:
    torch = sys.modules.get("torch")  # whoever has a tensor has imported torch
    if torch is not None and isinstance(source, torch.Tensor):
        source = _tensor_to_array(source)
    if isinstance(source, np.ndarray):
        if opening.index(frame):
            raise BadArgument(f"there is no frame {frame} in an array: leave frame out")
        return _from_array(source, max_pixels)
    if isinstance(source, Image.Image):
        data = _file_of(source)
        return _from_image(source, max_pixels, frame, data, metadata.changed(source, data))
    data = sources.read(source, opening.check_beginning)
    return _from_image(opening.open_file(data), max_pixels, frame, data)


def _file_of(image: Image.Image) -> bytes:
    """The file that a PIL image was opened from; empty once it is loaded."""
    file = image.fp if isinstance(image, ImageFile.ImageFile) else None
    if file is None:
        return b""
    try:
        position = file.tell()
        file.seek(0)
        data = file.read()
        file.seek(position)
    except (OSError, ValueError):  # closed, or a pipe
        return b""
    return data


def to_pil(picture: Picture) -> Image.Image:
    """Give a PIL image of mode L, LA, RGB or RGBA, with its metadata in `info` under Pillow's names."""
    samples = picture.samples
    image = Image.fromarray(samples if samples.shape[2] > 1 else samples[:, :, 0])
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
    if picture.alpha is not None and format not in _HOLD_ALPHA:
        raise OutputUnwritable(f"{format} has no place for alpha: choose PNG, WebP, TIFF or AVIF")
    fitting, lost = metadata.fit(picture, format)
    if (fitting.exif, fitting.xmp) != (picture.exif, picture.xmp):  # which may tell the orientation
        fitting, lost = metadata.fit(upright(picture), format)
    image = to_pil(fitting)
    image.info.clear()  # some plugins take metadata from there, all take it from the options
    try:
        image.save(target, format, **_QUALITY.get(format, {}), **metadata.to_options(fitting, format))
    except Exception as fault:  # Pillow's encoders raise ValueError, KeyError, struct.error and more
        if isinstance(fault, MemoryError) or getattr(fault, "errno", None) is not None:
            raise
        reason = f"{format} cannot hold this picture ({fault}): choose another format"
        raise OutputUnwritable(reason) from fault
    return lost


def format_of(name: str) -> str:
    """Give Pillow's name of the format that a file name ends in.

    Raises:
        OutputUnwritable: no format that can be written has this ending.

    """
    ending = os.path.splitext(name)[1].lower()
    format = Image.registered_extensions().get(ending, "")
    if format not in Image.SAVE or format in opening.NO_PIXELS:
        reason = f"Pillow writes no format with the ending {ending}" if ending else "the name has no ending"
        raise OutputUnwritable(f"{reason}: choose a name like {name}.png")
    return format


def upright(picture: Picture) -> Picture:
    """Turn the pixels as the orientation in EXIF or XMP says, and take it out of there."""
    if picture.exif is None and picture.xmp is None:
        return picture
    try:
        image = to_pil(picture)
        sideways = image.getexif().get(ExifTags.Base.Orientation) in _SIDEWAYS
        image = ImageOps.exif_transpose(image)
    except Exception:  # metadata that nobody can parse names no orientation
        return picture
    turned = _from_image(image, max_pixels=picture.pixels.size)
    if sideways and turned.resolution:
        turned = replace(turned, resolution=turned.resolution[::-1])
    return replace(turned, left_out=picture.left_out, converted=picture.converted)


def stripped(picture: Picture) -> Picture:
    """The picture without metadata, turned as its orientation says."""
    turned = upright(picture)
    return Picture(turned.pixels, alpha=turned.alpha, converted=picture.converted)


# Reading


def _from_image(
    image: Image.Image,
    max_pixels: int,
    frame: SupportsIndex | None = None,
    data: bytes = b"",
    changed: frozenset[str] = frozenset(),
) -> Picture:
    """Check that an .aec file can hold the image, then decode it and gather its metadata."""
    _check_size(image.width, image.height, max_pixels)
    opening.choose(image, frame, data)
    _check_size(image.width, image.height, max_pixels)  # pages may be of other sizes
    facts = formats.look(image, data) if isinstance(image, ImageFile.ImageFile) and data else formats.NOTHING
    opening.load(image, data)
    fields = metadata.gather(image, facts, changed)
    flat, converted = modes.flatten(image, facts, fields["icc"])
    picture = replace(_from_array(_copied(flat), max_pixels), converted=converted, **fields)
    return metadata.fit_profile(picture, image.mode)


def _copied(image: Image.Image) -> Pixels:
    """What np.array(image) gives, [H, W] or [H, W, C], but without two more copies meanwhile."""
    bands = len(image.getbands())
    copy = np.empty(
        (image.height, image.width, bands) if bands > 1 else (image.height, image.width), np.uint8
    )
    for top in range(0, image.height, _STRIP):
        box = (0, top, image.width, min(top + _STRIP, image.height))
        copy[top : top + _STRIP] = np.asarray(image.crop(box))
    return copy


def _from_array(array: npt.NDArray[Any], max_pixels: int) -> Picture:
    if array.dtype != np.uint8:
        raise BadArgument(f"the array is of {array.dtype}: give uint8 values from 0 to 255")
    samples = array[:, :, None] if array.ndim == 2 else array
    if samples.ndim != 3 or not 1 <= samples.shape[2] <= 4:
        raise BadArgument(f"the array has the shape {array.shape}: give [H, W] or [H, W, C], C from 1 to 4")
    _check_size(samples.shape[1], samples.shape[0], max_pixels)
    if samples.shape[2] in (1, 3):
        return Picture(np.ascontiguousarray(samples))
    pixels, alpha = samples[:, :, :-1], samples[:, :, -1]
    return Picture(np.ascontiguousarray(pixels), alpha=np.ascontiguousarray(alpha))


def _tensor_to_array(tensor: Any) -> npt.NDArray[Any]:
    if tensor.ndim != 3 or not 1 <= tensor.shape[0] <= 4:
        raise BadArgument(f"the tensor has the shape {tuple(tensor.shape)}: give [C, H, W], C from 1 to 4")
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
            f"takes {count * _BYTES_A_PIXEL / 1e9:.1f} GB of memory; if you have that much, encode it by "
            "Codec(max_pixels=...) in Python"
        )
