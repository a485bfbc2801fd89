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
import torch
from torch import Tensor

from aecodec.networks.model import Model
from aecodec.tiles.grid import Box

# How far to go in the first round, of the way to where each latent alone should be: those that correct the
# same pixels would else all do it. Later rounds go less far. Chosen on validation photographs.
STEP, SHORTER = 0.3, 0.25
AT_ONCE = {"cpu": 2**18, "cuda": 2**22}  # pixels whose activations are kept for a slope, 0.4 to 0.6 kB each


def refine(model: Model, x: Tensor, y: Tensor, tile: Box, level: int, rounds: int) -> Tensor:
    """Latents before the gain, [B, M, h, w], for B tiles of one size at a level.

    x: their pixels, float32 [B, C, H, W], 0..1, padded to whole latents. y: latents before the gain of the
    tiles and of what their synthesis sees around them, [B, M, h', w'], in which `tile` is the box of a tile.
    """
    unit = model.symbol(level)
    if unit is None or not rounds:
        return y[:, :, *tile.slices]
    with torch.inference_mode(False), torch.no_grad():  # autograd keeps no tensor of inference mode
        around = y.clone()
        inner = around[:, :, *tile.slices]
        y = inner.clone()
        for number in range(rounds):
            coded = np.stack([one.y_hat for one in model.encode(y, level)])
            inner.copy_(model.scaled(torch.from_numpy(coded).to(model.device), level))
            missed = (inner - y) / unit
            slope = _slope(model, x, around, tile, level) * unit
            curvature = (slope * missed).sum((1, 2, 3), True) / missed.square().sum((1, 2, 3), True)
            step = STEP / (1 + SHORTER * number) * unit
            y += step * torch.where(curvature > 0, missed - slope / curvature, 0)
        return y


def _slope(model: Model, x: Tensor, y_hat: Tensor, tile: Box, level: int) -> Tensor:
    """How the squared error of x rises with the latents of the tiles, which are before the gain."""
    slope = torch.zeros_like(y_hat)
    rows = max(1, AT_ONCE[model.device.type] // (x.shape[0] * x.shape[3] * model.stride))
    for top in range(tile.top, tile.bottom, rows):
        part = Box(top, tile.left, min(top + rows, tile.bottom), tile.right)
        frame = part.widened(model.synthesis_halo, *y_hat.shape[2:])
        window = y_hat[:, :, *frame.slices].clone().requires_grad_()
        with torch.enable_grad():
            x_hat = model.synthesise(window, level, x.shape[1], rough=True).clamp(0, 1)
            shown = x_hat[:, :, *part.inside(frame).times(model.stride).slices]
            error = (shown - x[:, :, *part.inside(tile).times(model.stride).slices]).square().sum()
        slope[:, :, *frame.slices] += torch.autograd.grad(error, window)[0]
    return slope[:, :, *tile.slices]
