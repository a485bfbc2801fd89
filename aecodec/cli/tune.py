"""`aec tune`."""

from pathlib import Path

import click

from aecodec.cli import options
from aecodec.errors import BadArgument


@click.command(
    epilog="Example: aec tune recipes/classic/dense.toml --data mnist:data --trials 20 --out study"
)
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--data", required=True, metavar="FOLDER", help=options.SMALL_PICTURES)
@click.option("--val", metavar="FOLDER", help="Pictures to compare trials on. [the set's own, or a tenth]")
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="How many trials the study shall have, earlier ones included.",
)
@click.option(
    "--bytes",
    "size",
    type=options.positive("bytes"),
    help="Bytes a picture to compare at. [one for 8 pixels]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("study"),
    show_default=True,
    metavar="FOLDER",
    help="Folder for study, plots and weights; a study that is there goes on.",
)
@options.device
def tune(
    recipe: Path, data: str, val: str | None, trials: int, size: float | None, out: Path, device: str
) -> None:
    """Search latents, width, loss and learning rate around RECIPE, one of a classic autoencoder, with Optuna.

    Each trial trains after the recipe; bad ones are cut short. Of two, the better one has the smaller squared
    error at equal bytes. The best becomes best.toml, a recipe for `aec train`.
    """
    try:
        import torch

        from aecodec.devices import pick_device
        from aecodec.training.classic.data import fit, load_both
        from aecodec.training.classic.recipe import read_recipe
        from aecodec.training.classic.tune import Search
    except ModuleNotFoundError as missing:
        raise BadArgument(f"{missing.name} is not installed: pip install 'aecodec[classic]'") from missing

    start = read_recipe(recipe)
    a = start.architecture
    pictures, test = (fit(part, a.channels, a.side) for part in load_both(data, val))
    place = torch.device(pick_device(device))
    search = Search(start, pictures, test, size or a.side**2 / 8, out, place)
    click.echo(search.run(trials, lambda line: click.echo(f"aec: {line}", err=True)))
