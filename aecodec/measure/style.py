"""What tables, plots and page have in common: names of metrics, colours and marks of codecs."""

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Metric:
    """How a metric is drawn: `key` names it in rows and curves."""

    key: str
    label: str
    unit: str = ""
    digits: int = 4  # after the point
    decibel: bool = False  # drawn and compared as -10 log10(1 - value): near 1 a linear axis shows nothing
    short: str = ""  # heading of a column on a terminal, where the label is too wide or says too little

    @property
    def axis(self) -> str:
        """Title of an axis."""
        return f"{self.label}, {self.unit}" if self.unit else self.label


METRICS = (
    Metric("psnr", "PSNR (RGB)", "dB", 2, short="PSNR"),
    Metric("psnr_pooled", "PSNR of the mean MSE", "dB", 2, short="pooled"),
    Metric("ms_ssim", "MS-SSIM", "dB: −10 log₁₀(1 − MS-SSIM)", 4, decibel=True),
    Metric("ssimulacra2", "SSIMULACRA2", "", 2),
    Metric("ssim", "SSIM"),
    Metric("mse_255", "MSE", "levels of 255, squared", 2, short="MSE 255"),
    Metric("mae_255", "MAE", "levels of 255", 2, short="MAE 255"),
    Metric("mse", "MSE on [0, 1]", "", 6, short="MSE"),
    Metric("mae", "MAE on [0, 1]", "", 5, short="MAE"),
)

_IN_DECIBEL = {metric.key for metric in METRICS if metric.decibel}

# Okabe and Ito's colours, which colour-blind readers tell apart, darkened where white swallows them and
# lightened for the dark page; the marks differ as well.
COLORS = (
    ("#0072b2", "#56b4f0"),
    ("#d55e00", "#ff8c42"),
    ("#009e73", "#2ecc9b"),
    ("#b0508a", "#e8a0cb"),
    ("#b98500", "#f0c040"),
    ("#555555", "#c8c8c8"),
    ("#3d3db8", "#a5a5ff"),
    ("#8c2d04", "#d9946c"),
)
MARKS = (  # the same mark for matplotlib, for plotly and as text
    ("o", "circle", "●"),
    ("s", "square", "■"),
    ("D", "diamond", "◆"),
    ("^", "triangle-up", "▲"),
    ("v", "triangle-down", "▼"),
    ("X", "x", "✕"),
    ("P", "cross", "✚"),
)


@dataclass(frozen=True)
class Look:
    """Colour on a light and on a dark page, and the mark, of one codec."""

    light: str
    dark: str
    mark: str  # matplotlib's name
    symbol: str  # plotly's name
    glyph: str


def looks(results: dict[str, Any]) -> dict[str, Look]:
    """Give every codec of a run its look, in their order; 56 codecs differ."""
    return {
        codec["name"]: Look(*COLORS[i % len(COLORS)], *MARKS[i % len(MARKS)])
        for i, codec in enumerate(results["codecs"])
    }


def name_of_set(results: dict[str, Any], kodak: bool) -> str:
    """Say in a few words which pictures the means are over."""
    count, which = len(results["pictures"]), "Kodak " if kodak else ""
    return f"mean of {count} {which}pictures" if count > 1 else f"one {which}picture"


def scale(key: str, value: float) -> float:
    """The value on the scale that curves of this metric are drawn and compared on: dB for MS-SSIM."""
    return -10 * math.log10(max(1 - value, 1e-12)) if key in _IN_DECIBEL else value
