"""The training loop, the same for every model: budget, optimizers, averaged weights, checkpoints, log."""

import csv
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from aecodec.errors import BadData, OutputUnwritable, TrainingDiverged
from aecodec.training.processes import Processes

LOG_EVERY = 100  # steps: reading the loss waits for the device, so it is read seldom
CHECKPOINT_EVERY = 180.0  # seconds


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
    figures: dict[str, float]  # what the task measures, the loss first
    megapixels_per_second: float
    rate: float  # factor on the learning rates

    def row(self) -> dict[str, float]:
        """All of it as columns of the log."""
        time = {"step": self.step, "minutes": self.minutes}
        return time | self.figures | {"megapixels_per_second": self.megapixels_per_second, "rate": self.rate}


class Task(Protocol):
    """What the loop does not know: a model, its pictures, and how it learns from them."""

    @property
    def model(self) -> nn.Module:
        """What is trained."""

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """By their names in checkpoints."""

    @property
    def clip(self) -> float:
        """Largest norm of the gradient."""

    @property
    def average(self) -> float:
        """Decay of the averaged weights."""

    @property
    def warm_up(self) -> int:
        """Steps of linearly rising learning rate."""

    @property
    def rates(self) -> str:
        """Keys of the recipe to lower when the loss is not finite."""

    def start(self) -> None:
        """Prepare a model with fresh weights."""

    def warm_start(self) -> None:
        """Prepare a model that has the weights of an earlier run."""

    def batch(self, step: int, progress: float) -> Tensor:
        """The pictures of a step: float32 [B, C, H, W], 0..1."""

    def backward(self, network: nn.Module, x: Tensor, progress: float) -> Tensor:
        """Leave gradients in `model`; returns what is measured [F], without waiting for the device."""

    def figures(self, means: list[float]) -> dict[str, float]:
        """Means of what was measured -> figures for the log, the loss first."""

    def factor(self, progress: float) -> float:
        """Factor on the learning rates."""

    def part(self, step: int, progress: float) -> int:
        """Number of the part of the run that a step lies in; after each the run is looked at."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs beside weights and optimizers."""

    def restore(self, state: Mapping[str, Any], seed: int | None) -> None:
        """Inverse of `state`; with a seed, random numbers start from that instead."""


class Trainer:
    """Trains one model; `save` writes everything that must survive a kill, `resume` takes it back."""

    def __init__(
        self,
        task: Task,
        budget: Budget,
        out: Path,
        device: torch.device,
        processes: Processes = Processes(),  # noqa: B008  immutable
    ) -> None:
        self.task, self.budget, self.out, self.device = task, budget, out, device
        self.processes = processes
        self.average = AveragedModel(task.model, avg_fn=self._average)
        for optimizer in task.optimizers.values():
            for group in optimizer.param_groups:
                group["initial_lr"] = group["lr"]
        self.step, self.seconds, self.warm = 0, 0.0, 0

    @property
    def averaged(self) -> nn.Module:
        """The exponential moving average of the weights: what is validated and exported."""
        return self.average.module

    def start(self) -> None:
        """Begin with fresh weights."""
        self.task.start()
        self.averaged.load_state_dict(self.task.model.state_dict())

    def warm_start(self) -> None:
        """Begin with the weights that the model has."""
        self.task.warm_start()
        self.averaged.load_state_dict(self.task.model.state_dict())
        self.average.n_averaged.fill_(1000)

    def run(self, on_log: Callable[[Logged, float], None], on_part: Callable[[], None]) -> None:
        """Train until the budget is spent; `on_part` after every part of the task.

        Raises TrainingDiverged when the loss is not finite.
        """
        network = compiled(self.processes.share(self.task.model), self.device)
        sums = torch.zeros((), device=self.device)
        steps, pixels, began, saved = 0, 0, time.monotonic(), time.monotonic()
        while (progress := self._progress()) < 1:
            part, before = self.task.part(self.step, progress), time.monotonic()
            x = self.task.batch(self.step, progress)
            sums = sums + self._update(network, x, progress)
            pixels += x.shape[0] * x.shape[2] * x.shape[3]
            self.step, steps = self.step + 1, steps + 1
            if self.step % LOG_EVERY == 0:
                spent = time.monotonic() - began
                self._log(sums / steps, pixels / spent / 1e6, progress, on_log)
                sums, steps, pixels, began = torch.zeros_like(sums), 0, 0, time.monotonic()
            self.seconds += time.monotonic() - before
            if self.task.part(self.step, self._progress()) > part and self.processes.first:
                on_part()
            if time.monotonic() - saved > CHECKPOINT_EVERY:
                self._require_finite(sums)
                self.save()
                saved = time.monotonic()
        self.save()

    def _progress(self) -> float:
        return self.budget.progress(self.step, self.seconds)

    def _update(self, network: nn.Module, x: Tensor, progress: float) -> Tensor:
        """One step; returns what the task measures, without waiting for the device."""
        measured = self.task.backward(network, x, progress)
        nn.utils.clip_grad_norm_(self.task.model.parameters(), self.task.clip)
        factor = self._factor(progress)
        self.warm += 1
        for optimizer in self.task.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
            optimizer.step()
            optimizer.zero_grad()
        self.average.update_parameters(self.task.model)
        return measured

    def _factor(self, progress: float) -> float:
        return self.task.factor(progress) * min(1.0, (self.warm + 1) / self.task.warm_up)

    def _average(self, averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
        decay = min(self.task.average, (1 + float(count)) / (10 + float(count)))
        return averaged.lerp(current, 1 - decay)

    def _log(
        self, means: Tensor, speed: float, progress: float, on_log: Callable[[Logged, float], None]
    ) -> None:
        means, speed = self.processes.mean(means), speed * self.processes.count
        self._require_finite(means)
        if not self.processes.first:
            return
        figures = self.task.figures(means.tolist())
        logged = Logged(self.step, self.seconds / 60, figures, speed, self._factor(progress))
        path = self.out / "log.csv"
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(logged.row())
            writer.writerow(f"{value:.6g}" for value in logged.row().values())
        on_log(logged, progress)

    def _require_finite(self, sums: Tensor) -> None:
        if not torch.isfinite(sums).all():
            raise TrainingDiverged(
                f"the loss is not finite at step {self.step}: the last good weights are in {self.out}; "
                f"lower {self.task.rates} in the recipe and go on from them with --resume"
            )

    def save(self) -> None:
        """Write the checkpoint beside its final name and rename it: a kill or a full disk leaves the old one.

        Raises OutputUnwritable.
        """
        if not self.processes.first:
            return
        state = {
            "model": self.task.model.state_dict(),
            "average": self.average.state_dict(),
            **{name: optimizer.state_dict() for name, optimizer in self.task.optimizers.items()},
            "step": self.step,
            "seconds": self.seconds,
            "warm": self.warm,
            "noise": torch.get_rng_state(),
            **self.task.state(),
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
        self.task.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for name, optimizer in self.task.optimizers.items():
            optimizer.load_state_dict(state[name])
        self.step, self.seconds, self.warm = state["step"], state["seconds"], state["warm"]
        if self.processes.first:
            torch.set_rng_state(state["noise"].cpu())
            self.task.restore(state, None)
        else:  # the states are those of the first process: draw something else than it, and than before
            self.task.restore(state, self.step * self.processes.count + self.processes.rank)


def compiled(network: nn.Module, device: torch.device) -> nn.Module:
    """The network, compiled on a GPU; on a CPU that takes a minute and gains 7 %.

    What cannot be compiled runs as it is written.
    """
    if device.type != "cuda":
        return network
    import torch._dynamo

    torch._dynamo.config.suppress_errors = True
    return cast(nn.Module, torch.compile(network))
