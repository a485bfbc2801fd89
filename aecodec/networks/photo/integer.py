"""Exact integer layers in floating-point arithmetic: the entropy model that no machine can round differently.

All activations and weights are integers held in floats, and for every output channel
sum(|w|) * max|x| + max|b| <= 2^24: every partial sum, in any order, fused or not, is then an integer that
float32 holds exactly. Between layers: times a power of two, floor, clamp, all exact.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from aecodec.engines.engine import LEVELS, Engine, Features, Level
from aecodec.engines.numpy import NumpyEngine
from aecodec.errors import BadWeights
from aecodec.networks.photo.architecture import Architecture
from aecodec.networks.photo.entropy import LayerSpec, layer_specs

BOUND = 2**24  # integers up to here are exact in float32
REFERENCE = NumpyEngine(np.float64)

Tensors = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class IntegerLayer:
    """Callable: clamp(floor((weight * x + bias[level]) / 2^shift), low, high), on an engine.

    weight: [O, I] or depthwise [C, 1, 3, 3]; bias [256, O] or [1, O]; scale = 2^-shift [O]; all as the engine
    loads them.
    """

    engine: Engine
    spec: LayerSpec
    weight: Any
    bias: Any
    scale: Any

    def __call__(self, x: Features, level: Level) -> Features:
        """Integers [B, H, W, C] -> integers [B, H, W, C']."""
        e = self.engine
        return e.in_rows(
            lambda e, x: self.last_steps(e, self.sums(e, x, level)),
            x,
            halo=int(self.spec.kind == "depthwise"),
        )

    def sums(self, e: Engine, x: Features, level: Level) -> Features:
        """weight * x + bias[level], not cut: what the bound is about."""
        bias = e.row(self.bias, level if self.spec.leveled else 0)
        return (e.pointwise if self.spec.kind == "pointwise" else e.depthwise)(x, self.weight, bias)

    def last_steps(self, e: Engine, x: Features) -> Features:
        """Scale, floor and clamp of sums, which may be overwritten."""
        return e.requantise(x, self.scale, self.spec.low, self.spec.high)


def layers_on(e: Engine, a: Architecture, tensors: Tensors) -> dict[str, IntegerLayer]:
    """The layers of checked tensors, by name."""
    return {spec.name: layer_on(e, spec, tensors) for spec in layer_specs(a)}


def layer_on(e: Engine, spec: LayerSpec, tensors: Tensors) -> IntegerLayer:
    """One layer of checked tensors `NAME.weight`, `NAME.bias`, `NAME.shift`."""
    weight, bias, shift = (tensors[f"{spec.name}.{part}"] for part in ("weight", "bias", "shift"))
    scale = np.ldexp(1.0, -shift.astype(np.int32))
    return IntegerLayer(e, spec, **e.load({"weight": weight, "bias": bias, "scale": scale}))


def check(a: Architecture, tensors: Tensors) -> None:
    """Prove the bound from the integer tensors `NAME.weight`, `NAME.bias`, `NAME.shift` of every layer.

    Raises:
        BadWeights: one is missing, of another shape or type, or breaks the bound.

    """
    for spec in layer_specs(a):
        try:
            weight, bias, shift = (tensors[f"{spec.name}.{part}"] for part in ("weight", "bias", "shift"))
        except KeyError as error:
            raise BadWeights(f"the weights lack {error.args[0]}: they are of another architecture") from error
        _check(spec, weight, bias, shift)


def _check(spec: LayerSpec, weight: np.ndarray, bias: np.ndarray, shift: np.ndarray) -> None:
    shape = (spec.outputs, spec.inputs) if spec.kind == "pointwise" else (spec.outputs, 1, 3, 3)
    rows = LEVELS if spec.leveled else 1
    if (weight.shape, bias.shape, shift.shape) != (shape, (rows, spec.outputs), (spec.outputs,)):
        raise BadWeights(
            f"layer {spec.name} has shapes {weight.shape}, {bias.shape}, {shift.shape}: "
            "the weights are of another architecture"
        )
    types = weight.dtype.name, bias.dtype.name, shift.dtype.name
    if types not in (("int8", "int32", "uint8"), ("int16", "int32", "uint8")):
        raise BadWeights(f"layer {spec.name} is of types {types}: the weights are of another architecture")
    if shift.max() > 24:
        raise BadWeights(f"layer {spec.name} has a shift outside 0..24")
    worst = int(reach(weight, bias, spec.limit).max())
    if worst > BOUND:
        raise BadWeights(f"layer {spec.name} can reach {worst}, above 2^24: its sums would not be exact")


def reach(weight: np.ndarray, bias: np.ndarray, limit: int) -> np.ndarray:
    """Largest magnitude that any partial sum of each output channel can reach: int64 [O]."""
    largest: np.ndarray = np.abs(weight.reshape(len(weight), -1).astype(np.int64)).sum(1) * limit
    largest += np.abs(bias.astype(np.int64)).max(0)
    return largest


# The self-test


def exact_on(layers: Mapping[str, IntegerLayer], tensors: Tensors) -> list[str]:
    """Names of the layers that do not agree bit for bit with float64 on the CPU.

    Their bare sums must, too: the shift hides most errors of a few units, and in a picture they would show.
    """
    rng = np.random.default_rng(1)
    return [name for name, layer in layers.items() if not _is_exact(layer, tensors, rng)]


def _is_exact(layer: IntegerLayer, tensors: Tensors, rng: np.random.Generator) -> bool:
    spec, e = layer.spec, layer.engine
    weight = tensors[f"{spec.name}.weight"]
    wanted = layer_on(REFERENCE, spec, tensors)
    counts = e.positions(weight.size)
    shapes = [(1, count) for count in counts] if spec.kind == "pointwise" else [(1, 1), (9, 9)]
    return all(_agree(layer, wanted, adversarial_input(spec, weight, shape, rng)) for shape in shapes)


def _agree(layer: IntegerLayer, wanted: IntegerLayer, x: np.ndarray) -> bool:
    level = LEVELS - 1
    results = []
    for each in (layer, wanted):
        e = each.engine
        with e.running():
            sums = each.sums(e, e.from_array(x), level)
            results.append((e.to_array(sums).copy(), e.to_array(each.last_steps(e, sums))))
    return all(np.array_equal(got, want) for got, want in zip(*results, strict=True))


def adversarial_input(
    spec: LayerSpec, weight: np.ndarray, shape: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Integers [1, H, W, I] that drive the sums of a layer to both ends of their range."""
    x = rng.integers(-spec.limit, spec.limit + 1, (1, *shape, spec.inputs)).astype(np.float64)
    signs = np.sign(weight).astype(np.float64)
    if spec.kind == "pointwise":  # at each position the input that one output channel fears most
        flat = x.reshape(-1, spec.inputs)
        rows = signs[rng.integers(0, len(signs), len(flat) // 2)] * spec.limit
        flat[: len(rows)], flat[len(flat) - len(rows) :] = rows, -rows
    elif min(shape) >= 6:  # windows that match the kernels, and their opposites
        kernels = signs[:, 0].transpose(1, 2, 0) * spec.limit
        x[0, 0:3, 0:3], x[0, 3:6, 3:6] = kernels, -kernels
    return x
