"""Refinement: better latents for one picture, which cost the decoder nothing."""

import io

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from samples import photo

import aecodec.pillow  # noqa: F401  registers the format
from aecodec import Codec, errors
from aecodec.cli import aec
from aecodec.coding.symbols import Coded
from aecodec.encoder import encode, refine
from aecodec.file import container
from aecodec.networks.photo.hyperprior import Hyperprior
from aecodec.picture import pictures
from aecodec.tiles import batches
from aecodec.tiles.grid import Box

PIXELS = photo(200, 150, left=230, top=130)


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec("photo", "cpu")


@pytest.fixture(scope="module")
def model(codec) -> Hyperprior:
    codec.encode(PIXELS[:16, :16])
    (loaded,) = codec._loaded.values()
    return loaded


def psnr(pixels: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(pixels.astype(float) - other).mean()))


@pytest.mark.parametrize("bpp", [0.3, 1.2])
def test_at_equal_bytes_the_picture_is_better_with_every_effort(codec, bpp):
    values = [
        psnr(PIXELS, codec.decode(codec.encode(PIXELS, bpp=bpp, effort=effort), "numpy"))
        for effort in (0, 1, 4)
    ]
    assert values[0] + 0.1 < values[1] < values[2] - 0.05


def test_one_round_is_the_default(codec):
    files = [codec.encode(PIXELS, 50, effort=effort) for effort in (0, 1)]
    assert files[0] != codec.encode(PIXELS, 50) == files[1]


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (33, 17), (64, 64)], ids=str)
def test_any_size_grey_and_alpha(codec, size):
    grey = photo(*size, grey=True)
    for pixels in (photo(*size), grey[:, :, 0], np.dstack([photo(*size), grey])):
        data = codec.encode(pixels, 60, effort=2)
        codec.verify(data)
        assert codec.decode(data, "numpy").shape == pixels.shape


def test_where_nothing_is_missed_nothing_moves(model, monkeypatch):
    y_hat = np.random.default_rng(1).integers(-50, 50, (320, 4, 6)).astype(np.int32)
    monkeypatch.setattr(model, "encode", lambda y, level: [Coded(b"", 0, y_hat)], raising=False)
    y = model.scaled(y_hat, 100)[None]
    assert np.array_equal(refine.refine(model, photo(96, 64)[None], y, Box(0, 0, 4, 6), 100, 2), y)


@pytest.mark.parametrize("grey", [False, True])
def test_the_slope_is_that_of_the_squared_error_however_it_is_cut(model, monkeypatch, grey):
    pixels = photo(96, 160, grey=grey)[None]
    y = model.analyse(pixels)
    tile = Box(1, 1, 9, 5)  # of 10 x 6 latents
    inside = pixels[:, 16:144, 16:80]
    slope = refine._slope(model, inside, y, tile, 150)
    monkeypatch.setitem(refine.AT_ONCE, "cpu", 64 * 32)  # two rows of latents
    assert np.allclose(refine._slope(model, inside, y, tile, 150), slope, atol=1e-4 * np.abs(slope).max())
    direction = slope / np.linalg.norm(slope)

    def error(step: float) -> float:
        moved = y.copy()
        moved[:, *tile.slices] += step * direction
        x_hat = model.render(moved, 150, pixels.shape[3])[0].clip(0, 1)[:, 16:144, 16:80]
        return float(np.square(x_hat - inside / 255).sum())

    assert (error(0.01) - error(-0.01)) / 0.02 == pytest.approx(float(np.linalg.norm(slope)), rel=0.02)


def test_tiles_are_as_good_as_the_whole(codec, model, monkeypatch):
    """At their borders too: the synthesis of a tile sees the latents around it."""
    pixels = photo(512, 300)
    whole = codec.encode(pixels, 60)
    monkeypatch.setattr(model, "tile_size", 256, raising=False)
    tiled = codec.encode(pixels, 60)
    assert len(container.read(tiled).tiles) == 4
    errors_ = [np.square(codec.decode(data, "numpy").astype(float) - pixels) for data in (whole, tiled)]
    border = np.s_[:, 224:288]
    assert errors_[1][border].mean() == pytest.approx(errors_[0][border].mean(), rel=0.03)
    assert len(tiled) == pytest.approx(len(whole), rel=0.03)


def test_of_a_batch_each_is_as_good_as_alone(codec, monkeypatch):
    monkeypatch.setattr(batches, "pay", lambda device: True)
    some = [pictures.load(photo(96, 64, left=90 * number)) for number in range(3)]
    for picture, data in zip(some, codec.compress_batch(some, 70), strict=True):
        alone = codec.compress(picture, 70)
        assert len(data) == pytest.approx(len(alone), rel=0.02)
        values = [psnr(picture.pixels, codec.decode(one, "numpy")) for one in (data, alone)]
        assert values[0] == pytest.approx(values[1], abs=0.05)


def test_the_pixels_that_are_compared_are_those_of_the_tile(codec, model):
    """A frame cut off at a corner of the picture."""
    pixels = photo(300, 200)
    source = encode.read_source(model, pixels, Box(0, 256, 200, 300), 1)
    assert source.y.shape[:2] == (13, 6) and source.tile == Box(0, 3, 13, 6)
    assert np.array_equal(source.pixels, pixels[:, 256:])
    assert encode.read_source(model, pixels, Box(0, 256, 200, 300), 0).tile == Box(0, 0, 13, 3)


@pytest.mark.parametrize("effort", [-1, 10, 1.5, True, "2", None])
def test_an_effort_out_of_range_is_refused(codec, effort):
    with pytest.raises(errors.BadArgument, match="whole number from 0 to 9"):
        codec.encode(PIXELS, effort=effort)
    with pytest.raises(errors.BadArgument, match="whole number from 0 to 9"):
        codec.compress_batch([pictures.load(PIXELS)], effort=effort)


def test_the_command_line_the_functions_and_pillow_have_it(codec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PIXELS).save("in.png")
    wanted = codec.encode(PIXELS, 60, effort=3)
    assert aecodec.encode(PIXELS, quality=60, effort=3, device="cpu", model="photo") == wanted
    result = CliRunner().invoke(
        aec, ["compress", "in.png", "-q", "60", "--effort", "3", "--device", "cpu", "--model", "photo"]
    )
    assert result.exit_code == 0
    with open("in.aec", "rb") as file:
        assert file.read() == wanted
    saved = io.BytesIO()
    Image.fromarray(PIXELS).save(saved, "AEC", quality=60, effort=3, device="cpu", model="photo")
    assert saved.getvalue() == wanted
    assert CliRunner().invoke(aec, ["compress", "in.png", "--effort", "10"]).exit_code == 2
