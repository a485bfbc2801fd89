"""Pillow plugin: after `import aecodec.pillow`, Pillow opens and saves .aec files.

    with Image.open("photo.aec") as image: ...      # size, mode and metadata at once, pixels when asked for
    image.save("photo.aec", quality=75)             # effort=, target_size= and so on as for Codec.encode

Pillow has no entry points: it knows a format once its plugin has been imported, and never before. The plugin
loads no codec until pixels are decoded or encoded.

With ImageFile.LOAD_TRUNCATED_IMAGES what is intact of a damaged file is shown, and grey in place of the rest.
Errors are those that callers of Pillow catch: OSError for a file that is damaged, cut short or made with a
model that is not installed (UnidentifiedImageError where its header says nothing), ValueError for an option
that is out of range; the AecError is their cause. Pillow's limit against decompression bombs holds.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any

from PIL import Image, ImageFile, UnidentifiedImageError

from aecodec import api
from aecodec.errors import AecError, BadArgument, BadQuality, FormatError
from aecodec.file import container
from aecodec.picture import metadata, opening, pictures

if TYPE_CHECKING:
    from aecodec.codec import Codec

FORMAT, EXTENSION, MIME = "AEC", ".aec", "image/x-aec"

_MODES = {(1, False): "L", (1, True): "LA", (3, False): "RGB", (3, True): "RGBA"}  # by channels and alpha
_RATE_OPTIONS = ("quality", "effort", "target_size", "bpp", "psnr", "min_quality", "max_quality")


class AecImageFile(ImageFile.ImageFile):
    """An opened .aec file: its bytes are held until the pixels are decoded."""

    format = FORMAT
    format_description = "aecodec learned image"
    _data: bytes | None = None

    def _open(self) -> None:
        assert self.fp is not None
        self._data = self.fp.read()
        try:
            header, _ = container.read_header(self._data)
        except FormatError as fault:  # the magic was right: no other plugin will know better
            raise UnidentifiedImageError(str(fault)) from fault
        self._size = header.width, header.height
        self._mode = _MODES[header.channels, header.alpha]
        with contextlib.suppress(FormatError):  # load() and verify() will say what is wrong behind the header
            self.info |= metadata.to_info(container.read(self._data))

    def load(self) -> Any:
        """Decode the pixels if that has not been done; gives Pillow's access to them. Raises OSError."""
        if self._data is not None:
            with _errors_of_pillow():
                codec = _codec(pixels=self.width * self.height)
                if ImageFile.LOAD_TRUNCATED_IMAGES:
                    picture = codec.salvage(self._data).picture
                else:
                    picture = codec.decompress(self._data)
                self.im = pictures.to_pil(picture).im
            self.readonly = 0
            self._data = None
            if self._exclusive_fp:
                self._close_fp()
            self.fp = None
        return super().load()

    def verify(self) -> None:
        """Check every byte of the file without decoding its pixels. Raises OSError."""
        if self._data is not None:
            with _errors_of_pillow():
                container.read(self._data)
        super().verify()


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(container.MAGIC)


def _save(image: Image.Image, file: IO[bytes], name: str | bytes) -> None:
    """Encode the frame that is shown; its metadata goes along unless an option gives other, or None."""
    options: dict[str, Any] = image.encoderinfo
    with _errors_of_pillow():
        is_one = image.format in opening.ONE_PICTURE or getattr(image, "n_frames", 1) == 1
        frame = None if is_one else image.tell()
        loaded = pictures.load(image, image.width * image.height, frame=frame)  # it is in memory already
        picture = replace(loaded, **metadata.from_options(options))
        codec = _codec(options.get("model"), options.get("device", "auto"))
        rate = {option: options[option] for option in _RATE_OPTIONS if option in options}
        file.write(codec.compress(picture, **rate))


def _codec(model: Any = None, device: str = "auto", pixels: int = 0) -> "Codec":
    """The codec that aecodec.encode() uses, or one for a picture above its limit that Pillow's has let by."""
    if pixels <= pictures.MAX_PIXELS:
        return api._codec(model, device)
    from aecodec.codec import Codec

    return Codec(model, device, pixels)


@contextlib.contextmanager
def _errors_of_pillow() -> Iterator[None]:
    try:
        yield
    except (BadArgument, BadQuality) as fault:
        raise ValueError(str(fault)) from fault
    except AecError as fault:
        raise OSError(str(fault)) from fault


Image.register_open(FORMAT, AecImageFile, _accept)
Image.register_save(FORMAT, _save)
Image.register_extension(FORMAT, EXTENSION)
Image.register_mime(FORMAT, MIME)
