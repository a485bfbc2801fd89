"""The integer entropy model of a hyperprior, with its tables: runs exactly or not at all."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aecodec.coding.tables import Tables
from aecodec.errors import BadWeights
from aecodec.networks.photo.architecture import Architecture
from aecodec.networks.photo.blocks import LEVELS
from aecodec.networks.photo.entropy import COMPAND_SIZE, SIGNED_LIMIT, EntropyModel, covers
from aecodec.networks.photo.integer import IntegerLayer, exact_on, load_layers, reduced_precision

STORED = {  # types of what the entropy model has beside its layers
    "tables.radius": torch.int32,
    "tables.frequencies": torch.int32,
    "z_index": torch.uint8,
    "compand": torch.int16,
}


@dataclass
class Entropy:
    """The layers and tables, settled on an arithmetic that is exact on this device.

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
            with torch.device("cpu"):  # whatever default the caller has set
                self._exact[dtype] = exact_on(self.layers, self.device, dtype)
        return self._exact[dtype]

    def companded(self, y_hat: Tensor) -> Tensor:
        """y_hat in sixteenths (integers) -> what the context passes read, integers of the same sign."""
        if not len(self.compand):
            return y_hat
        table = self.compand.to(y_hat.device, y_hat.dtype)
        return torch.sign(y_hat) * table[y_hat.abs().clamp(max=COMPAND_SIZE - 1).long()]
