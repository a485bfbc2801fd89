"""Bjontegaard deltas between two rate-distortion curves: PCHIP over log10 of the rate.

G. Bjontegaard, "Calculation of average PSNR differences between RD-curves", VCEG-M33, 2001; with piecewise
cubics (PCHIP) in place of his polynomial, as the JVET common test conditions have it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from aecodec.errors import BadArgument

SHARED = 0.25  # of the narrower curve's range, at least; curves that share less are refused, not extrapolated

Curve = tuple[Sequence[float], Sequence[float]]  # bits per pixel; quality, the higher the better


@dataclass(frozen=True, slots=True)
class Delta:
    """A mean difference, and the range it is the mean over (of quality for bd_rate, bpp for bd_quality)."""

    value: float
    low: float
    high: float


def bd_rate(anchor: Curve, test: Curve) -> Delta:
    """Mean difference in rate at equal quality, in per cent of the anchor's; negative: fewer bits.

    Raises BadArgument where a curve has fewer than two points or does not rise, or where the two share less
    than a quarter of the narrower one's range of quality.
    """
    (anchor_rate, anchor_quality), (test_rate, test_quality) = _rising(anchor), _rising(test)
    delta = _mean_difference((anchor_quality, anchor_rate), (test_quality, test_rate))
    return Delta(100 * (10**delta.value - 1), delta.low, delta.high)


def bd_quality(anchor: Curve, test: Curve) -> Delta:
    """Mean difference in quality at equal rate, in the metric's unit (BD-PSNR: dB); positive: better.

    Raises BadArgument as `bd_rate` does, for the range of log10 rate.
    """
    delta = _mean_difference(_rising(anchor), _rising(test))
    return Delta(delta.value, 10**delta.low, 10**delta.high)


Points = tuple[NDArray[np.float64], NDArray[np.float64]]


def _rising(curve: Curve) -> Points:
    """log10 of the rate and the quality, both strictly rising."""
    bpp, quality = (np.asarray(axis, np.float64) for axis in curve)
    if len(bpp) < 2:
        raise BadArgument("a rate-distortion curve needs two points or more: give more qualities")
    order = np.argsort(bpp)
    rate, quality = np.log10(bpp[order]), quality[order]
    if (np.diff(rate) <= 0).any() or (np.diff(quality) <= 0).any():
        raise BadArgument("the curve does not rise with the rate: leave out the qualities where it falls")
    return rate, quality


def _mean_difference(anchor: Points, test: Points) -> Delta:
    """Mean of test - anchor over the range of x that both have; each is (x, y) with x strictly rising."""
    low, high = max(anchor[0][0], test[0][0]), min(anchor[0][-1], test[0][-1])
    narrower = min(np.ptp(anchor[0]), np.ptp(test[0]))
    if high - low < SHARED * narrower:
        raise BadArgument(
            f"the curves share {max(high - low, 0) / narrower:.0%} of the narrower one's range and need "
            f"{SHARED:.0%}: choose qualities that overlap more"
        )
    areas = [float(PchipInterpolator(*points).integrate(low, high)) for points in (anchor, test)]
    return Delta((areas[1] - areas[0]) / float(high - low), float(low), float(high))
