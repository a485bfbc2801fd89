"""One training run, from a recipe to a weights file: what `aec train` does."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from aecodec.training.data import Loaded, Patches, load_folders
from aecodec.training.export import export, import_weights
from aecodec.training.recipe import Recipe
from aecodec.training.trainer import Budget, Logged, Trainer
from aecodec.training.validation import Validation

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


def train(job: Job, say: Callable[[str], None], on_log: Callable[[Logged, float], None]) -> Path:
    """Train, watch the validation pictures at every tenth of the run, export: the path of the weights."""
    torch.manual_seed(0)
    loaded = load_folders(job.data, job.recipe.patch)
    _report(loaded, say)
    validation = Validation(load_folders([job.val], 64)) if job.val else None
    patches = Patches(loaded, job.device, 0, job.recipe.graphics_share)
    del loaded
    job.out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(job.recipe, job.budget, patches, job.out, job.device)
    if job.resume:
        trainer.resume()
    elif job.init:
        import_weights(job.init, trainer.model)
        trainer.warm_start()
    else:
        trainer.start()

    card: dict[str, Any] = {"recipe": dataclasses.asdict(job.recipe)}

    def on_tenth(trainer: Trainer) -> None:
        if validation:
            summary = validation.summary(validation.curves(trainer.averaged))
            card["rate_distortion"] = f"held-back pictures: {summary}"
            say(f"step {trainer.step}, {trainer.seconds / 60:.1f} min: {summary}")

    trainer.run(on_log, on_tenth)
    _draw(job.out, say)
    card |= {"steps": trainer.step, "minutes": round(trainer.seconds / 60, 1)}
    calibration = [patches.batch(1, CALIBRATION_SIDE) for _ in range(CALIBRATION_PATCHES)]
    return export(trainer.averaged, calibration, job.out, job.recipe.name, job.recipe.version, card)


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


def _report(loaded: Loaded, say: Callable[[str], None]) -> None:
    pixels = sum(p.size // 3 for p in loaded.pixels) / 1e6
    say(f"{len(loaded.pixels)} pictures, {pixels:.0f} megapixels")
    if loaded.skipped:
        names = ", ".join(loaded.skipped[:5]) + (", ..." if len(loaded.skipped) > 5 else "")
        say(f"{len(loaded.skipped)} pictures left out (unreadable or too small): {names}")
