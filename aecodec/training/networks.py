"""The transforms as PyTorch modules: parameters by the names of the weights, run by the topology itself."""

import torch
from torch import Tensor, nn

from aecodec.engines.engine import LEVELS
from aecodec.engines.torch import TorchEngine
from aecodec.networks.photo import transform
from aecodec.networks.photo.architecture import Architecture
from aecodec.networks.photo.transform import PATCH_CHANNELS, QUARTER

KNOTS = 16  # while it is trained, a function of the level is linear between knots 17 levels apart
ENGINE = TorchEngine()


class LevelTable(nn.Module):
    """A vector for each rate level: values [KNOTS, C] at equally spaced levels, linear in between."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.zeros(KNOTS, channels))

    def forward(self, level: Tensor) -> Tensor:
        """Levels [B] (0..255, float) -> vectors [B, C]."""
        return ENGINE.row(self.values, level)

    def table(self) -> Tensor:
        """All levels at once: [256, C]."""
        return self.forward(torch.arange(LEVELS, dtype=torch.float32, device=self.values.device))

    def rows_of(self, table: Tensor) -> Tensor:
        """The rows [KNOTS, C] of a table [256, C] that are values here."""
        return table[:: (LEVELS - 1) // (KNOTS - 1)]

    def set_table(self, table: Tensor) -> None:
        """Inverse of `table`."""
        self.values.data.copy_(self.rows_of(table))


class Pointwise(nn.Module):
    """Weight [O, I], a matrix, which is what matrix optimizers want, and bias of a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * gain * inputs**-0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))


class Depthwise(nn.Module):
    """Weight and bias of a 3x3 depthwise convolution; starts as the identity plus a little noise."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        weight = torch.randn(channels, 1, 3, 3) * 0.1
        weight[:, :, 1, 1] += 1
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(channels))


class Block(nn.Module):
    """Weights of a block. Both branches start at zero, so that the untrained block is the identity."""

    def __init__(self, channels: int, leveled: bool = False) -> None:
        super().__init__()
        self.enter = Pointwise(channels, channels)
        self.level = LevelTable(channels) if leveled else None
        self.spatial = Depthwise(channels)
        self.leave = Pointwise(channels, channels, gain=0)
        self.expand = Pointwise(channels, 2 * channels)
        self.contract = Pointwise(2 * channels, channels, gain=0)


class Analysis(nn.Module):
    """Weights of `transform.analysis`."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.architecture = a
        fine, coarse = a.analysis_blocks
        self.enter = Pointwise(PATCH_CHANNELS, a.width)
        self.fine = nn.ModuleList(Block(a.width) for _ in range(fine))
        self.down = Pointwise(4 * a.width, a.latent_channels)
        self.coarse = nn.ModuleList(Block(a.latent_channels) for _ in range(coarse))

    def forward(self, x: Tensor, linear: bool = False) -> Tensor:
        """x [B, 3, H, W], 0..1 -> y [B, M, H/16, W/16]."""
        y: Tensor = transform.analysis(ENGINE, dict(self.named_parameters()), self.architecture, x, linear)
        return y


class Synthesis(nn.Module):
    """Weights of `transform.synthesis`."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.architecture = a
        coarse, fine = a.synthesis_blocks
        self.coarse = nn.ModuleList(Block(a.latent_channels, leveled=True) for _ in range(coarse))
        self.up = Pointwise(a.latent_channels, 4 * a.width)
        self.fine = nn.ModuleList(Block(a.width, leveled=True) for _ in range(fine))
        self.leave = Pointwise(a.width, PATCH_CHANNELS)
        self.quarter = Quarter(a) if a.quarter_blocks else None

    def forward(self, y_hat: Tensor, level: Tensor) -> Tensor:
        """y_hat [B, M, h, w] divided by the gain, levels [B] -> x_hat [B, 3, 16 h, 16 w]."""
        weights = dict(self.named_parameters())
        x_hat: Tensor = transform.synthesis(ENGINE, weights, self.architecture, y_hat, level)
        return x_hat


class Quarter(nn.Module):
    """Weights of the stage at 1/4 of `transform.synthesis`; it starts at zero."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        width = a.quarter_width
        self.up = Pointwise(a.width, 4 * width)
        self.blocks = nn.ModuleList(Block(width, leveled=True) for _ in range(a.quarter_blocks))
        self.leave = Pointwise(width, 3 * QUARTER**2, gain=0)


class HyperAnalysis(nn.Module):
    """Weights of `transform.hyper_analysis`."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        width = a.hyper_width
        self.enter = Pointwise(a.latent_channels, width)
        self.level = LevelTable(width)
        self.middle = Pointwise(4 * width, width)
        self.block = Block(width)
        self.leave = Pointwise(4 * width, a.hyper_channels)

    def forward(self, y: Tensor, level: Tensor) -> Tensor:
        """Gained y [B, M, h, w], levels [B] that it was gained for -> z [B, N, h/4, w/4], before rounding."""
        z: Tensor = transform.hyper_analysis(ENGINE, dict(self.named_parameters()), y, level)
        return z
