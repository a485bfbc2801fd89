"""The photo models: analysis and synthesis with an integer hyperprior between them."""

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aecodec.coding.symbols import SIXTEENTHS, Coded
from aecodec.devices import has_bfloat16
from aecodec.errors import BadWeights
from aecodec.networks.model import Model
from aecodec.networks.photo import latents
from aecodec.networks.photo.architecture import HYPER_STRIDE, STRIDE, Architecture
from aecodec.networks.photo.blocks import LEVELS, Depthwise, Pointwise
from aecodec.networks.photo.exact import Entropy
from aecodec.networks.photo.transform import Analysis, HyperAnalysis, Synthesis, analysis_halo, synthesis_halo
from aecodec.weights import Weights


class Hyperprior(Model):
    """Mean and scale of every latent come from hyper-latents z at a quarter of the resolution.

    The encoder's half is loaded when it is first used.
    """

    entropy_fields = ("latent_channels", "hyper_channels", "hyper_width", "scales", "passes")
    synthesis_fields = ("latent_channels", "width", "synthesis_blocks", "quarter_width", "quarter_blocks")
    stride = STRIDE

    def __init__(self, weights: Weights, device: torch.device, fast: bool = False) -> None:
        """Load and verify the decoder's half. Raises BadWeights."""
        super().__init__(weights, device, fast)
        try:
            record = dict(weights.architecture)
            known = [field.name for field in dataclasses.fields(Architecture)]  # a decoder ignores others
            self.architecture = Architecture.from_record({k: v for k, v in record.items() if k in known})
            entropy, synthesis = self.read("entropy."), self.read("synthesis.")
            self.verify(entropy, synthesis)
        except (TypeError, KeyError, ValueError) as error:
            raise BadWeights(
                f"{weights.path} is of an architecture that this version does not know"
            ) from error
        try:
            self.entropy = Entropy.load(self.architecture, entropy, device)
        except BadWeights as error:
            raise BadWeights(f"{weights.path}: {error}") from error
        gain = synthesis.pop("gain", torch.zeros(0))
        if gain.shape != (LEVELS, self.architecture.latent_channels):
            raise BadWeights(f"{weights.path}: synthesis.gain is of another architecture, or missing")
        if any(t.dtype != torch.float16 for t in (gain, *synthesis.values())):
            raise BadWeights(f"{weights.path}: the synthesis is not stored in float16")
        self.gain = gain.float().to(device)  # [256, M]
        self.synthesis = self._network(Synthesis, synthesis, LEVELS)
        self.analysis_halo = analysis_halo(self.architecture)
        self.synthesis_halo = synthesis_halo(self.architecture)

    def _network(self, kind: type[nn.Module], tensors: dict[str, Tensor], *args: Any) -> Any:
        """A float network with stored weights, in float32; if fast, in bfloat16 where that does no harm."""
        with torch.device("meta"):
            network = kind(self.architecture, *args)
        try:
            network.load_state_dict({k: t.float().to(self.device) for k, t in tensors.items()}, assign=True)
        except RuntimeError as error:
            raise BadWeights(f"{self.weights.path}: the weights are of another architecture") from error
        for layer in network.modules() if self.fast else ():
            if isinstance(layer, Depthwise) or (isinstance(layer, Pointwise) and not layer.precise):
                layer.to(torch.bfloat16)
        return network.eval().requires_grad_(False)

    def _transforming(self, rough: bool = False) -> torch.autocast:
        """The arithmetic of the transforms."""
        fast = self.fast or (rough and has_bfloat16(self.device))
        return torch.autocast(self.device.type, torch.bfloat16, enabled=fast)

    @cached_property
    def analysis(self) -> Analysis:
        """The analysis transform."""
        network: Analysis = self._network(Analysis, self.read("analysis."))
        return network

    @cached_property
    def hyper_analysis(self) -> HyperAnalysis:
        """The hyper-analysis transform."""
        network: HyperAnalysis = self._network(HyperAnalysis, self.read("hyper_analysis."), LEVELS)
        return network

    def latent_channels(self, channels: int) -> int:
        """The same for colour and grey: a grey plane counts three times."""
        return self.architecture.latent_channels

    def analyse(self, x: Tensor) -> Tensor:
        """Pixels -> y."""
        with self._transforming():
            return cast(Tensor, self.analysis(x.expand(-1, 3, -1, -1)).float())

    def encode(self, y: Tensor, level: int) -> list[Coded]:
        """Gain, hyper-analysis, integer entropy model, words."""
        y = y * self._gain(level)
        with self._transforming():
            z = self.hyper_analysis(whole_hyper(y), self._levels(level, len(y))).float()
        return latents.encode(self.entropy, y, z, level)

    def decode(self, words: Sequence[bytes], shape: tuple[int, int, int], level: int) -> list[Coded]:
        """Words -> y_hat."""
        return latents.decode(self.entropy, words, shape[1], shape[2], level)

    def scaled(self, y_hat: Tensor, level: int) -> Tensor:
        """Divide what the gain has multiplied."""
        return y_hat.float() / (SIXTEENTHS * self._gain(level))

    def symbol(self, level: int) -> Tensor:
        """The inverse gain."""
        return 1 / self._gain(level)

    def synthesise(self, y_hat: Tensor, level: int, channels: int, rough: bool = False) -> Tensor:
        """Latents -> pixels; grey is the mean of the three channels."""
        y_hat = y_hat.contiguous(memory_format=torch.channels_last)
        with self._transforming(rough):
            x_hat: Tensor = self.synthesis(y_hat, self._levels(level, len(y_hat)))
        return x_hat if channels == 3 else x_hat.mean(1, keepdim=True)

    def _gain(self, level: int) -> Tensor:
        return self.gain[level][:, None, None]

    def _levels(self, level: int, count: int) -> Tensor:
        return torch.full((count,), float(level), dtype=torch.float32, device=self.device)


def whole_hyper(y: Tensor) -> Tensor:
    """Pad latents [B, M, h, w] to whole hyper-latents by repeating the last row and column."""
    ratio = HYPER_STRIDE // STRIDE
    return F.pad(y, (0, -y.shape[3] % ratio, 0, -y.shape[2] % ratio), mode="replicate")
