"""Pictures of a training run."""

import csv
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # files only: no screen is needed

from matplotlib import pyplot  # noqa: E402

PANELS = (
    ("loss", "loss: weighted bpp + lambda 255² MSE"),
    ("bpp", "bits per pixel (estimated, all levels)"),
    ("psnr", "PSNR, dB (all levels)"),
    ("rate_factor", "learning-rate factor"),
)


def learning_curves(log: Path, out: Path) -> None:
    """Draw the columns of log.csv against minutes of training, as a PNG."""
    with log.open(newline="") as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    figure, axes = pyplot.subplots(2, 2, figsize=(9, 6), layout="constrained")
    for (column, title), axis in zip(PANELS, axes.flat, strict=True):
        axis.plot([r["minutes"] for r in rows], [r[column] for r in rows], linewidth=1)
        axis.set(title=title, xlabel="minutes")
        axis.grid(alpha=0.3)
    figure.savefig(out, dpi=110)
    pyplot.close(figure)


def rate_curve(rows: Sequence[tuple[float, float]], suggested: float, out: Path) -> None:
    """Draw the loss over learning rates, and the suggested one, as a PNG."""
    figure, axis = pyplot.subplots(figsize=(7, 4), layout="constrained")
    axis.plot(*zip(*rows, strict=True))
    axis.axvline(suggested, color="tab:red", linestyle="--", label=f"suggested: {suggested:.1e}")
    axis.set(
        xscale="log", yscale="log", title="Loss over the learning rate", xlabel="learning rate", ylabel="loss"
    )
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(out, dpi=110)
    pyplot.close(figure)
