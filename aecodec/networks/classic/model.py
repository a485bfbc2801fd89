"""The classic autoencoders as models: blocks of pixels <-> latents, each channel with a table of its own."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from aecodec.coding.rans import Decoder, Encoder
from aecodec.coding.symbols import MISMATCH, SIXTEENTHS, Coded, cheapest, latents_crc
from aecodec.coding.tables import Tables
from aecodec.engines.engine import LEVELS, Engine
from aecodec.engines.torch import TorchEngine
from aecodec.errors import AecError, BadWeights, Damaged, LatentsMismatch
from aecodec.file.container import TILE_SIZE
from aecodec.networks.classic.autoencoder import BUILDERS, Autoencoder, ClassicArchitecture, take_weights
from aecodec.networks.model import Model
from aecodec.weights import Weights

FAMILY = "classic"
AT_ONCE = 2**18  # pixels that go through the networks together: 50 MB of activations for 48 channels

STORED = {"tables.radius": np.int32, "tables.frequencies": np.int32, "index": np.uint8}


class ClassicModel(Model):
    """Every block of side x side pixels becomes L latents; the level and the channel choose the table.

        x -> blocks -> encoder -> (y - mean) * gain[level] -> symbols -> words
        words -> symbols -> / gain[level] + mean -> decoder -> blocks -> x_hat

    A network for grey takes the planes of a colour picture one by one, with 3 L latents a block; one for
    colour takes a grey plane three times, and the mean comes back. The encoder is loaded when it is needed.
    """

    entropy_fields = ("family", "channels", "side", "latents")
    synthesis_fields = ("family", "kind", "channels", "side", "latents", "width", "normalize")
    analysis_halo = 0
    synthesis_halo = 0

    def __init__(self, weights: Weights, engine: Engine) -> None:
        """Load and verify the decoder's half; it runs on PyTorch. Raises BadWeights."""
        super().__init__(weights, engine if isinstance(engine, TorchEngine) else TorchEngine())
        self.device = torch.device(self.engine.device)
        try:
            known = [field.name for field in dataclasses.fields(ClassicArchitecture)]
            record = {k: v for k, v in weights.architecture.items() if k in known}  # a decoder ignores others
            self.architecture = ClassicArchitecture(**record)
            entropy, synthesis = self.read("entropy."), self.read("synthesis.")
            self.verify(entropy, synthesis)
        except (AecError, TypeError, KeyError) as error:
            if isinstance(error, BadWeights):
                raise
            raise BadWeights(
                f"{weights.path} is of an architecture that this version does not know"
            ) from error
        self._take_entropy(entropy)
        self._take_synthesis(synthesis)
        self.stride = self.architecture.side
        step = math.lcm(self.stride, 64)
        self.tile_size = step * max(TILE_SIZE // step, 1)

    def _take_entropy(self, tensors: dict[str, np.ndarray]) -> None:
        for name, dtype in STORED.items():
            found = tensors[name].dtype if name in tensors else "missing"
            if found != dtype:
                raise BadWeights(
                    f"{self.weights.path}: {name} is {found}, not {dtype.__name__}: get the file again"
                )
        try:
            self.tables = Tables(tensors["tables.radius"], tensors["tables.frequencies"])
        except BadWeights as error:
            raise BadWeights(f"{self.weights.path}: {error}") from error
        self.index = tensors["index"]  # uint8 [256, L]
        if self.index.shape != (LEVELS, self.architecture.latents) or self.index.max() >= self.tables.count:
            raise BadWeights(f"{self.weights.path}: index is of another architecture: get the file again")

    def _take_synthesis(self, tensors: dict[str, np.ndarray]) -> None:
        if any(t.dtype != np.float16 for t in tensors.values()):
            raise BadWeights(f"{self.weights.path}: the synthesis is not stored in float16")
        gain, mean = (tensors.pop(name, np.zeros(0)).astype(np.float32) for name in ("gain", "mean"))
        latents = self.architecture.latents
        if gain.shape != (LEVELS, latents) or mean.shape != (latents,) or not (gain > 0).all():
            raise BadWeights(f"{self.weights.path}: gain or mean is of another architecture, or missing")
        self.gain, self.mean = gain, mean
        self.decoder = self._network("decoder", tensors)

    def _network(self, half: str, tensors: dict[str, np.ndarray]) -> Autoencoder:
        """The encoder or the decoder with stored weights, in float32; the other half is empty."""
        make = BUILDERS[self.architecture.kind][half == "decoder"]
        with torch.inference_mode(False), torch.device("meta"):
            network = make(self.architecture)
        try:
            take_weights(network, self.engine.load(tensors))
        except RuntimeError as error:
            raise BadWeights(f"{self.weights.path}: the weights are of another architecture") from error
        halves = {"encoder": torch.nn.Identity(), "decoder": torch.nn.Identity(), half: network}
        return Autoencoder(self.architecture, **halves).eval().requires_grad_(False)

    @cached_property
    def encoder(self) -> Autoencoder:
        """The analysis. Raises BadArgument where it needs torchvision, and that cannot be imported."""
        return self._network("encoder", self.read("analysis."))

    @property
    def network(self) -> Autoencoder:
        """Both halves together."""
        return Autoencoder(self.architecture, self.encoder.encoder, self.decoder.decoder)

    def latent_channels(self, channels: int) -> int:
        """A grey network codes each plane of a colour picture."""
        return self.architecture.latents * (channels if self.architecture.channels == 1 else 1)

    def analyse(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels -> y."""
        a, e = self.architecture, self.engine
        count, height, width, channels = pixels.shape
        rows, columns = height // a.side, width // a.side
        with e.running():
            x = e.from_pixels(pixels).contiguous()
            x = x.expand(-1, 3, -1, -1) if a.channels == 3 else x
            planes = x.reshape(-1, a.channels, rows, a.side, columns, a.side)
            blocks = planes.permute(0, 2, 4, 1, 3, 5).reshape(-1, a.channels, a.side, a.side)
            y = self._in_parts(self.encoder.encode, blocks)
            y = y.view(count, -1, rows, columns, a.latents).permute(0, 2, 3, 1, 4)
            array: np.ndarray = y.reshape(count, rows, columns, -1).float().cpu().numpy()
            return array

    def _in_parts(self, network: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
        """What a half of the network makes of blocks or of their latents, some at a time."""
        parts = torch.split(batch, max(AT_ONCE // self.architecture.side**2, 1))
        return torch.cat([network(part) for part in parts])

    def encode(self, y: np.ndarray, level: int) -> list[Coded]:
        """Centre, gain, rounding, words."""
        gain, mean = self._scale(level, y.shape[3])
        planes = np.moveaxis((y - mean) * gain, 3, 1)
        indexes = self._indexes(level, planes.shape[1:])
        coded = []
        for tile in planes:
            symbols = cheapest(tile.ravel(), indexes, self.tables)
            coder = Encoder()
            coder.push(symbols, indexes, self.tables)
            y_hat = SIXTEENTHS * symbols.reshape(tile.shape)
            coded.append(Coded(coder.words(), _crc(y_hat), y_hat, ((indexes, symbols),)))
        return coded

    def decode(self, words: Sequence[bytes], shape: tuple[int, int, int], level: int) -> list[Coded]:
        """Words -> y_hat."""
        indexes = self._indexes(level, shape)
        coded = []
        for coder in [Decoder(each) for each in words]:
            try:
                y_hat = SIXTEENTHS * coder.pop(indexes, self.tables).reshape(shape)
                coder.finish()
            except Damaged as fault:
                raise LatentsMismatch(f"{MISMATCH} ({fault})") from fault
            coded.append(Coded(b"", _crc(y_hat), y_hat))
        return coded

    def scaled(self, y_hat: np.ndarray, level: int) -> np.ndarray:
        """Divide what the gain has multiplied, and add the mean again."""
        gain, mean = self._scale(level, y_hat.shape[-3])
        y: np.ndarray = np.moveaxis(y_hat, -3, -1).astype(np.float32) / (SIXTEENTHS * gain) + mean
        return y

    def synthesise(self, y_hat: np.ndarray, level: int, channels: int) -> np.ndarray:
        """Latents -> pixels; grey from a colour network is the mean of the three channels."""
        a, e = self.architecture, self.engine
        count, rows, columns, _ = y_hat.shape
        planes = y_hat.reshape(count, rows, columns, -1, a.latents).transpose(0, 3, 1, 2, 4)
        with e.running():
            y = torch.from_numpy(np.ascontiguousarray(planes)).to(self.device).reshape(-1, a.latents)
            blocks = self._in_parts(self.decoder.decode, y)
            squares = blocks.view(-1, rows, columns, a.channels, a.side, a.side).permute(0, 3, 1, 4, 2, 5)
            x_hat = squares.reshape(count, -1, rows * a.side, columns * a.side).float()
            return e.to_pixels(x_hat if x_hat.shape[1] == channels else x_hat.mean(1, keepdim=True))

    def _scale(self, level: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
        """Gain and mean of each channel of y, [M]."""
        planes = channels // self.architecture.latents
        return np.tile(self.gain[level], planes), np.tile(self.mean, planes)

    def _indexes(self, level: int, shape: Sequence[int]) -> np.ndarray:
        """Scale indexes of a tile, uint8 [M h w]."""
        planes = shape[0] // self.architecture.latents
        return np.repeat(np.tile(self.index[level], planes), shape[1] * shape[2])


def _crc(y_hat: np.ndarray) -> int:
    return latents_crc(np.zeros(0, np.int32), y_hat)
