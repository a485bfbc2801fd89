"""`aec visualize`."""

from pathlib import Path

import click

from aecodec.cli import options
from aecodec.errors import BadArgument, UnknownModel


@click.command(epilog="Example: aec visualize training/mnist-0123456789abcdef.safetensors --data mnist:data")
@click.argument("weights", type=click.Path(path_type=Path))
@click.option("--data", required=True, metavar="FOLDER", help=options.SMALL_PICTURES)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("figures"),
    show_default=True,
    metavar="FOLDER",
    help="Folder for the figures.",
)
@options.device
def visualize(weights: Path, data: str, out: Path, device: str) -> None:
    """Draw what the classic autoencoder of WEIGHTS, which `aec train` wrote, does with pictures.

    Writes PNG files: a grid of reconstructions at several rates, error against bytes, training curves,
    feature maps, a map of the latents, distributions of the weights, parameters of each layer.
    """
    if not weights.is_file():
        raise UnknownModel(f"there is no weights file {weights}: give one that `aec train` wrote")
    try:
        import torch

        from aecodec.devices import pick_device
        from aecodec.training.classic import data as sets
        from aecodec.training.classic import visualize as figures
    except ModuleNotFoundError as missing:
        raise BadArgument(f"{missing.name} is not installed: pip install 'aecodec[classic]'") from missing

    def say(line: str) -> None:
        click.echo(f"aec: {line}", err=True)

    place = torch.device(pick_device(device))
    for path in figures.visualize(weights, sets.load(data, "test"), out, place, say):
        click.echo(path)
