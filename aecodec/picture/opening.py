"""Bytes of a picture file -> a loaded PIL image of the right frame, or the error that says what is wrong."""

import contextlib
import importlib
import io
import operator
import re
import threading
from collections.abc import Sequence
from typing import SupportsIndex

from PIL import Image, ImageFile, ImagePalette, TiffImagePlugin

from aecodec.errors import AecError, BadArgument, NotAnImage, TooLarge, TruncatedImage, UnsupportedPicture
from aecodec.picture import formats, libtiff
from aecodec.picture.formats import png, tiff

ONE_PICTURE = ("MPO", "PSD")  # a photograph with others behind it, a drawing with its layers
NO_PIXELS = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")  # need another program, as EPS needs Ghostscript
_PASSED_BY = (*NO_PIXELS, "AEC")  # whether aecodec.pillow has been imported makes no difference here

_UNSUPPORTED = re.compile(  # in the words of Pillow's plugins
    r"unsupported|not supported|unimplemented|not (yet )?implemented|unknown (?!color)|cannot handle"
    r"|unable to determine|can only read|not available",
    re.IGNORECASE,
)
_ELSEWHERE = {  # pictures that people have, and that no plugin accepts
    re.compile(rb"....ftyp(?:hei|hev|mif1|msf1)", re.DOTALL): "HEIF (install pillow-heif)",
    re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "): "JPEG XL (import its plugin first, or use djxl)",
    re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*|<![^>]*>\s*)*<svg", re.DOTALL): "a drawing (SVG)",
    re.compile(rb"%PDF-"): "a PDF",
    re.compile(rb"v/1\x01"): "OpenEXR",
    re.compile(rb"#\?RADIANCE|#\?RGBE"): "Radiance HDR",
}
_plugin_flags = threading.Lock()  # for TiffImagePlugin.READ_LIBTIFF


def readable_endings() -> frozenset[str]:
    """Give the endings, in small letters, of the picture files that Pillow reads."""
    Image.init()
    _register_heif()
    known = Image.registered_extensions().items()
    return frozenset(ending for ending, name in known if name in Image.OPEN and name not in _PASSED_BY)


def open_file(data: bytes) -> ImageFile.ImageFile:
    """Do what Image.open() does, without its process-wide limit of pixels, for formats that hold pixels.

    Raises:
        NotAnImage: no plugin of Pillow accepts the data.
        TruncatedImage, UnsupportedPicture: one does, and cannot read them.
        TooLarge: a plugin has a limit of its own.

    """
    seen = png.pixels_alone(data) if data.startswith(png.SIGNATURE) else data
    refusal: AecError | None = None  # of the format that the first bytes promise
    tried = set(_PASSED_BY)
    for find_plugins in (Image.preinit, Image.init, _register_heif):  # the common ones, then all
        find_plugins()
        for name in [name for name in Image.ID if name not in tried]:
            tried.add(name)
            factory, accept = Image.OPEN[name]
            accepted = False
            try:
                accepted = accept is not None and accept(data[:16]) is True
                if accepted or accept is None:
                    return factory(io.BytesIO(seen), "")
            except MemoryError:
                raise
            except Image.DecompressionBombError as fault:
                raise _too_large(name, fault) from fault
            except Exception as fault:  # plugins raise what they like on bytes that are not theirs
                if accepted and refusal is None:
                    refusal = _diagnosis(name, fault, formats.unsupported(name, data, 0))
                    refusal.__cause__ = fault
    if refusal is not None:
        raise refusal
    for start, name in _ELSEWHERE.items():
        if start.match(data):
            raise UnsupportedPicture(f"the picture is {name}, which Pillow does not read: convert it first")
    reason = "this is no picture that Pillow can read" if data else "the file is empty"
    raise NotAnImage(f"{reason}: give a picture file")


def check_beginning(head: bytes) -> None:
    """Raise NotAnImage where no picture file can begin like this."""
    try:
        open_file(head)
    except NotAnImage:
        raise
    except AecError:  # a beginning is cut short
        pass


def _register_heif() -> None:
    """Let Pillow read HEIC if the plugin is installed."""
    with contextlib.suppress(ImportError):
        importlib.import_module("pillow_heif").register_heif_opener()


def choose(image: Image.Image, frame: SupportsIndex | None, data: bytes = b"") -> None:
    """Go to the frame that was asked for; `data` is the file of the image, if it is known.

    Raises:
        UnsupportedPicture: there are several frames and none was asked for, or it is of no kind to read.
        BadArgument: there is no such frame.
        TruncatedImage: it is damaged.

    """
    number = index(frame)
    if number is None:
        _expect_one(image, data)
    elif number != (0 if image.format == "PSD" else image.tell()):
        _seek(image, number, data)


def _expect_one(image: Image.Image, data: bytes) -> None:
    count = formats.count(image, data)
    if count is None:
        reason = f"what follows the first picture of the {image.format} file is cut short or damaged"
        raise TruncatedImage(f"{reason}: get it again, or take the first one with --frame 0 (frame=0)")
    if count > 1 and image.format not in ONE_PICTURE:
        reason = f"the {image.format} file holds {count} pictures"
        raise UnsupportedPicture(f"{reason}: take one with --frame N (frame=N), N from 0 to {count - 1}")


def _seek(image: Image.Image, number: int, data: bytes) -> None:
    try:
        if number >= 0 and image.format != "PSD":  # whose frames, for Pillow, are its layers
            image.seek(number)
            return
    except (MemoryError, AecError):
        raise
    except EOFError:
        pass
    except Image.DecompressionBombError as fault:
        raise _too_large(image.format, fault) from fault
    except Exception as fault:
        kind = formats.unsupported(image.format or "", data, number)
        raise _diagnosis(image.format, fault, kind, f"frame {number} cannot be read: ") from fault
    count = formats.count(image, data)
    if count is None or 0 <= number < count:
        raise TruncatedImage(f"the file is cut short or damaged before frame {number}: get it again")
    held = "1 picture" if count == 1 else f"{count} pictures"
    raise BadArgument(f"there is no frame {number}, the file holds {held}: give 0 to {count - 1}")


def index(frame: SupportsIndex | None) -> int | None:
    """Take every whole number, those of NumPy too, but no truth value, for a frame. Raises BadArgument."""
    if frame is None:
        return None
    try:
        if isinstance(frame, bool):
            raise TypeError
        return operator.index(frame)
    except TypeError:
        raise BadArgument(f"frame={frame!r} is no whole number: give one from 0") from None


def load(image: Image.Image, data: bytes = b"") -> None:
    """Decode the pixels of the frame.

    Raises:
        TruncatedImage, UnsupportedPicture: they cannot be decoded.
        BadArgument: the image has been closed.
        TooLarge: Pillow has a limit of its own.

    """
    closed = _is_closed(image)
    said: list[str] = []
    try:
        if isinstance(image, TiffImagePlugin.TiffImageFile) and image.tile:
            with libtiff.messages(said):
                _correct(image, tiff.page(data, image.tell()))
                image.load()
        image.load()
    except MemoryError:
        raise
    except Image.DecompressionBombError as fault:
        raise _too_large(image.format, fault) from fault
    except Exception as fault:  # decoders raise OSError, SyntaxError, EOFError, struct.error, zlib.error ...
        if closed or "closed" in str(fault):
            reason = "the image was closed before its pixels were read"
            raise BadArgument(f"{reason}: give its file, or an image that is open or loaded") from fault
        kind = formats.unsupported(image.format or "", data) if image.format != "TIFF" else None
        raise _diagnosis(image.format, fault, kind, said=said[:1]) from fault
    if said:
        raise TruncatedImage(f"the {image.format} picture is damaged ({said[0]}): get it again")


def _is_closed(image: Image.Image) -> bool:
    """Say whether the file of an image is closed; it may be loaded all the same."""
    file = getattr(image, "fp", None)
    return isinstance(image, ImageFile.ImageFile) and (file is None or getattr(file, "closed", False))


def _correct(image: TiffImagePlugin.TiffImageFile, tags: tiff.Tags) -> None:
    """Have libtiff read what Pillow itself takes for other pixels, and mend a palette of 8 bits."""
    if tiff.needs_libtiff(tags):
        with _plugin_flags:
            before = TiffImagePlugin.READ_LIBTIFF
            TiffImagePlugin.READ_LIBTIFF = True
            try:
                image._setup()
            finally:
                TiffImagePlugin.READ_LIBTIFF = before
    if image.mode in ("P", "PA") and (colours := tiff.palette(tags)):
        image.palette = ImagePalette.raw("RGB;L", colours)


def _too_large(format: str | None, fault: Exception) -> TooLarge:
    return TooLarge(f"Pillow refuses to read this {format} picture: {fault}")


def _diagnosis(
    format: str | None, fault: Exception, kind: str | None, which: str = "", said: Sequence[str] = ()
) -> AecError:
    """Say why Pillow has failed: the picture is of a `kind` that it does not read, or it is damaged."""
    words = " ".join(str(fault).split())
    details = "; ".join(filter(None, (*said, words)))
    if kind:
        reason = f"{which}the picture is {kind}, which Pillow does not read"
        return UnsupportedPicture(f"{reason}: convert it first")
    is_refused = isinstance(fault, NotImplementedError) or _UNSUPPORTED.search(words)
    if is_refused or any("not configured" in line for line in said):  # a compression that libtiff is without
        reason = f"{which}the {format} picture is of a kind that Pillow does not read ({details})"
        return UnsupportedPicture(f"{reason}: convert it first")
    because = f" ({details})" if details else ""
    return TruncatedImage(f"{which}the {format} picture is cut short or damaged{because}: get it again")
