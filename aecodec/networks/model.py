"""What the codec asks of a model, whatever its networks are, and what all weights files have in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from aecodec.coding.symbols import Coded
from aecodec.errors import BadWeights
from aecodec.file.container import ENTROPY_ID_BYTES, SYNTHESIS_ID_BYTES, TILE_SIZE
from aecodec.weights import Weights, identify


class Model(ABC):
    """A model in memory: verified weights, ready to encode and decode tiles; may be shared between threads.

        x [B, C, H, W] -> analyse -> y [B, M, h, w] -> encode -> words
        words -> decode -> y_hat [M, h, w] in sixteenths -> scaled -> synthesise -> x_hat [B, C, H, W]

    B tiles of one size go through the networks together. C is 1 or 3, H = stride h and W = stride w. `fast`
    lets the transforms, between pixels and y, compute in bfloat16; between y and words all is exact anyway.
    """

    entropy_fields: ClassVar[tuple[str, ...]]  # of the architecture's record, for the entropy id
    synthesis_fields: ClassVar[tuple[str, ...]]  # and for the synthesis id

    stride: int  # pixels a side for each position of the latents
    tile_size: int = TILE_SIZE  # pixels a side of the tiles that it writes, a multiple of the stride
    analysis_halo: int  # pixels, a multiple of the stride, that the analysis sees around a tile
    synthesis_halo: int  # positions of latents that the synthesis sees around a tile

    def __init__(self, weights: Weights, device: torch.device, fast: bool = False) -> None:
        self.weights, self.device, self.fast = weights, device, fast

    @abstractmethod
    def latent_channels(self, channels: int) -> int:
        """M for a picture of 1 or 3 channels."""

    @abstractmethod
    def analyse(self, x: Tensor) -> Tensor:
        """Pixels float32 [B, C, H, W], 0..1, on the model's device -> y before any gain [B, M, h, w]."""

    @abstractmethod
    def encode(self, y: Tensor, level: int) -> list[Coded]:
        """Code what `analyse` gives at a rate level, 0..255."""

    @abstractmethod
    def decode(self, words: Sequence[bytes], shape: tuple[int, int, int], level: int) -> list[Coded]:
        """Decode the words of tiles whose latents have one shape [M, h, w]. Raises LatentsMismatch."""

    @abstractmethod
    def scaled(self, y_hat: Tensor, level: int) -> Tensor:
        """Latents in sixteenths, integers [..., M, h, w] -> float32 in the units of `analyse`."""

    @abstractmethod
    def synthesise(self, y_hat: Tensor, level: int, channels: int, rough: bool = False) -> Tensor:
        """What `scaled` gives, float32 [B, M, h, w], is overwritten -> x_hat float32 [B, C, H, W], 0..1.

        rough: as with `fast`, for a result that only guides. Under autograd nothing is overwritten.
        """

    def symbol(self, level: int) -> Tensor | None:
        """What one step of a symbol is in y, [M, 1, 1]; None where latents are not refined (`refine.py`)."""
        return None

    def latents_shape(self, height: int, width: int, channels: int) -> tuple[int, int, int]:
        """M, h, w of a picture."""
        return self.latent_channels(channels), -(-height // self.stride), -(-width // self.stride)

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

    def read(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names begin with `prefix`, named by what follows it; nothing is verified."""
        with safe_open(self.weights.path, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
            return {name.removeprefix(prefix): file.get_tensor(name) for name in names}

    def verify(self, entropy: Mapping[str, Tensor], synthesis: Mapping[str, Tensor]) -> None:
        """Compare the ids of what was read with those that the file says. Raises BadWeights."""
        said = self.weights.entropy_id, self.weights.synthesis_id
        if self.ids(self.weights.architecture, entropy, synthesis) != said:
            raise BadWeights(f"{self.weights.path} does not match its own hash: it is damaged, get it again")

    @classmethod
    def ids(
        cls, record: Mapping[str, object], entropy: Mapping[str, Tensor], synthesis: Mapping[str, Tensor]
    ) -> tuple[bytes, bytes]:
        """Entropy id (8 bytes) and synthesis id (4 bytes) of an architecture's record and its tensors.

        The tensors are named without the prefixes `entropy.` and `synthesis.`.
        """
        arrays = [{k: t.numpy() for k, t in tensors.items()} for tensors in (entropy, synthesis)]
        entropy_id = identify(record, cls.entropy_fields, arrays[0])
        synthesis_id = identify(record, cls.synthesis_fields, arrays[1])
        return entropy_id[:ENTROPY_ID_BYTES], synthesis_id[:SYNTHESIS_ID_BYTES]
