"""Figures of what a network consists of: feature maps, weights and parameters of its layers."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from matplotlib import pyplot
from torch import Tensor, nn

from aecodec.measure.style import COLORS
from aecodec.networks.classic.autoencoder import Autoencoder
from aecodec.training.classic.figures import picture, save, tidy

MAPS_ACROSS, LAYERS_DOWN = 12, 6
BINS = 80
SIDES = {"encoder": COLORS[0][0], "decoder": COLORS[1][0]}


def feature_maps(network: Autoencoder, x: Tensor, title: str, path: Path) -> Path:
    """What the encoder's first convolutions make of one picture [C, s, s] of 0..1; without any, filters.

    Each map is scaled to its own range.
    """
    found = _maps(network, x) or _filters(network)
    figure, axes = pyplot.subplots(
        len(found), MAPS_ACROSS, figsize=(1.7 + 0.95 * MAPS_ACROSS, 0.6 + 0.98 * len(found)), squeeze=False
    )
    for line, (name, maps) in zip(axes, found, strict=True):
        for axis in line:
            axis.set_axis_off()
        for axis, one in zip(line, maps, strict=False):
            axis.set_axis_on()
            picture(axis, _stretched(one))
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9, labelpad=6)
    figure.suptitle(title, fontsize=11)
    figure.subplots_adjust(0.14, 0.01, 0.99, 1 - 0.45 / figure.get_figheight(), 0.04, 0.04)
    return save(figure, path)


def _maps(network: Autoencoder, x: Tensor) -> list[tuple[str, np.ndarray]]:
    """The input, and the first maps [n, h, w] of the encoder's first convolutions, with their names."""
    seen: list[tuple[str, np.ndarray]] = []

    def see(layer: nn.Module, inputs: tuple[Tensor, ...], y: Tensor) -> None:
        size = " x ".join(map(str, y.shape[1:]))
        seen.append((f"convolution {len(seen) + 1}\n{size}", y[0, :MAPS_ACROSS].float().cpu().numpy()))

    layers = [layer for layer in network.encoder.modules() if isinstance(layer, nn.Conv2d)][:LAYERS_DOWN]
    hooks = [layer.register_forward_hook(see) for layer in layers]
    with torch.no_grad():
        network.encode(x[None])
    for hook in hooks:
        hook.remove()
    return [("input, by channel", x.cpu().numpy()), *seen] if seen else []


def _filters(network: Autoencoder) -> list[tuple[str, np.ndarray]]:
    """The first linear layer's weights as pictures [n, side, side], three rows of them."""
    a = network.architecture
    first = next(layer for layer in network.encoder.modules() if isinstance(layer, nn.Linear))
    shown = first.weight.detach().reshape(-1, a.channels, a.side, a.side).mean(1).cpu().numpy()
    rows = [shown[at : at + MAPS_ACROSS] for at in range(0, 3 * MAPS_ACROSS, MAPS_ACROSS)]
    return [(f"first layer\nunits {i * MAPS_ACROSS + 1}...", row) for i, row in enumerate(rows) if len(row)]


def _stretched(values: np.ndarray) -> np.ndarray:
    low, high = values.min(), values.max()
    grey: np.ndarray = (values - low) / max(high - low, 1e-9) * 255
    return grey.astype(np.uint8)[:, :, None]


def weights(network: Autoencoder, title: str, path: Path) -> Path:
    """A histogram for each layer's weights, with their mean and standard deviation."""
    layers = list(_layers(network))
    columns = 5
    rows = -(-len(layers) // columns)
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(13, 0.6 + 1.75 * rows), layout="constrained", squeeze=False
    )
    for axis in axes.flat[len(layers) :]:
        axis.set_axis_off()
    for axis, (name, side, _, weight) in zip(axes.flat, layers, strict=False):
        values = weight.detach().float().flatten().cpu().numpy()
        axis.hist(values, BINS, color=SIDES[side], density=True)
        axis.set_title(f"{name}\nmean {values.mean():.3f}, deviation {values.std():.3f}", fontsize=8)
        axis.tick_params(labelsize=7)
        axis.set_yticks([])
        axis.spines[["top", "right", "left"]].set_visible(False)
    figure.suptitle(f"{title}: distribution of the weights of each layer")
    return save(figure, path)


def parameters(network: Autoencoder, title: str, path: Path) -> Path:
    """Parameters of each layer, as bars with their numbers, on a logarithmic axis."""
    layers = [(name, side, _count(layer)) for name, side, layer, _ in _layers(network)]
    figure, axes = pyplot.subplots(figsize=(8.5, 1.3 + 0.24 * len(layers)), layout="constrained")
    places = range(len(layers))
    bars = axes.barh(
        places, [n for _, _, n in layers], color=[SIDES[side] for _, side, _ in layers], log=True
    )
    axes.bar_label(bars, [f"{n:,}" for _, _, n in layers], fontsize=8, padding=3)
    axes.set_yticks(places, [name for name, _, _ in layers], fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.15, y=0.01)
    counts = {side: _count(getattr(network, side), below=True) for side in SIDES}
    both = ", ".join(f"{side} {count:,}" for side, count in counts.items())
    axes.set(title=f"{title}: parameters\n{both}", xlabel="parameters, logarithmic (normalization left out)")
    tidy(axes)
    return save(figure, path)


def _count(module: nn.Module, below: bool = False) -> int:
    """Parameters of a module, its own or also those of all below it."""
    return sum(p.numel() for p in module.parameters(recurse=below))


def _layers(network: Autoencoder) -> Iterator[tuple[str, str, nn.Module, nn.Parameter]]:
    """Name, "encoder" or "decoder", layer and its weights, of all with a matrix or kernel, in order."""
    for side in SIDES:
        for name, layer in getattr(network, side).named_modules():
            kind = nn.Linear if isinstance(layer, nn.Linear) else type(layer)
            for weight in layer.parameters(recurse=False):
                if weight.ndim > 1:
                    yield f"{side}.{name} {kind.__name__}", side, layer, weight
