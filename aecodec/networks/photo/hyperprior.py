"""The photo models: analysis and synthesis with an integer hyperprior between them."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from aecodec.coding.symbols import SIXTEENTHS, Coded
from aecodec.engines.engine import LEVELS, Engine, Features, Gradient
from aecodec.errors import BadWeights
from aecodec.networks.model import Model
from aecodec.networks.photo import latents, transform
from aecodec.networks.photo.architecture import STRIDE, Architecture
from aecodec.networks.photo.exact import Entropy, engines_beside
from aecodec.networks.photo.transform import Shapes
from aecodec.weights import Weights

GREY = {"grey.weight": np.full((1, 3), 1 / 3), "grey.bias": np.zeros(1)}  # the mean of the three channels


class Hyperprior(Model):
    """Mean and scale of every latent come from hyper-latents z at a quarter of the resolution.

    The encoder's half is loaded when it is first used.
    """

    entropy_fields = ("latent_channels", "hyper_channels", "hyper_width", "scales")
    synthesis_fields = ("latent_channels", "width", "synthesis_blocks", "quarter_width", "quarter_blocks")
    stride = STRIDE

    def __init__(self, weights: Weights, engine: Engine) -> None:
        """Load and verify the decoder's half. Raises BadWeights."""
        super().__init__(weights, engine)
        try:
            record = dict(weights.architecture)
            known = [field.name for field in dataclasses.fields(Architecture)]  # a decoder ignores others
            a = Architecture.from_record({k: v for k, v in record.items() if k in known})
            entropy, synthesis = self.read("entropy."), self.read("synthesis.")
            self.verify(entropy, synthesis)
            shapes = transform.synthesis_shapes(a) | {"gain": (LEVELS, a.latent_channels)}
        except (TypeError, KeyError, ValueError) as error:
            raise BadWeights(
                f"{weights.path} is of an architecture that this version does not know"
            ) from error
        try:
            self.entropy = Entropy.load(a, entropy, engines_beside(engine))
        except BadWeights as error:
            raise BadWeights(f"{weights.path}: {error}") from error
        if any(t.dtype != np.float16 for t in synthesis.values()):
            raise BadWeights(f"{weights.path}: the synthesis is not stored in float16")
        self.architecture = a
        self.gain = synthesis.get("gain", np.zeros(0)).astype(np.float32)  # [256, M]
        self._synthesis = self._load(synthesis, shapes) | engine.load(GREY)
        self.analysis_halo = transform.analysis_halo(a)
        self.synthesis_halo = transform.synthesis_halo(a)

    def _load(self, tensors: dict[str, np.ndarray], shapes: Shapes) -> dict[str, Any]:
        """Weights of a float network, on the engine."""
        if {name: tensor.shape for name, tensor in tensors.items()} != shapes:
            raise BadWeights(
                f"{self.weights.path}: the weights are of another architecture, or some are missing"
            )
        return self.engine.load(tensors)

    @cached_property
    def _analysis(self) -> dict[str, Any]:
        return self._load(self.read("analysis."), transform.analysis_shapes(self.architecture))

    @cached_property
    def _hyper_analysis(self) -> dict[str, Any]:
        return self._load(self.read("hyper_analysis."), transform.hyper_analysis_shapes(self.architecture))

    def latent_channels(self, channels: int) -> int:
        """The same for colour and grey: a grey plane counts three times."""
        return self.architecture.latent_channels

    def analyse(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels -> y."""
        e = self.engine
        colours = np.repeat(pixels, 3 // pixels.shape[3], axis=3)
        with e.running():
            return e.to_array(
                transform.analysis(e, self._analysis, self.architecture, e.from_pixels(colours))
            )

    def encode(self, y: np.ndarray, level: int) -> list[Coded]:
        """Gain, hyper-analysis, integer entropy model, words."""
        gained = y * self.gain[level]
        z = self.hyper_latents(gained, level)
        y, z = (np.ascontiguousarray(x.transpose(0, 3, 1, 2)) for x in (gained, z))
        return latents.encode(self.entropy, y, z, level)

    def hyper_latents(self, y: np.ndarray, level: int) -> np.ndarray:
        """Gained latents float32 [B, h, w, M] -> z before rounding, [B, ceil(h/4), ceil(w/4), N]."""
        e, ratio = self.engine, latents.RATIO
        padding = (0, 0), (0, -y.shape[1] % ratio), (0, -y.shape[2] % ratio), (0, 0)
        whole = np.pad(y, padding, "edge")
        with e.running():
            return e.to_array(transform.hyper_analysis(e, self._hyper_analysis, e.from_array(whole), level))

    def decode(self, words: Sequence[bytes], shape: tuple[int, int, int], level: int) -> list[Coded]:
        """Words -> y_hat."""
        return latents.decode(self.entropy, words, shape[1], shape[2], level)

    def scaled(self, y_hat: np.ndarray, level: int) -> np.ndarray:
        """Divide what the gain has multiplied."""
        planes = np.moveaxis(y_hat, -3, -1).astype(np.float32, order="C")
        planes /= SIXTEENTHS * self.gain[level]
        return planes

    def symbol(self, level: int) -> np.ndarray:
        """The inverse gain."""
        unit: np.ndarray = 1 / self.gain[level]
        return unit

    def synthesise(self, y_hat: np.ndarray, level: int, channels: int) -> np.ndarray:
        """Latents -> pixels; grey is the mean of the three channels."""
        e = self.engine
        with e.running():
            return e.to_pixels(self._drawing(level, channels)(e, e.from_array(y_hat)))

    def render(self, y_hat: np.ndarray, level: int, channels: int) -> tuple[np.ndarray, Gradient]:
        """Latents -> pixels as floats, and the way back for gradients."""
        e = self.engine
        with e.running():
            x_hat, back = e.pullback(self._drawing(level, channels), e.from_array(y_hat))
            x_hat = e.to_array(x_hat)

        def gradient(error: np.ndarray) -> np.ndarray:
            with e.running():
                return back(error)

        return x_hat, gradient

    def _drawing(self, level: int, channels: int) -> Callable[[Engine, Features], Features]:
        weights, a = self._synthesis, self.architecture

        def draw(e: Engine, y_hat: Features) -> Features:
            x_hat = transform.synthesis(e, weights, a, y_hat, level)
            return (
                x_hat if channels == 3 else e.pointwise(x_hat, weights["grey.weight"], weights["grey.bias"])
            )

        return draw
