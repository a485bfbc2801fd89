"""`aec train`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click

from aecodec.errors import BadArgument

if TYPE_CHECKING:
    from aecodec.training.trainer import Logged


@click.command(epilog="Example: aec train recipes/photo.toml --data pictures --val held-back --minutes 120")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "--data",
    "data",
    type=click.Path(path_type=Path),
    multiple=True,
    required=True,
    metavar="FOLDER",
    help="Folder of pictures, or of tar files with pictures; may be given several times.",
)
@click.option("--val", type=click.Path(path_type=Path), metavar="FOLDER", help="Held-back pictures to watch.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("training"),
    show_default=True,
    metavar="FOLDER",
    help="Folder for checkpoint, log and weights.",
)
@click.option("--minutes", type=float, help="How long to train, in minutes of training time.")
@click.option("--steps", type=int, help="How long to train, in steps.")
@click.option(
    "--init", type=click.Path(path_type=Path), metavar="WEIGHTS", help="Weights file to go on from."
)
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in the output folder.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to compute.",
)
def train(
    recipe: Path,
    data: tuple[Path, ...],
    val: Path | None,
    out: Path,
    minutes: float | None,
    steps: int | None,
    init: Path | None,
    resume: bool,
    device: str,
) -> None:
    """Train a model after RECIPE, a TOML file like recipes/photo.toml, and export its weights."""
    if (minutes is None) == (steps is None):
        raise BadArgument("say how long to train: give either --minutes or --steps")
    if init and resume:
        raise BadArgument("--init starts a new run and --resume goes on with one: give only one of them")

    from aecodec.codec import pick_device  # not above: `aec --help` does without torch
    from aecodec.training.recipe import read_recipe
    from aecodec.training.run import Job, train
    from aecodec.training.trainer import Budget

    job = Job(
        read_recipe(recipe), list(data), val, out, Budget(minutes, steps), pick_device(device), init, resume
    )
    with Progress() as progress:
        weights = train(job, progress.say, progress.show)
    if weights:
        click.echo(weights)


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
        figures = (
            f"step {row.step}, loss {row.loss:.4f}, {row.bpp:.3f} bpp, {row.psnr:.2f} dB, "
            f"{row.megapixels_per_second:.2f} Mpixel/s"
        )
        if self.bar.disable:
            click.echo(f"{progress:6.1%}  {row.minutes:.1f} min  {figures}", err=True)
        else:
            self.bar.set_postfix_str(figures, refresh=False)
            self.bar.update(progress - self.bar.n)
