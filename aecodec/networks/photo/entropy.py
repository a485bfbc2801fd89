"""The entropy model's topology: from hyper-latents z to a mean and a scale index for every latent.

One description serves two kinds of layers: the integer layers that code files (`integer.py`), and the
float layers that are trained and then quantised into them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from aecodec.networks.photo.architecture import MU_LIMIT, Z_LIMIT, Architecture, Pass

RELU_LIMIT = 1023  # 10 bits of activation leave 6 to 7 of weight under the bound at fan-in 256
SIGNED_LIMIT = 511
COMPAND_SIZE = 2**15  # magnitudes of y_hat in sixteenths from here on share the last table entry


@dataclass(frozen=True)
class LayerSpec:
    """One layer: `kind` is "pointwise" or "depthwise"; outputs are clamped to low..high.

    `limit` is the largest magnitude of an input; `leveled`: the bias is a table over the rate levels.
    """

    name: str
    kind: str
    inputs: int
    outputs: int
    limit: int
    low: int
    high: int
    leveled: bool = False


class Layer(Protocol):
    """Callable form of a layer: activations [B, C, H, W] and the level -> activations."""

    def __call__(self, x: Tensor, level: Any) -> Tensor:
        """Run the layer."""
        ...


def layer_specs(a: Architecture) -> tuple[LayerSpec, ...]:
    """All layers of the entropy model, in the order of their use."""
    n = a.hyper_width
    specs = [
        LayerSpec("hyper.enter", "pointwise", a.hyper_channels, n, Z_LIMIT, 0, RELU_LIMIT, leveled=True),
        *_spread("hyper.quarter", n, 4 * n),
        *_spread("hyper.half", n, 4 * n),
        *_spread("hyper.full", n, n),
        LayerSpec("hyper.leave", "depthwise", n, n, RELU_LIMIT, -SIGNED_LIMIT, SIGNED_LIMIT),
    ]
    for number, part in enumerate(a.passes):
        inputs = n + (a.latent_channels if number else 0)
        count, limit = part.last - part.first, RELU_LIMIT
        name = f"pass{number}"
        specs.append(
            LayerSpec(f"{name}.enter", "pointwise", inputs, n, SIGNED_LIMIT, 0, RELU_LIMIT, leveled=True)
        )
        if number:
            specs.append(
                LayerSpec(f"{name}.spatial", "depthwise", n, n, RELU_LIMIT, -SIGNED_LIMIT, SIGNED_LIMIT)
            )
            limit = SIGNED_LIMIT
        specs.append(LayerSpec(f"{name}.mu", "pointwise", n, count, limit, -MU_LIMIT, MU_LIMIT, leveled=True))
        specs.append(LayerSpec(f"{name}.index", "pointwise", n, count, limit, 0, a.scales - 1, leveled=True))
    return tuple(specs)


def _spread(name: str, inputs: int, outputs: int) -> list[LayerSpec]:
    """A depthwise layer without activation, then a pointwise one with."""
    return [
        LayerSpec(f"{name}.spatial", "depthwise", inputs, inputs, RELU_LIMIT, -SIGNED_LIMIT, SIGNED_LIMIT),
        LayerSpec(f"{name}.mix", "pointwise", inputs, outputs, SIGNED_LIMIT, 0, RELU_LIMIT),
    ]


class EntropyModel:
    """Runs the topology with any kind of layer.

        z [B, N, h/4, w/4] -> enter, spatial, mix -> shuffle -> spatial, mix -> shuffle -> spatial, mix, leave
        -> features [B, n, h, w] -> pass 0 -> mu, index -> (y_hat) -> pass 1 -> ...

    `compand` maps decoded latents into the networks' range; it is used by the passes after the first.
    """

    def __init__(self, a: Architecture, layers: Mapping[str, Layer]) -> None:
        self.architecture = a
        self.layers = layers

    def features(self, z: Tensor, level: Any, height: int, width: int) -> Tensor:
        """Hyper-latents -> features of the whole tile, cropped to `height` x `width` latents."""
        h = self._run(z, level, "hyper.enter", "hyper.quarter.spatial", "hyper.quarter.mix")
        h = F.pixel_shuffle(h, 2)
        h = self._run(h, level, "hyper.half.spatial", "hyper.half.mix")
        h = F.pixel_shuffle(h, 2)[:, :, :height, :width]
        return self._run(h, level, "hyper.full.spatial", "hyper.full.mix", "hyper.leave")

    def parameters(self, number: int, features: Tensor, decoded: Tensor, level: Any) -> tuple[Tensor, Tensor]:
        """mu and scale index of the channels of pass `number`, at all positions.

        `decoded`: companded latents [B, M, h, w], zero where they are not decoded yet.
        """
        name = f"pass{number}"
        if number:
            h = self._run(torch.cat((features, decoded), 1), level, f"{name}.enter", f"{name}.spatial")
        else:
            h = self._run(features, level, f"{name}.enter")
        return self.layers[f"{name}.mu"](h, level), self.layers[f"{name}.index"](h, level)

    def _run(self, x: Tensor, level: Any, *names: str) -> Tensor:
        for name in names:
            x = self.layers[name](x, level)
        return x


def covers(a: Architecture) -> bool:
    """Whether the passes code every channel at every position exactly once."""
    times = torch.zeros(a.latent_channels, 2, 2, dtype=torch.int64)
    for part in a.passes:
        if not 0 <= part.first < part.last <= a.latent_channels or part.parity not in ("all", "even", "odd"):
            return False
        times[part.first : part.last] += parity_mask(part, 2, 2)
    return bool((times == 1).all())


def parity_mask(part: Pass, height: int, width: int) -> Tensor:
    """Positions of a pass: bool [height, width]."""
    if part.parity == "all":
        return torch.ones(height, width, dtype=torch.bool, device="cpu")
    rows, columns = (torch.arange(side, device="cpu") for side in (height, width))
    odd = (rows[:, None] + columns) % 2 == 1
    return odd if part.parity == "odd" else ~odd
