"""`aec models`."""

import click


@click.command(epilog="Example: aec models")
def models() -> None:
    """List the models that are installed, and where."""
    from aecodec.weights import folders, installed

    found = list(installed())
    for weights in found:
        size = weights.path.stat().st_size / 1e6
        click.echo(f"{weights.name}, version {weights.version}: {size:.1f} MB")
        click.echo(f"  entropy id {weights.entropy_id.hex()}, synthesis id {weights.synthesis_id.hex()}")
        if "rate_distortion" in weights.card:
            click.echo(f"  {weights.card['rate_distortion']}")
        click.echo(f"  {weights.path}")
    if not found:
        click.echo(f"no model is installed in {', '.join(map(str, folders()))}")
