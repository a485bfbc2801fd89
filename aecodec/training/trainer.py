"""The training loop, the same for every model: budget, optimizers, averaged weights, checkpoints, log."""

import copy
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from aecodec.errors import BadData, BadRecipe, OutputUnwritable, TrainingDiverged
from aecodec.training.output import append, checkpoint_of, forget
from aecodec.training.processes import Processes

LOG_EVERY = 100  # steps: reading the loss waits for the device, so it is read seldom
CHECKPOINT_EVERY = 180.0  # seconds
LONGEST_STEP = 60.0  # seconds: no step takes longer, but the process may be stopped in one


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
    rate_factor: float  # on the learning rates

    def row(self) -> dict[str, float]:
        """All of it as columns of the log."""
        time = {"step": self.step, "minutes": self.minutes}
        speed = {"megapixels_per_second": self.megapixels_per_second}
        return time | self.figures | speed | {"rate_factor": self.rate_factor}


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
    def rate_keys(self) -> str:
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
        clock: Callable[[], float] = time.monotonic,  # seconds, for the budget
    ) -> None:
        self.task, self.budget, self.out, self.device = task, budget, out, device
        self.processes, self.clock = processes, clock
        self.averaged = copy.deepcopy(task.model)  # moving average: what is validated and exported
        self.rates = {  # kept apart from the optimizers, whose checkpoints would bring back older ones
            name: [group["lr"] for group in optimizer.param_groups]
            for name, optimizer in task.optimizers.items()
        }
        self.step, self.seconds, self.warm, self.updates = 0, 0.0, 0, 0

    def start(self) -> None:
        """Begin with fresh weights, and without the checkpoint and log of an earlier run."""
        self.task.start()
        self._clear()

    def warm_start(self) -> None:
        """Begin with the weights that the model has, else as `start`."""
        self.task.warm_start()
        self.updates = 1000
        self._clear()

    def _clear(self) -> None:
        self.averaged.load_state_dict(self.task.model.state_dict())
        if self.processes.first:
            for name in ("checkpoint.pt", "log.csv"):
                (self.out / name).unlink(missing_ok=True)

    def run(self, on_log: Callable[[Logged, float], None], on_part: Callable[[], None]) -> None:
        """Train until the budget is spent; `on_part` after every part of the task.

        Raises TrainingDiverged when the loss or a weight is not finite.
        """
        network = compiled(self.processes.share(self.task.model), self.device)
        sums = torch.zeros((), device=self.device)
        steps, pixels, began, saved = 0, 0, time.monotonic(), time.monotonic()
        while (progress := self._progress()) < 1:
            part, before = self.task.part(self.step, progress), self.clock()
            x = self.task.batch(self.step, progress)
            sums = sums + self._update(network, x, progress)
            pixels += x.shape[0] * x.shape[2] * x.shape[3]
            self.step, steps = self.step + 1, steps + 1
            if self.step % LOG_EVERY == 0:
                spent = time.monotonic() - began
                self._log(sums / steps, pixels / spent / 1e6, progress, on_log)
                sums, steps, pixels, began = torch.zeros_like(sums), 0, 0, time.monotonic()
            self.seconds += min(self.clock() - before, LONGEST_STEP)
            if self.task.part(self.step, self._progress()) > part and self.processes.first:
                on_part()
            if time.monotonic() - saved > CHECKPOINT_EVERY:
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
        for name, optimizer in self.task.optimizers.items():
            for group, rate in zip(optimizer.param_groups, self.rates[name], strict=True):
                group["lr"] = rate * factor
            optimizer.step()
            optimizer.zero_grad()
        self._follow()
        return measured

    def _factor(self, progress: float) -> float:
        return self.task.factor(progress) * min(1.0, (self.warm + 1) / self.task.warm_up)

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the averaged weights towards the model's, at first faster; what is counted is taken over."""
        decay = min(self.task.average, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        averaged, model = self.averaged, self.task.model
        torch._foreach_lerp_(list(averaged.parameters()), list(model.parameters()), 1 - decay)
        for kept, current in zip(averaged.buffers(), model.buffers(), strict=True):
            kept.copy_(current)

    def _log(
        self, means: Tensor, speed: float, progress: float, on_log: Callable[[Logged, float], None]
    ) -> None:
        means, speed = self.processes.mean(means), speed * self.processes.count
        if not torch.isfinite(means).all():
            raise self._diverged("the loss")
        if not self.processes.first:
            return
        figures = self.task.figures(means.tolist())
        logged = Logged(self.step, self.seconds / 60, figures, speed, self._factor(progress))
        row = {name: f"{value:.6g}" for name, value in logged.row().items()}
        append(self.out / "log.csv", row | {"step": str(logged.step)})
        on_log(logged, progress)

    def _diverged(self, what: str) -> TrainingDiverged:
        advice = f"lower {self.task.rate_keys} in the recipe and"
        if (self.out / "checkpoint.pt").exists():
            advice = f"the last good weights are in {self.out}; {advice} go on from them with --resume"
        else:
            advice = f"{advice} start again, no good weights are saved yet"
        return TrainingDiverged(f"{what} is not finite at step {self.step}: {advice}")

    def save(self) -> None:
        """Write the checkpoint beside its final name and rename it: a kill or a full disk leaves the old one.

        Raises TrainingDiverged where a weight is not finite, OutputUnwritable.
        """
        networks = self.task.model, self.averaged
        if not all(bool(t.isfinite().all()) for n in networks for t in n.state_dict().values()):
            raise self._diverged("a weight")
        if not self.processes.first:
            return
        state = {
            "model": self.task.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            **{name: optimizer.state_dict() for name, optimizer in self.task.optimizers.items()},
            "step": self.step,
            "seconds": self.seconds,
            "warm": self.warm,
            "updates": self.updates,
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
        """Go on from the checkpoint in the output folder, at the learning rates of the recipe.

        Raises BadData when there is none or it is damaged, BadRecipe when it is of another architecture.
        """
        path = checkpoint_of(self.out)
        try:
            state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
        except Exception as fault:  # of damaged files: OSError, EOFError, RuntimeError, UnpicklingError ...
            raise BadData(f"{path} cannot be read ({fault}): start without --resume") from fault
        try:
            self._restore(state)
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as fault:
            raise BadRecipe(
                f"{path} is of another architecture than the recipe, or of another version of aecodec: use "
                "the recipe it was trained with, or start without --resume"
            ) from fault
        if self.processes.first:
            forget(self.out / "log.csv", self.step)

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.task.model.load_state_dict(state["model"])
        self.averaged.load_state_dict(state["averaged"])
        for name, optimizer in self.task.optimizers.items():
            optimizer.load_state_dict(state[name])
        self.step, self.seconds = state["step"], state["seconds"]
        self.warm, self.updates = state["warm"], state["updates"]
        if self.processes.first:
            torch.set_rng_state(state["noise"].cpu())
            self.task.restore(state, None)
        else:  # the states are those of the first process: draw something else than it, and than before
            seed = self.step * self.processes.count + self.processes.rank
            torch.manual_seed(seed)
            self.task.restore(state, seed)


def compiled(network: nn.Module, device: torch.device) -> nn.Module:
    """The network, compiled on a GPU; on a CPU that takes a minute and gains 7 %.

    What cannot be compiled runs as it is written.
    """
    if device.type != "cuda":
        return network
    import torch._dynamo

    torch._dynamo.config.suppress_errors = True
    return cast(nn.Module, torch.compile(network))
