"""`aec bench`."""

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from aecodec.cli import options
from aecodec.errors import BadArgument, BadData


class Several(click.ParamType[list[Any]]):
    """Values between commas."""

    name = "list"

    def __init__(self, of: type) -> None:
        self.of = of

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> list[Any]:
        """Split the text and convert each part."""
        parts = [part.strip() for part in str(value).split(",") if part.strip()]
        try:
            return [self.of(part) for part in parts]
        except ValueError:
            self.fail(f"{value!r}: give numbers with commas between them", param, ctx)


@click.command(epilog="Example: aec bench holiday/ --codecs aec,jpeg,avif --out comparison")
@click.argument("pictures", nargs=-1, type=click.Path(path_type=Path))
@click.option("--codecs", type=Several(str), metavar="A,B,...", help="Names; jpeg means all JPEGs. [all]")
@click.option("--qualities", type=Several(float), metavar="N,...", help="Settings, 0 to 100. [each codec's]")
@click.option("--metrics", type=Several(str), metavar="A,B,...", help="[all, SSIMULACRA2 at every second]")
@click.option("--anchor", metavar="CODEC", help="What BD-rates are taken against. [jpeg]")
@options.device
@click.option("--jobs", type=int, metavar="N", help="Processes. [one a core]")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("aec-bench"),
    show_default=True,
    metavar="FOLDER",
    help="Folder for results, plots, report and the files that are made.",
)
@click.option("--resume", is_flag=True, help="Go on with the run that the folder holds.")
def bench(
    pictures: tuple[Path, ...],
    codecs: list[str] | None,
    qualities: list[float] | None,
    metrics: list[str] | None,
    anchor: str | None,
    device: str,
    jobs: int | None,
    out: Path,
    resume: bool,
) -> None:
    """Compare codecs on PICTURES, files or folders; without any, on photographs that come with scikit-image.

    Writes tables, curves and a report that opens in a browser. Rates count every byte of the files.
    """
    try:
        from tqdm import tqdm

        from aecodec.bench import inputs, outputs, runner, terminal
    except ModuleNotFoundError as missing:
        raise BadArgument(f"{missing.name} is not installed: pip install 'aecodec[bench]'") from missing

    plan = runner.plan(pictures, codecs, qualities, metrics, anchor, device, jobs)
    for left_out in plan.left_out:
        click.echo(f"aec: {left_out}", err=True)
    with tqdm(unit=" picture x codec", disable=None, file=sys.stderr) as bar:

        def show(done: str, count: int, total: int) -> None:
            bar.total = total
            bar.set_postfix_str(done, refresh=False)
            bar.update(count - bar.n)

        command = shlex.join(["aec", *sys.argv[1:]])
        found = runner.measure(plan, out, resume=resume, command=command, timing=True, progress=show)
    for failure in found["failures"]:
        click.echo(f"aec: {inputs.Failure(**failure)}", err=True)
    if not found["rows"]:
        raise BadData("nothing could be measured: see the reasons above")
    made = outputs.write(plan, found, out)
    click.echo(terminal.tables(found))
    click.echo(f"written: {', '.join(map(str, made))}", err=True)
