"""`aec compress`."""

import time
from pathlib import Path

import click

from aecodec.cli import files, options


@click.command(epilog="Example: aec compress holiday.jpg -q 60 -o holiday.aec")
@click.argument("source", metavar="IN")
@options.output("IN with the ending .aec; stdout if IN is -")
@click.option(
    "-q", "--quality", type=float, metavar="0..100", default=75, show_default=True, help="Small to good."
)
@click.option("--verify", is_flag=True, help="Decode the result once before it is kept.")
@options.codec
def compress(
    source: str,
    target: str | None,
    quality: float,
    verify: bool,
    force: bool,
    model: str | None,
    device: str,
    verbose: bool,
) -> None:
    """Compress the picture IN into an .aec file.

    IN is a file in any format that Pillow reads, or - for stdin.
    """
    start = time.perf_counter()
    target = target or (files.STREAM if source == files.STREAM else str(Path(source).with_suffix(".aec")))
    files.check_output(source, target, force)
    original = files.read(source)
    name = files.shown(source)

    from aecodec import pictures  # not above: `aec --help` and `aec info` do without torch
    from aecodec.codec import Codec

    with files.about(name):
        picture = pictures.load(original)
    coder = Codec(model, device)
    data = coder.compress(picture, quality)
    if verify:
        coder.decompress(data)
    files.write(target, data)

    if picture.left_out:
        click.echo(f"aec: {name}: note: the .aec file leaves out {', '.join(picture.left_out)}", err=True)
    if len(data) > len(original):
        sizes = f"{len(data)} bytes against {len(original)}"
        advice = "keep the original, or compress with a lower quality"
        click.echo(f"aec: {name}: warning: the .aec file is larger, {sizes}: {advice}", err=True)
    if verbose:
        shown = files.shown(target, "standard output")
        click.echo(f"aec: {options.summary(shown, data, coder.device, start)}", err=True)
