"""The few layers that the float transforms are made of."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = 256  # rate levels: one byte
AT_A_TIME = 4096  # positions
KNOTS = 16  # while it is trained, a function of the level is linear between knots 17 levels apart


def _normal(shape: tuple[int, ...], deviation: float) -> Tensor:
    """Random values, but none on the meta device: there these import PyTorch's compiler, for a second."""
    values = torch.empty(shape)
    return values if values.is_meta else values.normal_(0, deviation)


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
        self.weight = nn.Parameter(_normal((outputs, inputs), gain * inputs**-0.5))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C', H, W]."""
        if not self.precise:
            return pointwise(x, self.weight, self.bias)
        with torch.autocast(x.device.type, enabled=False):
            return pointwise(x.float(), self.weight, self.bias)


def pointwise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """1x1 convolution of [B, C, H, W] with a matrix [C', C].

    In float32 on one thread PyTorch would use a matrix product, at less than half the speed of its
    convolution kernels. A dilation, which means nothing to 1x1, makes it choose these, but for small inputs.
    """
    fast = x.device.type == "cpu" and x.dtype == torch.float32 and x.numel() > 20480
    return F.conv2d(x, weight[:, :, None, None], bias, dilation=2 if fast else 1)


class Depthwise(nn.Module):
    """3x3 depthwise convolution, zero padding; starts as the identity plus a little noise."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        weight = _normal((channels, 1, 3, 3), 0.1)
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
            hidden = hidden.add_(self.level(level)[:, :, None, None].to(hidden.dtype))
        x = _added(x, self.leave(self.spatial(activated(hidden))))
        return self._mixed(x)

    def _mixed(self, x: Tensor) -> Tensor:
        """x and the second branch; without autograd some rows at a time, which the caches of a CPU hold."""
        if torch.is_grad_enabled():
            return _added(x, self.contract(activated(self.expand(x))))
        rows = max(1, AT_A_TIME // x.shape[3]) if x.device.type == "cpu" else x.shape[2]
        for top in range(0, x.shape[2], rows):
            part = x[:, :, top : top + rows]
            part.add_(self.contract(activated(self.expand(part))))
        return x


# Without autograd, results take the place of what nobody reads any more: fresh memory costs page faults,
# which take more time than the arithmetic.


def activated(x: Tensor) -> Tensor:
    """Hardswish of what a layer has just made."""
    return F.hardswish(x, inplace=not torch.is_grad_enabled())


def asinh(x: Tensor) -> Tensor:
    """The inverse hyperbolic sine, of functions that PyTorch has vectorized."""
    magnitude = x.abs()
    return torch.copysign(torch.log(magnitude + torch.sqrt(magnitude * magnitude + 1)), x)


def _added(x: Tensor, branch: Tensor) -> Tensor:
    """x + branch in the type of x; one of them is overwritten."""
    if torch.is_grad_enabled():
        return x + branch
    return branch.add_(x) if branch.dtype == x.dtype else x.add_(branch)
