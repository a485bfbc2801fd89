"""Bjontegaard deltas: PCHIP of log10 rate over quality, integrated over the common range."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from aecodec.errors import BadArgument

NARROWEST = 0.5  # dB of common range; less is refused, never extrapolated


@dataclass(frozen=True)
class Delta:
    """BD-rate in per cent (negative: fewer bits), and the quality range it was integrated over."""

    percent: float
    low: float
    high: float


def bd_rate(
    anchor: tuple[Sequence[float], Sequence[float]], test: tuple[Sequence[float], Sequence[float]]
) -> Delta:
    """BD-rate of `test` against `anchor`, each (bits per pixel, quality in dB).

    Raises BadArgument when the curves share less than half a decibel or have fewer than two points.
    """
    (a, a_low, a_high), (t, t_low, t_high) = _curve(*anchor), _curve(*test)
    low, high = max(a_low, t_low), min(a_high, t_high)
    if high - low < NARROWEST:
        raise BadArgument(
            f"the curves share only {max(high - low, 0):.2f} dB: give qualities that overlap more"
        )
    mean = (t.integrate(low, high) - a.integrate(low, high)) / (high - low)
    return Delta(100 * (10 ** float(mean) - 1), low, high)


def _curve(bpp: Sequence[float], quality: Sequence[float]) -> tuple[PchipInterpolator, float, float]:
    order = np.argsort(quality)
    q, r = np.asarray(quality, float)[order], np.log10(np.asarray(bpp, float)[order])
    keep = np.r_[True, np.diff(q) > 1e-9]
    if keep.sum() < 2:
        raise BadArgument("a rate-distortion curve needs two points of different quality or more")
    return PchipInterpolator(q[keep], r[keep]), float(q[keep][0]), float(q[keep][-1])
