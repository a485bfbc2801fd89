"""Measuring small pictures in mosaics, and the figures of the classic autoencoders."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from classic_samples import CPU, TINY, pictures, recipe
from click.testing import CliRunner
from PIL import Image

from aecodec import Codec
from aecodec.cli import aec
from aecodec.errors import BadArgument
from aecodec.training.classic import anatomy, figures
from aecodec.training.classic.data import Pictures
from aecodec.training.classic.measure import Aec, Jpeg, Point, coded, curve, mosaics, mse_at, tiles
from aecodec.training.classic.run import train
from aecodec.training.classic.visualize import latents, load_network, visualize
from aecodec.training.trainer import Budget

FIGURES = ("grid", "compression", "features", "weights", "parameters", "training", "latents")


@pytest.fixture(scope="module")
def labelled():
    """Sixty cut-outs of 16 x 16 in grey, of two classes that mean nothing."""
    found = pictures(TINY["dense"], 60)
    return dataclasses.replace(found, labels=np.arange(60, dtype=np.uint8) % 2)


@pytest.fixture(scope="module")
def weights(labelled, tmp_path_factory) -> Path:
    """A dense network, trained for three epochs, with the log of them beside it."""
    out = tmp_path_factory.mktemp("run")
    return train(recipe("dense", epochs=3), labelled, labelled, out, None, CPU)


@pytest.fixture(scope="module")
def folder(labelled, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    for number, (pixels, label) in enumerate(zip(labelled.pixels, labelled.labels, strict=True)):
        (root / f"class {label}").mkdir(exist_ok=True)
        Image.fromarray(pixels[:, :, 0]).save(root / f"class {label}" / f"{number:02}.png")
    return root


# Measuring


@pytest.mark.parametrize("count", [1, 3, 10, 25, 100, 123])
def test_pictures_come_back_out_of_mosaics_in_their_order(count):
    pixels = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 3), np.uint8)
    made = list(mosaics(pixels, 10))
    assert all(mosaic.shape[0] <= 40 and mosaic.shape[1] <= 40 for mosaic in made)
    assert sum(mosaic.size for mosaic in made) == pixels.size  # nothing is filled up
    assert np.array_equal(np.concatenate([tiles(mosaic, 4) for mosaic in made]), pixels)


def test_bytes_and_errors_are_those_of_whole_files(weights, labelled):
    some = labelled.where(slice(20))
    point, pixels = coded(Aec(weights, CPU), some, 60)
    codec = Codec(weights, "cpu")
    mosaic = next(mosaics(some.pixels, 10))
    data = codec.encode(mosaic, 60)
    assert point.bytes == len(data) / 20 and 0 < point.words < point.bytes
    assert np.array_equal(tiles(codec.decode(data, to="numpy")[..., None], 16), pixels)
    assert point.mse == pytest.approx(np.square((pixels - some.pixels.astype(float)) / 255).mean())
    assert point.mae == pytest.approx(np.abs((pixels - some.pixels.astype(float)) / 255).mean())


def test_blocks_do_not_know_their_neighbours_in_a_mosaic(weights, labelled):
    some = labelled.where(slice(6))
    together, alone = (coded(Aec(weights, CPU), some, 80, across)[1] for across in (10, 1))
    assert np.abs(together.astype(int) - alone).max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_measured_in_the_same_way(labelled, channels):
    some = Pictures(np.repeat(labelled.pixels, channels, axis=3), None, "")
    small, good = curve(Jpeg(), some, (10, 95))
    assert small.bytes < good.bytes and small.mse > good.mse and small.words is None


def test_a_curve_is_read_between_its_points_and_not_below_them():
    points = [Point(0, 10.0, None, 0.04, 0.1), Point(1, 1000.0, None, 0.0004, 0.01)]
    assert mse_at(points, 100) == pytest.approx(0.004)  # a line of logarithms
    assert mse_at(points, 5) is None and mse_at(points, 5000) == pytest.approx(0.0004)


# Figures


def lively(path):
    """The size of a figure that is not empty: more than a few colours."""
    with Image.open(path) as image:
        assert image.format == "PNG" and len(image.convert("RGB").getcolors(2**24)) > 20
        return image.size


def test_aec_visualize_writes_all_figures(weights, folder, tmp_path):
    command = ["visualize", str(weights), "--data", str(folder), "--out", str(tmp_path / "new" / "figures")]
    result = CliRunner().invoke(aec, command, catch_exceptions=False)
    assert result.exit_code == 0 and not result.stderr
    written = [Path(line) for line in result.stdout.splitlines()]
    assert sorted(path.stem for path in written) == sorted(FIGURES)
    assert all(min(lively(path)) > 300 for path in written)


def test_without_log_or_scikit_learn_their_figures_are_left_out(weights, labelled, tmp_path, monkeypatch):
    alone = tmp_path / weights.name
    alone.write_bytes(weights.read_bytes())
    for name in [name for name in sys.modules if name.partition(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    said = []
    written = visualize(alone, labelled, tmp_path / "figures", CPU, said.append)
    assert sorted({path.stem for path in written} ^ set(FIGURES)) == ["latents", "training"]
    assert len(said) == 1 and "sklearn" in said[0] and "pip install" in said[0]


def test_latents_are_those_of_the_encoder(weights, labelled):
    network = load_network(weights, CPU)
    y = latents(network, labelled, CPU)
    assert y.shape == (60, 24) and y.dtype == np.float32
    x = next(labelled.where(slice(7, 8)).batches(1, CPU))
    assert np.allclose(y[7], network.encode(x)[0].numpy(), atol=1e-4)


def test_feature_maps_are_those_of_the_first_convolutions(tmp_path):
    from aecodec.networks.classic.autoencoder import build

    a = TINY["stl10"]
    network = build(a)
    x = next(pictures(a, 1).batches(1, CPU))[0]
    found = anatomy._maps(network, x)
    assert [name.splitlines()[0] for name, _ in found[:3]] == [
        "input, by channel",
        "convolution 1",
        "convolution 2",
    ]
    first = next(iter(network.encoder.children()))
    assert np.allclose(found[1][1], first(x[None]).detach()[0, : anatomy.MAPS_ACROSS].numpy(), atol=1e-5)
    assert lively(anatomy.feature_maps(network, x, "maps", tmp_path / "maps.png"))


def test_bars_stand_for_all_parameters_of_layers_with_weights():
    from aecodec.networks.classic.autoencoder import build

    for kind in ("dense", "stl10", "resattention"):
        network = build(TINY[kind])
        counted = sum(anatomy._count(layer) for _, _, layer, _ in anatomy._layers(network))
        norms = sum(
            p.numel() for m in network.modules() if "Norm" in type(m).__name__ for p in m.parameters()
        )
        assert counted + norms == sum(p.numel() for p in network.parameters()), kind


def test_a_map_of_few_latents_without_classes_is_drawn(tmp_path):
    few = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    assert lively(figures.latent_map(few, None, "few", tmp_path / "few.png"))


@pytest.mark.parametrize("latents", [24, 1])
def test_too_few_pictures_or_latents_make_no_map(classic_weights, labelled, tmp_path, latents):
    few = labelled.where(slice(2 if latents > 1 else 12))
    weights = classic_weights("dense")
    if latents == 1:
        made = recipe("dense", architecture=dataclasses.replace(TINY["dense"], latents=1))
        weights = train(made, few, None, tmp_path, Budget(steps=2), CPU)
    said = []
    written = visualize(weights, few, tmp_path / "figures", CPU, said.append)
    assert "latents" not in {path.stem for path in written} and "too few" in said[0]


def test_weights_of_another_family_and_wrong_inputs_are_refused(weights, folder, tiny_model, tmp_path):
    with pytest.raises(BadArgument, match="no classic autoencoder.*aec bench"):
        load_network(tiny_model, CPU)
    wrong = {
        ("nowhere.safetensors", str(folder)): (21, "no weights file nowhere"),
        (str(weights), str(tmp_path)): (40, "holds no pictures"),
        (str(tiny_model), str(folder)): (8, "no classic autoencoder"),
    }
    for (file, data), (code, said) in wrong.items():
        result = CliRunner().invoke(aec, ["visualize", file, "--data", data, "--out", str(tmp_path / "out")])
        assert result.exit_code == code and said in result.stderr and not (tmp_path / "out").exists()
