"""Options that several commands share, the kinds of value they take, and what they say with --verbose."""

import functools
import logging
import math
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import click

Command = Callable[..., Any]

# Values

_BYTES = {"": 1, "B": 1, "KB": 1000, "KIB": 1024, "MB": 1000**2, "MIB": 1024**2}


def size(text: str) -> int:
    """Read a number of bytes, as 200KB or 1.5 MiB."""
    said = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*([A-Z]*)", text.strip().upper())
    count = float(said[1]) * _BYTES.get(said[2], 0) if said else 0
    if not 1 <= count < math.inf:
        raise click.BadParameter(f"{text!r} is no size: give bytes, or a number with KB, KiB, MB or MiB.")
    return int(count)


def positive(unit: str) -> Callable[[str], float]:
    """Read a finite number above 0."""

    def number(text: str) -> float:
        with suppress(ValueError):
            if 0 < float(text) < math.inf:
                return float(text)
        raise click.BadParameter(f"{text} {unit} cannot be: give a number above 0.")

    return number


def region(text: str) -> tuple[int, int, int, int]:
    """Read X,Y,W,H."""
    said = re.fullmatch(r"(\d+),(\d+),(\d+),(\d+)", text)
    if not said or not int(said[3]) or not int(said[4]):
        raise click.BadParameter(
            f"{text!r} is no region: give X,Y,W,H, left, top, width and height in whole pixels."
        )
    return int(said[1]), int(said[2]), int(said[3]), int(said[4])


def shard(text: str) -> tuple[int, int]:
    """Read I/N: number, from 1, and count."""
    said = re.fullmatch(r"(\d+)/(\d+)", text)
    if not said or not 1 <= int(said[1]) <= int(said[2]):
        raise click.BadParameter(f"{text!r} is no shard: give I/N, from 1/N to N/N.")
    return int(said[1]), int(said[2])


# Options


@dataclass(frozen=True)
class Batch:
    """The options that say where files come from and go to, and how many at a time."""

    target: str | None = None
    folder: str | None = None
    recursive: bool = False
    jobs: int | None = None
    shard: tuple[int, int] = (1, 1)
    skip_existing: bool = False
    as_json: bool = False
    force: bool = False


SMALL_PICTURES = (
    "Folder of pictures of one size, with a sub-folder for each class if there are classes; or mnist:FOLDER, "
    "cifar10:FOLDER, stl10:FOLDER, fetched by torchvision if need be."
)
model = click.option("--model", metavar="NAME|FILE", help="Weights to use: a name, or a .safetensors file.")
device = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to compute; auto takes a GPU if there is one.",
)
fast = click.option("--fast", is_flag=True, help="Compute in bfloat16 where the chip has it: nearly as good.")
recursive = click.option("-r", "--recursive", is_flag=True, help="Take what is in folders, and below.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line for each file.")
verbose = click.option("-v", "--verbose", is_flag=True, help="Say on stderr what was done and how.")


def sources(metavar: str) -> Callable[[Command], Command]:
    """Add the inputs."""
    kind = click.Path(readable=False)  # for the completion in a shell; what cannot be read is said later
    return click.argument("sources", metavar=metavar, nargs=-1, required=True, type=kind)


def output(default: str) -> Callable[[Command], Command]:
    """Add -o/--output; `default` says in the help what it is without the option."""
    text = f"File to write, - for stdout. [{default}]"
    return click.option("-o", "--output", "target", metavar="OUT", type=click.Path(readable=False), help=text)


def codec(command: Command) -> Command:
    """Add --model, --device, --fast and --verbose."""
    return model(device(fast(verbose(command))))


def batch(command: Command) -> Command:
    """Add what says where many files come from and go to; the command gets it, with -o, as `batch`."""

    @functools.wraps(command)
    def gathered(*, target: str | None = None, **values: Any) -> Any:
        names = ("folder", "recursive", "jobs", "shard", "skip_existing", "as_json", "force")
        placing = Batch(target, *(values.pop(name) for name in names))
        return command(batch=placing, **values)

    folder = click.Path(file_okay=False, readable=False)
    for option in (
        as_json,
        click.option("-f", "--force", is_flag=True, help="Overwrite existing outputs."),
        click.option("--skip-existing", is_flag=True, help="Leave out inputs whose output exists."),
        click.option(
            "--shard", type=shard, default="1/1", metavar="I/N", help="Do the Ith of N parts of the inputs."
        ),
        click.option(
            "--jobs", type=click.IntRange(min=1), metavar="N", help="Files at a time. [one for each core]"
        ),
        recursive,
        click.option(
            "-O",
            "--output-folder",
            "folder",
            metavar="FOLDER",
            type=folder,
            help="Folder for the outputs, in which the tree of the inputs is mirrored.",
        ),
    ):
        gathered = option(gathered)
    return gathered


# What is said


def summary(name: str, data: bytes, device: object, start: float) -> str:
    """Say in one line what an .aec file has cost; `start` is a reading of time.perf_counter()."""
    import aecodec

    facts = aecodec.info(data)
    how = "without loss" if facts["lossless"] else f"model {facts['model'] or facts['entropy_id']}"
    return (
        f"{name}: {facts['width']} x {facts['height']} pixels, {len(data)} bytes, {facts['bpp']:.3f} bpp, "
        f"{time.perf_counter() - start:.2f} s, {how}, device {device}"
    )


def log() -> None:
    """Let the codec say on which arithmetic it has settled."""
    logging.basicConfig(format="aec: %(message)s")
    logging.getLogger("aecodec").setLevel(logging.INFO)
