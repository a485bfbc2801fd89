"""What a model is trained for: a sum of distances, each weighted in the bits that one unit of it is worth.

With `mse` alone that is the classic objective, bpp + lambda MSE. For looks several metrics share, since what
one of them does not see is what a model trained on it alone gets wrong.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from aecodec.engines.engine import LEVELS
from aecodec.errors import BadArgument, BadRecipe
from aecodec.training import cvvdp, ssimulacra2

Distance = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Part:
    """One distance in the sum.

    Attributes:
        share: factor on the weights; 0 leaves the distance out.
        lowest, highest: bits a pixel that one unit is worth at level 0 and at 255, geometric in between.
        crops: share of the crops of a batch that it is taken on, 0..1: some are costly.
    """

    share: float
    lowest: float
    highest: float
    crops: float = 1.0

    def __post_init__(self) -> None:
        """Check every value. Raises BadRecipe."""
        for name in ("share", "lowest", "highest", "crops"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not 0 <= value < math.inf:
                raise BadRecipe(f"{name} = {value!r}: give a number from 0 on")
        if not 0 < self.lowest <= self.highest:
            raise BadRecipe("give lowest and highest above 0, the larger one last")
        if not 0 < self.crops <= 1:
            raise BadRecipe(f"crops = {self.crops}: give a share of the crops, above 0 and up to 1")

    def weight(self, level: Tensor) -> Tensor:
        """Levels [B] -> weights [B], the share included."""
        return self.share * self.lowest * (self.highest / self.lowest) ** (level / (LEVELS - 1))


def mse(x_hat: Tensor, x: Tensor) -> Tensor:
    """Mean squared error of values 0..255, [B]."""
    return (255 * (x_hat - x)).square().mean((1, 2, 3))


def ms_ssim(x_hat: Tensor, x: Tensor) -> Tensor:
    """1 - MS-SSIM over RGB, [B]; sides above 160 pixels. Raises BadArgument without pytorch-msssim."""
    try:
        from pytorch_msssim import ms_ssim as similarity
    except ImportError as fault:
        raise BadArgument(
            "the share ms_ssim of the distortion needs pytorch-msssim: install aecodec[train], or make it 0"
        ) from fault
    alike: Tensor = similarity(x_hat.clamp(0, 1), x, data_range=1.0, size_average=False)
    return 1 - alike


DISTANCES: Mapping[str, Distance] = {
    "mse": mse,
    "ssimulacra2": ssimulacra2.distance,
    "ms_ssim": ms_ssim,
    "cvvdp": cvvdp.distance,
}


def distortion(parts: Mapping[str, Part], x_hat: Tensor, x: Tensor, level: Tensor, step: int = 0) -> Tensor:
    """The weighted sum for each picture.

    Args:
        parts: by the names in `DISTANCES`.
        x_hat: decoded pictures, float32 [B, 3, H, W], about 0..1.
        x: the originals.
        level: float32 [B], 0..255.
        step: number of the training step; the crops that costly parts are taken on take turns.

    Returns:
        float32 [B], bits a pixel. Where a part is taken on half of the crops it counts twice there.
    """
    total = torch.zeros_like(level)
    for name, part in parts.items():
        if not part.share:
            continue
        count = max(1, round(part.crops * len(x)))
        at = (torch.arange(count, device=x.device) + step * count) % len(x)
        some = part.weight(level[at]) * DISTANCES[name](x_hat[at], x[at]) * (len(x) / count)
        total = total.index_add(0, at, some)
    return total
