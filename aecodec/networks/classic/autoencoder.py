"""The textbook autoencoders: blocks of channels x side x side pixels <-> L numbers."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from aecodec.errors import BadArgument
from aecodec.networks.classic.blocks import (
    SLOPE,
    Fold,
    Residual,
    SelfAttention,
    activation,
    fully_connected,
    keep_variance,
    normalized,
    pixel_shuffled,
    resnet18,
    upsampled,
)


@dataclass(frozen=True)
class Shape:
    """What a kind is like if nothing else is said.

    `stride`: the side of a block is a multiple of it. `folded`: every stride x stride pixels have latents of
    their own.
    """

    channels: int
    side: int
    latents: int
    width: int
    stride: int
    folded: bool = True


SHAPES = {
    "dense": Shape(1, 28, 32, 512, 1, folded=False),
    "stl10": Shape(3, 96, 200, 48, 8, folded=False),
    "baseline32": Shape(3, 32, 1000, 48, 16),
    "pixelshuffle32": Shape(3, 32, 1000, 48, 16),
    "resnet32": Shape(3, 32, 1000, 48, 16),
    "resattention": Shape(3, 32, 1024, 48, 8),
}
KINDS = tuple(SHAPES)
MAX_TILE = 2048  # pixels a side of the smallest tile of whole blocks: it is a multiple of 64
COUNTER = "num_batches_tracked"  # of batch normalization: of no use with a fixed momentum
RESIZABLE = ("baseline32", "pixelshuffle32", "resattention")  # of pictures of any side, by strides


@dataclass(frozen=True)
class ClassicArchitecture:
    """Shape of a classic autoencoder; a number that is 0 is the kind's own of SHAPES.

    Raises BadArgument for what cannot be built.
    """

    kind: str
    channels: int = 0  # 1: grey, 3: RGB
    side: int = 0  # pixels of a block
    latents: int = 0
    width: int = 0  # outputs of the first layer; all the others follow it
    dropout: float = 0.0
    normalize: bool = False  # pictures enter as -1..1 and leave a tanh; else as 0..1, and a sigmoid

    def __post_init__(self) -> None:
        """Fill in and check."""
        if self.kind not in SHAPES:
            raise BadArgument(f"kind {self.kind!r} is not known: give {', '.join(KINDS)}")
        for name in ("channels", "side", "latents", "width"):
            value = getattr(self, name)
            if type(value) is not int or value < 0:
                raise BadArgument(f"{name} = {value!r}: give a whole number above 0")
            object.__setattr__(self, name, value or getattr(SHAPES[self.kind], name))
        if type(self.normalize) is not bool:
            raise BadArgument(f"normalize = {self.normalize!r}: give true or false")
        if type(self.dropout) not in (int, float) or not 0 <= self.dropout < 1:
            raise BadArgument(f"dropout = {self.dropout!r}: give a number from 0 to below 1")
        self._check_sizes()

    def _check_sizes(self) -> None:
        stride = SHAPES[self.kind].stride
        if self.channels not in (1, 3):
            raise BadArgument(f"channels = {self.channels}: give 1 (grey) or 3 (RGB)")
        if self.side % stride or self.side > 256 or math.lcm(self.side, 64) > MAX_TILE:
            raise BadArgument(
                f"side = {self.side}: a multiple of {max(stride, 8)} up to 256 always fits {self.kind}"
            )
        if self.latents % self.positions or self.latents > 2**16:
            raise BadArgument(
                f"latents = {self.latents}: give a multiple of {self.positions} up to 65536 for {self.kind} "
                f"with side = {self.side}"
            )
        if self.width % 8:
            raise BadArgument(f"width = {self.width}: give a multiple of 8")

    @property
    def positions(self) -> int:
        """Positions over which the latents of a block are spread."""
        shape = SHAPES[self.kind]
        return (self.side // shape.stride) ** 2 if shape.folded else 1

    @property
    def depth(self) -> int:
        """Latents of a position."""
        return self.latents // self.positions

    def record(self) -> dict[str, Any]:
        """The architecture as plain JSON values."""
        return dataclasses.asdict(self)


class Autoencoder(nn.Module):
    """x [B, C, s, s], 0..1 -> encoder -> y [B, L] -> decoder -> x_hat [B, C, s, s], 0..1.

    `encoder` and `decoder` are modules without the normalization at both ends. Latents and pictures are
    float32 under autocast too.
    """

    def __init__(self, a: ClassicArchitecture, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.architecture, self.encoder, self.decoder = a, encoder, decoder

    def encode(self, x: Tensor) -> Tensor:
        """Pictures [B, C, s, s], 0..1 -> latents [B, L]; those of other sides, if RESIZABLE, have other L."""
        y: Tensor = self.encoder(2 * x - 1 if self.architecture.normalize else x)
        return y.flatten(1).float()

    def decode(self, y: Tensor) -> Tensor:
        """Latents [B, L] -> pictures [B, C, s, s], 0..1."""
        h = self.decoder(y).float()
        return (torch.tanh(h) + 1) / 2 if self.architecture.normalize else torch.sigmoid(h)

    def forward(self, x: Tensor) -> Tensor:
        """There and back: [B, C, s, s] -> [B, C, s, s]."""
        return self.decode(self.encode(x))


def build(a: ClassicArchitecture) -> Autoencoder:
    """A network with fresh weights. Raises BadArgument where torchvision is needed and cannot be imported."""
    encoder, decoder = (half(a) for half in BUILDERS[a.kind])
    if a.kind in ("dense", "stl10"):  # no normalization would mend what fades on the way through the layers
        for layer in (*encoder.modules(), *decoder.modules()):
            keep_variance(layer)
    return Autoencoder(a, encoder, decoder)


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """What of a network is stored: all but the counters of batch normalization."""
    return {name: t for name, t in module.state_dict().items() if not name.endswith(COUNTER)}


def take_weights(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Inverse of `weights_of`, with the tensors themselves. Raises RuntimeError where they do not fit."""
    counters = {name: torch.zeros(()) for name in module.state_dict() if name.endswith(COUNTER)}
    module.load_state_dict({**tensors, **counters}, assign=True)


def _dense_sizes(a: ClassicArchitecture) -> list[int]:
    """512, 256, 128 and 64 between pixels and latents."""
    return [a.channels * a.side**2, *(a.width >> k for k in range(4)), a.latents]


def _dense_encoder(a: ClassicArchitecture) -> nn.Module:
    return nn.Sequential(nn.Flatten(), fully_connected(_dense_sizes(a), a.dropout))


def _dense_decoder(a: ClassicArchitecture) -> nn.Module:
    picture = nn.Unflatten(1, (a.channels, a.side, a.side))
    return nn.Sequential(fully_connected(_dense_sizes(a)[::-1], a.dropout), picture)


def _stl10_steps(a: ClassicArchitecture) -> list[tuple[int, int, int]]:
    """Inputs, outputs and stride of eight 3x3 convolutions."""
    w = a.width
    return [
        *((a.channels, w, 1), (w, w, 1), (w, 2 * w, 2), (2 * w, 2 * w, 1)),
        *((2 * w, 4 * w, 2), (4 * w, 4 * w, 1), (4 * w, 8 * w, 2), (8 * w, 8 * w, 1)),
    ]


def _stl10_encoder(a: ClassicArchitecture) -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, outputs, stride in _stl10_steps(a):
        drop = a.dropout if stride == 2 else 0.0
        layers += [nn.Conv2d(inputs, outputs, 3, stride, padding=1), *activation(drop)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(8 * a.width * (a.side // 8) ** 2, a.latents))


def _stl10_decoder(a: ClassicArchitecture) -> nn.Module:
    low, deep = a.side // 8, 8 * a.width
    enter = nn.Linear(a.latents, deep * low**2), nn.LeakyReLU(SLOPE), nn.Unflatten(1, (deep, low, low))
    layers: list[nn.Module] = []
    for outputs, inputs, stride in reversed(_stl10_steps(a)):
        drop = a.dropout if stride == 2 else 0.0
        layers += [nn.ConvTranspose2d(inputs, outputs, 3, stride, 1, stride - 1), *activation(drop)]
    return nn.Sequential(*enter, *layers[:-2])  # the last activation is that of the picture


def _convolutional_encoder(a: ClassicArchitecture) -> nn.Module:
    """Four 3x3 convolutions of stride 2."""
    sizes = [a.channels, a.width, 2 * a.width, 4 * a.width]
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), *normalized(outputs, a.dropout)]
    return nn.Sequential(*layers, nn.Conv2d(sizes[-1], a.depth, 3, 2, 1))


def _growing_decoder(a: ClassicArchitecture, step: Callable[[int, int], list[nn.Module]]) -> nn.Module:
    """Four steps that double the side."""
    sizes = [a.depth, 4 * a.width, 2 * a.width, a.width]
    layers: list[nn.Module] = [Fold(a.depth)]
    for inputs, outputs in zip(sizes, sizes[1:], strict=False):
        layers += [*step(inputs, outputs), *normalized(outputs, a.dropout)]
    return nn.Sequential(*layers, *step(a.width, a.channels))


def _upsampling_decoder(a: ClassicArchitecture) -> nn.Module:
    return _growing_decoder(a, upsampled)


def _pixelshuffle_decoder(a: ClassicArchitecture) -> nn.Module:
    return _growing_decoder(a, pixel_shuffled)


def _resnet_encoder(a: ClassicArchitecture) -> nn.Module:
    return resnet18(a.latents)


def _resattention_encoder(a: ClassicArchitecture) -> nn.Module:
    """Three strided convolutions, then residual blocks around self-attention at 1/8."""
    sizes = [a.channels, a.width, 2 * a.width, 4 * a.width]
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), *normalized(outputs, a.dropout)]
    return nn.Sequential(*layers, *_bottleneck(sizes[-1]), nn.Conv2d(sizes[-1], a.depth, 1))


def _resattention_decoder(a: ClassicArchitecture) -> nn.Module:
    """The mirror. Kernels of 4 at stride 2 reach every pixel equally often: no checkerboard."""
    sizes = [4 * a.width, 2 * a.width, a.width]
    layers: list[nn.Module] = [Fold(a.depth), nn.Conv2d(a.depth, sizes[0], 1), *_bottleneck(sizes[0])]
    for inputs, outputs in zip(sizes, sizes[1:], strict=False):
        layers += [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False), *normalized(outputs, a.dropout)]
    return nn.Sequential(*layers, nn.ConvTranspose2d(a.width, a.channels, 4, 2, 1))


def _bottleneck(channels: int) -> list[nn.Module]:
    return [Residual(channels), SelfAttention(channels), Residual(channels)]


Builder = Callable[[ClassicArchitecture], nn.Module]
BUILDERS: dict[str, tuple[Builder, Builder]] = {  # encoder and decoder
    "dense": (_dense_encoder, _dense_decoder),
    "stl10": (_stl10_encoder, _stl10_decoder),
    "baseline32": (_convolutional_encoder, _upsampling_decoder),
    "pixelshuffle32": (_convolutional_encoder, _pixelshuffle_decoder),
    "resnet32": (_resnet_encoder, _upsampling_decoder),
    "resattention": (_resattention_encoder, _resattention_decoder),
}
