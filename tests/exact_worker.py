"""The integer entropy model on every engine, for test_exact.py: hashes of all that it computes.

As a program it answers requests from standard input, a JSON line each, until that ends. The instruction sets
are those that the environment of the process allows.
"""

import contextlib
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl
import torch

from aecodec import threads, weights
from aecodec.codec import Codec
from aecodec.coding.tables import from_masses, gaussian_masses
from aecodec.engines.engine import Engine
from aecodec.engines.numpy import NumpyEngine
from aecodec.engines.torch import TorchEngine
from aecodec.file import container
from aecodec.networks.photo import latents
from aecodec.networks.photo.architecture import Architecture
from aecodec.networks.photo.entropy import LayerSpec, layer_specs
from aecodec.networks.photo.exact import Entropy, engines_beside
from aecodec.networks.photo.hyperprior import Hyperprior
from aecodec.networks.photo.integer import BOUND, IntegerLayer, layer_on, layers_on, reach
from aecodec.picture.pictures import Picture
from aecodec.weights import open_weights

ENGINES: tuple[Engine, ...] = (
    NumpyEngine(),
    NumpyEngine(np.float64),
    TorchEngine("cpu", torch.float64),
)
BATCH = 4
LEVEL = 128
FAR = 2**25  # beyond every sum

WORST = Architecture(latent_channels=24, hyper_channels=8, hyper_width=32, scales=24, scale_ratio=1.3)
NARROW = replace(WORST, hyper_width=64)
SHIFTS = {"mu": 7, "index": 15}  # so that outputs fill their ranges; 14 for hidden layers

# Layers whose bare sums are looked at; fan-ins below, at and above those of any model
BARE = (
    LayerSpec("z", "pointwise", 8, 64, 127, -FAR, FAR),
    LayerSpec("narrow", "pointwise", 32, 48, 1023, -FAR, FAR),
    LayerSpec("odd", "pointwise", 97, 65, 511, -FAR, FAR),
    LayerSpec("usual", "pointwise", 256, 256, 1023, -FAR, FAR),
    LayerSpec("wide", "pointwise", 640, 96, 511, -FAR, FAR),
    LayerSpec("depthwise", "depthwise", 256, 256, 1023, -FAR, FAR),
    LayerSpec("few depthwise", "depthwise", 17, 17, 511, -FAR, FAR),
)
SIZES = ((1, 1), (3, 2), (15, 17), (40, 50))  # positions: on both sides of every switch of kernels


# Weights right at the bound


def worst_tensors(spec: LayerSpec, rng: np.random.Generator, bound: int = BOUND) -> dict[str, np.ndarray]:
    """weight, bias and shift of random integers; every output channel can reach the bound, to the unit.

    Of four channels one has positive weights alone and one negative ones.
    """
    fan_in = spec.inputs if spec.kind == "pointwise" else 9
    share = rng.uniform(0.6, 1.0, (spec.outputs, 1))  # of the bound: the bias takes the rest
    raw = rng.exponential(1.0, (spec.outputs, fan_in))
    magnitude = np.floor(raw / raw.sum(1, keepdims=True) * share * (bound // spec.limit))
    sign = rng.choice([-1, 1], magnitude.shape)
    sign[0::4], sign[1::4] = 1, -1
    weight = (sign * magnitude.clip(max=2**15 - 1)).astype(np.int16)
    rest = bound - np.abs(weight.astype(np.int64)).sum(1) * spec.limit
    bias = rng.integers(-rest, rest + 1, (256 if spec.leveled else 1, spec.outputs))
    bias[LEVEL % len(bias)] = rng.choice([-1, 1], spec.outputs) * rest
    shape = (spec.outputs, fan_in) if spec.kind == "pointwise" else (spec.outputs, 1, 3, 3)
    shift = 0 if spec.high == FAR else SHIFTS.get(spec.name.rpartition(".")[2], 14)
    assert (reach(weight, bias, spec.limit) == bound).all()
    return {
        f"{spec.name}.weight": weight.reshape(shape),
        f"{spec.name}.bias": bias.astype(np.int32),
        f"{spec.name}.shift": np.full(spec.outputs, shift, np.uint8),
    }


def bare_tensors(bound: int = BOUND) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {name: t for spec in BARE for name, t in worst_tensors(spec, rng, bound).items()}


def worst_entropy(a: Architecture = WORST) -> Entropy:
    """A model of random weights right at the bound."""
    rng = np.random.default_rng(4)
    tensors = {name: t for spec in layer_specs(a) for name, t in worst_tensors(spec, rng).items()}
    scales = [0.15 * 1.3**index for index in range(a.scales - 1)]
    tables = from_masses([gaussian_masses(scale, 3 + int(7 * scale)) for scale in scales])
    tensors["tables.radius"], tensors["tables.frequencies"] = tables.radius, tables.frequencies
    tensors["z_index"] = rng.integers(0, a.scales, (256, a.hyper_channels)).astype(np.uint8)
    return Entropy.load(a, tensors, engines_beside(NumpyEngine()))


def installed() -> list[Path]:
    """Weights files: the frozen test model, and all others that a user of this machine would have."""
    (tiny,) = (Path(__file__).parent / "data").glob("tiny-*.safetensors")
    return [tiny, *(found.path for found in weights.installed() if found.path.name != tiny.name)]


def entropies() -> dict[str, Entropy]:
    loaded = {path.stem: Hyperprior(open_weights(path), NumpyEngine()).entropy for path in installed()}
    return {"worst": worst_entropy(), **loaded}


def forced(entropy: Entropy, e: Engine) -> Entropy:
    """On an engine, without its self-test."""
    layers = layers_on(e, entropy.architecture, entropy.tensors)
    return replace(entropy, engines=[e], _settled=layers)


# What they compute


def bare_input(spec: LayerSpec, weight: np.ndarray, height: int, width: int) -> np.ndarray:
    """int64 [BATCH, H, W, C]: random, and where there is room half of it what some channels fear most."""
    rng = np.random.default_rng(5)
    x = rng.integers(-spec.limit, spec.limit + 1, (BATCH, height, width, spec.inputs))
    signs = np.sign(weight.astype(np.int64))
    if spec.kind == "pointwise":
        flat = x.reshape(BATCH, -1, spec.inputs)
        for position, row in enumerate(signs[: height * width // 2]):
            flat[:, position], flat[:, -1 - position] = spec.limit * row, -spec.limit * row
    elif height >= 6:
        kernels = spec.limit * signs[:, 0].transpose(1, 2, 0)
        x[:, 0:3, 0:3], x[:, 3:6, 3:6] = kernels, -kernels
    return x


def bare_sums(layer: IntegerLayer, x: np.ndarray) -> list[str]:
    e = layer.engine
    with e.running():
        return [digest(sums) for sums in e.to_array(layer.sums(e, e.from_array(x), LEVEL))]


def hyper_latents(a: Architecture) -> np.ndarray:
    z = np.random.default_rng(6).integers(-127, 128, (BATCH, a.hyper_channels, 3, 4))
    z[:, :, 0, 0], z[:, :, 0, 1] = 127, -127
    return z


def latents_of(entropy: Entropy, batch: int) -> list[str]:
    """A hash of mu and scale indexes for each of a batch of random hyper-latents."""
    z = hyper_latents(entropy.architecture)[:batch]
    return [digest(*each) for each in zip(*entropy.parameters(z, LEVEL, 10, 13), strict=True)]


def digest(*arrays: np.ndarray) -> str:
    sha = hashlib.sha256()
    for array in arrays:
        integers = array.astype(np.int32)
        assert np.array_equal(integers, array)  # nothing but integers
        sha.update(integers.tobytes())
    return sha.hexdigest()[:16]


# Settings that a caller may make


def all_ieee() -> None:
    torch.set_float32_matmul_precision("highest")
    onednn: Any = torch.backends.mkldnn
    for switch in (onednn.matmul, onednn.conv, onednn, torch.backends):
        switch.fp32_precision = "none"


def switches() -> dict[str, Callable[[], None]]:
    """Every process-wide switch of PyTorch's that allows products in fewer bits on a CPU."""
    onednn: Any = torch.backends.mkldnn
    places = {"all": torch.backends, "oneDNN": onednn, "conv": onednn.conv, "matmul": onednn.matmul}
    switches = {
        f"{name} {value}": (lambda place=place, value=value: setattr(place, "fp32_precision", value))
        for name, place in places.items()
        for value in ("bf16", "tf32")
    }
    for value in ("medium", "high"):
        switches[value] = lambda value=value: torch.set_float32_matmul_precision(value)
    return switches


@contextlib.contextmanager
def switched(flip: Callable[[], None]) -> Iterator[None]:
    flip()
    try:
        yield
    finally:
        all_ieee()


def hashes(engines: tuple[Engine, ...] = ENGINES) -> dict[str, dict[str, list[str]]]:
    """For each model, and for each bare layer and size: the hashes on every engine, under every switch."""
    results: dict[str, dict[str, list[str]]] = {}

    def note(name: str, engine: Engine, run: Callable[[], list[str]]) -> None:
        found = results.setdefault(name, {})
        found[engine.name] = run()
        for switch, flip in switches().items() if isinstance(engine, TorchEngine) else ():
            with switched(flip):
                found[f"{engine.name}, {switch}"] = run()

    for e in engines:
        for name, entropy in entropies().items():
            for batch in (1, BATCH):
                here = forced(entropy, e)
                note(f"{name}, {batch} at a time", e, lambda here=here, batch=batch: latents_of(here, batch))
        tensors = bare_tensors()
        for spec in BARE:
            layer = layer_on(e, spec, tensors)
            for size in SIZES:
                x = bare_input(spec, tensors[f"{spec.name}.weight"], *size)
                note(f"layer {spec.name}, {size}", e, lambda layer=layer, x=x: bare_sums(layer, x))
    return results


# Streams


def noise(level: int) -> Picture:
    """A picture in which small and large latents come about."""
    rng = np.random.default_rng(level)
    rows, columns, channels = np.ogrid[:90, :130, :3]
    waves = 128 + 90 * np.sin(rows * columns / 300 + channels)
    return Picture((waves + rng.normal(0, columns / 6, (90, 130, 3))).clip(0, 255).astype(np.uint8))


def worst_words(entropy: Entropy, height: int, width: int) -> str:
    """Random latents [height, width] coded at level 128: words in hexadecimal."""
    a, rng = entropy.architecture, np.random.default_rng(8)
    y = rng.laplace(0, 300, (1, a.latent_channels, height, width)).astype(np.float32)
    z = rng.laplace(0, 30, (1, a.hyper_channels, -(-height // 4), -(-width // 4))).astype(np.float32)
    (coded,) = latents.encode(entropy, y, z, 128)
    return coded.words.hex()


def make_streams() -> dict[str, str]:
    """Coded tiles, by what must decode them: words in hexadecimal."""
    streams = {
        "worst 6 9 128": worst_words(worst_entropy(), 6, 9),
        "narrow 32 48 128": worst_words(worst_entropy(NARROW), 32, 48),
    }
    for path in installed():
        for quality in (10, 90):
            data = Codec(path, "cpu").compress(noise(quality), quality)
            file = container.read(data)
            streams[f"{path} 6 9 {file.header.level}"] = file.tiles[0].payload.hex()
    return streams


def decode_streams(streams: dict[str, str]) -> dict[str, list[str]]:
    """Hashes of the latents of each, one for each engine."""
    found: dict[str, list[str]] = {}
    loaded = {"worst": worst_entropy(), "narrow": worst_entropy(NARROW)}
    for name, words in streams.items():
        path, height, width, level = name.rsplit(" ", 3)
        if path not in loaded:
            loaded[path] = Hyperprior(open_weights(Path(path)), NumpyEngine()).entropy
        for e in ENGINES:
            entropy = forced(loaded[path], e)
            (coded,) = latents.decode(entropy, [bytes.fromhex(words)], int(height), int(width), int(level))
            found.setdefault(name, []).append(f"{coded.latents_crc} {digest(coded.y_hat)}")
    return found


def facts() -> dict[str, Any]:
    entropy = worst_entropy()
    return {
        "capability": torch.backends.cpu.get_cpu_capability(),
        "BLAS": [
            blas.get("architecture") for blas in threadpoolctl.threadpool_info() if "libs" in blas["filepath"]
        ],
        "threads": threads.allowed(),
        "arithmetic": entropy.layers()["hyper.enter"].engine.name,
    }


def main() -> None:
    requests: dict[str, Callable[..., Any]] = {
        "facts": facts,
        "hashes": hashes,
        "make": make_streams,
        "decode": decode_streams,
    }
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(requests[name](*arguments)), flush=True)


if __name__ == "__main__":
    main()
