"""precision="fast": the transforms in bfloat16, everything between latents and bytes exact as ever."""

import logging
import pickle

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from samples import photo

from aecodec import Codec, devices, engines, errors
from aecodec.cli import aec
from aecodec.file import container

PIXELS = photo(400, 300)


@pytest.fixture(autouse=True)
def bfloat16(monkeypatch):
    """A chip with bfloat16, whatever is here: without it PyTorch computes the same, slowly."""
    monkeypatch.setattr(engines, "has_bfloat16", lambda device: True)


@pytest.fixture(scope="module")
def full() -> Codec:
    return Codec("photo", "cpu")


@pytest.fixture
def fast() -> Codec:
    return Codec("photo", "cpu", precision="fast")


def psnr(pixels: np.ndarray) -> float:
    return float(-10 * np.log10(np.square((pixels.astype(float) - PIXELS) / 255).mean()))


@pytest.mark.parametrize("quality", [5, 50, 90, 100])
def test_it_costs_at_most_three_hundredths_of_a_decibel(full, fast, quality):
    data = full.encode(PIXELS, quality)
    both_fast = fast.encode(PIXELS, quality)
    wanted = psnr(full.decode(data, "numpy"))
    assert psnr(fast.decode(data, "numpy")) > wanted - 0.03
    assert psnr(fast.decode(both_fast, "numpy")) > wanted - 0.03
    assert abs(len(both_fast) - len(data)) <= 16 + len(data) / 1000  # a few words


def test_it_is_another_arithmetic_but_decodes_the_same_latents(full, fast):
    data = full.encode(PIXELS, 60)
    assert not np.array_equal(fast.decode(data, "numpy"), full.decode(data, "numpy"))
    assert np.array_equal(fast.decode(data, "latents").y_hat, full.decode(data, "latents").y_hat)
    data = fast.encode(PIXELS, 60)
    assert np.array_equal(fast.decode(data, "latents").y_hat, full.decode(data, "latents").y_hat)


def test_the_integer_path_stays_in_exact_arithmetic(fast):
    fast.encode(PIXELS, 60)
    (model,) = fast._loaded.values()
    assert model.engine.name.startswith("PyTorch")
    assert model.entropy.layers()["hyper.enter"].engine.name.endswith("float32")


def test_a_chip_without_bfloat16_computes_in_float32_and_says_so(full, fast, monkeypatch, caplog):
    monkeypatch.setattr(engines, "has_bfloat16", devices.has_bfloat16)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    data = full.encode(PIXELS, 60)
    with caplog.at_level(logging.INFO):
        assert np.array_equal(fast.decode(data, "numpy"), full.decode(data, "numpy"))
    assert caplog.messages == ["cpu has no bfloat16, or PyTorch is missing: computing in float32"]


def test_the_precision_travels_with_the_codec(fast):
    assert pickle.loads(pickle.dumps(fast)).precision == "fast"
    with pytest.raises(errors.BadArgument, match="'float32' or 'fast'"):
        Codec(precision="bfloat16")


def test_the_command_line_has_it(tmp_path, monkeypatch, full):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PIXELS).save("photo.png")
    for args in (["compress", "photo.png"], ["decompress", "photo.aec"]):
        result = CliRunner().invoke(aec, [*args, "--fast"])
        assert result.exit_code == 0, result.stderr
    data = (tmp_path / "photo.aec").read_bytes()
    assert container.read_header(data)[0].has_model
    with Image.open("photo.aec.png") as image:
        assert psnr(np.asarray(image)) > psnr(full.decode(data, "numpy")) - 0.03
