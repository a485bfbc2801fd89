"""The linear-optimum start: untrained networks that already are a 16x16 block transform.

The path around the blocks is set to the principal components of training patches, so that training
starts from a working transform codec instead of noise.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from aecodec.engines.engine import LEVELS
from aecodec.networks.photo.architecture import PATCH
from aecodec.training.networks import ENGINE
from aecodec.training.objective import LambdaRange, TrainedModel


@torch.no_grad()
def start_linear(model: TrainedModel, patches: Tensor, lambdas: LambdaRange) -> None:
    """Initialise the linear path and the gains from `patches` [B, 3, H, W], 0..1.

    Features at 1/8 and 1/16 are principal components divided by the square root of their standard
    deviation: half-way to white, so that no network meets inputs of very different sizes.
    """
    a = model.architecture
    fine = _rows(F.pixel_unshuffle(patches, PATCH))  # [N, 192]
    mean = fine.mean(0)
    basis, deviation = _principal(fine - mean, min(a.width, fine.shape[1]))
    weight = basis / deviation.sqrt()[:, None]
    inverse = basis.T * deviation.sqrt()
    enter, leave = model.analysis.enter, model.synthesis.leave
    for layer, matrix, bias in ((enter, weight, -weight @ mean), (leave, inverse, mean)):
        layer.weight.zero_()
        layer.weight[: matrix.shape[0], : matrix.shape[1]] = matrix
        layer.bias.zero_()
        layer.bias[: len(bias)] = bias
    # At 1/16 the four neighbouring patches lie in channels c * 4 + position, hence the Kronecker product.
    corners = torch.eye(4, dtype=weight.dtype, device=weight.device)
    entered = ENGINE.pointwise(F.pixel_unshuffle(patches, PATCH), enter.weight, enter.bias)
    features = F.pixel_unshuffle(entered, 2)
    to_pixels = torch.kron(leave.weight, corners)
    basis, deviation = _principal(_rows(features) @ to_pixels.T, a.latent_channels)
    model.analysis.down.weight.copy_(basis / deviation.sqrt()[:, None] @ to_pixels)
    model.synthesis.up.weight.copy_(torch.kron(enter.weight, corners) @ basis.T * deviation.sqrt())
    model.analysis.down.bias.zero_()
    model.synthesis.up.bias.zero_()
    levels = torch.arange(LEVELS, dtype=torch.float32, device=weight.device)
    step = torch.sqrt(18 / math.log(2) / lambdas.at(levels))  # of 255: where d(bpp) = -lambda d(255^2 MSE)
    model.log_gain.set_table((255 / step)[:, None].log() + deviation.sqrt().log())


def _rows(x: Tensor) -> Tensor:
    """[B, C, H, W] -> [B H W, C]."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _principal(rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Principal components [count, C] of rows about zero, and their standard deviations [count]."""
    covariance = (rows.double().T @ rows.double()) / len(rows)
    values, vectors = torch.linalg.eigh(covariance)
    order = torch.argsort(values, descending=True)[:count]
    deviation = values[order].clamp(min=1e-8).sqrt()
    return vectors[:, order].T.float(), deviation.float()
