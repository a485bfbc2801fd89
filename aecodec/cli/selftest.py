"""`aec selftest`."""

from typing import TYPE_CHECKING

import click

from aecodec.cli import options
from aecodec.errors import LatentsMismatch

if TYPE_CHECKING:
    from aecodec.engines.engine import Engine
    from aecodec.networks.photo.exact import Entropy
    from aecodec.picture.pictures import Picture


@click.command(epilog="Example: aec selftest --device cpu")
@options.model
@options.device
def selftest(model: str | None, device: str) -> None:
    """Show that this machine decodes to the same latents as every other.

    Runs every integer layer of each installed model, or of --model, on inputs that drive its sums to both
    ends of their range, and compares it bit for bit with 64-bit arithmetic on the CPU. Then encodes a picture
    and decodes it again.
    """
    from aecodec.codec import Codec  # not above: `aec --help` does without NumPy
    from aecodec.engines import choose
    from aecodec.networks.load import load
    from aecodec.networks.photo.hyperprior import Hyperprior
    from aecodec.weights import find, installed

    for weights in [find(model)] if model else (list(installed()) or [find()]):
        click.echo(f"model {weights.name}, entropy id {weights.entropy_id.hex()}, {weights.path}")
        codec = Codec(weights.path, device)
        loaded = load(weights, choose(codec.device))
        if isinstance(loaded, Hyperprior):
            _check_layers(loaded.entropy)
        else:
            click.echo("  no integer layers: its tables alone decide what the coder does")
        picture = codec.decompress(codec.compress(_picture()))  # raises LatentsMismatch if they differ
        height, width = picture.pixels.shape[:2]
        click.echo(f"  a picture of {width} x {height} pixels decodes to the latents that were encoded")


def _check_layers(entropy: "Entropy") -> None:
    """Print for every arithmetic whether all layers are exact, and which one the codec uses."""
    from aecodec.networks.photo.integer import exact_on, layers_on

    exact = []
    for engine in entropy.engines:
        inexact = exact_on(layers_on(engine, entropy.architecture, entropy.tensors), entropy.tensors)
        result = f"not exact in {', '.join(inexact)}" if inexact else "exact in every layer"
        click.echo(f"  {_name(engine)}: {result}")
        exact += [] if inexact else [engine]
    if not exact:
        raise LatentsMismatch("no arithmetic here is exact: do not read or write .aec files on this machine")
    click.echo(f"  in use: {_name(exact[0])}")


def _name(engine: "Engine") -> str:
    return f"{engine.name} on {engine.device}"


def _picture() -> "Picture":
    """Waves under more and more noise: small and large latents."""
    import numpy as np

    from aecodec.picture.pictures import Picture

    rows, columns, channels = np.ogrid[0:200, 0:300, 0:3]
    waves = 128 + 90 * np.sin(rows * columns / 900 + channels)
    noise = np.random.default_rng(1).normal(0, columns / 10, (200, 300, 3))
    return Picture((waves + noise).clip(0, 255).astype(np.uint8))
