"""The engines: each operation against plain arithmetic, and its gradient against PyTorch's."""

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from aecodec.engines import numpy as numpy_engine
from aecodec.engines.numpy import NumpyEngine
from aecodec.engines.torch import TorchEngine

RANDOM = np.random.default_rng(0)
ENGINES = {"numpy": NumpyEngine(), "torch": TorchEngine()}


def numbers(*shape: int) -> np.ndarray:
    return RANDOM.normal(0, 2, shape).astype(np.float32)


TENSORS = {
    "mix.weight": numbers(12, 8),
    "mix.bias": numbers(12),
    "spatial.weight": numbers(8, 1, 3, 3),
    "spatial.bias": numbers(8),
    "factors": numbers(8),
    "level": numbers(256, 8),
}
OPERATIONS = {  # of features with 8 channels, 8 rows and 12 columns
    "pointwise": lambda e, w, x: e.pointwise(x, w["mix.weight"], w["mix.bias"]),
    "depthwise": lambda e, w, x: e.depthwise(x, w["spatial.weight"], w["spatial.bias"]),
    "hardswish": lambda e, w, x: e.hardswish(e.scale(x, w["factors"])),
    "asinh": lambda e, w, x: e.asinh(x),
    "add": lambda e, w, x: e.add(e.scale(x, w["factors"]), x),
    "scale": lambda e, w, x: e.scale(x, e.row(w["level"], 7)),
    "shuffle": lambda e, w, x: e.shuffle(x, 2),
    "unshuffle": lambda e, w, x: e.unshuffle(x, 4),
    "crop": lambda e, w, x: e.crop(x, 5, 7),
}


def residual(e, w, x):
    """What a block does: rows with a halo, in which the sum loses it."""

    def part(e, x):
        h = e.hardswish(e.scale(x, w["factors"]))
        return e.add(e.depthwise(h, w["spatial.weight"], w["spatial.bias"]), x)

    return e.in_rows(part, x, halo=1)


OPERATIONS["residual"] = residual


def apply(operation, w, e, x):
    return operation(e, w, x)


@pytest.fixture(params=[1, 3])
def small_bands(request, monkeypatch):
    """Bands of few rows, for one thread or several."""
    monkeypatch.setattr(numpy_engine, "BAND", 240)
    monkeypatch.setattr(numpy_engine, "FEWEST", 96)
    monkeypatch.setattr(numpy_engine, "CHUNK", 50)
    monkeypatch.setenv("OMP_NUM_THREADS", str(request.param))


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_engines_agree_in_results_and_gradients(name, small_bands):
    x = numbers(2, 8, 12, 8)
    found = {}
    for kind, engine in ENGINES.items():
        weights = engine.load(TENSORS)
        with engine.running():
            plain = engine.to_array(OPERATIONS[name](engine, weights, engine.from_array(x)))
            operation = partial(apply, OPERATIONS[name], weights)
            result, back = engine.pullback(operation, engine.from_array(x))
            result = engine.to_array(result)
            gradient = back(np.sin(np.arange(result.size, dtype=np.float32)).reshape(result.shape))
        assert np.allclose(plain, result, rtol=1e-5, atol=1e-5)
        assert gradient.shape == x.shape
        found[kind] = result, gradient
    for ours, theirs in zip(found["numpy"], found["torch"], strict=True):
        assert np.allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_the_operations_are_those_of_pytorch():
    """Not only alike in both engines."""
    x = torch.from_numpy(numbers(1, 8, 8, 12))
    plain = {name: torch.from_numpy(tensor) for name, tensor in TENSORS.items()}
    wanted = {
        "pointwise": F.conv2d(x, plain["mix.weight"][:, :, None, None], plain["mix.bias"]),
        "depthwise": F.conv2d(x, plain["spatial.weight"], plain["spatial.bias"], padding=1, groups=8),
        "hardswish": F.hardswish(x * plain["factors"][:, None, None]),
        "asinh": torch.asinh(x),
        "scale": x * plain["level"][7][:, None, None],
        "shuffle": F.pixel_shuffle(x, 2),
        "unshuffle": F.pixel_unshuffle(x, 4),
        "crop": x[:, :, :5, :7],
    }
    for engine in ENGINES.values():
        weights = engine.load(TENSORS)
        with engine.running():
            for name, want in wanted.items():
                array = x.permute(0, 2, 3, 1).contiguous().numpy()
                got = engine.to_array(OPERATIONS[name](engine, weights, engine.from_array(array)))
                assert np.allclose(got, want.permute(0, 2, 3, 1), rtol=1e-5, atol=1e-5), name


@settings(deadline=None, max_examples=60)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 40),
    channels=st.sampled_from([1, 3, 64, 320, 1100]),
    batch=st.integers(1, 2),
)
def test_a_depthwise_convolution_of_any_size_is_exact(height, width, channels, batch):
    """On integers, which no order of sums rounds."""
    x = RANDOM.integers(-1023, 1024, (batch, height, width, channels)).astype(np.float32)
    weight = RANDOM.integers(-128, 128, (channels, 1, 3, 3))
    engine = NumpyEngine()
    loaded = engine.load({"weight": weight, "bias": np.zeros(channels)})
    padded = np.pad(x.astype(np.int64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    wanted = sum(
        padded[:, a : a + height, b : b + width] * weight[:, 0, a, b] for a in range(3) for b in range(3)
    )
    assert np.array_equal(engine.depthwise(x, loaded["weight"], loaded["bias"]), wanted)


def test_requantise_is_scale_floor_and_clamp():
    x = np.arange(-64, 64, dtype=np.float32).reshape(1, 4, 4, 8)
    scale = (2.0 ** -np.arange(8)).astype(np.float32)
    wanted = np.clip(np.floor(x * scale), -5, 9)
    for engine in ENGINES.values():
        with engine.running():
            weights = engine.load({"scale": scale})
            got = engine.to_array(engine.requantise(engine.from_array(x.copy()), weights["scale"], -5, 9))
        assert np.array_equal(got, wanted)


def test_bands_cover_every_row_once_with_the_halo_that_is_there(monkeypatch):
    for height, width, share in ((1, 1, 4), (7, 300, 3), (64, 96, 2), (5, 4000, 8)):
        monkeypatch.setenv("OMP_NUM_THREADS", str(share))
        bands = numpy_engine._bands((2, height, width, 8), 1)
        rows = [(band.picture, row) for band in bands for row in range(band.top, band.bottom)]
        assert rows == [(picture, row) for picture in range(2) for row in range(height)]
        assert all(band.above == (band.top > 0) and band.below == (band.bottom < height) for band in bands)
