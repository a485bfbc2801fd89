"""Analysis and synthesis: the float transforms between pixels and latents."""

import torch.nn.functional as F
from torch import Tensor, nn

from aecodec.networks.photo.architecture import PATCH, STRIDE, Architecture
from aecodec.networks.photo.blocks import KNOTS, Block, LevelTable, Pointwise, activated, asinh

PATCH_CHANNELS = 3 * PATCH * PATCH
QUARTER = PATCH // 2


class Analysis(nn.Module):
    """Pixels -> latents before the gain.

    x [B, 3, H, W], 0..1, H and W multiples of 16
    -> pixel-unshuffle by 8 -> enter 1x1 -> fine blocks -> unshuffle by 2 -> down 1x1 -> coarse blocks
    -> y [B, M, H/16, W/16]
    """

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        fine, coarse = a.analysis_blocks
        self.enter = Pointwise(PATCH_CHANNELS, a.width, precise=True)
        self.fine = nn.ModuleList(Block(a.width) for _ in range(fine))
        self.down = Pointwise(4 * a.width, a.latent_channels, precise=True)
        self.coarse = nn.ModuleList(Block(a.latent_channels) for _ in range(coarse))

    def forward(self, x: Tensor, linear: bool = False) -> Tensor:
        """`linear`: only the path around the blocks, which is what an untrained network computes."""
        h: Tensor = self.enter(F.pixel_unshuffle(x, PATCH))
        for block in [] if linear else self.fine:
            h = block(h)
        h = self.down(F.pixel_unshuffle(h, 2))
        for block in [] if linear else self.coarse:
            h = block(h)
        return h


class Synthesis(nn.Module):
    """Latents after the inverse gain -> pixels; the mirror of `Analysis`.

    y_hat [B, M, h, w] -> coarse blocks -> up 1x1 -> shuffle by 2 -> fine blocks -> leave 1x1
    -> pixel-shuffle by 8 -> x_hat [B, 3, 16 h, 16 w], about 0..1, not clamped
    """

    def __init__(self, a: Architecture, level_rows: int = KNOTS) -> None:
        super().__init__()
        coarse, fine = a.synthesis_blocks
        self.coarse = nn.ModuleList(Block(a.latent_channels, level_rows) for _ in range(coarse))
        self.up = Pointwise(a.latent_channels, 4 * a.width, precise=True)
        self.fine = nn.ModuleList(Block(a.width, level_rows) for _ in range(fine))
        self.leave = Pointwise(a.width, PATCH_CHANNELS, precise=True)
        self.quarter = Quarter(a, level_rows) if a.quarter_blocks else None

    def forward(self, y_hat: Tensor, level: Tensor) -> Tensor:
        """`y_hat` already divided by the gain; levels [B]."""
        h = y_hat
        for block in self.coarse:
            h = block(h, level)
        h = F.pixel_shuffle(self.up(h), 2)
        for block in self.fine:
            h = block(h, level)
        x_hat = F.pixel_shuffle(self.leave(h), PATCH)
        return x_hat if self.quarter is None else x_hat + self.quarter(h, level)


class Quarter(nn.Module):
    """What the synthesis adds at 1/4, where blocks of 8x8 pixels are smoothed; starts at zero.

    features [B, C, h, w] at 1/8 -> up 1x1 -> shuffle by 2 -> blocks -> leave 1x1 -> pixel-shuffle by 4
    -> pixels [B, 3, 8 h, 8 w]
    """

    def __init__(self, a: Architecture, level_rows: int = KNOTS) -> None:
        super().__init__()
        width = a.quarter_width
        self.up = Pointwise(a.width, 4 * width)
        self.blocks = nn.ModuleList(Block(width, level_rows) for _ in range(a.quarter_blocks))
        self.leave = Pointwise(width, 3 * QUARTER**2, gain=0, precise=True)

    def forward(self, h: Tensor, level: Tensor) -> Tensor:
        """Levels [B]."""
        h = F.pixel_shuffle(self.up(h), 2)
        for block in self.blocks:
            h = block(h, level)
        return F.pixel_shuffle(self.leave(h), QUARTER)


class HyperAnalysis(nn.Module):
    """Gained latents y [B, M, h, w], h and w multiples of 4 -> z [B, N, h/4, w/4], before rounding.

    y is companded by asinh: its values span three orders of magnitude over channels and levels.
    """

    def __init__(self, a: Architecture, level_rows: int = KNOTS) -> None:
        super().__init__()
        width = a.hyper_width
        self.enter = Pointwise(a.latent_channels, width)
        self.level = LevelTable(width, level_rows)
        self.middle = Pointwise(4 * width, width)
        self.block = Block(width)
        self.leave = Pointwise(4 * width, a.hyper_channels)

    def forward(self, y: Tensor, level: Tensor) -> Tensor:
        """Levels [B] are those that y was gained for."""
        h = self.enter(asinh(y)) + self.level(level)[:, :, None, None]
        h = F.pixel_unshuffle(activated(h), 2)
        h = self.block(self.middle(h))
        z: Tensor = self.leave(F.pixel_unshuffle(activated(h), 2))
        return z


# How far they see


def analysis_halo(a: Architecture) -> int:
    """Pixels, a multiple of the stride: one 3x3 step for each block."""
    fine, coarse = a.analysis_blocks
    return -(-(fine * PATCH + coarse * STRIDE) // STRIDE) * STRIDE


def synthesis_halo(a: Architecture) -> int:
    """Latents: one for each coarse block, one for every two fine ones, or four at 1/4."""
    coarse, fine = a.synthesis_blocks
    return coarse + -(-(fine * PATCH + a.quarter_blocks * QUARTER) // STRIDE)
