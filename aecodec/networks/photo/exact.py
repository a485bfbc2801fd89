"""The integer entropy model of a photo model, with its tables: runs exactly or not at all."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from aecodec.coding.tables import Tables
from aecodec.engines.engine import LEVELS, Engine
from aecodec.engines.numpy import NumpyEngine
from aecodec.errors import BadWeights
from aecodec.networks.photo import integer
from aecodec.networks.photo.architecture import Architecture
from aecodec.networks.photo.entropy import parameters
from aecodec.networks.photo.integer import IntegerLayer, Tensors, exact_on, layers_on

STORED = {"tables.radius": np.int32, "tables.frequencies": np.int32, "z_index": np.uint8}


@dataclass
class Entropy:
    """Layers and tables, and the engine that is exact here.

    Args:
        architecture: of the model.
        tensors: integer tensors of the layers, checked.
        tables: frequencies of symbols.
        z_index: scale index of each hyper-latent channel at each level, uint8 [256, N].
        engines: what may run the layers, in the order in which they are preferred.

    """

    architecture: Architecture
    tensors: Tensors
    tables: Tables
    z_index: np.ndarray
    engines: Sequence[Engine]
    _settled: dict[str, IntegerLayer] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def load(cls, a: Architecture, tensors: Tensors, engines: Sequence[Engine]) -> "Entropy":
        """From the tensors under `entropy.` without that prefix. Raises BadWeights."""
        for name, dtype in STORED.items():
            found = tensors[name].dtype if name in tensors else "missing"
            if found != dtype:
                raise BadWeights(
                    f"{name} is {found}, not {dtype.__name__}: the weights are of another architecture"
                )
        tables = Tables(tensors["tables.radius"], tensors["tables.frequencies"])
        z_index = tensors["z_index"]
        if (z_index.shape, tables.count) != ((LEVELS, a.hyper_channels), a.scales):
            raise BadWeights(
                f"z_index is {z_index.shape} and there are {tables.count - 1} tables: another architecture"
            )
        if z_index.max() >= a.scales:
            raise BadWeights("z_index holds values outside its range: the weights are damaged")
        integer.check(a, tensors)
        return cls(a, tensors, tables, z_index, engines)

    def parameters(
        self, z_hat: np.ndarray, level: int, height: int, width: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """mu in sixteenths, int32, and scale indexes, uint8, [B, M, height, width] each.

        Args:
            z_hat: hyper-latents, integers [B, N, rows, columns].
            level: rate level.
            height: rows of the latents.
            width: columns of the latents.

        """
        layers = self.layers()
        e = layers["hyper.enter"].engine
        with e.running():
            z = e.from_array(z_hat.transpose(0, 2, 3, 1))
            mu, index = parameters(e, layers, z, level, height, width)
            return _integers(e, mu, np.int32), _integers(e, index, np.uint8)

    def layers(self) -> dict[str, IntegerLayer]:
        """The layers on the first engine whose arithmetic is exact; the self-test runs once."""
        with self._lock:
            if self._settled is None:
                self._settled = self._first_exact()
            return self._settled

    def _first_exact(self) -> dict[str, IntegerLayer]:
        for e in self.engines:
            layers = layers_on(e, self.architecture, self.tensors)
            if not exact_on(layers, self.tensors):
                break
        return layers


def engines_beside(e: Engine) -> list[Engine]:
    """What may run the integer layers of a model whose transforms run on an engine, the best first."""
    on_cpu: list[Engine] = [NumpyEngine(np.float32), NumpyEngine(np.float64)]
    if e.device == "cpu":
        return on_cpu
    import torch

    from aecodec.engines.torch import TorchEngine

    return [TorchEngine(e.device, torch.float64), *on_cpu]


def _integers(e: Engine, x: object, dtype: type[np.integer]) -> np.ndarray:
    """Integers that an engine holds as floats [B, H, W, C] -> of a type, [B, C, H, W]."""
    return e.to_array(x).transpose(0, 3, 1, 2).astype(dtype, order="C")
