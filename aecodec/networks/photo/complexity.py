"""Multiply-accumulates of an architecture, counted while the networks run without numbers."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from aecodec.engines.torch import TorchEngine
from aecodec.networks.photo import transform
from aecodec.networks.photo.architecture import HYPER_STRIDE, STRIDE, Architecture
from aecodec.networks.photo.entropy import layer_specs
from aecodec.networks.photo.transform import Shapes

SIDE = 4 * HYPER_STRIDE  # pixels a side of the counted picture: whole hyper-latents


@dataclass(frozen=True)
class Complexity:
    """Thousands of multiply-accumulates a pixel; biases, activations and shuffles are not counted."""

    analysis: float
    hyper_analysis: float
    entropy: float
    synthesis: float

    @property
    def encode(self) -> float:
        """Analysis, hyper-analysis and the entropy model, which the encoder runs as the decoder does."""
        return self.analysis + self.hyper_analysis + self.entropy

    @property
    def decode(self) -> float:
        """Entropy model and synthesis."""
        return self.entropy + self.synthesis


def complexity(a: Architecture) -> Complexity:
    """Count one architecture."""
    latents = SIDE // STRIDE
    x = torch.empty(1, 3, SIDE, SIDE, device="meta")
    y = torch.empty(1, a.latent_channels, latents, latents, device="meta")
    return Complexity(
        _count(transform.analysis_shapes(a), lambda e, w: transform.analysis(e, w, a, x)),
        _count(transform.hyper_analysis_shapes(a), lambda e, w: transform.hyper_analysis(e, w, y, 0)),
        _entropy(a),
        _count(transform.synthesis_shapes(a), lambda e, w: transform.synthesis(e, w, a, y, 0)),
    )


class _Counter(TorchEngine):
    """Counts the products of weights."""

    total = 0

    def pointwise(self, x: Tensor, weight: Tensor, bias: Tensor, precise: bool = False) -> Tensor:
        self.total += weight.numel() * x.shape[2] * x.shape[3]
        return super().pointwise(x, weight, bias)  # autocast knows no meta device

    def depthwise(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        self.total += weight.numel() * x.shape[2] * x.shape[3]
        return super().depthwise(x, weight, bias)


def _count(shapes: Shapes, run: Callable[[TorchEngine, dict[str, Tensor]], object]) -> float:
    counter = _Counter("meta")
    with torch.inference_mode():
        run(counter, {name: torch.empty(shape, device="meta") for name, shape in shapes.items()})
    return counter.total / SIDE**2 / 1000


def _entropy(a: Architecture) -> float:
    """Every integer layer runs at the positions of its resolution: 1/64, 1/32 or 1/16."""
    strides = {"hyper.enter": 64, "hyper.quarter": 64, "hyper.half": 32}
    total = 0.0
    for spec in layer_specs(a):
        weights = spec.outputs * (spec.inputs if spec.kind == "pointwise" else 9)
        stride = next((s for name, s in strides.items() if spec.name.startswith(name)), STRIDE)
        total += weights / stride**2
    return total / 1000
