"""Losses between pictures and their reconstructions."""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from aecodec.training.classic.recipe import ClassicRecipe

Loss = Callable[[Tensor, Tensor], Tensor]  # x_hat and x, both [B, C, s, s], 0..1 -> a number

FALL = 0.5  # weight of each layer's features against those of the layer before


def make_loss(recipe: ClassicRecipe, device: torch.device) -> Loss:
    """The loss that a recipe names. Raises BadData for a file that is no classifier."""
    if recipe.loss == "mse":
        return F.mse_loss
    if recipe.loss == "mae":
        return F.l1_loss
    from aecodec.training.classic.classifier import Classifier

    return FeatureLoss(Classifier.load(Path(recipe.classifier or ""), device).features)


class FeatureLoss:
    """Squared error of the pixels, and of what the first layers of a classifier see, the deeper the less.

    Each in relation to what it is the error of, so that layers of any scale count by their weights alone.
    features: pictures -> feature maps of each layer, the first layer's first.
    """

    def __init__(self, features: Callable[[Tensor], list[Tensor]]) -> None:
        self.features = features

    def __call__(self, x_hat: Tensor, x: Tensor) -> Tensor:
        """x_hat and x [B, C, s, s], 0..1 -> a number without a unit, 0 if they are equal."""
        with torch.no_grad():
            wanted = self.features(x)
        total = _relative(x_hat, x)
        for depth, (found, target) in enumerate(zip(self.features(x_hat), wanted, strict=True)):
            total = total + FALL ** (depth + 1) * _relative(found.float(), target.float())
        return total


def _relative(x_hat: Tensor, x: Tensor) -> Tensor:
    return F.mse_loss(x_hat, x) / x.square().mean().clamp(min=1e-6)
