"""What small pictures cost in bytes of files and lose in pixels, through any codec."""

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image

from aecodec.codec import Codec
from aecodec.file import container
from aecodec.measure.metrics import mae, mse
from aecodec.training.classic.data import Pictures

ACROSS = 10  # pictures a side of a mosaic
QUALITIES = (0, 12.5, 25, 37.5, 50, 62.5, 75, 87.5, 100)


class PictureCodec(Protocol):
    """What is measured: pixels uint8 [H, W, C] at a quality, 0..100 -> bytes of a whole file, and back."""

    def encode(self, pixels: np.ndarray, quality: float) -> bytes:
        """Make a file."""

    def decode(self, data: bytes) -> np.ndarray:
        """Pixels uint8 [H, W, C] of a file."""


class Aec:
    """The codec of this project with one model."""

    def __init__(self, model: str | Path, device: torch.device) -> None:
        self.codec = Codec(model, device.type)

    def encode(self, pixels: np.ndarray, quality: float) -> bytes:
        """As PictureCodec."""
        return self.codec.encode(pixels, quality)

    def decode(self, data: bytes) -> np.ndarray:
        """As PictureCodec."""
        return self.codec.decompress(data).pixels


class Jpeg:
    """JPEG as Pillow writes it: chroma at half the resolution, Huffman tables of its own."""

    def encode(self, pixels: np.ndarray, quality: float) -> bytes:
        """As PictureCodec."""
        file = io.BytesIO()
        image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        image.save(file, "JPEG", quality=round(quality), subsampling="4:2:0", optimize=True)
        return file.getvalue()

    def decode(self, data: bytes) -> np.ndarray:
        """As PictureCodec."""
        pixels = np.asarray(Image.open(io.BytesIO(data)))
        return pixels[:, :, None] if pixels.ndim == 2 else pixels


@dataclass(frozen=True)
class Point:
    """A codec at one quality: bytes a picture, of files and of what the entropy coder made; errors on [0, 1].

    `words` is None for codecs that are not ours.
    """

    quality: float
    bytes: float
    words: float | None
    mse: float
    mae: float


def curve(
    codec: PictureCodec, source: Pictures, qualities: Sequence[float] = QUALITIES, across: int = ACROSS
) -> list[Point]:
    """Code all pictures at each quality, across x across of them in a file."""
    return [coded(codec, source, quality, across)[0] for quality in qualities]


def coded(
    codec: PictureCodec, source: Pictures, quality: float, across: int = ACROSS
) -> tuple[Point, np.ndarray]:
    """Code all pictures: what that costs and loses, and the decoded pixels, uint8 [N, side, side, C]."""
    files, decoded = [], []
    for mosaic in mosaics(source.pixels, across):
        files.append(codec.encode(mosaic, quality))
        decoded.append(tiles(codec.decode(files[-1]), source.side))
    pixels, count = np.concatenate(decoded), len(source)
    words = sum(map(_words, files)) / count if isinstance(codec, Aec) else None
    size = sum(map(len, files)) / count
    return Point(quality, size, words, mse(source.pixels, pixels), mae(source.pixels, pixels)), pixels


def mosaics(pixels: np.ndarray, across: int) -> Iterator[np.ndarray]:
    """Pictures uint8 [N, s, s, C] side by side, in rows of `across`, so many rows or fewer in each mosaic."""
    for start in range(0, len(pixels), across * across):
        members = pixels[start : start + across * across]
        whole = len(members) - len(members) % across
        for part in (members[:whole], members[whole:]):  # the last row may be a short one
            if len(part):
                yield _joined(part, min(across, len(part)))


def _joined(pixels: np.ndarray, columns: int) -> np.ndarray:
    count, side, _, channels = pixels.shape
    grid = pixels.reshape(count // columns, columns, side, side, channels)
    return grid.swapaxes(1, 2).reshape(-1, columns * side, channels)


def tiles(mosaic: np.ndarray, side: int) -> np.ndarray:
    """uint8 [rows * side, columns * side, C] -> the pictures [N, side, side, C]."""
    height, width, channels = mosaic.shape
    grid = mosaic.reshape(height // side, side, width // side, side, channels)
    return grid.swapaxes(1, 2).reshape(-1, side, side, channels)


def _words(data: bytes) -> int:
    return sum(len(tile.payload) for tile in container.read(data).tiles)


def mse_at(points: Sequence[Point], size: float) -> float | None:
    """MSE where a curve has so many bytes a picture; None where it does not get so small.

    Between points logarithms are on a line; with more bytes than it can use, a codec is as good as it gets.
    """
    curve = sorted(points, key=lambda point: point.bytes)
    if size < curve[0].bytes:
        return None
    x, y = ([math.log(getattr(p, name)) for p in curve] for name in ("bytes", "mse"))
    return math.exp(float(np.interp(math.log(size), x, y)))
