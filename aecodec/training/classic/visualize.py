"""All figures of one classic autoencoder: what `aec visualize` writes, and `aec train` at its end."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from aecodec.engines.torch import TorchEngine
from aecodec.errors import BadArgument
from aecodec.networks.classic.autoencoder import Autoencoder
from aecodec.networks.classic.model import ClassicModel
from aecodec.networks.load import load
from aecodec.training.classic import anatomy, figures
from aecodec.training.classic.data import Pictures, fit
from aecodec.training.classic.measure import Aec, Jpeg, curve
from aecodec.training.output import made
from aecodec.weights import open_weights

CURVE_PICTURES = 500  # enough for a curve; the grid shows the first few
BATCH = 500


def visualize(
    weights: Path, pictures: Pictures, out: Path, device: torch.device, say: Callable[[str], None]
) -> list[Path]:
    """Write the figures as PNG files into `out`, and return their paths.

    Training curves are drawn where epochs.csv, which the training wrote, lies beside the weights.
    Raises BadArgument for weights of another family, BadData for pictures that do not fit the network.
    """
    network, found = load_network(weights, device), open_weights(weights)
    name = found.name
    a = network.architecture
    pictures = fit(pictures, a.channels, a.side)
    log = weights.parent / "epochs.csv"
    with made(out):
        written = [
            *_results(weights, name, pictures, out, device),
            *_anatomy(network, name, pictures, out),
        ]
        if log.exists() and (losses := figures.losses_of(log)):
            kind = found.card.get("recipe", {}).get("loss", "of the recipe")
            written.append(figures.training({name: losses}, kind, f"{name}: training", out / "training.png"))
        y = latents(network, pictures.where(slice(figures.DOTS)), device)
        if len(y) < 3 or y.shape[1] < 2:
            say(f"no map of the latents: {len(y)} pictures and {y.shape[1]} latents are too few for one")
            return written
        try:
            written.append(figures.latent_map(y, pictures.labels, name, out / "latents.png"))
        except ModuleNotFoundError as missing:
            say(f"no map of the latents: {missing.name} is not installed: pip install 'aecodec[classic]'")
    return written


def load_network(weights: Path, device: torch.device) -> Autoencoder:
    """Both halves of a classic autoencoder. Raises BadArgument for weights of another family, BadWeights."""
    model = load(open_weights(weights), TorchEngine(device.type))
    if not isinstance(model, ClassicModel):
        raise BadArgument(f"{weights} is no classic autoencoder: `aec bench` shows what other models do")
    halves = model.encoder.encoder, model.decoder.decoder
    return Autoencoder(model.architecture, *halves).eval().requires_grad_(False)


def _results(weights: Path, name: str, pictures: Pictures, out: Path, device: torch.device) -> list[Path]:
    codec, some = Aec(weights, device), pictures.where(slice(CURVE_PICTURES))
    curves = {name: curve(codec, some), "JPEG": curve(Jpeg(), some)}
    title = f"{len(some)} pictures of {some.name}, up to 10 x 10 in a file"
    return [
        figures.grid(codec, pictures, f"{name} on {pictures.name}", out / "grid.png"),
        figures.compression(curves, title, out / "compression.png"),
    ]


def _anatomy(network: Autoencoder, name: str, pictures: Pictures, out: Path) -> list[Path]:
    x = next(pictures.where(slice(1)).batches(1, next(network.parameters()).device))[0]
    return [
        anatomy.feature_maps(network, x, f"{name}: first layers of the encoder", out / "features.png"),
        anatomy.weights(network, name, out / "weights.png"),
        anatomy.parameters(network, name, out / "parameters.png"),
    ]


@torch.no_grad()
def latents(network: Autoencoder, pictures: Pictures, device: torch.device) -> np.ndarray:
    """What the encoder makes of pictures: float32 [N, L], before any rounding."""
    return torch.cat([network.encode(x).cpu() for x in pictures.batches(BATCH, device)]).numpy()
