"""Weights -> the model of the family that their architecture names."""

import torch

from aecodec.errors import BadWeights
from aecodec.networks.classic.model import FAMILY, ClassicModel
from aecodec.networks.model import Model
from aecodec.networks.photo.hyperprior import Hyperprior
from aecodec.weights import Weights

HYPERPRIOR = "hyperprior"  # the family of architectures that name none


def load(weights: Weights, device: torch.device, fast: bool = False) -> Model:
    """Load and verify what decoding needs. Raises BadWeights."""
    family = weights.architecture.get("family", HYPERPRIOR)
    if family == HYPERPRIOR:
        return Hyperprior(weights, device, fast)
    if family == FAMILY:
        return ClassicModel(weights, device, fast)
    raise BadWeights(f"{weights.path} is of the family {family!r}, which this version does not know")
