"""Trained floats -> integer layers: scales from calibration pictures, shifts from the exactness bound.

A hidden channel may be scaled freely (its ReLU does not mind), so every channel of every layer is made to
fill its integer range; every output channel then takes the largest power of two that the bound allows.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from aecodec.networks.photo.entropy import LayerSpec, layer_specs
from aecodec.networks.photo.integer import BOUND
from aecodec.training.masters import MasterLayer, Masters

OUTPUT_SCALES = {"mu": 16.0, "index": 1.0}  # integer units of the outputs
HEADROOM = 1.25  # beyond the largest activation seen in calibration
QUANTILE = 0.9999
FAINTEST = (
    0.05  # of the layer's largest activation: fainter channels, dead ones among them, get no larger scale
)
MAX_WEIGHT = 2**15 - 1
MAX_SHIFT = 24


class Ranges:
    """Observes, for every layer, how large each channel's activations are."""

    def __init__(self, masters: Masters) -> None:
        self.largest: dict[str, Tensor] = {}
        self.handles = [layer.register_forward_hook(self._observe) for layer in masters.layers.values()]

    def _observe(self, layer: nn.Module, inputs: object, output: Tensor) -> None:
        assert isinstance(layer, MasterLayer)
        flat = output.detach().float().abs().transpose(0, 1).flatten(1)
        count = max(1, round(flat.shape[1] * (1 - QUANTILE)))
        seen = flat.topk(count, dim=1).values[:, -1]
        name = layer.spec.name
        self.largest[name] = torch.maximum(self.largest.get(name, seen), seen)

    def close(self) -> None:
        """Stop observing."""
        for handle in self.handles:
            handle.remove()


def _reach(weight: Tensor, bias: Tensor, limit: int) -> Tensor:
    """`integer.reach` of whole numbers in float64."""
    return weight.abs().flatten(1).sum(1) * limit + bias.abs().amax(0)


def quantise(masters: Masters, largest: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Integer tensors `NAME.weight`, `NAME.bias`, `NAME.shift` of all layers.

    `largest`: largest activation of every channel of every layer, as `Ranges` collects it.
    """
    a = masters.architecture
    tensors = {}
    scales = torch.ones(a.hyper_channels)  # of the layer's input; z holds integers already
    for spec in layer_specs(a):
        layer = masters.layers[spec.name.replace(".", "_")]
        assert isinstance(layer, MasterLayer)
        output = spec.name.rpartition(".")[2]
        out = _output_scales(spec, largest[spec.name], a.hyper_width)
        tensors.update(_integers(spec, layer, scales, out))
        if output not in OUTPUT_SCALES:
            scales = out[::4] if spec.outputs == 4 * a.hyper_width else out  # a shuffle by 2 follows
    return tensors


def _output_scales(spec: LayerSpec, largest: Tensor, width: int) -> Tensor:
    """Integer units per float unit of each output channel."""
    fixed = OUTPUT_SCALES.get(spec.name.rpartition(".")[2])
    if fixed:
        return torch.full((spec.outputs,), fixed)
    largest = largest.cpu().clamp(min=float(largest.max()) * FAINTEST)
    scale = spec.high / (HEADROOM * largest)
    if spec.outputs == 4 * width:  # the four channels that become one by the shuffle share a scale
        scale = scale.view(-1, 4).amin(1).repeat_interleave(4)
    return scale


@torch.no_grad()
def _integers(spec: LayerSpec, layer: MasterLayer, scales: Tensor, out: Tensor) -> dict[str, np.ndarray]:
    """Weights, biases and shifts of one layer; scales of its inputs and outputs given."""
    unit = layer.unit or 1.0
    weight = layer.weight.detach().double().cpu() * unit
    bias = layer.bias_table().detach().double().cpu() * unit * out + 0.5  # the half makes floor round
    if spec.kind == "pointwise":
        weight = weight * out[:, None] / scales
    else:
        weight = weight * (out / scales)[:, None, None, None]
    shift = torch.zeros(spec.outputs, dtype=torch.int64)
    for candidate in range(1, MAX_SHIFT + 1):
        w, b = (weight * 2.0**candidate).round(), (bias * 2.0**candidate).round()
        fits = (_reach(w, b, spec.limit) <= BOUND) & (w.abs().flatten(1).amax(1) <= MAX_WEIGHT)
        shift[fits] = candidate
    factor = torch.exp2(shift.double())
    whole = (weight * factor.view(-1, *[1] * (weight.ndim - 1))).round()
    kind = torch.int8 if whole.abs().max() <= 127 else torch.int16
    return {
        f"{spec.name}.weight": whole.to(kind).numpy(),
        f"{spec.name}.bias": (bias * factor).round().to(torch.int32).numpy(),
        f"{spec.name}.shift": shift.to(torch.uint8).numpy(),
    }
