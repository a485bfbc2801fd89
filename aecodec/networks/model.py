"""What the codec asks of a model, whatever its networks are, and what all weights files have in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import ClassVar

import numpy as np
from safetensors import safe_open

from aecodec.coding.symbols import Coded
from aecodec.engines.engine import Engine, Gradient
from aecodec.errors import BadWeights
from aecodec.file.container import ENTROPY_ID_BYTES, SYNTHESIS_ID_BYTES, TILE_SIZE
from aecodec.weights import Weights, identify

Tensors = Mapping[str, np.ndarray]


class Model(ABC):
    """A model in memory: verified weights, ready to encode and decode tiles; may be shared between threads.

        pixels [B, H, W, C] -> analyse -> y [B, h, w, M] -> encode -> words
        words -> decode -> y_hat [M, h, w] in sixteenths -> scaled -> [h, w, M] -> synthesise -> pixels

    B tiles of one size go through the networks together. C is 1 or 3, H = stride h and W = stride w. Only the
    engine knows of anything but NumPy arrays.
    """

    entropy_fields: ClassVar[tuple[str, ...]]  # of the architecture's record, for the entropy id
    synthesis_fields: ClassVar[tuple[str, ...]]  # and for the synthesis id

    stride: int  # pixels a side for each position of the latents
    tile_size: int = TILE_SIZE  # pixels a side of the tiles that it writes, a multiple of the stride
    analysis_halo: int  # pixels, a multiple of the stride, that the analysis sees around a tile
    synthesis_halo: int  # positions of latents that the synthesis sees around a tile

    def __init__(self, weights: Weights, engine: Engine) -> None:
        self.weights, self.engine = weights, engine

    @abstractmethod
    def latent_channels(self, channels: int) -> int:
        """M for a picture of 1 or 3 channels."""

    @abstractmethod
    def analyse(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels uint8 [B, H, W, C] -> y before any gain, float32 [B, h, w, M]."""

    @abstractmethod
    def encode(self, y: np.ndarray, level: int) -> list[Coded]:
        """Code what `analyse` returns at a rate level, 0..255."""

    @abstractmethod
    def decode(self, words: Sequence[bytes], shape: tuple[int, int, int], level: int) -> list[Coded]:
        """Decode the words of tiles whose latents have one shape [M, h, w]. Raises LatentsMismatch."""

    @abstractmethod
    def scaled(self, y_hat: np.ndarray, level: int) -> np.ndarray:
        """Latents in sixteenths, int32 [..., M, h, w] -> float32 [..., h, w, M] in the units of `analyse`."""

    @abstractmethod
    def synthesise(self, y_hat: np.ndarray, level: int, channels: int) -> np.ndarray:
        """What `scaled` returns, float32 [B, h, w, M] -> pixels uint8 [B, H, W, C]."""

    def symbol(self, level: int) -> np.ndarray | None:
        """What one step of a symbol is in y, float32 [M]; None where latents are not refined."""
        return None

    def render(self, y_hat: np.ndarray, level: int, channels: int) -> tuple[np.ndarray, Gradient]:
        """As `synthesise`, for refinement: float32 [B, H, W, C], 0..1, not clamped, and the way back.

        Returns:
            The picture, and a function from the gradient of some scalar in it to that in y_hat.

        """
        raise NotImplementedError

    def latents_shape(self, height: int, width: int, channels: int) -> tuple[int, int, int]:
        """M, h, w of a picture."""
        return self.latent_channels(channels), -(-height // self.stride), -(-width // self.stride)

    @cached_property
    def quality_levels(self) -> np.ndarray:
        """Level (float, 0..255, rising) of the qualities 0, 5, ..., 100."""
        levels = self.read("encoder.quality_levels").get("")
        if levels is None:
            raise BadWeights(f"{self.weights.path} can decode but not encode: it has no quality levels")
        return levels

    def level(self, quality: float) -> int:
        """The rate level that stands for a quality, 0..100."""
        knots = np.linspace(0, 100, len(self.quality_levels))
        return round(float(np.interp(quality, knots, self.quality_levels)))

    def read(self, prefix: str) -> dict[str, np.ndarray]:
        """The tensors whose names begin with `prefix`, named by what follows it; nothing is verified."""
        with safe_open(self.weights.path, framework="np") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
            return {name.removeprefix(prefix): file.get_tensor(name) for name in names}

    def verify(self, entropy: Tensors, synthesis: Tensors) -> None:
        """Compare the ids of what was read with those that the file says. Raises BadWeights."""
        said = self.weights.entropy_id, self.weights.synthesis_id
        if self.ids(self.weights.architecture, entropy, synthesis) != said:
            raise BadWeights(f"{self.weights.path} does not match its own hash: it is damaged, get it again")

    @classmethod
    def ids(cls, record: Mapping[str, object], entropy: Tensors, synthesis: Tensors) -> tuple[bytes, bytes]:
        """Entropy id (8 bytes) and synthesis id (4 bytes) of an architecture's record and its tensors.

        The tensors are named without the prefixes `entropy.` and `synthesis.`.
        """
        entropy_id = identify(record, cls.entropy_fields, entropy)
        synthesis_id = identify(record, cls.synthesis_fields, synthesis)
        return entropy_id[:ENTROPY_ID_BYTES], synthesis_id[:SYNTHESIS_ID_BYTES]
