"""The integer entropy model under many settings, for test_exact.py: hashes of all that it computes.

As a program it answers requests from standard input, a JSON line each, until that ends. The instruction sets
are those that the environment of the process allows.
"""

import contextlib
import dataclasses
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aecodec import weights
from aecodec.codec import Codec
from aecodec.coding.tables import from_masses, gaussian_masses
from aecodec.file import container
from aecodec.networks.photo import latents
from aecodec.networks.photo.architecture import Architecture, Pass
from aecodec.networks.photo.entropy import COMPAND_SIZE, EntropyModel, LayerSpec, layer_specs, parity_mask
from aecodec.networks.photo.exact import Entropy
from aecodec.networks.photo.hyperprior import Hyperprior
from aecodec.networks.photo.integer import BOUND, IntegerLayer, reach
from aecodec.picture.pictures import Picture
from aecodec.weights import open_weights

CPU = torch.device("cpu")
BATCH = 4
LEVEL = 128
FAR = 2**25  # beyond every sum

WORST = Architecture(  # every kind of layer and pass
    latent_channels=24,
    hyper_channels=8,
    hyper_width=32,
    scales=24,
    scale_ratio=1.3,
    passes=(Pass(0, 8), Pass(8, 24, "even"), Pass(8, 24, "odd")),
)
NARROW = dataclasses.replace(WORST, hyper_width=64)
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


# Weights right at the bound


def worst_tensors(spec: LayerSpec, rng: np.random.Generator, bound: int = BOUND) -> dict[str, Tensor]:
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
    tensors = {
        "weight": torch.from_numpy(weight.reshape(shape)),
        "bias": torch.from_numpy(bias.astype(np.int32)),
        "shift": torch.full((spec.outputs,), shift, dtype=torch.uint8),
    }
    assert (reach(tensors["weight"], tensors["bias"], spec.limit) == bound).all()
    return tensors


def layer_of(spec: LayerSpec, tensors: dict[str, Tensor]) -> IntegerLayer:
    scale = torch.exp2(-tensors["shift"].float())
    return IntegerLayer(spec, tensors["weight"].float(), tensors["bias"].float(), scale)


def bare_layers(bound: int = BOUND) -> dict[str, IntegerLayer]:
    rng = np.random.default_rng(3)
    return {spec.name: layer_of(spec, worst_tensors(spec, rng, bound)) for spec in BARE}


def worst_entropy(device: torch.device = CPU, a: Architecture = WORST) -> Entropy:
    """A model of random weights right at the bound."""
    rng = np.random.default_rng(4)
    tensors = {
        f"{spec.name}.{part}": tensor
        for spec in layer_specs(a)
        for part, tensor in worst_tensors(spec, rng).items()
    }
    scales = [0.15 * 1.3**index for index in range(a.scales - 1)]
    tables = from_masses([gaussian_masses(scale, 3 + int(7 * scale)) for scale in scales])
    tensors["tables.radius"] = torch.from_numpy(tables.radius)
    tensors["tables.frequencies"] = torch.from_numpy(tables.frequencies)
    z_index = rng.integers(0, a.scales, (256, a.hyper_channels))
    tensors["z_index"] = torch.from_numpy(z_index.astype(np.uint8))
    compand = np.arcsinh(np.arange(COMPAND_SIZE) / 16) * 60
    tensors["compand"] = torch.from_numpy(compand.astype(np.int16))
    return Entropy.load(a, tensors, device)


def installed() -> list[Path]:
    """Weights files: the frozen test model, and all others that a user of this machine would have."""
    (tiny,) = (Path(__file__).parent / "data").glob("tiny-*.safetensors")
    return [tiny, *(found.path for found in weights.installed() if found.path.name != tiny.name)]


def entropies(device: torch.device = CPU) -> dict[str, Entropy]:
    loaded = {path.stem: Hyperprior(open_weights(path), device).entropy for path in installed()}
    return {"worst": worst_entropy(device), **loaded}


# What they compute


def bare_input(layer: IntegerLayer) -> Tensor:
    """int64 [BATCH, C, 15, 17]: random, and where a quarter of the channels see the input they fear most."""
    spec, rng = layer.spec, np.random.default_rng(5)
    x = rng.integers(-spec.limit, spec.limit + 1, (BATCH, spec.inputs, 15, 17))
    signs = np.sign(layer.weight.double().cpu().numpy())
    if spec.kind == "pointwise":
        for position, row in enumerate(signs[: 15 * 17 // 2]):
            x.reshape(*x.shape[:2], -1)[:, :, position] = spec.limit * row
            x.reshape(*x.shape[:2], -1)[:, :, -1 - position] = -spec.limit * row
    else:
        x[:, :, 0:3, 0:3] = spec.limit * signs[:, 0]
        x[:, :, 3:6, 3:6] = -spec.limit * signs[:, 0]
    return torch.from_numpy(x)


def bare_sums(layer: Callable[[Tensor, int], Tensor], x: Tensor) -> list[str]:
    return [digest(sums) for sums in layer(x, LEVEL)]


def latents_of(
    entropy: Entropy, network: EntropyModel, like: Tensor, layout: torch.memory_format, batch: slice
) -> list[str]:
    """Run all passes on random hyper-latents and symbols: a hash of mu, scale indexes and y_hat for each of
    the batch. `like`: device and type of what the network takes."""
    a, rng = entropy.architecture, np.random.default_rng(6)
    height, width = 10, 13
    z = rng.integers(-127, 128, (BATCH, a.hyper_channels, 3, 4))
    z[:, :, 0, 0], z[:, :, 0, 1] = 127, -127
    symbols = torch.from_numpy(rng.integers(-300, 301, (BATCH, a.latent_channels, height, width)))[batch]
    x = torch.from_numpy(z)[batch].to(like).contiguous(memory_format=layout)
    y_hat = torch.zeros_like(symbols)
    features = network.features(x, LEVEL, height, width)
    parts = [[] for _ in symbols]
    for number, part in enumerate(a.passes):
        decoded = entropy.companded(y_hat.to(like).contiguous(memory_format=layout)) if number else features
        mu, index = (t.cpu().long() for t in network.parameters(number, features, decoded, LEVEL))
        mask = parity_mask(part, height, width)
        coded = 16 * symbols[:, part.first : part.last] * (index > 0) + mu
        y_hat[:, part.first : part.last] += coded * mask
        for element, values in enumerate(zip(mu, index, strict=True)):
            parts[element] += values
    return [digest(*values, y) for values, y in zip(parts, y_hat, strict=True)]


def digest(*tensors: Tensor) -> str:
    sha = hashlib.sha256()
    for tensor in tensors:
        integers = tensor.to("cpu", torch.int32)
        assert torch.equal(integers.double(), tensor.to("cpu", torch.float64))  # nothing but integers
        sha.update(integers.contiguous().numpy().tobytes())
    return sha.hexdigest()[:16]


# Settings that a caller may make


def all_ieee() -> None:
    torch.set_float32_matmul_precision("highest")
    onednn: Any = torch.backends.mkldnn
    for switch in (onednn.matmul, onednn.conv, onednn, torch.backends):
        switch.fp32_precision = "none"


def switches() -> dict[str, Callable[[], None]]:
    """Every process-wide switch that allows products in fewer bits on a CPU."""
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


def every_setting(entropy: Entropy, run: Callable[..., list[str]]) -> dict[str, list[str]]:
    """run(device, dtype, layout, batch) in all arithmetics that the entropy model may be asked for here."""
    results, before = {}, torch.get_num_threads()
    single, whole = slice(0, 1), slice(0, BATCH)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for layout in (torch.contiguous_format, torch.channels_last):
            for batch in (single, whole):
                label = f"{threads} threads, {layout}, batch {batch.stop}"
                results[label] = run(*entropy.arithmetic(), layout, batch)
    torch.set_num_threads(1)
    for name, flip in switches().items():
        with switched(flip):
            results[name] = run(*entropy.arithmetic(), torch.contiguous_format, single)
    torch.set_num_threads(before)
    return results


def all_hashes(device: torch.device = CPU) -> dict[str, dict[str, list[str]]]:
    """For each model, and for each bare layer: the hashes under every setting."""
    results = {}
    for name, entropy in entropies(device).items():

        def run(*setting: Any, entropy: Entropy = entropy) -> list[str]:
            used, dtype, layout, batch = setting
            network, *found = entropy.network()
            assert found == [used, dtype]
            return latents_of(entropy, network, torch.zeros(0, dtype=dtype, device=used), layout, batch)

        results[name] = every_setting(entropy, run)
    layers = bare_layers()
    holder = Entropy(WORST, layers, *[None] * 3, device)  # it settles their arithmetic
    for name, layer in layers.items():

        def run(*setting: Any, layer: IntegerLayer = layer) -> list[str]:
            used, dtype, layout, batch = setting
            x = bare_input(layer)[batch].to(used, dtype).contiguous(memory_format=layout)
            return bare_sums(layer.to(used, dtype), x)

        results[f"layer {name}"] = every_setting(holder, run)
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
    y = torch.from_numpy(rng.laplace(0, 300, (1, a.latent_channels, height, width))).float()
    z = torch.from_numpy(rng.laplace(0, 30, (1, a.hyper_channels, -(-height // 4), -(-width // 4)))).float()
    (coded,) = latents.encode(entropy, y, z, 128)
    return coded.words.hex()


def make_streams() -> dict[str, str]:
    """Coded tiles, by what must decode them: words in hexadecimal."""
    streams = {
        "worst 6 9 128": worst_words(worst_entropy(), 6, 9),
        "narrow 32 48 128": worst_words(worst_entropy(a=NARROW), 32, 48),
    }
    for path in installed():
        for quality in (10, 90):
            data = Codec(path, "cpu").compress(noise(quality), quality)
            file = container.read(data)
            streams[f"{path} 6 9 {file.header.level}"] = file.tiles[0].payload.hex()
    return streams


def decode_streams(streams: dict[str, str]) -> dict[str, str]:
    """Hash of the latents, CRC-32 of z and y_hat, of each."""
    found, loaded = {}, {"worst": worst_entropy(), "narrow": worst_entropy(a=NARROW)}
    for name, words in streams.items():
        path, height, width, level = name.rsplit(" ", 3)
        if path not in loaded:
            loaded[path] = Hyperprior(open_weights(Path(path)), CPU).entropy
        words = [bytes.fromhex(words)]
        (coded,) = latents.decode(loaded[path], words, int(height), int(width), int(level))
        found[name] = f"{coded.latents_crc} {digest(torch.from_numpy(coded.y_hat))}"
    return found


def facts() -> dict[str, Any]:
    return {
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "arithmetic": str(worst_entropy().arithmetic()[1]),
    }


def main() -> None:
    requests: dict[str, Callable[..., Any]] = {
        "facts": facts,
        "hashes": all_hashes,
        "make": make_streams,
        "decode": decode_streams,
    }
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(requests[name](*arguments)), flush=True)


if __name__ == "__main__":
    main()
