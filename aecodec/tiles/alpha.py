"""Alpha beside the model's tiles, without loss, and a colour for what it hides.

alpha of a tile -> one byte where it is flat, else a PNG stream -> alpha tile
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from aecodec.file.container import TILE_SIZE
from aecodec.networks.photo.architecture import STRIDE
from aecodec.picture.pictures import Picture, Pixels
from aecodec.tiles import lossless
from aecodec.tiles.grid import Box, tile_boxes

Means = npt.NDArray[Any]  # float32 [rows, columns, channels]


# Alpha tiles


def encode_tiles(picture: Picture, tile_size: int) -> Iterator[bytes]:
    """The alpha tiles of the file in raster order; none without alpha."""
    if picture.alpha is None:
        return
    for box in tile_boxes(picture.alpha.shape[1], picture.alpha.shape[0], tile_size):
        tile = np.ascontiguousarray(picture.alpha[box.slices])
        value = tile[0, 0]
        yield bytes([value]) if (tile == value).all() else lossless.encode_png(Image.fromarray(tile))


def decode_tile(payload: bytes, number: int, box: Box) -> Pixels:
    """Alpha uint8 [h, w] of alpha tile `number`. Raises Damaged."""
    if len(payload) == 1:
        return np.full((box.height, box.width), payload[0], np.uint8)
    return lossless.decode_png(payload, box.height, box.width, 1, f"alpha tile {number}")[:, :, 0]


# Colour under alpha 0


def filled(picture: Picture) -> Pixels:
    """Pixels uint8 [H, W, C] with smooth colour where alpha is 0: nobody sees it, so it may cost nothing.

    Means of blocks without the hidden pixels; where a whole block is hidden, those of the blocks around it.
    Blocks are as large as the stride of the latents.
    """
    if picture.alpha is None or picture.alpha.all():
        return picture.pixels
    pixels, (height, width) = picture.pixels.copy(), picture.alpha.shape
    boxes = tile_boxes(width, height, TILE_SIZE)
    sums = np.zeros((-(-height // STRIDE), -(-width // STRIDE), pixels.shape[2] + 1), np.float32)
    for box in boxes:
        seen = (picture.alpha[box.slices] > 0)[:, :, None]
        blocks = Box(box.top // STRIDE, box.left // STRIDE, -(-box.bottom // STRIDE), -(-box.right // STRIDE))
        sums[blocks.slices] = _block_sums(np.concatenate([pixels[box.slices] * seen, seen], axis=2), STRIDE)
    means = _means(sums)
    for box in boxes:
        hidden = picture.alpha[box.slices] == 0
        if hidden.any():
            pixels[box.slices][hidden] = _enlarged(means, box, STRIDE)[hidden].round()
    return pixels


def _block_sums(values: npt.NDArray[np.generic], size: int) -> Means:
    """Sums over blocks of size x size of values [h, w, c]."""
    rows = np.add.reduceat(values, np.arange(0, values.shape[0], size), axis=0, dtype=np.float32)
    return np.add.reduceat(rows, np.arange(0, values.shape[1], size), axis=1)


def _means(sums: Means) -> Means:
    """Sums [h, w, c + 1] of colours and, last, of pixels seen -> means [h, w, c], of others if none is."""
    height, width = sums.shape[:2]
    means: Means = sums[:, :, :-1] / np.maximum(sums[:, :, -1:], 1)
    if (sums[:, :, -1] > 0).all() or height * width == 1:
        return means
    around = _enlarged(_means(_block_sums(sums, 2)), Box(0, 0, height, width), 2)
    return np.where(sums[:, :, -1:] > 0, means, around)


def _enlarged(means: Means, box: Box, size: int) -> Means:
    """Means [h, w, c], each of size x size pixels -> those of a box of pixels, linear between centres."""
    area = box.left / size, box.top / size, box.right / size, box.bottom / size
    shape = box.width, box.height
    planes = [Image.fromarray(np.ascontiguousarray(means[:, :, c])) for c in range(means.shape[2])]
    spread = [np.asarray(plane.resize(shape, Image.Resampling.BILINEAR, area)) for plane in planes]
    return np.stack(spread, axis=2)
