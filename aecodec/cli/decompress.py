"""`aec decompress`."""

import io
import time

import click

from aecodec.cli import files, options


@click.command(epilog="Example: aec decompress holiday.aec -o holiday.png")
@click.argument("source", metavar="IN")
@options.output("IN with .png added; PNG to stdout if IN is -")
@options.codec
def decompress(
    source: str, target: str | None, force: bool, model: str | None, device: str, verbose: bool
) -> None:
    """Decompress the .aec file IN into a picture.

    IN is a file, or - for stdin. The ending of OUT names the format, any that Pillow writes.
    """
    start = time.perf_counter()
    target = target or (files.STREAM if source == files.STREAM else f"{source}.png")
    files.check_output(source, target, force)
    data = files.read(source)
    name, out = files.shown(source), files.shown(target, "standard output")

    from aecodec import pictures  # not above: `aec --help` and `aec info` do without torch

    with files.about(out):
        format = "PNG" if target == files.STREAM else pictures.format_of(target)

    from aecodec.codec import Codec

    coder = Codec(model, device)
    with files.about(name):
        picture = coder.decompress(data)
    encoded = io.BytesIO()
    with files.about(out):
        lost = pictures.save(picture, encoded, format)
    files.write(target, encoded.getbuffer())

    if lost:
        click.echo(f"aec: {out}: note: {format} has no place for {', '.join(lost)}", err=True)
    if verbose:
        click.echo(f"aec: {options.summary(name, data, coder.device, start)}", err=True)
