"""`aec train`."""

from pathlib import Path

import click

from aecodec.errors import BadArgument


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
    from aecodec.training.trainer import Budget, Logged

    def show(row: Logged, progress: float) -> None:
        click.echo(
            f"{progress:6.1%}  step {row.step}  {row.minutes:.1f} min  loss {row.loss:.4f}  "
            f"{row.bpp:.3f} bpp  {row.psnr:.2f} dB  {row.megapixels_per_second:.2f} Mpixel/s",
            err=True,
        )

    job = Job(
        read_recipe(recipe), list(data), val, out, Budget(minutes, steps), pick_device(device), init, resume
    )
    click.echo(train(job, lambda line: click.echo(line, err=True), show))
