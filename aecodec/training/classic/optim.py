"""Optimizers, schedules, and the search for a learning rate."""

import math
from collections.abc import Iterable

import torch
from torch import nn

from aecodec.errors import BadArgument
from aecodec.training.classic.recipe import ClassicRecipe

WEIGHT_DECAY = 1e-2  # of AdamW and Lion
MOMENTUM = 0.9  # of SGD
LOWEST = 0.01  # factor at the end of a cosine


def make_optimizer(recipe: ClassicRecipe, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer that a recipe names. Raises BadArgument where Lion is not installed."""
    if recipe.optimizer == "lion":
        try:
            from lion_pytorch import Lion
        except ImportError as fault:
            raise BadArgument(
                "the optimizer lion needs lion-pytorch: install aecodec[classic], or choose another"
            ) from fault
        lion: torch.optim.Optimizer = Lion(parameters, lr=recipe.rate, weight_decay=WEIGHT_DECAY)
        return lion
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=recipe.rate, weight_decay=WEIGHT_DECAY, fused=True)
    if recipe.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=recipe.rate, fused=True)
    return torch.optim.SGD(parameters, lr=recipe.rate, momentum=MOMENTUM, nesterov=True)


def factor(schedule: str, progress: float) -> float:
    """Factor on the learning rate at a share of the run, 0..1."""
    if schedule == "step":
        return 0.1 ** ((progress >= 0.5) + (progress >= 0.75))
    if schedule == "cosine":
        return LOWEST + (1 - LOWEST) * 0.5 * (1 + math.cos(math.pi * progress))
    return 1.0
