"""The few layers that the float transforms are made of."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = 256  # rate levels: one byte
KNOTS = 16  # while it is trained, a function of the level is linear between knots 17 levels apart


class LevelTable(nn.Module):
    """A vector for each rate level: values [R, C] at R equally spaced levels, linear in between.

    Trained models have R = KNOTS; weights files have R = LEVELS, where nothing is left to interpolate.
    """

    def __init__(self, channels: int, rows: int = KNOTS) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.zeros(rows, channels))

    def forward(self, level: Tensor) -> Tensor:
        """Levels [B] (0..255, float) -> vectors [B, C]."""
        rows = len(self.values)
        position = level * ((rows - 1) / (LEVELS - 1))
        at = torch.arange(rows, device=level.device)
        weights = (1 - (position[:, None] - at).abs()).clamp(min=0)  # [B, R] hat functions
        return torch.mm(weights, self.values)

    def table(self) -> Tensor:
        """All levels at once: [256, C]."""
        return self.forward(torch.arange(LEVELS, dtype=torch.float32, device=self.values.device))

    def rows_of(self, table: Tensor) -> Tensor:
        """The rows [R, C] of a table [256, C] that are values here."""
        return table[:: (LEVELS - 1) // (len(self.values) - 1)]

    def set_table(self, table: Tensor) -> None:
        """Inverse of `table`."""
        self.values.data.copy_(self.rows_of(table))


class Pointwise(nn.Module):
    """1x1 convolution whose weight is a matrix [out, in], which is what matrix optimizers want.

    `precise`: in float32 under autocast too. On the linear path bfloat16 costs 0.3 dB at the highest level.
    """

    def __init__(self, inputs: int, outputs: int, gain: float = 1.0, precise: bool = False) -> None:
        super().__init__()
        self.precise = precise
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * (gain * inputs**-0.5))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C', H, W]."""
        if not self.precise:
            return F.conv2d(x, self.weight[:, :, None, None], self.bias)
        with torch.autocast(x.device.type, enabled=False):
            return F.conv2d(x.float(), self.weight[:, :, None, None], self.bias)


class Depthwise(nn.Module):
    """3x3 depthwise convolution, zero padding; starts as the identity plus a little noise."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        weight = torch.randn(channels, 1, 3, 3) * 0.1
        weight[:, :, 1, 1] += 1
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C', H, W]."""
        return F.conv2d(x, self.weight, self.bias, padding=1, groups=x.shape[1])


class Block(nn.Module):
    """1x1 -> hardswish -> depthwise 3x3 -> 1x1, residual; then 1x1 -> hardswish -> 1x1, residual.

    Both branches start at zero, so that the untrained block is the identity. With `level_rows`, the
    first 1x1 has a second bias from a LevelTable of so many rows. Hardswish takes a quarter of GELU's time.
    """

    def __init__(self, channels: int, level_rows: int = 0) -> None:
        super().__init__()
        self.enter = Pointwise(channels, channels)
        self.level = LevelTable(channels, level_rows) if level_rows else None
        self.spatial = Depthwise(channels)
        self.leave = Pointwise(channels, channels, gain=0)
        self.expand = Pointwise(channels, 2 * channels)
        self.contract = Pointwise(2 * channels, channels, gain=0)

    def forward(self, x: Tensor, level: Tensor | None = None) -> Tensor:
        """[B, C, H, W], levels [B] -> [B, C, H, W]."""
        hidden = self.enter(x)
        if self.level is not None and level is not None:
            hidden = hidden + self.level(level)[:, :, None, None].to(hidden.dtype)
        x = x + self.leave(self.spatial(F.hardswish(hidden)))
        x = x + self.contract(F.hardswish(self.expand(x)))
        return x
