"""The shape of a model, as one frozen record that travels inside its weights file."""

import dataclasses
from dataclasses import dataclass
from typing import Any

PATCH = 8  # side of the pixel-unshuffled patches that the transforms work on
STRIDE = 16  # pixels between latents y
HYPER_STRIDE = 64  # pixels between hyper-latents z
Z_LIMIT = 127  # largest magnitude of a hyper-latent: it enters an integer network
MU_LIMIT = 2**14 - 1  # largest magnitude of a predicted mean, in sixteenths


@dataclass(frozen=True)
class Architecture:
    """Sizes of the networks; the defaults are those of the model `photo`.

    Multiply-accumulates a pixel are counted by `aecodec.networks.photo.complexity`.
    """

    latent_channels: int = 320  # a linear 16x16 transform with 320 components keeps 45 dB on average
    width: int = 192  # channels at 1/8: at least 192 carry an 8x8 RGB patch without loss
    analysis_blocks: tuple[int, int] = (6, 4)  # at 1/8, then at 1/16
    synthesis_blocks: tuple[int, int] = (2, 4)  # at 1/16, then at 1/8
    quarter_width: int = 64  # channels at 1/4
    quarter_blocks: int = 2  # of the synthesis at 1/4; 0: it ends at 1/8
    hyper_channels: int = 128
    hyper_width: int = 256
    scales: int = 64  # scale indexes, 0 (not coded) included
    scale_first: float = 0.15  # standard deviation of index 1
    scale_ratio: float = 1.122  # from one index to the next: index 63 is 188

    def record(self) -> dict[str, Any]:
        """The architecture as plain JSON values."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_record(record: dict[str, Any]) -> "Architecture":
        """Inverse of `record`. Raises TypeError on unknown or missing fields."""
        values = dict(record)
        for name in ("analysis_blocks", "synthesis_blocks"):
            values[name] = tuple(values[name])
        return Architecture(**values)
