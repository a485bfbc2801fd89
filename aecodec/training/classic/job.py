"""What `aec train` does with the recipe of a classic autoencoder: read data, train, draw."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from aecodec.errors import BadArgument
from aecodec.training.classic.data import Pictures, load_both
from aecodec.training.classic.recipe import ClassicRecipe
from aecodec.training.classic.run import train
from aecodec.training.output import checkpoint_of, made
from aecodec.training.run import board
from aecodec.training.trainer import Budget, Logged

Say = Callable[[str], None]


@dataclass(frozen=True)
class ClassicJob:
    """Everything a run needs to know; `data` and `val` as for `data.load_both`."""

    recipe: ClassicRecipe
    data: str
    val: str | None
    out: Path
    budget: Budget | None  # None: the recipe's epochs
    device: torch.device
    init: Path | None = None
    resume: bool = False


def run(job: ClassicJob, say: Say, on_log: Callable[[Logged, float], None]) -> Path:
    """Train, export, draw the figures into the output folder: the path of the weights."""
    if job.resume:
        checkpoint_of(job.out)
    with made(job.out):
        pictures, test = load_both(job.data, job.val)
        say(f"{pictures.name}: {len(pictures)} pictures to train on, {len(test)} to test with")
        write = board(job.out, say)

        def on_row(row: Logged, progress: float) -> None:
            write(row)
            on_log(row, progress)

        weights = train(
            job.recipe,
            pictures,
            test,
            job.out,
            job.budget,
            job.device,
            init=job.init,
            resume=job.resume,
            say=say,
            on_log=on_row,
        )
        say(f"the weights are in {weights}")  # whatever becomes of the figures
        _draw(weights, test, job, say)
    return weights


def find(job: ClassicJob, say: Say) -> float:
    """The learning rate that the finder suggests; its curve is drawn into the output folder.

    Raises BadArgument where matplotlib is missing.
    """
    try:
        from aecodec.training.classic.rates import find_rate, save, suggested
    except ModuleNotFoundError as missing:
        raise BadArgument(f"{missing.name} is not installed: pip install 'aecodec[classic]'") from missing
    with made(job.out):
        rows = find_rate(job.recipe, load_both(job.data, job.val)[0], job.device)
        save(rows, job.out)
    say(f"the loss over learning rates is in {job.out / 'rates.png'}")
    return suggested(rows)


def _draw(weights: Path, test: Pictures, job: ClassicJob, say: Say) -> None:
    try:
        from aecodec.training.classic.visualize import visualize
    except ModuleNotFoundError as missing:
        say(f"no figures: {missing.name} is not installed: pip install 'aecodec[classic]'")
        return
    visualize(weights, test, job.out / "figures", job.device, say)
