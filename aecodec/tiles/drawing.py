"""Tiles of a file -> samples of a region of the picture, whatever the kinds of its tiles."""

from collections.abc import Callable

import numpy as np

from aecodec.errors import AecError, FormatError, LatentsMismatch
from aecodec.file import container
from aecodec.file.container import Container, Header, Tile
from aecodec.networks.model import Model
from aecodec.picture.pictures import Pixels
from aecodec.threads import in_order, workers
from aecodec.tiles import alpha, lossless, neural
from aecodec.tiles.grid import Box, tile_boxes, tiles_under

GREY, OPAQUE = 128, 255  # of samples that are lost

Lost = dict[int, AecError]  # by the number of the tile


def draw_tiles(
    model: Model | None,
    header: Header,
    read: Callable[[int], Tile],
    region: Box,
    lost: Lost | None = None,
) -> Pixels:
    """Samples uint8 [h, w, n] of a region: the channels, and alpha where tiles hold it.

    `read` is asked once for each tile that the region depends on, in any thread. `lost` takes what is wrong
    with tiles, which are grey then, and the tiles around them see latents of 0; without it that is raised.
    """
    boxes = tile_boxes(header.width, header.height, header.tile_size)
    shown = dict.fromkeys(tiles_under(region, header.width, header.tile_size))  # in order, quick to look up
    samples = np.full((region.height, region.width, header.channels + header.alpha_in_tiles), GREY, np.uint8)
    samples[:, :, header.channels :] = OPAQUE

    def y_hat(number: int) -> np.ndarray | None:
        """The latents of a tile of the model; any other tile is drawn at once and has none."""
        try:
            tile = read(number)
            if tile.kind == container.NEURAL and model is not None:
                return neural.decode_tile(model, header, number, tile)
            if number in shown:
                part = boxes[number].common(region)
                drawn = lossless.decode_tile(header, number, tile)
                samples[part.inside(region).slices] = drawn[part.inside(boxes[number]).slices]
        except (FormatError, LatentsMismatch) as fault:
            if lost is None:
                raise
            lost[number] = fault
        return None

    if model is None:
        for number in shown:
            y_hat(number)
    else:
        for part, drawn in neural.draw(model, header, y_hat, region):
            samples[part.inside(region).slices] = drawn
    return samples


def draw_alpha(
    header: Header, read: Callable[[int], bytes], region: Box, lost: Lost | None = None
) -> Pixels | None:
    """Alpha uint8 [h, w] of a region from alpha tiles, None if the file has none; lost ones are opaque."""
    if not header.alpha or header.alpha_in_tiles:
        return None
    boxes = tile_boxes(header.width, header.height, header.tile_size)
    drawn = np.full((region.height, region.width), OPAQUE, np.uint8)
    for number in tiles_under(region, header.width, header.tile_size):
        part = boxes[number].common(region)
        try:
            tile = alpha.decode_tile(read(number), number, boxes[number])
        except FormatError as fault:
            if lost is None:
                raise
            lost[number] = fault
        else:
            drawn[part.inside(region).slices] = tile[part.inside(boxes[number]).slices]
    return drawn


def check(model: Model | None, file: Container) -> None:
    """Decode all tiles, those of the model to their latents only. Raises LatentsMismatch, Damaged."""
    header = file.header
    boxes = tile_boxes(header.width, header.height, header.tile_size)

    def check_tile(number: int) -> None:
        tile = file.tiles[number]
        if tile.kind == container.NEURAL and model is not None:
            neural.decode_tile(model, header, number, tile)
        else:
            lossless.decode_tile(header, number, tile)

    with workers(len(boxes)) as pool:
        for _ in in_order(pool, check_tile, range(len(boxes))):
            pass
    for number, payload in enumerate(file.alpha):
        alpha.decode_tile(payload, number, boxes[number])
