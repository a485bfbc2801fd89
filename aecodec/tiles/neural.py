"""Tiles by the model: pixels -> y, z -> words, and words -> y_hat -> pixels."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from aecodec.coding.symbols import MISMATCH, Coded
from aecodec.errors import Damaged, LatentsMismatch
from aecodec.file import container
from aecodec.file.container import Container, Header, Tile
from aecodec.networks.model import Model
from aecodec.threads import in_order, workers
from aecodec.tiles.grid import Box, padded, tile_box, tile_boxes, tiles_under

# Encoding


def analyse(model: Model, pixels: np.ndarray, box: Box) -> np.ndarray:
    """Latents of one tile before the gain: float32 [h, w, M]."""
    height, width = (padded(side, model.stride) for side in pixels.shape[:2])
    outer = box.widened(model.analysis_halo, height, width)
    y: np.ndarray = model.analyse(edge_padded(pixels[outer.slices], model.stride)[None])[0]
    return y[box.latents(model.stride).inside(outer.latents(model.stride)).slices]


def edge_padded(pixels: np.ndarray, stride: int) -> np.ndarray:
    """Pixels [H, W, C] padded to whole latents by repeating the last row and column."""
    height, width = pixels.shape[:2]
    return np.pad(pixels, ((0, -height % stride), (0, -width % stride), (0, 0)), "edge")


def tile_of(coded: Coded) -> Tile:
    """What the file holds of coded latents."""
    return Tile(container.NEURAL, coded.latents_crc, coded.words)


# Decoding

YHat = Callable[[int], np.ndarray | None]  # number of a tile -> y_hat in sixteenths, int32 [M, h, w]


def decode_tile(model: Model, header: Header, number: int, tile: Tile) -> np.ndarray:
    """y_hat of a tile of the model in sixteenths: int32 [M, h, w]. Raises LatentsMismatch, Damaged."""
    area = _box(header, number).latents(model.stride)
    shape = header.latent_channels, area.height, area.width
    try:
        (coded,) = model.decode([tile.payload], shape, header.level)
        if coded.latents_crc != tile.latents_crc:
            raise LatentsMismatch(MISMATCH)
    except (LatentsMismatch, Damaged) as fault:
        raise type(fault)(f"tile {number}: {fault}") from fault
    return coded.y_hat


def draw(model: Model, header: Header, y_hat: YHat, region: Box) -> Iterator[tuple[Box, np.ndarray]]:
    """The parts of a region, tile by tile in raster order, with their pixels, uint8 [h, w, C].

    `y_hat` is asked once for each tile that pixels of the region depend on, in raster order and a little
    ahead; little more than two rows of tiles are kept. Where it has None nothing is drawn, and what the tiles
    around it see of it is 0.
    """

    def synthesise_part(job: tuple[Box, Box, np.ndarray]) -> tuple[Box, np.ndarray]:
        part, frame, window = job
        return part, synthesise(model, header, window, frame, part)

    with workers(len(tiles_under(region, header.width, header.tile_size))) as pool:
        yield from in_order(pool, synthesise_part, _windows(model, header, y_hat, region, pool))


def _windows(
    model: Model, header: Header, y_hat: YHat, region: Box, pool: Executor | None
) -> Iterator[tuple[Box, Box, np.ndarray]]:
    """For each part of the region: its box in pixels, and a box of latents around it, with their y_hat."""
    halo, size = model.synthesis_halo, header.tile_size // model.stride
    frames = {}
    for number in tiles_under(region, header.width, header.tile_size):
        area = _box(header, number).common(region).latents(model.stride)
        frames[number] = area.widened(halo, header.latent_height, header.latent_width)
    near = {number: tiles_under(frame, header.latent_width, size) for number, frame in frames.items()}
    last_use = {other: number for number, others in near.items() for other in others}
    needed = sorted(last_use)
    decoded = zip(needed, in_order(pool, y_hat, needed), strict=True)
    kept: dict[int, np.ndarray | None] = {}
    for number, frame in frames.items():
        kept = {other: kept[other] for other in kept if last_use[other] >= number}
        while near[number][-1] not in kept:
            kept.update([next(decoded)])
        if kept[number] is not None:
            around = {other: kept[other] for other in near[number]}
            yield _box(header, number).common(region), frame, _gathered(model, header, frame, around)


def _box(header: Header, number: int) -> Box:
    return tile_box(number, header.width, header.height, header.tile_size)


def _gathered(model: Model, header: Header, frame: Box, tiles: dict[int, np.ndarray | None]) -> np.ndarray:
    """The y_hat [M, h, w] in a frame (in latents) from those of all tiles under it; 0 for None."""
    window = np.zeros((header.latent_channels, frame.height, frame.width), np.int32)
    for number, y_hat in tiles.items():
        if y_hat is not None:
            area = _box(header, number).latents(model.stride)
            shared = area.common(frame)
            window[:, *shared.inside(frame).slices] = y_hat[:, *shared.inside(area).slices]
    return window


def synthesise(model: Model, header: Header, window: np.ndarray, frame: Box, part: Box) -> np.ndarray:
    """The pixels of a part of the picture, uint8 [h, w, C].

    window: y_hat in sixteenths, int32 [M, h, w], in `frame`, a box of latents with the halo around the part.
    """
    y_hat = model.scaled(window, header.level)
    pixels: np.ndarray = model.synthesise(y_hat[None], header.level, header.channels)[0]
    return pixels[part.inside(frame.times(model.stride)).slices]


# Latents in place of pixels


@dataclass(frozen=True, slots=True, eq=False)
class Latents:
    """The code of a picture, for those who search or sort pictures without decoding them.

    y_hat: float32 [M, h, w], one position for 16 x 16 pixels in a photo model, in the units of the analysis:
    what the gain of the level multiplied is divided again. So the latents of a picture coded at two levels
    differ by rounding and, above effort 0, by what refinement changed, and files of one `entropy_id` can be
    compared. An orientation in EXIF is not applied.
    """

    y_hat: np.ndarray
    level: int
    entropy_id: bytes


def read_latents(model: Model, file: Container) -> Latents:
    """The latents of a picture of neural tiles. Raises LatentsMismatch, Damaged."""
    header = file.header
    shape = header.latent_channels, header.latent_height, header.latent_width
    y_hat = np.empty(shape, np.float32)
    boxes = tile_boxes(header.width, header.height, header.tile_size)

    def read(number: int) -> np.ndarray:
        return decode_tile(model, header, number, file.tiles[number])

    with workers(len(boxes)) as pool:
        for box, decoded in zip(boxes, in_order(pool, read, range(len(boxes))), strict=True):
            part = np.moveaxis(model.scaled(decoded, header.level), -1, 0)
            y_hat[:, *box.latents(model.stride).slices] = part
    return Latents(y_hat, header.level, header.entropy_id)
