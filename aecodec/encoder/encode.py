"""Pixels -> latents, refined for the picture -> words: all tiles of one, or the only tiles of many."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from aecodec.coding.symbols import Coded
from aecodec.encoder.refine import refine
from aecodec.file.container import Header, Tile
from aecodec.networks.model import Model
from aecodec.picture.pictures import Pixels
from aecodec.threads import in_order, workers
from aecodec.tiles import neural
from aecodec.tiles.grid import Box, tile_boxes


def encode_tiles(model: Model, pixels: np.ndarray, header: Header, effort: int) -> Iterator[Tile]:
    """Pixels uint8 [H, W, C], at the level of the header -> the tiles of the file in raster order.

    effort: rounds of refinement.
    """

    def encode(box: Box) -> Tile:
        return neural.tile_of(
            encode_source(model, read_source(model, pixels, box, effort), header.level, effort)
        )

    boxes = tile_boxes(header.width, header.height, header.tile_size)
    with workers(len(boxes)) as pool:
        yield from in_order(pool, encode, boxes)


@dataclass(frozen=True)
class Source:
    """A tile to encode.

    pixels: its own, uint8 [H, W, C]. y: latents before the gain, [h', w', M], of it and, if they are to be
    refined, of what its synthesis sees around it. tile: its box in them.
    """

    pixels: np.ndarray
    y: np.ndarray
    tile: Box


def read_source(model: Model, pixels: np.ndarray, box: Box, effort: int) -> Source:
    """Analyse a tile of pixels uint8 [H, W, C], once for all levels."""
    halo = model.stride * model.synthesis_halo if effort else 0
    frame = box.widened(halo, *pixels.shape[:2])
    tile = box.latents(model.stride).inside(frame.latents(model.stride))
    y = neural.analyse(model, pixels, frame).copy()  # without what the analysis saw around it
    return Source(pixels[box.slices], y, tile)


def encode_source(model: Model, source: Source, level: int, effort: int) -> Coded:
    """Code a tile at a level."""
    y = source.y[None]
    if effort:
        pixels = neural.edge_padded(source.pixels, model.stride)[None]
        y = refine(model, pixels, y, source.tile, level, effort)
    (coded,) = model.encode(y, level)
    return coded


def encode_batch(model: Model, pictures: Sequence[Pixels], level: int, effort: int) -> list[Tile]:
    """The only tiles of pictures uint8 [H, W, C] of one padded size and one C."""
    padded = np.stack([neural.edge_padded(pixels, model.stride) for pixels in pictures])
    y = model.analyse(padded)
    y = refine(model, padded, y, Box(0, 0, *y.shape[1:3]), level, effort)
    return [neural.tile_of(coded) for coded in model.encode(y, level)]
