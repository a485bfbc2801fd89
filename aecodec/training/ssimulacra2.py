"""SSIMULACRA 2 as a loss: the metric's weighted sum of errors, differentiable and for a batch of pictures.

The metric is J. Sneyers', in libjxl (tools/ssimulacra2.cc): pictures in the colour space XYB, at six scales
an SSIM map and two maps of edges (new ones: ringing, blocks; lost ones: blur), of each the mean and the
4-norm. `score` maps the sum to the usual scale. The constants and the treatment of borders are those of the
package `ssimulacra2`, a port of that code.
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

SCALES = 6
SMALLEST = 8  # pixels a side of the smallest scale
C2 = 0.0009
SIGMA, RADIUS = 1.5, 5  # of the blur, pixels

ABSORBANCE = (  # linear RGB -> responses of the eye's cones; the rows add up to 1
    (0.30, 0.622, 0.078),
    (0.23, 0.692, 0.078),
    (0.24342268924547819, 0.20476744424496821, 0.5518098665095536),
)
BIAS = 0.0037930732552754493

# Of the channels X, Y and B, of all scales, of the mean and the 4-norm: SSIM, new edges, lost edges.
# fmt: off
WEIGHTS = (
    0.0, 0.0007376606707406586, 0.0, 0.0, 0.0007793481682867309, 0.0, 0.0, 0.0004371155730107379, 0.0,
    1.1041726426657346, 0.00066284834129271, 0.00015231632783718752, 0.0, 0.0016406437456599754, 0.0,
    1.8422455520539298, 11.441172603757666, 0.0, 0.0007989109436015163, 0.000176816438078653, 0.0,
    1.8787594979546387, 10.94906990605142, 0.0, 0.0007289346991508072, 0.9677937080626833, 0.0,
    0.00014003424285435884, 0.9981766977854967, 0.00031949755934435053, 0.0004550992113792063, 0.0, 0.0,
    0.0013648766163243398, 0.0, 0.0, 0.0, 0.0, 0.0, 7.466890328078848, 0.0, 17.445833984131262,
    0.0006235601634041466, 0.0, 0.0, 6.683678146179332, 0.00037724407979611296, 1.027889937768264,
    225.20515300849274, 0.0, 0.0, 19.213238186143016, 0.0011401524586618361, 0.001237755635509985,
    176.39317598450694, 0.0, 0.0, 24.43300999870476, 0.28520802612117757, 0.0004485436923833408, 0.0, 0.0,
    0.0, 34.77906344483772, 44.835625328877896, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0008680556573291698,
    0.0, 0.0, 0.0, 0.0, 0.0, 0.0005313191874358747, 0.0, 0.00016533814161379112, 0.0, 0.0, 0.0, 0.0, 0.0,
    0.0004179171803251336, 0.0017290828234722833, 0.0, 0.0020827005846636437, 0.0, 0.0, 8.826982764996862,
    23.19243343998926, 0.0, 95.1080498811086, 0.9863978034400682, 0.9834382792465353, 0.0012286405048278493,
    171.2667255897307, 0.9807858872435379, 0.0, 0.0, 0.0, 0.0005130064588990679, 0.0, 0.00010854057858411537,
)
# fmt: on
TOTAL = 0.9562382616834844  # factor on the weighted sum


def distance(x_hat: Tensor, x: Tensor) -> Tensor:
    """How far pictures are from their originals.

    Args:
        x_hat: decoded pictures, float32 [B, 3, H, W], sRGB, clamped to 0..1; gradients flow to these.
        x: the originals, 0..1. Where a side is below 256 pixels, scales below 8 pixels are left out.

    Returns:
        float32 [B]: 0 for equal pictures, 0.5 at a score of 89, 23 at -8.
    """
    decoded, original = linear(x_hat.clamp(0, 1)), linear(x)
    weights = x.new_tensor(WEIGHTS).view(3, SCALES, 2, 3)
    total = x.new_zeros(len(x))
    for scale in range(SCALES):
        total = total + _errors(_xyb(decoded), _xyb(original), weights[:, scale])
        if min(decoded.shape[2:]) < 2 * SMALLEST:
            break
        decoded, original = (F.avg_pool2d(c, 2, ceil_mode=True) for c in (decoded, original))
    return total * TOTAL


def score(distances: Tensor) -> Tensor:
    """The usual score, 100 for equal pictures and falling without end, of what `distance` gives."""
    d = distances
    d = 2.326765642916932 * d - 0.020884521182843837 * d**2 + 6.248496625763138e-05 * d**3
    return 100 - 10 * d.clamp(min=0) ** 0.6276336467831387


def linear(x: Tensor) -> Tensor:
    """sRGB -> linear light, both 0..1."""
    return torch.where(x <= 0.04045, x / 12.92, ((x.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)


def _xyb(x: Tensor) -> Tensor:
    """Linear RGB [B, 3, H, W] -> X, Y, B - Y, shifted and scaled to about 0..1."""
    cones = torch.einsum("ij,bjhw->bihw", x.new_tensor(ABSORBANCE), x) + BIAS
    long, medium, short = (cones.clamp(min=0) ** (1 / 3) - BIAS ** (1 / 3)).unbind(1)
    luma = (long + medium) / 2
    return torch.stack((7 * (long - medium) + 0.42, luma + 0.01, short - luma + 0.55), 1)


def _errors(decoded: Tensor, original: Tensor, weights: Tensor) -> Tensor:
    """The weighted errors of one scale: XYB [B, 3, H, W] twice, weights [3, 2, 3] -> [B]."""
    mean, mean_of_original = _blur(decoded), _blur(original)
    squares = _blur(decoded.square() + original.square())  # the metric needs their sum alone
    variances = squares - mean.square() - mean_of_original.square()
    covariance = _blur(decoded * original) - mean * mean_of_original
    alike = (1 - (mean - mean_of_original).square()) * (2 * covariance + C2) / (variances + C2)
    edges = (1 + (decoded - mean).abs()) / (1 + (original - mean_of_original).abs()) - 1
    maps = torch.stack((F.relu(1 - alike), F.relu(edges), F.relu(-edges)), 2).flatten(3)  # [B, 3, 3, HW]
    means, fourth = maps.mean(3), torch.linalg.vector_norm(maps, 4, 3) / maps.shape[3] ** 0.25
    return (torch.stack((means, fourth), 2) * weights).sum((1, 2, 3))


def _blur(x: Tensor) -> Tensor:
    """Gaussian blur of [B, C, H, W], as two products with banded matrices: the fastest way on a CPU."""
    rows, columns = x.shape[2:]
    return _band(rows, True).to(x) @ (x @ _band(columns, False).to(x).T)


@lru_cache
def _band(size: int, mirrored: bool) -> Tensor:
    """The blur of `size` values as a matrix; beyond the ends they are mirrored, or zero."""
    at = torch.arange(-RADIUS, RADIUS + 1)
    taps = torch.exp(-0.5 * (at / SIGMA).square())
    padded = torch.eye(size)
    pad = min(RADIUS, size)
    if mirrored:
        padded = torch.cat((padded[:pad].flip(0), padded, padded[-pad:].flip(0)))
        padded = F.pad(padded, (0, 0, RADIUS - pad, RADIUS - pad))
    else:
        padded = F.pad(padded, (0, 0, RADIUS, RADIUS))
    return torch.stack([(taps / taps.sum()) @ padded[i : i + len(taps)] for i in range(size)])
