"""The entropy model's topology: from hyper-latents z to a mean and a scale index for every latent.

One description serves two kinds of layers: the integer layers that code files (`integer.py`), and the
float layers that are trained and then quantised into them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from aecodec.engines.engine import Engine, Features, Level
from aecodec.networks.photo.architecture import MU_LIMIT, Z_LIMIT, Architecture

RELU_LIMIT = 1023  # 10 bits of activation leave 6 to 7 of weight under the bound at fan-in 256
SIGNED_LIMIT = 511


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
    """Callable form of a layer."""

    def __call__(self, x: Features, level: Level) -> Features:
        """Activations [B, H, W, C] -> activations [B, H, W, C']."""
        ...


def layer_specs(a: Architecture) -> tuple[LayerSpec, ...]:
    """All layers of the entropy model, in the order of their use."""
    n, m = a.hyper_width, a.latent_channels
    return (
        LayerSpec("hyper.enter", "pointwise", a.hyper_channels, n, Z_LIMIT, 0, RELU_LIMIT, leveled=True),
        *_spread("hyper.quarter", n, 4 * n),
        *_spread("hyper.half", n, 4 * n),
        *_spread("hyper.full", n, n),
        LayerSpec("hyper.leave", "depthwise", n, n, RELU_LIMIT, -SIGNED_LIMIT, SIGNED_LIMIT),
        LayerSpec("pass0.enter", "pointwise", n, n, SIGNED_LIMIT, 0, RELU_LIMIT, leveled=True),
        LayerSpec("pass0.mu", "pointwise", n, m, RELU_LIMIT, -MU_LIMIT, MU_LIMIT, leveled=True),
        LayerSpec("pass0.index", "pointwise", n, m, RELU_LIMIT, 0, a.scales - 1, leveled=True),
    )


def _spread(name: str, inputs: int, outputs: int) -> tuple[LayerSpec, LayerSpec]:
    """A depthwise layer without activation, then a pointwise one with."""
    return (
        LayerSpec(f"{name}.spatial", "depthwise", inputs, inputs, RELU_LIMIT, -SIGNED_LIMIT, SIGNED_LIMIT),
        LayerSpec(f"{name}.mix", "pointwise", inputs, outputs, SIGNED_LIMIT, 0, RELU_LIMIT),
    )


def parameters(
    e: Engine, layers: Mapping[str, Layer], z: Features, level: Level, height: int, width: int
) -> tuple[Features, Features]:
    """Hyper-latents -> mu and scale index of every latent.

    Args:
        e: the engine that the layers run on.
        layers: by the names of `layer_specs`.
        z: integers [B, ceil(height / 4), ceil(width / 4), N].
        level: rate level.
        height: rows of the latents.
        width: columns of the latents.

    Returns:
        mu, in sixteenths where the layers are integer ones, and scale indexes, [B, height, width, M] each.

    """

    def run(x: Features, *names: str) -> Features:
        for name in names:
            x = layers[name](x, level)
        return x

    h = run(z, "hyper.enter", "hyper.quarter.spatial", "hyper.quarter.mix")
    h = run(e.shuffle(h, 2), "hyper.half.spatial", "hyper.half.mix")
    h = e.crop(e.shuffle(h, 2), height, width)
    h = run(h, "hyper.full.spatial", "hyper.full.mix", "hyper.leave", "pass0.enter")
    return run(h, "pass0.mu"), run(h, "pass0.index")
