"""One training run of a classic autoencoder, from a recipe to a weights file."""

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from aecodec.errors import BadArgument
from aecodec.networks.classic.autoencoder import Autoencoder
from aecodec.training.classic.data import Pictures, fit
from aecodec.training.classic.export import export, import_weights
from aecodec.training.classic.recipe import ClassicRecipe
from aecodec.training.classic.task import ClassicTask
from aecodec.training.output import append, forget
from aecodec.training.trainer import Budget, Logged, Trainer


@dataclass(frozen=True)
class Epoch:
    """What is known after an epoch: mean losses (of the recipe's kind) and minutes of training so far.

    The train loss is that of the weights on their way, the test loss that of the averaged weights.
    """

    epoch: int  # 1, 2, ...
    train_loss: float
    test_loss: float | None
    test_mse: float | None
    minutes: float


def _silent(*_: object) -> None: ...


def train(
    recipe: ClassicRecipe,
    pictures: Pictures,
    test: Pictures | None,
    out: Path,
    budget: Budget | None,
    device: torch.device,
    *,
    init: Path | None = None,
    resume: bool = False,
    say: Callable[[str], None] = _silent,
    on_log: Callable[[Logged, float], None] = _silent,
    on_epoch: Callable[[Epoch], None] = _silent,
) -> Path:
    """Train and export: the path of the weights file in `out`.

    Without a budget the recipe's epochs are trained. What `on_epoch` raises ends the run.
    In `out` are then log.csv, epochs.csv (columns: the fields of Epoch) and NAME-ID.safetensors.
    Raises BadData where pictures and network do not fit, and what the recipe's files raise.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise BadArgument("a classic autoencoder trains in one process: start it without torchrun")
    if test:
        test = fit(test, recipe.architecture.channels, recipe.architecture.side)
    torch.manual_seed(recipe.seed)
    task = ClassicTask(recipe, pictures, device)
    trainer = Trainer(task, budget or Budget(steps=recipe.epochs * task.epoch_steps), out, device)
    _begin(trainer, task, init, resume)

    def on_part() -> None:
        number = -(-trainer.step // task.epoch_steps)
        loss, mse = task.tested(trainer.averaged, test) if test else (None, None)
        epoch = Epoch(number, task.mean_loss(), loss, mse, trainer.seconds / 60)
        row = dataclasses.asdict(epoch)
        append(out / "epochs.csv", {k: "" if value is None else value for k, value in row.items()})
        shown = "" if loss is None else f", test {loss:.6f}"
        say(f"epoch {number}: train {epoch.train_loss:.6f}{shown} ({recipe.loss}), {epoch.minutes:.1f} min")
        on_epoch(epoch)

    trainer.run(on_log, on_part)
    card = {
        "recipe": dataclasses.asdict(recipe),
        "data": f"{pictures.name}, {len(pictures.pixels)} pictures",
        "steps": trainer.step,
        "minutes": round(trainer.seconds / 60, 2),
    }
    network = trainer.averaged
    assert isinstance(network, Autoencoder)
    return export(network, task.pictures.pixels, out, recipe.name, recipe.version, card)


def _begin(trainer: Trainer, task: ClassicTask, init: Path | None, resume: bool) -> None:
    """Fresh weights, those of a file, or the checkpoint; with the epochs that belong to them."""
    epochs = trainer.out / "epochs.csv"
    if resume:
        trainer.resume()
        forget(epochs, trainer.step // task.epoch_steps)
        return
    trainer.out.mkdir(parents=True, exist_ok=True)
    if init:
        import_weights(init, task.model)
        trainer.warm_start()
    else:
        trainer.start()
    epochs.unlink(missing_ok=True)
