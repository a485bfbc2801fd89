"""Multiply-accumulates and parameters of an architecture, counted on the networks themselves."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from aecodec.networks.photo.architecture import HYPER_STRIDE, STRIDE, Architecture
from aecodec.networks.photo.blocks import Depthwise, Pointwise
from aecodec.networks.photo.entropy import layer_specs
from aecodec.networks.photo.transform import Analysis, HyperAnalysis, Synthesis

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
    latents, level = SIDE // STRIDE, torch.zeros(1)
    x = torch.zeros(1, 3, SIDE, SIDE)
    y = torch.zeros(1, a.latent_channels, latents, latents)
    return Complexity(
        _count(Analysis, a, lambda network: network(x)),
        _count(HyperAnalysis, a, lambda network: network(y, level)),
        _entropy(a),
        _count(Synthesis, a, lambda network: network(y, level)),
    )


def _count(kind: type[nn.Module], a: Architecture, run: Callable[[Any], object]) -> float:
    network = kind(a)
    total = 0

    def add(layer: nn.Module, inputs: object, output: Tensor) -> None:
        nonlocal total
        assert isinstance(layer, Pointwise | Depthwise)
        total += layer.weight.numel() * output.shape[2] * output.shape[3]

    for layer in network.modules():
        if isinstance(layer, Pointwise | Depthwise):
            layer.register_forward_hook(add)
    with torch.inference_mode():
        run(network)
    return total / SIDE**2 / 1000


def _entropy(a: Architecture) -> float:
    """Every integer layer runs at the positions of its resolution: 1/64, 1/32 or 1/16."""
    strides = {"hyper.enter": 64, "hyper.quarter": 64, "hyper.half": 32}
    total = 0.0
    for spec in layer_specs(a):
        weights = spec.outputs * (spec.inputs if spec.kind == "pointwise" else 9)
        stride = next((s for name, s in strides.items() if spec.name.startswith(name)), STRIDE)
        total += weights / stride**2
    return total / 1000
