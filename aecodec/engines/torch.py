"""The operations in PyTorch: tensors [B, C, H, W], on a CPU or a GPU. For training, GPUs and batches."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from aecodec.engines.engine import LEVELS, Engine, Gradient, Level

_cpu = threading.RLock()


class TorchEngine:
    """See `Engine`.

    Args:
        device: "cpu" or "cuda".
        dtype: of weights and activations.
        fast: compute in bfloat16, but for what is `precise`.

    """

    def __init__(self, device: str = "cpu", dtype: torch.dtype = torch.float32, fast: bool = False) -> None:
        self.device, self.dtype, self.fast = device, dtype, fast
        self.name = f"PyTorch {torch.__version__}, {str(dtype).removeprefix('torch.')}"

    def positions(self, products: int) -> tuple[int, ...]:
        """See `Engine`: one position, some and many."""
        return 1, 81, 5184

    def load(self, tensors: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
        """See `Engine`."""
        with torch.inference_mode(False):
            return {
                name: torch.from_numpy(array).to(self.device, self.dtype) for name, array in tensors.items()
            }

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """See `Engine`: no autograd, and neither autocast nor a default device of the caller's.

        On a CPU in one thread at a time: each call of PyTorch takes all the cores that it may use.
        """
        with contextlib.ExitStack() as stack:
            if self.device == "cpu":
                stack.enter_context(_cpu)
            stack.enter_context(torch.inference_mode())
            stack.enter_context(torch.device("cpu"))
            for kind in ("cpu", "cuda"):
                fast = self.fast and kind == self.device
                stack.enter_context(torch.autocast(kind, torch.bfloat16, enabled=fast))
            yield

    def from_array(self, x: np.ndarray) -> Tensor:
        """See `Engine`."""
        return torch.from_numpy(x).to(device=self.device, dtype=self.dtype).permute(0, 3, 1, 2)

    def to_array(self, x: Tensor) -> np.ndarray:
        """See `Engine`."""
        array: np.ndarray = x.to(self.dtype).permute(0, 2, 3, 1).contiguous().cpu().numpy()
        return array

    def from_pixels(self, pixels: np.ndarray) -> Tensor:
        """See `Engine`."""
        return torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2).to(self.dtype) / 255

    def to_pixels(self, x: Tensor) -> np.ndarray:
        """See `Engine`."""
        pixels = x.mul_(255).round_().clamp_(0, 255).to(torch.uint8)
        array: np.ndarray = pixels.permute(0, 2, 3, 1).cpu().numpy()
        return array

    def pointwise(self, x: Tensor, weight: Tensor, bias: Tensor, precise: bool = False) -> Tensor:
        """See `Engine`. A bias [B, O] has a row for each picture."""
        with torch.autocast(x.device.type, enabled=False) if precise else contextlib.nullcontext():
            x = x.float() if precise else x
            if bias.ndim == 1:
                return _pointwise(x, weight, bias)
            h = _pointwise(x, weight, None)
            return h.add_(bias[:, :, None, None].to(h.dtype))

    def depthwise(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """See `Engine`."""
        return F.conv2d(x, weight, bias, padding=1, groups=x.shape[1])

    def hardswish(self, x: Tensor) -> Tensor:
        """See `Engine`."""
        return F.hardswish(x, inplace=not torch.is_grad_enabled())

    def asinh(self, x: Tensor) -> Tensor:
        """See `Engine`; of functions that PyTorch has vectorised."""
        magnitude = x.abs()
        return torch.copysign(torch.log(magnitude + torch.sqrt(magnitude * magnitude + 1)), x)

    def requantise(self, x: Tensor, scale: Tensor, low: int, high: int) -> Tensor:
        """See `Engine`."""
        return x.mul_(scale[:, None, None]).floor_().clamp_(low, high)

    def add(self, branch: Tensor, x: Tensor) -> Tensor:
        """See `Engine`; the sum has the type of x."""
        if torch.is_grad_enabled() or branch.dtype != x.dtype:
            return x + branch
        return branch.add_(x)

    def scale(self, x: Tensor, factors: Tensor) -> Tensor:
        """See `Engine`."""
        return x * factors[..., None, None]

    def shuffle(self, x: Tensor, size: int) -> Tensor:
        """See `Engine`."""
        return F.pixel_shuffle(x, size)

    def unshuffle(self, x: Tensor, size: int) -> Tensor:
        """See `Engine`."""
        return F.pixel_unshuffle(x, size)

    def crop(self, x: Tensor, height: int, width: int) -> Tensor:
        """See `Engine`."""
        return x[:, :, :height, :width]

    def row(self, table: Tensor, level: Level) -> Tensor:
        """See `Engine`. Of levels [B] it is [B, C], linear between the rows of a table [R, C]."""
        if not isinstance(level, Tensor):
            return table[level]
        position = level * ((len(table) - 1) / (LEVELS - 1))
        at = torch.arange(len(table), device=level.device)
        weights = (1 - (position[:, None] - at).abs()).clamp(min=0)  # [B, R], hat functions
        return torch.mm(weights, table)

    def in_rows(self, part: Callable[[Engine, Tensor], Tensor], x: Tensor, halo: int = 0) -> Tensor:
        """See `Engine`: all rows at once."""
        return part(self, x)

    def pullback(self, function: Callable[[Engine, Tensor], Tensor], x: Tensor) -> tuple[Tensor, Gradient]:
        """See `Engine`."""
        with torch.inference_mode(False), torch.enable_grad():
            x = x.clone().requires_grad_()
            result = function(self, x)

        def back(gradient: np.ndarray) -> np.ndarray:
            with torch.inference_mode(False):
                (found,) = torch.autograd.grad(result, x, self.from_array(gradient).to(result.dtype))
            return self.to_array(found)

        return result.detach(), back


def _pointwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """In float32 on one thread PyTorch would use a matrix product, at less than half the speed of its
    convolution kernels. A dilation, which means nothing to 1x1, makes it choose these, but for small inputs.
    """
    fast = x.device.type == "cpu" and x.dtype == torch.float32 and x.numel() > 20480
    return F.conv2d(x, weight[:, :, None, None], bias, dilation=2 if fast else 1)
