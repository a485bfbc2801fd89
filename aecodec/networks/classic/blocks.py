"""The layers that the classic autoencoders are made of."""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from aecodec.errors import BadArgument

SLOPE = 0.1  # of LeakyReLU below 0
HEADS = 4  # of self-attention

TORCHVISION = (
    "torchvision, which cannot be imported ({}): install torch and torchvision in one command from one "
    "index, as pytorch.org says"
)


def activation(dropout: float = 0.0) -> list[nn.Module]:
    """LeakyReLU, and dropout of whole channels, at 0 too: so names of layers do not depend on it."""
    return [nn.LeakyReLU(SLOPE), nn.Dropout2d(dropout)]


def normalized(channels: int, dropout: float = 0.0) -> list[nn.Module]:
    """Batch normalization and activation."""
    return [nn.BatchNorm2d(channels), *activation(dropout)]


def fully_connected(sizes: list[int], dropout: float) -> nn.Sequential:
    """Linear layers with activations between them: [B, sizes[0]] -> [B, sizes[-1]]."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(SLOPE), nn.Dropout(dropout)]
    return nn.Sequential(*layers[:-2])


def keep_variance(layer: nn.Module) -> None:
    """Start a linear layer or convolution so that signals stay as large behind the activation."""
    if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        transposed = isinstance(layer, nn.ConvTranspose2d)  # its weight is [inputs, outputs, ...]
        nn.init.kaiming_normal_(layer.weight, SLOPE, "fan_out" if transposed else "fan_in")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


class Fold(nn.Module):
    """Latents [B, depth n n] -> [B, depth, n, n]."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.depth = depth

    def forward(self, y: Tensor) -> Tensor:
        """[B, L] -> [B, depth, n, n]."""
        side = math.isqrt(y.shape[1] // self.depth)
        return y.view(-1, self.depth, side, side)


class Residual(nn.Module):
    """Two 3x3 convolutions with batch normalization beside the identity: [B, C, H, W] -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            *normalized(channels),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        return F.leaky_relu(x + self.branch(x), SLOPE)


class SelfAttention(nn.Module):
    """Every position looks at all others, beside the identity: [B, C, H, W] -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.attention = nn.MultiheadAttention(channels, HEADS, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        rows = self.norm(x.flatten(2).transpose(1, 2))  # [B, H W, C]
        seen: Tensor = self.attention(rows, rows, rows, need_weights=False)[0]
        added = seen.transpose(1, 2).reshape(x.shape)
        return x + added


def upsampled(inputs: int, outputs: int) -> list[nn.Module]:
    """Every pixel four times, then a 3x3 convolution: side s -> 2 s."""
    return [nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1)]


def pixel_shuffled(inputs: int, outputs: int) -> list[nn.Module]:
    """A sub-pixel convolution: 3x3 to four times the channels, which become 2 x 2 pixels: side s -> 2 s."""
    return [nn.Conv2d(inputs, 4 * outputs, 3, padding=1), nn.PixelShuffle(2)]


def resnet18(outputs: int) -> nn.Module:
    """torchvision's ResNet-18, fresh: [B, 3, s, s], or [B, 1, s, s] as three equal colours -> [B, outputs].

    Raises BadArgument where torchvision is missing, or is not the build that PyTorch needs.
    """
    try:
        from torchvision.models import resnet18
    except (ImportError, RuntimeError) as fault:  # a wheel for CUDA beside PyTorch for the CPU: RuntimeError
        raise BadArgument(f"the kind resnet32 needs {TORCHVISION.format(fault)}") from fault
    network: nn.Module = resnet18(weights=None, num_classes=outputs)
    network.register_forward_pre_hook(_as_colours)
    return network


def _as_colours(_: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (arguments[0].expand(-1, 3, -1, -1),)
