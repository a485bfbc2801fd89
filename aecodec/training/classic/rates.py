"""The learning-rate finder: the loss of a fresh network while the rate rises from step to step."""

import csv
import math
from pathlib import Path

import torch
from torch import nn

from aecodec.training.classic.data import Pictures
from aecodec.training.classic.recipe import ClassicRecipe
from aecodec.training.classic.task import ClassicTask
from aecodec.training.plots import rate_curve

STEPS = 100
LOWEST, HIGHEST = 1e-6, 1.0
SMOOTHING = 0.9  # share of the losses before in the mean
DIVERGED = 4.0  # times the best loss: here the search ends

Rows = list[tuple[float, float]]  # rising learning rates, and the smoothed loss at each


def find_rate(recipe: ClassicRecipe, pictures: Pictures, device: torch.device, steps: int = STEPS) -> Rows:
    """The loss over learning rates; it ends early where the loss runs away.

    Raises BadData where pictures and network do not fit, and what the recipe's files raise.
    """
    torch.manual_seed(recipe.seed)
    task = ClassicTask(recipe, pictures, device)
    task.start()
    (optimizer,) = task.optimizers.values()
    rows: Rows = []
    mean, best = 0.0, math.inf
    for step in range(steps):
        rate = LOWEST * (HIGHEST / LOWEST) ** (step / max(steps - 1, 1))
        loss = float(task.backward(task.model, task.batch(step, 0.0), 0.0)[0])
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        smoothed = mean / (1 - SMOOTHING ** (step + 1))
        if not smoothed < DIVERGED * best:
            break
        best = min(best, smoothed)
        rows.append((rate, smoothed))
        nn.utils.clip_grad_norm_(task.model.parameters(), task.clip)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()
    return rows


def suggested(rows: Rows) -> float:
    """A learning rate to begin with: a tenth of that with the lowest loss, where it is about to run away."""
    return min(rows, key=lambda row: row[1])[0] / 10


def save(rows: Rows, out: Path) -> None:
    """Write rates.csv and rates.png into a folder."""
    with (out / "rates.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("rate", "loss"), *rows])
    rate_curve(rows, suggested(rows), out / "rates.png")
