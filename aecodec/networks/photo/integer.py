"""Exact integer layers in floating-point arithmetic: the entropy model that no machine can round differently.

All activations and weights are integers held in floats, and for every output channel
sum(|w|) * max|x| + max|b| <= 2^24: every partial sum, in any order, fused or not, is then an integer that
float32 holds exactly (DESIGN section 5). Between layers: times a power of two, floor, clamp, all exact.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from aecodec.errors import BadWeights
from aecodec.networks.photo.architecture import Architecture
from aecodec.networks.photo.blocks import LEVELS
from aecodec.networks.photo.entropy import LayerSpec, layer_specs

BOUND = 2**24  # integers up to here are exact in float32


@dataclass(frozen=True)
class IntegerLayer:
    """Callable: clamp(floor((weight * x + bias[level]) / 2^shift), low, high).

    weight: [out, in] or depthwise [C, 1, 3, 3]; bias [256, out] or [1, out]; scale = 2^-shift [out].
    All hold integers (scale: powers of two) as floats of one type, and the input must be of that type.
    """

    spec: LayerSpec
    weight: Tensor
    bias: Tensor
    scale: Tensor

    def __call__(self, x: Tensor, level: int) -> Tensor:
        """Integers [B, C, H, W] -> integers [B, C', H, W]."""
        bias = self.bias[level if len(self.bias) > 1 else 0]
        operation = exact_pointwise if self.spec.kind == "pointwise" else exact_depthwise
        h = operation(x, self.weight, bias)
        return h.mul_(self.scale[:, None, None]).floor_().clamp_(self.spec.low, self.spec.high)

    def to(self, device: torch.device, dtype: torch.dtype) -> "IntegerLayer":
        """The same layer on another device or in another float type."""
        tensors = (self.weight, self.bias, self.scale)
        return IntegerLayer(self.spec, *(t.to(device=device, dtype=dtype) for t in tensors))


# Not F.conv2d: on x86 it calls oneDNN, which multiplies in bfloat16 where ONEDNN_DEFAULT_FPMATH_MODE allows
# it, whatever torch.backends says; on ARM its depthwise kernel is a Winograd transform, which multiplies by
# fractions.


def exact_pointwise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """1x1 convolution of [B, C, H, W] with a matrix [C', C], as a matrix product."""
    products = torch.baddbmm(bias[:, None], weight.expand(len(x), -1, -1), x.flatten(2))
    return products.reshape(len(x), -1, *x.shape[2:])


def exact_depthwise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """3x3 depthwise convolution of [B, C, H, W], zero padding, as nine shifted multiply-adds."""
    height, width = x.shape[2:]
    padded = F.pad(x, (1, 1, 1, 1))
    h = bias[:, None, None].expand_as(x).clone()
    for row in range(3):
        for column in range(3):
            window = padded[:, :, row : row + height, column : column + width]
            h.addcmul_(window, weight[:, :, row, column, None])
    return h


def load_layers(a: Architecture, tensors: Mapping[str, Tensor]) -> dict[str, IntegerLayer]:
    """Float32 layers from the integer tensors `NAME.weight`, `NAME.bias`, `NAME.shift`.

    Proves the bound from the weights themselves. Raises BadWeights when a layer is missing, of another
    shape or type, or breaks the bound.
    """
    layers = {}
    for spec in layer_specs(a):
        try:
            weight, bias, shift = (tensors[f"{spec.name}.{part}"] for part in ("weight", "bias", "shift"))
        except KeyError as error:
            raise BadWeights(f"the weights lack {error.args[0]}: they are of another architecture") from error
        _check(spec, weight, bias, shift)
        scale = torch.ldexp(torch.ones(spec.outputs, dtype=torch.float32), -shift.int())
        layers[spec.name] = IntegerLayer(spec, weight.float(), bias.float(), scale)
    return layers


def _check(spec: LayerSpec, weight: Tensor, bias: Tensor, shift: Tensor) -> None:
    shape = (spec.outputs, spec.inputs) if spec.kind == "pointwise" else (spec.outputs, 1, 3, 3)
    rows = LEVELS if spec.leveled else 1
    shapes = tuple(weight.shape), tuple(bias.shape), tuple(shift.shape)
    if shapes != (shape, (rows, spec.outputs), (spec.outputs,)):
        raise BadWeights(f"layer {spec.name} has shapes {shapes}: the weights are of another architecture")
    types = weight.dtype, bias.dtype, shift.dtype
    if types[0] not in (torch.int8, torch.int16) or types[1:] != (torch.int32, torch.uint8):
        raise BadWeights(f"layer {spec.name} is of types {types}: the weights are of another architecture")
    if int(shift.max()) > 24:
        raise BadWeights(f"layer {spec.name} has a shift outside 0..24")
    worst = int(reach(weight, bias, spec.limit).max())
    if worst > BOUND:
        raise BadWeights(f"layer {spec.name} can reach {worst}, above 2^24: its sums would not be exact")


def reach(weight: Tensor, bias: Tensor, limit: int) -> Tensor:
    """Largest magnitude that any partial sum of each output channel can reach: int64 [out]."""
    return weight.long().abs().flatten(1).sum(1) * limit + bias.long().abs().amax(0)


def reduced_precision() -> bool:
    """Whether a process-wide switch, which callers may flip at any time, allows products in fewer bits."""
    onednn: Any = torch.backends.mkldnn
    switches = (torch.backends, onednn, onednn.conv, onednn.matmul)
    return any(switch.fp32_precision not in ("none", "ieee") for switch in switches)


def adversarial_input(layer: IntegerLayer, generator: torch.Generator) -> Tensor:
    """Integers [1, C, 9, 9] that drive the sums of the layer to both ends of their range."""
    spec = layer.spec
    shape = (1, spec.inputs, 9, 9)
    x = torch.randint(-spec.limit, spec.limit + 1, shape, generator=generator).double()
    flat = layer.weight.double().cpu().flatten(1)
    rows = torch.randint(len(flat), (40,), generator=generator)
    if spec.kind == "pointwise":  # at each position the input that one output channel fears most
        x.flatten(2)[0, :, :40] = spec.limit * torch.sign(flat[rows]).T
        x.flatten(2)[0, :, 40:80] = -spec.limit * torch.sign(flat[rows]).T
    else:  # windows that match the kernels, and their opposites
        x[0, :, 0:3, 0:3] = spec.limit * torch.sign(layer.weight[:, 0].double().cpu())
        x[0, :, 3:6, 3:6] = -spec.limit * torch.sign(layer.weight[:, 0].double().cpu())
    return x


def exact_on(layers: Mapping[str, IntegerLayer], device: torch.device, dtype: torch.dtype) -> bool:
    """Self-test: does every layer agree bit for bit with float64 on the CPU?

    Its bare sums must, too: the shift hides most errors of a few units, and on a picture they would show.
    """
    generator = torch.Generator().manual_seed(1)
    for layer in layers.values():
        exact, tried = layer.to(torch.device("cpu"), torch.float64), layer.to(device, dtype)
        x = adversarial_input(layer, generator)
        # Libraries choose kernels by size: one position, a batch, some positions, many.
        inputs = x[:, :, :1, :1], x[:, :, :4, :4].repeat(2, 1, 1, 1), x, x.repeat(1, 1, 2, 2)
        if not _agree(exact, tried, x) or not all(_agree(bare(exact), bare(tried), x) for x in inputs):
            return False
    return True


def _agree(exact: IntegerLayer, tried: IntegerLayer, x: Tensor) -> bool:
    """Whether two forms of a layer, each in its own type and on its own device, make the same of x."""
    level = 255 if exact.spec.leveled else 0
    want, got = (form(x.to(form.weight), level) for form in (exact, tried))
    return torch.equal(got.to(want), want)


def bare(layer: IntegerLayer) -> IntegerLayer:
    """The layer without its last steps: weight * x + bias[level], which the bound keeps from being cut."""
    spec = dataclasses.replace(layer.spec, low=-BOUND, high=BOUND)
    return IntegerLayer(spec, layer.weight, layer.bias, torch.ones_like(layer.scale))
