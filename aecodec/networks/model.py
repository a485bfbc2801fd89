"""A model in memory: verified weights, ready to encode and decode."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor, nn

from aecodec.coding.tables import Tables
from aecodec.errors import BadWeights
from aecodec.models import (
    ENTROPY_FIELDS,
    ENTROPY_ID_BYTES,
    SYNTHESIS_FIELDS,
    SYNTHESIS_ID_BYTES,
    Weights,
    identify,
)
from aecodec.networks.architecture import Architecture
from aecodec.networks.blocks import LEVELS
from aecodec.networks.entropy import COMPAND_SIZE, SIGNED_LIMIT, EntropyModel, covers
from aecodec.networks.integer import IntegerLayer, exact_on, load_layers, reduced_precision
from aecodec.networks.transform import Analysis, HyperAnalysis, Synthesis

STORED = {  # types of what the entropy model has beside its layers
    "tables.radius": torch.int32,
    "tables.frequencies": torch.int32,
    "z_index": torch.uint8,
    "compand": torch.int16,
}


@dataclass
class Entropy:
    """The integer entropy model with its tables; runs exactly or not at all.

    z_index: uint8 [256, N], scale index of each hyper-latent channel at each level.
    compand: int16 [COMPAND_SIZE] or empty: network input for each magnitude of y_hat in sixteenths.
    """

    architecture: Architecture
    layers: dict[str, IntegerLayer]
    tables: Tables
    z_index: np.ndarray
    compand: Tensor
    device: torch.device

    def __post_init__(self) -> None:
        """Prepare what has been settled for each arithmetic."""
        self._settled: dict[torch.dtype, EntropyModel] = {}
        self._exact: dict[torch.dtype, bool] = {}

    @classmethod
    def load(cls, a: Architecture, tensors: Mapping[str, Tensor], device: torch.device) -> "Entropy":
        """From the tensors under `entropy.` without that prefix. Raises BadWeights."""
        tensors = {"compand": torch.zeros(0, dtype=torch.int16), **tensors}
        for name, dtype in STORED.items():
            found = tensors[name].dtype if name in tensors else "missing"
            if found != dtype:
                raise BadWeights(f"{name} is {found}, not {dtype}: the weights are of another architecture")
        tables = Tables(tensors["tables.radius"].numpy(), tensors["tables.frequencies"].numpy())
        z_index, compand = tensors["z_index"].numpy(), tensors["compand"]
        wanted = COMPAND_SIZE if len(a.passes) > 1 else 0
        shapes = (z_index.shape, tuple(compand.shape), tables.count)
        if shapes != ((LEVELS, a.hyper_channels), (wanted,), a.scales):
            raise BadWeights(f"z_index, compand and tables have sizes {shapes}: another architecture")
        if int(z_index.max()) >= a.scales or (
            wanted and not 0 <= compand.min() <= compand.max() <= SIGNED_LIMIT
        ):
            raise BadWeights("z_index or compand holds values outside its range: the weights are damaged")
        if not covers(a):
            raise BadWeights(
                "the passes do not code every latent once: the weights are of another architecture"
            )
        return cls(a, load_layers(a, tensors), tables, z_index, compand, device)

    def network(self) -> tuple[EntropyModel, torch.device, torch.dtype]:
        """The network in the arithmetic that is exact now, with the device and type its inputs must have."""
        device, dtype = self.arithmetic()
        if dtype not in self._settled:
            moved = {name: layer.to(device, dtype) for name, layer in self.layers.items()}
            self._settled[dtype] = EntropyModel(self.architecture, moved)
        return self._settled[dtype], device, dtype

    def arithmetic(self) -> tuple[torch.device, torch.dtype]:
        """Device and float type of the integer path.

        float32 on a CPU; float64 on CUDA, wherever a caller allows reduced precision, and where the
        self-test finds float32 inexact; the CPU where even float64 is.
        """
        if self.device.type == "cpu" and not reduced_precision() and self._is_exact(torch.float32):
            return self.device, torch.float32
        if self.device.type == "cpu" or self._is_exact(torch.float64):
            return self.device, torch.float64
        return torch.device("cpu"), torch.float64

    def _is_exact(self, dtype: torch.dtype) -> bool:
        if dtype not in self._exact:
            self._exact[dtype] = exact_on(self.layers, self.device, dtype)
        return self._exact[dtype]

    def companded(self, y_hat: Tensor) -> Tensor:
        """y_hat in sixteenths (integers) -> what the context passes read, integers of the same sign."""
        if not len(self.compand):
            return y_hat
        table = self.compand.to(y_hat.device, y_hat.dtype)
        return torch.sign(y_hat) * table[y_hat.abs().clamp(max=COMPAND_SIZE - 1).long()]


class Model:
    """One model's networks on one device; the encoder's half is loaded when it is first used."""

    def __init__(self, weights: Weights, device: torch.device) -> None:
        """Load and verify the decoder's half. Raises BadWeights."""
        self.weights, self.device = weights, device
        try:
            record = dict(weights.architecture)
            known = [field.name for field in dataclasses.fields(Architecture)]  # a decoder ignores others
            self.architecture = Architecture.from_record({k: v for k, v in record.items() if k in known})
            entropy, synthesis = self.read("entropy."), self.read("synthesis.")
            self._verify(entropy, synthesis)
        except (TypeError, KeyError, ValueError) as error:
            raise BadWeights(
                f"{weights.path} is of an architecture that this version does not know"
            ) from error
        try:
            self.entropy = Entropy.load(self.architecture, entropy, device)
        except BadWeights as error:
            raise BadWeights(f"{weights.path}: {error}") from error
        gain = synthesis.pop("gain", torch.zeros(0))
        if gain.shape != (LEVELS, self.architecture.latent_channels):
            raise BadWeights(f"{weights.path}: synthesis.gain is of another architecture, or missing")
        if any(t.dtype != torch.float16 for t in (gain, *synthesis.values())):
            raise BadWeights(f"{weights.path}: the synthesis is not stored in float16")
        self.gain = gain.float().to(device)  # [256, M]
        self.synthesis = self._network(Synthesis, synthesis, LEVELS)

    def read(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names begin with `prefix`, named by what follows it; nothing is verified."""
        with safe_open(self.weights.path, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
            return {name.removeprefix(prefix): file.get_tensor(name) for name in names}

    def _verify(self, entropy: Mapping[str, Tensor], synthesis: Mapping[str, Tensor]) -> None:
        entropy_id, synthesis_id = model_ids(self.weights.architecture, entropy, synthesis)
        if (entropy_id, synthesis_id) != (self.weights.entropy_id, self.weights.synthesis_id):
            raise BadWeights(f"{self.weights.path} does not match its own hash: it is damaged, get it again")

    def _network(self, kind: type[nn.Module], tensors: dict[str, Tensor], *args: Any) -> Any:
        """A float network with stored weights, in float32."""
        with torch.device("meta"):
            network = kind(self.architecture, *args)
        try:
            network.load_state_dict({k: t.float().to(self.device) for k, t in tensors.items()}, assign=True)
        except RuntimeError as error:
            raise BadWeights(f"{self.weights.path}: the weights are of another architecture") from error
        return network.eval().requires_grad_(False)

    @cached_property
    def analysis(self) -> Analysis:
        """The analysis transform."""
        network: Analysis = self._network(Analysis, self.read("analysis."))
        return network

    @cached_property
    def hyper_analysis(self) -> HyperAnalysis:
        """The hyper-analysis transform."""
        network: HyperAnalysis = self._network(HyperAnalysis, self.read("hyper_analysis."), LEVELS)
        return network

    @cached_property
    def quality_levels(self) -> np.ndarray:
        """Level (float, 0..255, rising) of the qualities 0, 5, ..., 100."""
        levels = self.read("encoder.quality_levels").get("")
        if levels is None:
            raise BadWeights(f"{self.weights.path} can decode but not encode: it has no quality levels")
        array: np.ndarray = levels.numpy()
        return array

    def level(self, quality: float) -> int:
        """The rate level that stands for a quality, 0..100."""
        knots = np.linspace(0, 100, len(self.quality_levels))
        return round(float(np.interp(quality, knots, self.quality_levels)))


def model_ids(
    architecture: Mapping[str, Any], entropy: Mapping[str, Tensor], synthesis: Mapping[str, Tensor]
) -> tuple[bytes, bytes]:
    """Entropy id (8 bytes) and synthesis id (4 bytes) of some tensors, named without their prefixes."""
    arrays = [{k: t.numpy() for k, t in tensors.items()} for tensors in (entropy, synthesis)]
    entropy_id = identify(architecture, ENTROPY_FIELDS, arrays[0])
    synthesis_id = identify(architecture, SYNTHESIS_FIELDS, arrays[1])
    return entropy_id[:ENTROPY_ID_BYTES], synthesis_id[:SYNTHESIS_ID_BYTES]
