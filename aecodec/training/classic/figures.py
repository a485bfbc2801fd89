"""Figures of what a classic autoencoder does: reconstructions, error against bytes, training, latents."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")  # files only: no screen is needed

from matplotlib import pyplot  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.ticker import MaxNLocator  # noqa: E402

from aecodec.measure.style import COLORS, MARKS  # noqa: E402
from aecodec.training.classic.data import Pictures  # noqa: E402
from aecodec.training.classic.measure import PictureCodec, Point, coded  # noqa: E402

DPI = 130
GRID_PICTURES = 10
GRID_QUALITIES = (0, 25, 50, 100)
LABEL_INCHES = 2.05  # of the texts before rows of pictures
AMPLIFIED = 4  # differences, or nobody sees them
DOTS = 2000  # latents in the map: t-SNE takes seconds for so many, minutes for all of MNIST
TABLEAU = pyplot.get_cmap("tab10")


def save(figure: Figure, path: Path) -> Path:
    """Write the figure as PNG and forget it."""
    figure.savefig(path, dpi=DPI)
    pyplot.close(figure)
    return path


def tidy(axes: Axes) -> None:
    """Thin grid lines, no frame where there is no axis."""
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def picture(axes: Axes, pixels: np.ndarray) -> None:
    """Show uint8 [H, W, 1 or 3] without ticks, pixel by pixel."""
    grey = pixels.shape[2] == 1
    axes.imshow(pixels[:, :, 0] if grey else pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def grid(codec: PictureCodec, source: Pictures, title: str, path: Path) -> Path:
    """Inputs, and below them reconstructions and differences at several rates."""
    shown = source.where(slice(GRID_PICTURES))
    rows = {"input": shown.pixels}
    for quality in GRID_QUALITIES:
        point, pixels = coded(codec, shown, quality, len(shown))
        decibel = f"{-10 * math.log10(point.mse):.1f} dB" if point.mse else "no error"
        rows[f"quality {quality}\n{point.bytes:.0f} bytes, {decibel}"] = pixels
        difference = np.abs(pixels.astype(int) - shown.pixels) * AMPLIFIED
        rows[f"difference x {AMPLIFIED}" + len(rows) * " "] = difference.clip(0, 255).astype(np.uint8)
    said = f"{title}: bytes a picture, {len(shown)} in one file"
    return rows_of_pictures(rows, said, path)


def rows_of_pictures(rows: Mapping[str, np.ndarray], title: str, path: Path) -> Path:
    """The first pictures of each row, uint8 [N, H, W, C], with what stands before them."""
    count = min(GRID_PICTURES, *map(len, rows.values()))
    size = LABEL_INCHES + count, 0.55 + len(rows)
    figure, axes = pyplot.subplots(len(rows), count, figsize=size, squeeze=False)
    for line, (label, pixels) in zip(axes, rows.items(), strict=True):
        for axis, one in zip(line, pixels, strict=False):
            picture(axis, one)
        line[0].set_ylabel(label.rstrip(), rotation=0, ha="right", va="center", fontsize=9, labelpad=6)
    figure.suptitle(title, fontsize=11)
    left, top = LABEL_INCHES / size[0], 1 - 0.45 / size[1]
    figure.subplots_adjust(left, 0.01, 0.99, top, 0.04, 0.04)
    return save(figure, path)


def compression(curves: Mapping[str, Sequence[Point]], title: str, path: Path) -> Path:
    """Mean squared and mean absolute error against bytes a picture, a line for each codec."""
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    for axis, name, label in zip(
        axes, ("mse", "mae"), ("mean squared error", "mean absolute error"), strict=True
    ):
        for number, (codec, points) in enumerate(curves.items()):
            known = [p for p in points if getattr(p, name) > 0]
            axis.loglog(
                [p.bytes for p in known],
                [getattr(p, name) for p in known],
                color=COLORS[number % len(COLORS)][0],
                marker=MARKS[number % len(MARKS)][0],
                linestyle="-" if number < len(COLORS) else "--",  # where the colours begin again
                markersize=4,
                linewidth=1.4,
                label=codec,
            )
        axis.set(xlabel="bytes a picture, of whole files", ylabel=f"{label}, pixels of 0..1")
        tidy(axis)
    axes[0].legend(fontsize=9, frameon=False)
    figure.suptitle(title)
    return save(figure, path)


Losses = Sequence[tuple[float | None, float | None]]  # of each epoch on training and on test pictures


def training(runs: Mapping[str, Losses], kind: str, title: str, path: Path) -> Path:
    """Losses of a kind over epochs, on training (dashed) and test pictures, a colour for each run."""
    figure, axes = pyplot.subplots(figsize=(8, 4.8), layout="constrained")
    for number, (name, losses) in enumerate(runs.items()):
        color, mark = COLORS[number % len(COLORS)][0], MARKS[number % len(MARKS)][0]
        x = np.arange(1, len(losses) + 1)
        trained, tested = np.array(losses, float).T  # None becomes nan, and is not drawn
        axes.semilogy(x, trained, "--", color=color, linewidth=1.1)
        axes.semilogy(x, tested, color=color, marker=mark, markersize=4, label=name)
    axes.plot([], [], "--", color="0.4", linewidth=1.1, label="on training pictures")
    axes.set(title=title, xlabel="epoch", ylabel=f"loss ({kind})")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    tidy(axes)
    axes.legend(fontsize=9, frameon=False)
    return save(figure, path)


def losses_of(file: Path) -> Losses:
    """What the epochs.csv of a training run says."""
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [(float(r["train_loss"]), float(r["test_loss"]) if r["test_loss"] else None) for r in rows]


def latent_map(latents: np.ndarray, labels: np.ndarray | None, title: str, path: Path) -> Path:
    """Latents [N, L] in the plane by t-SNE, which keeps neighbours together; a colour for each class."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    latents, labels = latents[:DOTS], None if labels is None else labels[:DOTS]
    narrow = PCA(min(50, *latents.shape), random_state=0).fit_transform(latents)
    near = min(30, (len(latents) - 1) / 3)  # scikit-learn wants fewer neighbours than there are
    places = TSNE(perplexity=near, init="pca", random_state=0).fit_transform(narrow)
    figure, axes = pyplot.subplots(figsize=(7.4, 6.4), layout="constrained")
    for label in [None] if labels is None else np.unique(labels):
        chosen = slice(None) if labels is None else labels == label
        color = TABLEAU(0 if label is None else int(label) % 10)
        x, y = places[chosen].T
        axes.scatter(x, y, s=7, color=color, linewidth=0, label=f"{label}")
    axes.set(title=f"{title}: latents of {len(latents)} pictures by t-SNE", xticks=[], yticks=[])
    if labels is not None:
        axes.legend(title="class", markerscale=2.5, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return save(figure, path)
