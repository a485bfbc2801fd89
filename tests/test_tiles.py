"""Tiles and halos: a tiled picture is the untiled one."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from samples import load_model, photo

from aecodec import Codec, codec, container
from aecodec.networks.architecture import STRIDE
from aecodec.tiles import Box, analysis_halo, padded_side, synthesis_halo, tile_boxes

SIDES = st.integers(1, 3000)


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
    boxes = [b.latents() for b in tile_boxes(width, height, 256)]
    assert sum(b.height * b.width for b in boxes) == -(-height // STRIDE) * -(-width // STRIDE)


def test_a_widened_box_stays_inside_and_is_found_again():
    outer = Box(256, 0, 512, 100).widened(48, 530, 128)
    assert outer == Box(208, 0, 530, 128)
    assert Box(256, 0, 512, 100).inside(outer) == Box(48, 0, 304, 100)
    assert Box(1, 2, 3, 4).inside(Box(0, 1, 9, 9), scale=16) == Box(16, 16, 48, 48)


@pytest.mark.parametrize(("width", "height"), [(700, 300), (300, 530), (513, 257)])
@torch.no_grad()
def test_latents_of_tiles_are_those_of_the_whole_picture(width, height):
    model, pixels = load_model(), photo(width, height)
    whole = codec._analyse(model, pixels, Box(0, 0, height, width))
    tiled = torch.empty_like(whole)
    for box in tile_boxes(width, height, 256):
        tiled[:, *box.latents().slices] = codec._analyse(model, pixels, box)
    largest = whole.abs().amax((1, 2), keepdim=True)
    assert float(((tiled - whole).abs() / largest).max()) < 1e-4


@torch.no_grad()
def test_pixels_of_tiles_are_those_of_the_whole_picture_within_one_level(monkeypatch, tiny_model):
    monkeypatch.setattr(codec, "TILE_SIZE", 256)
    data = Codec(tiny_model).encode(photo(700, 530), 80)
    file, model = container.read(data), load_model()
    assert len(file.tiles) == 9
    boxes = list(tile_boxes(700, 530, 256))
    y_hat = np.zeros((12, 34, 44), np.int32)
    for number, box in enumerate(boxes):
        y_hat[:, *box.latents().slices] = codec._decode_tile(model, file, number, box)
    whole = codec._synthesise(model, y_hat, 0, Box(0, 0, 530, 700), file.header)
    tiled = Codec(tiny_model).decode(data, "numpy")
    assert np.abs(tiled.astype(int) - whole).max() <= 1


@torch.no_grad()
def test_the_analysis_sees_no_further_than_its_halo():
    model = load_model()
    halo = analysis_halo(model.architecture)
    x = torch.rand(1, 3, 320, 320, generator=torch.Generator().manual_seed(0))
    far = x.clone()
    far[:, :, : 160 - halo] = 0
    kept = [model.analysis(version)[0, :, 10:] for version in (x, far)]
    assert torch.allclose(kept[0], kept[1], atol=1e-5)
    assert padded_side(halo) == halo


@torch.no_grad()
def test_the_synthesis_sees_no_further_than_its_halo():
    model = load_model()
    halo = synthesis_halo(model.architecture)
    y = torch.randn(1, 12, 20, 20, generator=torch.Generator().manual_seed(0))
    far = y.clone()
    far[:, :, : 10 - halo] = 9
    level = torch.tensor([100.0])
    kept = [model.synthesis(version, level)[0, :, 160:] for version in (y, far)]
    assert torch.allclose(kept[0], kept[1], atol=1e-5)
    near = y.clone()
    near[:, :, : 10 - halo + 1] = 9  # one latent nearer is seen: the halo is no wider than it must be
    assert not torch.allclose(kept[0], model.synthesis(near, level)[0, :, 160:], atol=1e-3)
