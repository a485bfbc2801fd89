"""The trained model and its objective: bits per pixel plus lambda times squared error."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aecodec.coding.symbols import DISTORTION_BITS
from aecodec.engines.engine import LEVELS
from aecodec.networks.photo.architecture import Architecture
from aecodec.training.masters import Masters
from aecodec.training.networks import Analysis, HyperAnalysis, LevelTable, Synthesis


@dataclass(frozen=True)
class LambdaRange:
    """lambda of level 0 and of level 255; geometric in between."""

    lowest: float
    highest: float

    def at(self, level: Tensor) -> Tensor:
        """Levels [B] -> lambdas [B]."""
        return self.lowest * (self.highest / self.lowest) ** (level / (LEVELS - 1))

    def weight(self, level: Tensor) -> Tensor:
        """Weight of a picture in the objective: lambda^-1/2, 1 in the middle of the range.

        Rate grows about as lambda^1/2: so weighted, one per cent of rate counts the same at every level.
        """
        return (math.sqrt(self.lowest * self.highest) / self.at(level)).sqrt()


@dataclass
class Outcome:
    """What one pass over a batch gives.

    Attributes:
        y_bpp, z_bpp: bits per pixel, [B] each.
        x_hat: decoded pixels [B, 3, H, W], about 0..1; None where the entropy model was run alone.
    """

    y_bpp: Tensor
    z_bpp: Tensor
    x_hat: Tensor | None

    @property
    def bpp(self) -> Tensor:
        """Bits per pixel, y and z together: [B]."""
        return self.y_bpp + self.z_bpp


class TrainedModel(nn.Module):
    """All networks of one codec, in floats.

    x -> analysis -> y * gain -> hyper-analysis -> z -> masters -> mu, index -> rate
                  -> round(y - mu) + mu -> / gain -> synthesis -> x_hat -> distortion
    """

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.architecture = a
        self.analysis = Analysis(a)
        self.synthesis = Synthesis(a)
        self.hyper_analysis = HyperAnalysis(a)
        self.masters = Masters(a)
        self.log_gain = LevelTable(a.latent_channels)

    def gain(self, level: Tensor) -> Tensor:
        """Levels [B] -> gains [B, M, 1, 1]: y is multiplied by them before rounding, divided after."""
        return torch.exp(self.log_gain(level))[:, :, None, None]

    def forward(self, x: Tensor, level: Tensor, mode: str = "noise", linear: bool = False) -> Outcome:
        """x [B, 3, H, W] 0..1, sides multiples of 64; levels [B] 0..255 as floats.

        `mode` "noise": uniform noise in the rate, straight-through rounding in the distortion
        (Balle et al. 2018; Minnen and Singh 2020). "round": both on the symbols that are coded.
        `linear`: analysis without its blocks and no distortion, to fit the entropy model alone.
        """
        gain = self.gain(level)
        y = (self.analysis(x, linear) * gain).float()
        if linear:
            y = y.detach()
        z = self.hyper_analysis(y, level).float()
        pixels = x.shape[2] * x.shape[3]
        z_scale = torch.exp(self.masters.z_log_scale(level))[:, :, None, None]
        z_hat = straight_through(z)
        z_bits = gaussian_bits(z_hat if mode == "round" else perturb(z), z_scale)
        y_bits, y_hat = self._code(z_hat, y, level, mode)
        x_hat = None if linear else self.synthesis(y_hat / gain, level).float()
        return Outcome(y_bits / pixels, z_bits.sum((1, 2, 3)) / pixels, x_hat)

    def _code(self, z: Tensor, y: Tensor, level: Tensor, mode: str) -> tuple[Tensor, Tensor]:
        """Bits of y [B] and y_hat [B, M, h, w]."""
        mu, index = self.masters(z, level, *y.shape[2:])
        residual, scale = y - mu, scale_of(self.architecture, index)
        if mode == "round":
            symbols = cheapest(residual, scale) * (index >= 0.5)  # index 0 is not coded
            noisy = symbols = residual + (symbols - residual).detach()
        else:
            noisy, symbols = perturb(residual), straight_through(residual)
        return gaussian_bits(noisy, scale).sum((1, 2, 3)), symbols + mu


def scale_of(a: Architecture, index: Tensor) -> Tensor:
    """Standard deviation of a real-valued scale index.

    Indexes below zero are allowed here: under uniform noise even a sure zero costs about 1.1 sigma bits,
    which nothing pays in the file, where all of them become index 0.
    """
    index = bounded(index, -24.0, a.scales - 1.0)
    return a.scale_first * torch.exp((index - 1) * math.log(a.scale_ratio))


def bounded(x: Tensor, low: float, high: float) -> Tensor:
    """Clamp whose gradient still leads back into the range from outside."""
    clamped = x.clamp(low, high)
    return clamped + 0.05 * (x - clamped - (x - clamped).detach())


def straight_through(x: Tensor) -> Tensor:
    """Rounding with the gradient of the identity."""
    return x + (x.round() - x).detach()


def perturb(x: Tensor) -> Tensor:
    """Uniform noise of one unit."""
    return x + torch.rand_like(x) - 0.5


@torch.no_grad()
def cheapest(residual: Tensor, scale: Tensor) -> Tensor:
    """The symbols that the encoder chooses: `coding.symbols.cheapest` with Gaussian bits."""
    rounded = residual.round()
    nearer = rounded - rounded.sign()
    saved = gaussian_bits(rounded, scale) - gaussian_bits(nearer, scale)
    added = DISTORTION_BITS * ((residual - nearer).square() - (residual - rounded).square())
    return torch.where(saved > added, nearer, rounded)


def gaussian_bits(x: Tensor, scale: Tensor) -> Tensor:
    """Bits of x under a zero-mean Gaussian integrated over unit bins, elementwise.

    Beyond the reach of float32's erfc the tail continues linearly, so that outliers keep a gradient.
    """
    magnitude = x.abs()
    factor = math.sqrt(0.5) / scale
    likelihood = 0.5 * (torch.erfc((magnitude - 0.5) * factor) - torch.erfc((magnitude + 0.5) * factor))
    bits = -torch.log2(likelihood.clamp(min=1e-8))
    tail = F.relu((magnitude - 0.5) * factor - 4.0)  # erfc(4) = 1.5e-8
    return bits + 4.0 * tail
