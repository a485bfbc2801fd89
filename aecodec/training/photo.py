"""Training the photo model: its phases, optimizers and objective, for the loop in `trainer`."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aecodec.training.data import Patches
from aecodec.training.distortion import distortion, mse
from aecodec.training.muon import Muon
from aecodec.training.objective import TrainedModel
from aecodec.training.precision import arithmetic, autocast
from aecodec.training.recipe import Recipe
from aecodec.training.start import start_linear


class PhotoTask:
    """First the entropy model alone, then everything, at last on rounded latents without the analysis."""

    warm_up = 100  # steps of linearly rising learning rate, while the optimizers have no moments yet
    rate_keys = "matrix_rate or other_rate"

    def __init__(self, recipe: Recipe, patches: Patches, device: torch.device, rank: int = 0) -> None:
        self.recipe, self.patches, self.device = recipe, patches, device
        self.clip, self.average = recipe.clip, recipe.average
        self.model = TrainedModel(recipe.architecture).to(device)
        matrix, other = _optimizers(self.model, recipe, arithmetic(device))
        self.optimizers = {"matrix": matrix, "other": other}
        self.random = torch.Generator(device).manual_seed(rank)
        self.entropy_share = recipe.entropy_share
        self.steps = 0

    def start(self) -> None:
        """Set the linear path to its optimum on the training pictures."""
        patches = torch.cat([self.patches.batch(16, 192) for _ in range(32)])
        start_linear(self.model, patches, self.recipe.lambdas)

    def warm_start(self) -> None:
        """Go on from the weights that the model has: no phase for the entropy model alone."""
        self.entropy_share = 0.0

    def batch(self, step: int, progress: float) -> Tensor:
        """Random patches, larger ones towards the end."""
        late = progress > 1 - self.recipe.late_share
        return self.patches.batch(self.recipe.batch, self.recipe.late_patch if late else self.recipe.patch)

    def backward(self, network: nn.Module, x: Tensor, progress: float) -> Tensor:
        """Gradients of the phase's networks; returns loss, bpp and distortion, both unweighted, and MSE."""
        linear = progress < self.entropy_share
        rounded = progress > 1 - self.recipe.rounded_share
        level = torch.rand(len(x), device=self.device, generator=self.random) * 255
        with autocast(self.device):
            outcome = network(x, level, "round" if rounded else "noise", linear)
        lost, squared = torch.zeros_like(level), torch.zeros_like(level)
        if outcome.x_hat is not None:
            lost = distortion(self.recipe.distortion, outcome.x_hat, x, level, self.steps)
            squared = mse(outcome.x_hat.detach(), x)
        self.steps += 1
        loss = ((outcome.bpp + lost) * self.recipe.lambdas.weight(level)).mean()
        loss.backward()
        if rounded:
            self.model.analysis.zero_grad()
            self.model.log_gain.zero_grad()
        return torch.stack([part.detach().mean() for part in (loss, outcome.bpp, lost, squared)])

    def figures(self, means: list[float]) -> dict[str, float]:
        """Loss, bits per pixel, distortion in bits per pixel, and PSNR in dB of the mean MSE."""
        loss, bpp, lost, squared = means
        psnr = 10 * math.log10(255**2 / squared) if squared > 0 else 0.0
        return {"loss": loss, "bpp": bpp, "distortion": lost, "psnr": psnr}

    def factor(self, progress: float) -> float:
        """Learning-rate factor: flat, then a cosine that falls to 2 %."""
        flat = self.recipe.flat_share
        falling = max(0.0, (progress - flat) / (1 - flat))
        return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * falling))

    def part(self, step: int, progress: float) -> int:
        """Tenths of the run."""
        return int(progress * 10)

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs beside weights and optimizers."""
        return {
            "entropy_share": self.entropy_share,
            "steps": self.steps,
            "levels": self.random.get_state(),
            "patches": self.patches.random.bit_generator.state,
        }

    def restore(self, state: Mapping[str, Any], seed: int | None) -> None:
        """Inverse of `state`; with a seed, random numbers start from that instead."""
        self.entropy_share, self.steps = state["entropy_share"], state["steps"]
        if seed is None:
            self.random.set_state(state["levels"].cpu())
            self.patches.random.bit_generator.state = state["patches"]
        else:
            self.random.manual_seed(seed)
            self.patches.random = np.random.default_rng(seed)


def _optimizers(
    model: TrainedModel, recipe: Recipe, dtype: torch.dtype
) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    """Muon for the matrices of blocks and entropy model, AdamW for the linear path and all else."""
    linear = [
        p
        for layer in (model.analysis.enter, model.analysis.down, model.synthesis.up, model.synthesis.leave)
        for p in layer.parameters()
    ]
    taken = {id(p) for p in linear}
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, p in model.named_parameters():
        if id(p) in taken:
            continue
        (matrices if p.ndim == 2 and not name.endswith(".values") else others).append(p)
    muon = Muon(matrices, recipe.matrix_rate, dtype)
    adam = torch.optim.AdamW(
        [{"params": others, "lr": recipe.other_rate}, {"params": linear, "lr": recipe.linear_rate}],
        weight_decay=0.0,
        betas=(0.9, 0.98),
        fused=True,
    )
    return muon, adam
