"""Weights -> the model of the family that their architecture names."""

from aecodec.devices import need_torch
from aecodec.engines.engine import Engine
from aecodec.errors import BadWeights
from aecodec.networks.model import Model
from aecodec.networks.photo.hyperprior import Hyperprior
from aecodec.weights import Weights

HYPERPRIOR = "hyperprior"  # the family of architectures that name none
CLASSIC = "classic"


def load(weights: Weights, engine: Engine) -> Model:
    """Load and verify what decoding needs. Raises BadWeights, and NoTorch for a classic model without it."""
    family = weights.architecture.get("family", HYPERPRIOR)
    if family == HYPERPRIOR:
        return Hyperprior(weights, engine)
    if family != CLASSIC:
        raise BadWeights(f"{weights.path} is of the family {family!r}, which this version does not know")
    need_torch(f"{weights.path}, a classic autoencoder,", "classic")
    from aecodec.networks.classic.model import ClassicModel

    return ClassicModel(weights, engine)
