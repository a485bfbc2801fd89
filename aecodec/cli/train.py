"""`aec train`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import click

from aecodec.cli import options
from aecodec.errors import BadArgument

if TYPE_CHECKING:
    import torch

    from aecodec.training.trainer import Budget, Logged


@click.command(epilog="Example: aec train recipes/photo.toml --data pictures --val held-back --minutes 120")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "--data",
    "data",
    multiple=True,
    required=True,
    metavar="FOLDER",
    help="Folder of pictures, or of tar files with pictures; may be given several times. For a classic "
    "autoencoder one folder of small pictures of one size, or mnist:FOLDER, cifar10:FOLDER or stl10:FOLDER.",
)
@click.option("--val", metavar="FOLDER", help="Held-back pictures to watch.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("training"),
    show_default=True,
    metavar="FOLDER",
    help="Folder for checkpoint, log and weights.",
)
@click.option(
    "--minutes", type=options.positive("minutes"), help="How long to train, in minutes of training time."
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    help="How long to train, in steps [classic: the recipe's epochs].",
)
@click.option(
    "--init",
    type=click.Path(path_type=Path),
    metavar="NAME|FILE",
    help="Weights to go on from: a name, or a .safetensors file.",
)
@click.option(
    "--resume", is_flag=True, help="Go on from the checkpoint in the output folder, which a new run removes."
)
@click.option(
    "--find-rate", is_flag=True, help="Do not train a classic autoencoder: suggest its learning rate."
)
@options.device
def train(
    recipe: Path,
    data: tuple[str, ...],
    val: str | None,
    out: Path,
    minutes: float | None,
    steps: int | None,
    init: Path | None,
    resume: bool,
    find_rate: bool,
    device: str,
) -> None:
    """Train a model after RECIPE, a TOML file of the folder recipes, and export its weights."""
    if init and resume:
        raise BadArgument("--init starts a new run and --resume goes on with one: give only one of them")
    if minutes is not None and steps is not None:
        raise BadArgument("--minutes and --steps both say how long to train: give only one of them")

    from aecodec.devices import need_torch, pick_device

    need_torch("training", "train")
    import torch

    from aecodec.training.recipe import is_classic
    from aecodec.training.trainer import Budget

    budget = Budget(minutes, steps) if minutes is not None or steps is not None else None
    run = Run(out, budget, torch.device(pick_device(device)), init, resume)
    made: object
    with Progress() as progress:
        if is_classic(recipe):
            made = _classic(recipe, data, val, run, find_rate, progress)
        elif find_rate:
            raise BadArgument(f"{recipe} has several learning rates: --find-rate is for classic autoencoders")
        elif budget is None:
            raise BadArgument("say how long to train: give either --minutes or --steps")
        else:
            made = _photo(recipe, data, val, run, progress)
    if made:
        click.echo(made)


class Run(NamedTuple):
    """What all kinds of recipes have in common."""

    out: Path
    budget: "Budget | None"
    device: "torch.device"
    init: Path | None
    resume: bool


def _photo(recipe: Path, data: Sequence[str], val: str | None, run: Run, progress: "Progress") -> Path | None:
    from aecodec.training.recipe import read_recipe
    from aecodec.training.run import Job, train

    assert run.budget
    folders, held_back = [Path(folder) for folder in data], Path(val) if val else None
    job = Job(read_recipe(recipe), folders, held_back, run.out, run.budget, run.device, run.init, run.resume)
    return train(job, progress.say, progress.show)


def _classic(
    recipe: Path, data: Sequence[str], val: str | None, run: Run, find_rate: bool, progress: "Progress"
) -> object:
    from aecodec.training.classic import job as classic
    from aecodec.training.classic.recipe import read_recipe

    if len(data) > 1:
        raise BadArgument("a classic autoencoder learns from one set of pictures: give --data once")
    job = classic.ClassicJob(read_recipe(recipe), data[0], val, *run)
    if find_rate:
        return f"{classic.find(job, progress.say):.1e}"
    return classic.run(job, progress.say, progress.show)


class Progress:
    """A bar on a terminal, lines elsewhere."""

    def __enter__(self) -> Self:
        from tqdm import tqdm

        form = "{percentage:5.1f}%|{bar:20}| {elapsed} gone, {remaining} left{postfix}"
        self.bar = tqdm(total=1.0, bar_format=form, disable=None, file=sys.stderr)
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def say(self, line: str) -> None:
        """Print a line, above the bar where there is one."""
        self.bar.write(line, file=sys.stderr)

    def show(self, row: "Logged", progress: float) -> None:
        """Show a row of the log; progress is 0..1."""
        measured = ", ".join(f"{name} {value:.4g}" for name, value in row.figures.items())
        figures = f"step {row.step}, {measured}, {row.megapixels_per_second:.2f} Mpixel/s"
        if self.bar.disable:
            click.echo(f"{progress:6.1%}  {row.minutes:.1f} min  {figures}", err=True)
        else:
            self.bar.set_postfix_str(figures, refresh=False)
            self.bar.update(progress - self.bar.n)
