"""A trained classic autoencoder -> a weights file: gains for every level, tables fitted to counted symbols.

The gain of a channel is in proportion to what the decoder makes of it: so rounding adds the same squared
error to the picture in every channel, which is the best use of bits at high rates. One trained network has
all rates.
"""

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aecodec.coding.symbols import cheapest
from aecodec.coding.tables import Tables, from_masses, gaussian_masses
from aecodec.engines.engine import LEVELS
from aecodec.engines.torch import TorchEngine
from aecodec.errors import BadWeights, TrainingDiverged
from aecodec.networks.classic.autoencoder import Autoencoder, take_weights, weights_of
from aecodec.networks.classic.model import FAMILY, ClassicModel
from aecodec.networks.load import load
from aecodec.training.export import halves, write_weights
from aecodec.weights import find, open_weights

CALIBRATION_PICTURES = 1024
PROBED, PROBES, AT_ONCE = 64, 4, 8  # pictures, random directions for each, pictures at a time
FINEST = 0.01  # squared error that rounding adds at the last level, as a share of the network's own
COARSEST = 0.5  # standard deviation, in symbols, of the strongest channel at level 0
SCALES = [0.12 * 1.135**k for k in range(63)]  # standard deviations of the tables, in symbols: to 309
MAX_RADIUS = 1023
PRIOR_COUNT = 50.0  # symbols' worth of the Gaussian in each fitted table
ROUNDS = 2  # of choosing tables for channels and fitting tables to what they code
COUNTED_LEVELS = range(0, LEVELS, 15)
QUALITIES = 21  # 0, 5, ..., 100


@torch.no_grad()
def export(
    network: Autoencoder, pixels: np.ndarray, folder: Path, name: str, version: int, card: dict[str, Any]
) -> Path:
    """Write `folder/NAME-ENTROPYID.safetensors` and load it back as proof; returns its path.

    `pixels`: training pictures, uint8 [N, s, s, C], of which a thousand are counted. Raises TrainingDiverged
    for numbers that float16 cannot hold, OutputUnwritable.
    """
    network = _stored(network)
    chosen = np.linspace(0, len(pixels) - 1, min(len(pixels), CALIBRATION_PICTURES)).astype(int)
    x = torch.from_numpy(pixels[chosen]).permute(0, 3, 1, 2).float() / 255
    y = torch.cat([network.encode(part) for part in torch.split(x, AT_ONCE)])
    mean = y.mean(0).half().float()
    if not bool(torch.isfinite(y - mean).all()):
        raise TrainingDiverged("the latents have become too large for the file: lower rate in the recipe")
    gain = _gains(network, x, y, y - mean).half()
    index, tables = fit((y - mean).numpy(), gain.float().numpy())
    entropy = {
        "index": index,
        "tables.radius": tables.radius,
        "tables.frequencies": tables.frequencies,
    }
    synthesis = halves("", weights_of(network.decoder) | {"gain": gain, "mean": mean})
    beside = halves("analysis.", weights_of(network.encoder))
    beside["encoder.quality_levels"] = np.linspace(0, LEVELS - 1, QUALITIES, dtype=np.float32)
    record = {"family": FAMILY} | network.architecture.record()
    path = write_weights(ClassicModel, record, entropy, synthesis, beside, folder, name, version, card)
    ClassicModel(open_weights(path), TorchEngine())
    return path


def import_weights(path: Path, network: Autoencoder) -> None:
    """Load a weights file into a network of its architecture that is to be trained further.

    Raises UnknownModel, BadWeights.
    """
    loaded = load(find(path), TorchEngine())
    if not isinstance(loaded, ClassicModel) or loaded.architecture != network.architecture:
        raise BadWeights(
            f"{path} is of another architecture than the recipe: use the recipe it was trained with"
        )
    for half, source in (
        (network.encoder, loaded.encoder.encoder),
        (network.decoder, loaded.decoder.decoder),
    ):
        for name, tensor in weights_of(source).items():
            weights_of(half)[name].copy_(tensor)


def _stored(network: Autoencoder) -> Autoencoder:
    """A copy with the weights that the file will hold. Raises TrainingDiverged where float16 cannot."""
    network = copy.deepcopy(network).float().cpu().eval()
    for half in (network.encoder, network.decoder):
        rounded = {name: t.half().float() for name, t in weights_of(half).items()}
        if not all(bool(torch.isfinite(t).all()) for t in rounded.values()):
            raise TrainingDiverged("a weight has become too large for the file: lower rate in the recipe")
        take_weights(half, rounded)
    return network


def _gains(network: Autoencoder, x: Tensor, y: Tensor, centred: Tensor) -> Tensor:
    """Gains [256, L], geometric over the levels, from latents y [N, L] of pictures x."""
    effect = _effects(network, y[:PROBED])
    effect = effect.clamp(min=1e-6 * float(effect.max()))
    errors = [x_part - network.decode(y_part) for x_part, y_part in _parts(x, y)]
    own = float(torch.cat(errors).square().flatten(1).sum(1).mean())
    coarse = COARSEST / float((centred.std(0) * effect).max().clamp(min=1e-6))
    fine = math.sqrt(y.shape[1] / (12 * FINEST * max(own, 1e-3)))  # step^2 / 12 in each channel
    ratio = max(fine / coarse, 4.0)
    levels = torch.arange(LEVELS)[:, None] / (LEVELS - 1)
    return (coarse * ratio**levels * effect).clamp(2**-14, 2**15)


def _parts(*tensors: Tensor) -> Any:
    return zip(*(torch.split(t, AT_ONCE) for t in tensors), strict=True)


def _effects(network: Autoencoder, y: Tensor) -> Tensor:
    """Root mean square change of the whole picture by a unit of each latent, [L].

    The mean square of a random projection of the derivative is the square of its length.
    """
    squares = torch.zeros(y.shape[1])
    for part in torch.split(y, AT_ONCE):
        part = part.clone().requires_grad_()
        with torch.enable_grad():
            x_hat = network.decode(part)
            for _ in range(PROBES):
                signs = torch.randint(0, 2, x_hat.shape) * 2.0 - 1
                (slopes,) = torch.autograd.grad(x_hat, part, signs, retain_graph=True)
                squares += slopes.square().sum(0)
    return (squares / (len(y) * PROBES)).sqrt()


def fit(y: np.ndarray, gain: np.ndarray) -> tuple[np.ndarray, Tables]:
    """Scale indexes uint8 [256, L] and tables for centred latents y [N, L] under gains [256, L]."""
    parametric = [gaussian_masses(scale, _radius(scale)) for scale in SCALES]
    tables = from_masses(parametric)
    for _ in range(ROUNDS):
        counts = [PRIOR_COUNT * mass for mass in parametric]
        for level in COUNTED_LEVELS:
            gained = y * gain[level]
            index = _choose(_histograms(np.rint(gained)), len(y), _costs(tables))
            symbols = cheapest(gained.ravel(), np.tile(index, len(y)), tables).reshape(y.shape)
            _count(counts, _histograms(symbols), index)
        tables = from_masses(counts)
    costs = _costs(tables)
    return np.stack([_choose(_histograms(np.rint(y * row)), len(y), costs) for row in gain]), tables


def _radius(scale: float) -> int:
    return min(MAX_RADIUS, max(3, math.ceil(7 * scale)))


def _histograms(symbols: np.ndarray) -> np.ndarray:
    """How often each channel has each symbol: [N, L] -> [L, 2 MAX_RADIUS + 1]."""
    channels, width = symbols.shape[1], 2 * MAX_RADIUS + 1
    entries = np.clip(symbols, -MAX_RADIUS, MAX_RADIUS).astype(np.int64) + MAX_RADIUS
    flat: np.ndarray = np.bincount(
        (entries + width * np.arange(channels)).ravel(), minlength=channels * width
    )
    histograms: np.ndarray = flat.reshape(channels, width)
    return histograms


def _costs(tables: Tables) -> np.ndarray:
    """Bits of each symbol in each table: [2 MAX_RADIUS + 1, K - 1]."""
    symbols = np.arange(-MAX_RADIUS, MAX_RADIUS + 1, dtype=np.int32)
    return np.stack(
        [tables.bits(symbols, np.full(len(symbols), k, np.uint8)) for k in range(1, tables.count)], axis=1
    )


def _choose(histograms: np.ndarray, count: int, costs: np.ndarray) -> np.ndarray:
    """The cheapest scale index of each channel, uint8 [L]; 0 where all `count` symbols are 0."""
    index = (histograms @ costs).argmin(1) + 1
    index[histograms[:, MAX_RADIUS] == count] = 0
    chosen: np.ndarray = index.astype(np.uint8)
    return chosen


def _count(counts: list[np.ndarray], histograms: np.ndarray, index: np.ndarray) -> None:
    """Add the symbols that each table would code, made symmetric."""
    for k in np.unique(index[index > 0]):
        found = histograms[index == k].sum(0)
        found = (found + found[::-1]) / 2
        radius = len(counts[k - 1]) // 2 - 1
        inside = found[MAX_RADIUS - radius : MAX_RADIUS + radius + 1]
        counts[k - 1] += np.append(inside, found.sum() - inside.sum())
