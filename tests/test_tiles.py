"""Tiles and halos: a tiled picture is the untiled one."""

import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from samples import load_model, neural_file, photo

from aecodec import Codec, threads
from aecodec.file import container
from aecodec.networks.photo import latents
from aecodec.networks.photo.architecture import PATCH, STRIDE, Architecture
from aecodec.networks.photo.hyperprior import Hyperprior
from aecodec.networks.photo.transform import analysis_halo, synthesis_halo
from aecodec.tiles import neural
from aecodec.tiles.grid import Box, tile_boxes
from aecodec.training.networks import Analysis, Synthesis

SIDES = st.integers(1, 3000)
SMALL = Architecture(latent_channels=8, width=8, quarter_width=8, quarter_blocks=0)


@given(SIDES, SIDES, st.sampled_from([256, 320, 1024]))
def test_tiles_cover_every_pixel_once_in_raster_order(width, height, size):
    boxes = list(tile_boxes(width, height, size))
    rows, columns = container.tile_grid(width, height, size)
    assert len(boxes) == rows * columns
    assert sum(b.height * b.width for b in boxes) == width * height
    assert all(0 < b.height <= size and 0 < b.width <= size for b in boxes)
    assert [(b.top, b.left) for b in boxes] == [
        (r * size, c * size) for r in range(rows) for c in range(columns)
    ]


@given(SIDES, SIDES)
def test_latents_of_tiles_cover_the_latents_of_the_picture_once(width, height):
    boxes = [b.latents(STRIDE) for b in tile_boxes(width, height, 256)]
    assert sum(b.height * b.width for b in boxes) == -(-height // STRIDE) * -(-width // STRIDE)


def test_a_widened_box_stays_inside_and_is_found_again():
    outer = Box(256, 0, 512, 100).widened(48, 530, 128)
    assert outer == Box(208, 0, 530, 128)
    assert Box(256, 0, 512, 100).inside(outer) == Box(48, 0, 304, 100)


@pytest.mark.parametrize(("width", "height"), [(700, 300), (300, 530), (513, 257)])
def test_latents_of_tiles_are_those_of_the_whole_picture(width, height):
    model, pixels = load_model(), photo(width, height)
    whole = neural.analyse(model, pixels, Box(0, 0, height, width))
    tiled = np.empty_like(whole)
    for box in tile_boxes(width, height, 256):
        tiled[box.latents(STRIDE).slices] = neural.analyse(model, pixels, box)
    assert (np.abs(tiled - whole) / np.abs(whole).max((0, 1))).max() < 1e-4


def test_pixels_of_tiles_are_those_of_the_whole_picture_within_one_level(monkeypatch, tiny_model):
    monkeypatch.setattr(Hyperprior, "tile_size", 256)
    data = Codec(tiny_model).encode(photo(700, 530), 80)
    file, model = container.read(data), load_model()
    assert len(file.tiles) == 9
    boxes = list(tile_boxes(700, 530, 256))
    y_hat = np.zeros((12, 34, 44), np.int32)
    for number, box in enumerate(boxes):
        y_hat[:, *box.latents(STRIDE).slices] = neural.decode_tile(
            model, file.header, number, file.tiles[number]
        )
    whole = neural.synthesise(model, file.header, y_hat, Box(0, 0, 34, 44), Box(0, 0, 530, 700))
    tiled = Codec(tiny_model).decode(data, "numpy")
    assert np.abs(tiled.astype(int) - whole).max() <= 1


def test_each_tile_is_decoded_once_and_little_more_than_two_rows_are_kept(monkeypatch, tiny_model):
    """Whatever the picture's height: memory follows the tiles, not the picture."""
    data = container.write(neural_file(load_model(), photo(257, 2600, grey=True), 60, 256))
    decoded, alive, most = [], weakref.WeakValueDictionary(), []
    decode = neural.decode_tile

    def counted(model, header, number, tile):
        decoded.append(number)
        alive[number] = y_hat = decode(model, header, number, tile)
        most.append(len(alive))
        return y_hat

    monkeypatch.setattr(neural, "decode_tile", counted)
    monkeypatch.setattr(threads, "MAX_WORKERS", 1)  # one after the other
    Codec(tiny_model).decode(data)
    assert decoded == list(range(22))
    assert max(most) <= 2 * 2 + 4  # two rows, the tiles on both sides, and one on its way


def test_a_tile_is_decoded_without_the_others(tiny_model):
    """Even where header, index and that tile are all that is left of the file."""
    model = load_model()
    data = container.write(neural_file(model, photo(530, 300), 60, 256))
    whole = container.read(data)
    index = container.read_index(data)
    boxes = list(tile_boxes(530, 300, 256))
    start, stop = index.tiles[4:6]
    torn = bytearray(len(data))
    torn[: index.tiles[0]] = data[: index.tiles[0]]
    torn[start:stop] = data[start:stop]
    tile = container.read_tile(torn, 4)
    area = boxes[4].latents(STRIDE)
    (coded,) = latents.decode(model.entropy, [tile.payload], area.height, area.width, whole.header.level)
    assert coded.latents_crc == whole.tiles[4].latents_crc


def test_a_pixel_far_away_changes_no_tile_but_those_whose_halo_it_is_in():
    model, pixels = load_model(), photo(800, 260)  # one row of four tiles, and four slivers below
    changed = pixels.copy()
    halo = analysis_halo(model.architecture)
    changed[100, 256 - 8] ^= 128  # in tile 0, and in the halo of tile 1
    tiles = [neural_file(model, version, 100, 256).tiles for version in (pixels, changed)]
    assert 8 < halo < 100
    different = [number for number, (one, other) in enumerate(zip(*tiles, strict=True)) if one != other]
    assert different in ([0], [0, 1])  # a change in the halo need not change a symbol
    ys = [
        neural.analyse(model, version, box)
        for box in tile_boxes(800, 260, 256)
        for version in (pixels, changed)
    ]
    moved = [number for number in range(8) if not np.array_equal(ys[2 * number], ys[2 * number + 1])]
    assert moved == [0, 1]


# How far the networks see, whatever their weights


def any_network(kind, a, *args):
    """Random weights: every branch takes part, as none does in an untrained network."""
    torch.manual_seed(5)
    network = kind(a, *args)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network


def seen_rows(output: torch.Tensor, x: torch.Tensor) -> tuple[int, int]:
    """First and last row (excluded) of x that have a part in the output; columns must be the same."""
    (gradient,) = torch.autograd.grad(output.sum(), x)
    rows, columns = (gradient.abs().sum((0, 1, axis)).nonzero() for axis in (3, 2))
    assert torch.equal(rows, columns)
    return int(rows[0]), int(rows[-1]) + 1


BLOCKS = [(0, 0), (1, 0), (0, 1), (1, 1), (2, 1), (1, 2), (3, 1), (1, 4), (4, 2)]


@pytest.mark.parametrize(("fine", "coarse"), BLOCKS)
def test_the_halo_of_the_analysis_is_its_receptive_field_in_whole_latents(fine, coarse):
    a = replace(SMALL, analysis_blocks=(fine, coarse))
    side, at = 20, 9
    x = torch.randn(1, 3, STRIDE * side, STRIDE * side, requires_grad=True)
    first, last = seen_rows(any_network(Analysis, a)(x)[..., at, at], x)
    reach = fine * PATCH + coarse * STRIDE
    assert (first, last) == (STRIDE * at - reach, STRIDE * (at + 1) + reach)
    assert reach <= analysis_halo(a) < reach + STRIDE and analysis_halo(a) % STRIDE == 0


@pytest.mark.parametrize("quarter", [0, 1, 2, 3])
@pytest.mark.parametrize(("fine", "coarse"), BLOCKS)
def test_the_halo_of_the_synthesis_is_its_receptive_field_in_whole_latents(fine, coarse, quarter):
    a = replace(SMALL, synthesis_blocks=(coarse, fine), quarter_blocks=quarter)
    side, at = 20, 9
    y_hat = torch.randn(1, 8, side, side, requires_grad=True)
    x_hat = any_network(Synthesis, a)(y_hat, torch.tensor([7.0]))
    pixels = slice(STRIDE * at, STRIDE * (at + 1))  # of one latent
    first, last = seen_rows(x_hat[..., pixels, pixels], y_hat)
    halo = synthesis_halo(a)
    assert (first, last) == (at - halo, at + 1 + halo)
