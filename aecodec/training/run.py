"""One training run, from a recipe to a weights file: what `aec train` does."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from aecodec.errors import BadArgument
from aecodec.training.data import Loaded, Patches, load_folders
from aecodec.training.export import export, import_weights
from aecodec.training.objective import TrainedModel
from aecodec.training.output import checkpoint_of, made
from aecodec.training.photo import PhotoTask
from aecodec.training.processes import Processes, join, leave
from aecodec.training.recipe import Recipe
from aecodec.training.trainer import Budget, Logged, Trainer
from aecodec.training.validation import Curve, Validation, table

CALIBRATION_PATCHES, CALIBRATION_SIDE = 96, 256  # a few million symbols for the tables


@dataclass(frozen=True)
class Job:
    """Everything a run needs to know."""

    recipe: Recipe
    data: list[Path]
    val: Path | None
    out: Path
    budget: Budget
    device: torch.device
    init: Path | None = None
    resume: bool = False


def train(job: Job, say: Callable[[str], None], on_log: Callable[[Logged, float], None]) -> Path | None:
    """Train, watch the validation pictures at every tenth of the run, export: the path of the weights.

    Under torchrun every process trains on patches of its own; the first one says, writes and exports, and
    only there is the path given. Raises BadArgument for minutes under torchrun, and what its parts raise.
    """
    processes, device = join(job.device)
    if processes.count > 1 and job.budget.steps is None:
        raise BadArgument("several processes do not agree on minutes: give --steps under torchrun")
    try:
        if job.resume:
            checkpoint_of(job.out)
        with made(job.out):
            return _train(job, processes, device, say if processes.first else lambda line: None, on_log)
    finally:
        leave()


def _train(
    job: Job,
    processes: Processes,
    device: torch.device,
    say: Callable[[str], None],
    on_log: Callable[[Logged, float], None],
) -> Path | None:
    torch.manual_seed(processes.rank)
    loaded = load_folders(job.data, job.recipe.patch)
    _report(loaded, "pictures", say)
    validation = _validation(job.val, say) if job.val and processes.first else None
    patches = Patches(loaded, device, processes.rank, job.recipe.graphics_share)
    del loaded
    task = PhotoTask(job.recipe, patches, device, processes.rank)
    trainer = Trainer(task, job.budget, job.out, device, processes)
    _begin(job, trainer, task)
    card: dict[str, Any] = {"recipe": dataclasses.asdict(job.recipe)}
    curves: dict[str, Curve] = {}

    def averaged() -> TrainedModel:
        return cast(TrainedModel, trainer.averaged)

    def on_tenth() -> None:
        if validation:
            curves.update(validation.curves(averaged()))
            summary = validation.summary(curves)
            card["rate_distortion"] = f"held-back pictures: {summary}"
            say(f"step {trainer.step}, {trainer.seconds / 60:.1f} min: {summary}")

    write = board(job.out, say) if processes.first else None

    def on_row(row: Logged, progress: float) -> None:
        if write:
            write(row)
        on_log(row, progress)

    trainer.run(on_row, on_tenth)
    if not processes.first:
        return None
    _draw(job.out, say)
    say(table(curves))
    card |= {"steps": trainer.step, "minutes": round(trainer.seconds / 60, 1)}
    calibration = [patches.batch(1, CALIBRATION_SIDE) for _ in range(CALIBRATION_PATCHES)]
    return export(averaged(), calibration, job.out, job.recipe.name, job.recipe.version, card)


def _begin(job: Job, trainer: Trainer, task: PhotoTask) -> None:
    """Fresh weights, those of a file, or the checkpoint."""
    if job.resume:
        trainer.resume()
    elif job.init:
        import_weights(job.init, task.model)
        trainer.warm_start()
    else:
        trainer.start()


def board(out: Path, say: Callable[[str], None]) -> Callable[[Logged], None]:
    """What writes rows of the log for TensorBoard, where that is installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        say("no TensorBoard: it is missing, install aecodec[train]")
        return lambda row: None
    writer = SummaryWriter(out)

    def write(row: Logged) -> None:
        for name, value in row.row().items():
            if name != "step":
                writer.add_scalar(name, value, row.step)
        writer.flush()

    return write


def _draw(out: Path, say: Callable[[str], None]) -> None:
    """Learning curves, where there is a log and something to draw with."""
    if not (out / "log.csv").exists():
        return
    try:
        from aecodec.training.plots import learning_curves
    except ImportError:
        say("no learning curves: matplotlib is missing, install aecodec[train]")
        return
    learning_curves(out / "log.csv", out / "curves.png")


def _validation(folder: Path, say: Callable[[str], None]) -> Validation:
    loaded = load_folders([folder], 64)
    _report(loaded, "held-back pictures", say)
    return Validation(loaded)


def _report(loaded: Loaded, what: str, say: Callable[[str], None]) -> None:
    pixels = sum(p.size // 3 for p in loaded.pixels) / 1e6
    say(f"{len(loaded.pixels)} {what}, {pixels:.0f} megapixels")
    if loaded.skipped:
        names = ", ".join(loaded.skipped[:5]) + (", ..." if len(loaded.skipped) > 5 else "")
        say(f"{len(loaded.skipped)} {what} left out (unreadable, of other kinds or too small): {names}")
