"""The training loop: phases, optimizers, averaged weights, checkpoints, log."""

import csv
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from aecodec.errors import BadData, OutputUnwritable, TrainingDiverged
from aecodec.training.data import Patches
from aecodec.training.objective import TrainedModel
from aecodec.training.processes import Processes
from aecodec.training.recipe import Recipe
from aecodec.training.start import start_linear

LOG_EVERY = 100  # steps: reading the loss waits for the device, so it is read seldom
CHECKPOINT_EVERY = 180.0  # seconds
WARM_UP = 100  # steps of linearly rising learning rate, while the optimizers have no moments yet


@dataclass(frozen=True)
class Budget:
    """How long to train: minutes of training time, or steps. Exactly one is set."""

    minutes: float | None = None
    steps: int | None = None

    def progress(self, step: int, seconds: float) -> float:
        """Share of the run that is over, 0..1."""
        if self.steps is not None:
            return min(1.0, step / self.steps)
        assert self.minutes is not None
        return min(1.0, seconds / (60 * self.minutes))


@dataclass(frozen=True)
class Logged:
    """One row of the log: means over the last hundred steps."""

    step: int
    minutes: float
    loss: float
    bpp: float
    psnr: float
    megapixels_per_second: float
    rate: float  # factor on the learning rates


class Trainer:
    """Trains one model; `save` writes everything that must survive a kill, `resume` takes it back."""

    def __init__(
        self,
        recipe: Recipe,
        budget: Budget,
        patches: Patches,
        out: Path,
        device: torch.device,
        processes: Processes = Processes(),  # noqa: B008  immutable
    ) -> None:
        self.recipe, self.budget, self.patches, self.out, self.device = recipe, budget, patches, out, device
        self.processes = processes
        self.model = TrainedModel(recipe.architecture).to(device)
        self.average = AveragedModel(self.model, avg_fn=self._average)
        self.matrix, self.other = _optimizers(self.model, recipe)
        self.random = torch.Generator(device).manual_seed(processes.rank)
        self.step, self.seconds, self.entropy_share, self.warm = 0, 0.0, recipe.entropy_share, 0

    @property
    def averaged(self) -> TrainedModel:
        """The exponential moving average of the weights: what is validated and exported."""
        return cast(TrainedModel, self.average.module)

    def start(self) -> None:
        """Set the linear path to its optimum on the training pictures."""
        patches = torch.cat([self.patches.batch(16, 192) for _ in range(32)])
        start_linear(self.model, patches, self.recipe.lambdas)
        self.averaged.load_state_dict(self.model.state_dict())

    def warm_start(self) -> None:
        """Go on from the weights that the model has: no phase for the entropy model alone."""
        self.averaged.load_state_dict(self.model.state_dict())
        self.average.n_averaged.fill_(1000)
        self.entropy_share = 0.0

    def run(self, on_log: Callable[[Logged, float], None], on_tenth: Callable[["Trainer"], None]) -> None:
        """Train until the budget is spent. Raises TrainingDiverged when the loss is not finite."""
        network = compiled(self.processes.share(self.model), self.device)
        sums = torch.zeros(3, device=self.device)
        steps, pixels, began, saved = 0, 0, time.monotonic(), time.monotonic()
        while (progress := self._progress()) < 1:
            tenth, before = int(progress * 10), time.monotonic()
            x = self.patches.batch(self.recipe.batch, self._side(progress))
            sums += self._update(network, x, progress)
            pixels += x.shape[0] * x.shape[2] * x.shape[3]
            self.step, steps = self.step + 1, steps + 1
            if self.step % LOG_EVERY == 0:
                spent = time.monotonic() - began
                self._log(sums / steps, pixels / spent / 1e6, progress, on_log)
                sums, steps, pixels, began = torch.zeros_like(sums), 0, 0, time.monotonic()
            self.seconds += time.monotonic() - before
            if time.monotonic() - saved > CHECKPOINT_EVERY:
                self._require_finite(sums)
                self.save()
                saved = time.monotonic()
            if int(self._progress() * 10) > tenth and self.processes.first:
                on_tenth(self)
        self.save()

    def _progress(self) -> float:
        return self.budget.progress(self.step, self.seconds)

    def _side(self, progress: float) -> int:
        return self.recipe.late_patch if progress > 1 - self.recipe.late_share else self.recipe.patch

    def _update(self, network: nn.Module, x: Tensor, progress: float) -> Tensor:
        """One step; returns loss, bpp and MSE without waiting for the device."""
        linear = progress < self.entropy_share
        rounded = progress > 1 - self.recipe.rounded_share
        level = torch.rand(len(x), device=self.device, generator=self.random) * 255
        with torch.autocast(self.device.type, torch.bfloat16):
            outcome = network(x, level, "round" if rounded else "noise", linear)
        loss = outcome.loss(level, self.recipe.lambdas)
        loss.backward()
        if rounded:
            self.model.analysis.zero_grad()
            self.model.log_gain.zero_grad()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        factor = self._factor(progress)
        self.warm += 1
        for optimizer in (self.matrix, self.other):
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
            optimizer.step()
            optimizer.zero_grad()
        self.average.update_parameters(self.model)
        return torch.stack((loss.detach(), outcome.bpp.detach().mean(), outcome.mse.detach().mean()))

    def _factor(self, progress: float) -> float:
        """Learning-rate factor: flat, then a cosine that falls to 2 %."""
        flat = self.recipe.flat_share
        falling = max(0.0, (progress - flat) / (1 - flat))
        cosine = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * falling))
        return cosine * min(1.0, (self.warm + 1) / WARM_UP)

    def _average(self, averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
        decay = min(self.recipe.average, (1 + float(count)) / (10 + float(count)))
        return averaged.lerp(current, 1 - decay)

    def _log(
        self, means: Tensor, speed: float, progress: float, on_log: Callable[[Logged, float], None]
    ) -> None:
        means, speed = self.processes.mean(means), speed * self.processes.count
        self._require_finite(means)
        if not self.processes.first:
            return
        loss, bpp, mse = means.tolist()
        psnr = -10 * math.log10(mse) if mse > 0 else 0.0
        row = Logged(self.step, self.seconds / 60, loss, bpp, psnr, speed, self._factor(progress))
        path = self.out / "log.csv"
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(row.__dict__)
            writer.writerow(f"{value:.6g}" for value in row.__dict__.values())
        on_log(row, progress)

    def _require_finite(self, sums: Tensor) -> None:
        if not torch.isfinite(sums).all():
            raise TrainingDiverged(
                f"the loss is not finite at step {self.step}: the last good weights are in {self.out}; "
                "lower matrix_rate or other_rate in the recipe and go on from them with --resume"
            )

    def save(self) -> None:
        """Write the checkpoint beside its final name and rename it: a kill or a full disk leaves the old one.

        Raises OutputUnwritable.
        """
        if not self.processes.first:
            return
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "matrix": self.matrix.state_dict(),
            "other": self.other.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "warm": self.warm,
            "entropy_share": self.entropy_share,
            "levels": self.random.get_state(),
            "noise": torch.get_rng_state(),
            "patches": self.patches.random.bit_generator.state,
        }
        temporary = self.out / "checkpoint.pt.part"
        try:
            torch.save(state, temporary)
            os.replace(temporary, self.out / "checkpoint.pt")
        except (OSError, RuntimeError) as fault:  # torch's writer tells a full disk by a RuntimeError
            temporary.unlink(missing_ok=True)
            raise OutputUnwritable(
                f"{self.out}: the checkpoint cannot be written ({fault}), the one before it is intact: "
                "free some space and go on with --resume"
            ) from fault

    def resume(self) -> None:
        """Go on from the checkpoint in the output folder. Raises BadData when there is none."""
        path = self.out / "checkpoint.pt"
        if not path.exists():
            raise BadData(f"{path}: no checkpoint to resume from: leave out --resume to start")
        state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=False)
        for name in ("model", "average", "matrix", "other"):
            getattr(self, name).load_state_dict(state[name])
        self.step, self.seconds = state["step"], state["seconds"]
        self.entropy_share, self.warm = state["entropy_share"], state["warm"]
        if self.processes.first:
            self.random.set_state(state["levels"].cpu())
            torch.set_rng_state(state["noise"].cpu())
            self.patches.random.bit_generator.state = state["patches"]
        else:  # the states are those of the first process: draw something else than it, and than before
            self.random.manual_seed(self.step * self.processes.count + self.processes.rank)


def compiled(network: nn.Module, device: torch.device) -> nn.Module:
    """The network, compiled on a GPU; on a CPU that takes a minute and gains 7 %.

    What cannot be compiled runs as it is written.
    """
    if device.type != "cuda":
        return network
    import torch._dynamo

    torch._dynamo.config.suppress_errors = True
    return cast(nn.Module, torch.compile(network))


def _optimizers(model: TrainedModel, recipe: Recipe) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
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
    muon = torch.optim.Muon(matrices, lr=recipe.matrix_rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(
        [{"params": others, "lr": recipe.other_rate}, {"params": linear, "lr": recipe.linear_rate}],
        weight_decay=0.0,
        betas=(0.9, 0.98),
        fused=True,
    )
    for optimizer in (muon, adam):
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return muon, adam
