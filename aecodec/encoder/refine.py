"""Better latents for one picture: the analysis cannot know what rounding will do, the synthesis shows it.

y -> symbols -> y_hat -> synthesis -> squared error -> its slope in y_hat -> another y, for some rounds

Near its best y a picture's squared error is that of each latent alone, a parabola of one curvature (in a
trained model, by high-rate theory: half of it times lambda is 6 / ln 2 bits), and of what they do to each
other. The choice of symbols knows the first part (`coding.symbols.cheapest`); only the second must move y.
One line fitted through slopes over rounding errors has the curvature, as the step length of Barzilai and
Borwein ("Two-point step size gradient methods", 1988), and what is left of the slopes is the second part.
Campos et al. ("Content adaptive optimization for neural image compression", 2019) change latents by plain
gradient descent.
"""

import numpy as np

from aecodec.networks.model import Model
from aecodec.tiles.grid import Box

# How far to go in the first round, of the way to where each latent alone should be: those that correct the
# same pixels would else all do it. Later rounds go less far. Chosen on validation photographs.
STEP, SHORTER = 0.3, 0.25
AT_ONCE = {"cpu": 2**19, "cuda": 2**22}  # pixels whose activations are kept for a slope, 0.2 to 0.6 kB each


def refine(model: Model, pixels: np.ndarray, y: np.ndarray, tile: Box, level: int, rounds: int) -> np.ndarray:
    """Latents before the gain for B tiles of one size at a level.

    Args:
        model: the model.
        pixels: of the tiles, uint8 [B, H, W, C], padded to whole latents.
        y: latents before the gain of the tiles and of what their synthesis sees around them,
            float32 [B, h', w', M].
        tile: the box of a tile in them.
        level: rate level.
        rounds: of refinement.

    Returns:
        Those of the tiles alone, float32 [B, h, w, M].

    """
    unit = model.symbol(level)
    if unit is None or not rounds:
        return y[:, *tile.slices]
    around = y.copy()
    inner = around[:, *tile.slices]
    y = inner.copy()
    for number in range(rounds):
        coded = np.stack([one.y_hat for one in model.encode(y, level)])
        inner[...] = model.scaled(coded, level)
        missed = (inner - y) / unit
        slope = _slope(model, pixels, around, tile, level) * unit
        curvature = _sums(slope * missed) / np.maximum(_sums(missed * missed), np.finfo(np.float32).tiny)
        step = STEP / (1 + SHORTER * number) * unit
        y += step * np.where(curvature > 0, missed - slope / np.where(curvature > 0, curvature, 1), 0)
    return y


def _sums(x: np.ndarray) -> np.ndarray:
    """Over each of the tiles [B, h, w, M]: [B, 1, 1, 1]."""
    sums: np.ndarray = x.sum((1, 2, 3), keepdims=True)
    return sums


def _slope(model: Model, pixels: np.ndarray, y_hat: np.ndarray, tile: Box, level: int) -> np.ndarray:
    """How the squared error of pixels, 0..1, rises with the latents of the tiles before the gain."""
    slope = np.zeros_like(y_hat)
    count, _, width, channels = pixels.shape
    rows = max(1, AT_ONCE[model.engine.device] // (count * width * model.stride))
    for top in range(tile.top, tile.bottom, rows):
        part = Box(top, tile.left, min(top + rows, tile.bottom), tile.right)
        frame = part.widened(model.synthesis_halo, *y_hat.shape[1:3])
        x_hat, back = model.render(y_hat[:, *frame.slices], level, channels)
        error = np.zeros_like(x_hat)
        shown = part.inside(frame).times(model.stride).slices
        drawn = x_hat[:, *shown]
        missed = np.clip(drawn, 0, 1) - pixels[:, *part.inside(tile).times(model.stride).slices] / np.float32(
            255
        )
        error[:, *shown] = 2 * missed * ((drawn >= 0) & (drawn <= 1))
        slope[:, *frame.slices] += back(error)
    return slope[:, *tile.slices]
