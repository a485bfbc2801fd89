"""`aec info`."""

import json
from typing import Any

import click

from aecodec import output
from aecodec.cli import streams
from aecodec.cli.faults import exit_code
from aecodec.errors import AecError, about
from aecodec.file import container


@click.command(epilog="Example: aec info --json holiday.aec")
@click.argument("sources", metavar="FILE...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line for each file.")
def info(sources: tuple[str, ...], as_json: bool) -> None:
    """Tell what .aec files say of themselves: picture, model, bytes of each section (- for stdin)."""
    import aecodec

    codes = set()
    for source in sources:
        name = output.shown(source)
        try:
            data = output.read(source, container.check_beginning)
            with about(name):
                facts = aecodec.info(data)
        except AecError as fault:
            codes.add(fault.exit_code)
            streams.say(f"aec: {fault}")
        else:
            click.echo(json.dumps({"file": name} | facts) if as_json else _describe(name, facts))
    click.get_current_context().exit(exit_code(codes))


def _describe(name: str, facts: dict[str, Any]) -> str:
    """Write the facts as a few aligned lines for a person."""
    latents = facts["latents"]
    ids = f"(entropy id {facts['entropy_id']}, synthesis id {facts['synthesis_id']})"
    model = (
        "none: kept without loss" if facts["lossless"] else f"{facts['model'] or 'not installed here'} {ids}"
    )
    colours = "grey" if facts["channels"] == 1 else "RGB"
    rows = {
        "picture": f"{facts['width']} x {facts['height']} {colours}{' with alpha' if facts['alpha'] else ''}",
        "bytes": f"{facts['bytes']} ({facts['bpp']:.3f} bits per pixel)",
        "model": model,
    }
    if not facts["lossless"]:
        rows["level"] = f"{facts['level']} of 0 to 255"
        rows["latents"] = (
            f"{latents['channels']} channels of {latents['height']} rows x {latents['width']} columns"
        )
    rows |= {
        "tiles": f"{facts['tiles']} of up to {facts['tile_size']} x {facts['tile_size']} pixels",
        "format": f"version {facts['format_version']}",
    }
    lines = [streams.one_line(name), *(f"  {label:<8} {text}" for label, text in rows.items())]
    lines += [f"  {'section':<16} {'offset':>10} {'bytes':>10}"]
    lines += [f"  {part['name']:<16} {part['offset']:>10} {part['bytes']:>10}" for part in facts["sections"]]
    return "\n".join(lines)
