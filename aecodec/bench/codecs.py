"""The codecs that are compared. One small class each: name, settings, encode, decode."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from aecodec.errors import BadArgument
from aecodec.weights import Weights, find, installed

if TYPE_CHECKING:
    from aecodec.codec import Codec

Pixels = NDArray[np.uint8]


class BenchCodec(Protocol):
    """What the benchmark asks of a codec.

    `settings` says in a sentence what was asked of it, `suffix` is the ending of its files, `qualities` are
    settings from small to good which span 0.1 to 2 bits per pixel or more on photographs.
    """

    name: str
    label: str
    settings: str
    suffix: str
    qualities: tuple[float, ...]

    def missing(self) -> str | None:
        """Say why the codec cannot be had here, None if it can."""

    def encode(self, pixels: Pixels, quality: float) -> bytes:
        """uint8 [H, W, 3] -> the bytes of a whole file."""

    def decode(self, data: bytes) -> Pixels:
        """The bytes of a file -> uint8 [H, W, 3]."""


class _Pillow:
    """A format that Pillow writes and reads."""

    format: ClassVar[str]
    feature: ClassVar[str]  # of Pillow's build, by its name in PIL.features
    options: ClassVar[dict[str, Any]]

    def missing(self) -> str | None:
        """As BenchCodec."""
        return None if features.check(self.feature) else f"this Pillow is built without {self.format}"

    def encode(self, pixels: Pixels, quality: float) -> bytes:
        """As BenchCodec."""
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, self.format, quality=round(quality), **self.options)
        return file.getvalue()

    def decode(self, data: bytes) -> Pixels:
        """As BenchCodec."""
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


class Jpeg(_Pillow):
    """JPEG as most files are: chroma at half the resolution."""

    name, label, suffix, format = "jpeg", "JPEG 4:2:0", ".jpg", "JPEG"
    feature = "jpg"
    settings = "Pillow, 4:2:0, optimized Huffman tables, progressive"
    qualities: tuple[float, ...] = (5, 15, 30, 45, 60, 75, 85, 93)
    options: ClassVar = {"subsampling": "4:2:0", "optimize": True, "progressive": True}


class Jpeg444(_Pillow):
    """JPEG at its best in RGB metrics: chroma at full resolution."""

    name, label, suffix, format = "jpeg-444", "JPEG 4:4:4", ".jpg", "JPEG"
    feature = "jpg"
    settings = "Pillow, 4:4:4, optimized Huffman tables, progressive"
    qualities: tuple[float, ...] = Jpeg.qualities
    options: ClassVar = {"subsampling": "4:4:4", "optimize": True, "progressive": True}


class Webp(_Pillow):
    """Lossy WebP, which knows chroma at half the resolution only."""

    name, label, suffix, format = "webp", "WebP", ".webp", "WEBP"
    feature = "webp"
    settings = "Pillow, lossy, method 6 (the slowest), 4:2:0"
    qualities: tuple[float, ...] = (2, 15, 35, 55, 70, 80, 90, 97)
    options: ClassVar = {"method": 6}


class Avif(_Pillow):
    """AVIF as Pillow writes it: tuned for looks."""

    name, label, suffix, format = "avif", "AVIF", ".avif", "AVIF"
    feature = "avif"
    settings = "Pillow (libaom), 8 bits, 4:4:4, speed 6, tuned for still pictures (its default)"
    qualities: tuple[float, ...] = (15, 30, 42, 54, 65, 75, 84, 92)
    options: ClassVar = {"subsampling": "4:4:4", "speed": 6}


class AvifPsnr(Avif):
    """AVIF at its best in PSNR."""

    name, label = "avif-psnr", "AVIF, tuned for PSNR"
    settings = "Pillow (libaom), 8 bits, 4:4:4, speed 6, tune=psnr"
    options: ClassVar = {"subsampling": "4:4:4", "speed": 6, "advanced": {"tune": "psnr"}}


class Jxl(_Pillow):
    """JPEG XL by the plugin for Pillow, which takes qualities as cjxl does, but no distances."""

    name, label, suffix, format = "jxl", "JPEG XL", ".jxl", "JXL"
    settings = "pillow-jxl-plugin (libjxl), lossy, effort 7"
    qualities: tuple[float, ...] = (12, 30, 45, 60, 72, 82, 90, 95)
    options: ClassVar = {"effort": 7}

    def missing(self) -> str | None:
        """As BenchCodec."""
        try:
            import pillow_jxl  # noqa: F401  registers the format with Pillow
        except ImportError:
            return "pillow-jxl-plugin is not installed: pip install 'aecodec[bench]'"
        return None


class Aec:
    """A model of aecodec; naming it leaves out the lossless alternative for synthetic pictures."""

    suffix = ".aec"
    qualities: tuple[float, ...] = (0, 15, 30, 45, 60, 75, 90, 100)

    def __init__(self, name: str, weights: Weights, device: str) -> None:
        self.name, self.label = name, f"aec {weights.name}"
        ids = f"entropy id {weights.entropy_id.hex()}, synthesis id {weights.synthesis_id.hex()}"
        self.settings = f"model {weights.name}, {ids}"
        self.weights, self._device = weights, device

    @cached_property
    def _codec(self) -> "Codec":
        from aecodec.codec import Codec  # not above: the other codecs do without

        return Codec(self.weights.path, self._device)

    def missing(self) -> str | None:
        """As BenchCodec."""
        return None

    def encode(self, pixels: Pixels, quality: float) -> bytes:
        """As BenchCodec."""
        return self._codec.encode(pixels, quality)

    def decode(self, data: bytes) -> Pixels:
        """As BenchCodec."""
        decoded = self._codec.decode(data, "numpy")
        assert isinstance(decoded, np.ndarray)
        return decoded


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A codec that cannot be had here, and why."""

    codec: str
    reason: str

    def __str__(self) -> str:
        return f"{self.codec} is left out: {self.reason}"


def choose(words: Sequence[str] | None, device: str) -> tuple[list[BenchCodec], list[LeftOut]]:
    """The codecs that `words` name, and those of them that are missing here.

    A word stands for the codec of that name and its variants: "jpeg" for jpeg and jpeg-444, "aec" for every
    installed model; None for all. Raises BadArgument for a word that names none, and for no words.
    """
    codecs: list[BenchCodec] = [*_models(device), Jpeg(), Jpeg444(), Webp(), Avif(), AvifPsnr(), Jxl()]
    names = ", ".join(codec.name for codec in codecs)
    if words is not None and not words:
        raise BadArgument(f"no codec is named: give one or more of {names}")
    for word in words or ():
        if not any(_meant(codec.name, word) for codec in codecs):
            raise BadArgument(f"there is no codec {word!r}: choose from {names}")
    chosen = [c for c in codecs if words is None or any(_meant(c.name, word) for word in words)]
    reasons = {codec.name: codec.missing() for codec in chosen}
    left_out = [LeftOut(name, reason) for name, reason in reasons.items() if reason]
    return [codec for codec in chosen if not reasons[codec.name]], left_out


def _meant(name: str, word: str) -> bool:
    return name == word or name.startswith(word + "-")


def _models(device: str) -> Iterator[Aec]:
    """Every installed model: the default one as "aec", NAME as "aec-NAME", a second of a name with its id."""
    default = find()
    yield Aec("aec", default, device)
    taken = {"aec"}
    for weights in installed():
        if weights.path == default.path:
            continue
        name = f"aec-{weights.name}"
        name = name if name not in taken else f"{name}-{weights.entropy_id.hex()[:6]}"
        taken.add(name)
        yield Aec(name, weights, device)
