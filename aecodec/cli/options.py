"""Options that several commands share, and what they say with --verbose."""

import logging
import time
from collections.abc import Callable
from typing import Any

import click

Command = Callable[..., Any]

model = click.option("--model", metavar="NAME|FILE", help="Weights to use: a name, or a .safetensors file.")
device = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to compute; auto takes a GPU if there is one.",
)


def output(default: str) -> Callable[[Command], Command]:
    """Add -o/--output; `default` says in the help what it is without the option."""
    text = f"File to write, - for stdout. [{default}]"
    return click.option("-o", "--output", "target", metavar="OUT", help=text)


def codec(command: Command) -> Command:
    """Add what compress and decompress share: --force, --model, --device and --verbose."""
    force = click.option("-f", "--force", is_flag=True, help="Overwrite an existing output.")
    verbose = click.option(
        "-v", "--verbose", is_flag=True, callback=_log, help="Say on stderr what was done and how."
    )
    return force(model(device(verbose(command))))


def summary(name: str, data: bytes, device: object, start: float) -> str:
    """Say in one line what an .aec file has cost; `start` is a reading of time.perf_counter()."""
    import aecodec

    facts = aecodec.info(data)
    return (
        f"{name}: {facts['width']} x {facts['height']} pixels, {len(data)} bytes, {facts['bpp']:.3f} bpp, "
        f"{time.perf_counter() - start:.2f} s, model {facts['model']}, device {device}"
    )


def _log(context: click.Context, parameter: click.Parameter, verbose: bool) -> bool:
    """Let the codec say on which arithmetic it has settled."""
    if verbose:
        logging.basicConfig(format="aec: %(message)s")
        logging.getLogger("aecodec").setLevel(logging.INFO)
    return verbose
