"""Rate-distortion curves of a run as PNG and SVG."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")  # files only: no screen is needed

from matplotlib import pyplot  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402

from aecodec.bench.published import Curve, is_kodak, published_curves  # noqa: E402
from aecodec.measure.metrics import CURVES  # noqa: E402
from aecodec.measure.style import METRICS, Metric, looks, name_of_set, scale  # noqa: E402

ORDER_AT = 0.5  # bits per pixel: inside the range of every published curve
Points = list[tuple[float, float]]


def write(results: dict[str, Any], out: Path) -> list[Path]:
    """Draw PSNR, MS-SSIM and SSIMULACRA2, each where it was measured, over bits per pixel.

    Writes rd-METRIC.png and rd-METRIC.svg (`_` as `-`) into the folder `out` and returns their paths. The
    same results give the same bytes. Published curves are drawn where the pictures are the 24 of Kodak.
    """
    written = []
    for metric in (m for m in METRICS if m.key in CURVES):
        measured = {name: _points(curve, metric) for name, curve in results["curves"].items()}
        measured = {name: points for name, points in measured.items() if points}
        if not measured:
            continue
        with matplotlib.rc_context({"svg.hashsalt": "aecodec", "svg.fonttype": "none"}):
            figure, axes = pyplot.subplots(figsize=(8, 5.4), layout="constrained")
            _draw(axes, results, metric, measured)
            for suffix in (".png", ".svg"):
                path = out / f"rd-{metric.key.replace('_', '-')}{suffix}"
                figure.savefig(path, dpi=150, metadata={"Date": None} if suffix == ".svg" else None)
                written.append(path)
            pyplot.close(figure)
    return written


def _draw(axes: Axes, results: dict[str, Any], metric: Metric, measured: dict[str, Points]) -> None:
    labels = {codec["name"]: _label(results, codec) for codec in results["codecs"]}
    for name, look in looks(results).items():
        if name in measured:
            axes.plot(
                *zip(*measured[name], strict=True),
                color=look.light,
                marker=look.mark,
                markersize=5,
                linewidth=1.6,
                label=labels[name],
            )
    axes.set(
        title=f"Rate-distortion, {name_of_set(results, is_kodak(results))}",
        xlabel="bits per pixel (bytes of the whole file)",
        ylabel=metric.axis,
        xlim=(0, None),
    )
    axes.autoscale(False)  # what was measured decides what is shown
    _draw_published(axes, [c for c in published_curves(results) if metric.key in c], metric)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", frameon=True, framealpha=0.9, edgecolor="none", fontsize=9)


def _label(results: dict[str, Any], codec: dict[str, str]) -> str:
    """The codec's label, and over how many pictures its curve is where these are not all."""
    count = len(results["pictures"])
    least = min((point["pictures"] for point in results["curves"].get(codec["name"], ())), default=count)
    label = codec["label"].replace("$", r"\$")
    return f"{label}, {least} of {count} pictures" if least < count else label


def _draw_published(axes: Axes, curves: list[Curve], metric: Metric) -> None:
    """Draw the curves thin and grey, and name them beside the axes in the order in which they lie."""
    heights = {}
    for curve in curves:
        quality = [scale(metric.key, value) for value in curve[metric.key]]
        style = "--" if curve["kind"] == "classical" else "-"
        axes.plot(curve["bpp"], quality, style, color="0.62", linewidth=0.8, zorder=1)
        heights[curve["name"]] = float(np.interp(ORDER_AT, curve["bpp"], quality))
    if curves:
        names = "\n".join(sorted(heights, key=lambda name: -heights[name]))
        title = f"Published,\nhighest first at {ORDER_AT} bpp\n(dashed: classical)\n\n"
        axes.annotate(
            title + names,
            (1.02, 0.98),
            xycoords="axes fraction",
            fontsize=8,
            color="0.35",
            va="top",
            linespacing=1.5,
        )
        axes.axvline(ORDER_AT, color="0.62", linewidth=0.6, linestyle=":", zorder=0)


def _points(curve: list[dict[str, Any]], metric: Metric) -> Points:
    """Bits per pixel and the metric where it was measured and is finite."""
    points = [(p["bpp"], p[metric.key]) for p in curve if p.get(metric.key) is not None]
    beyond = 1.0 if metric.decibel else np.inf  # equal pictures are infinitely good
    return [(rate, scale(metric.key, value)) for rate, value in points if value < beyond]
