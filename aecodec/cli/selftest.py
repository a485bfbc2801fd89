"""`aec selftest`."""

from typing import TYPE_CHECKING

import click

from aecodec.cli import options
from aecodec.errors import LatentsMismatch

if TYPE_CHECKING:
    import torch

    from aecodec.picture.pictures import Picture
    from aecodec.weights import Weights


@click.command(epilog="Example: aec selftest --device cpu")
@options.model
@options.device
def selftest(model: str | None, device: str) -> None:
    """Show that this machine decodes to the same latents as every other.

    Runs every integer layer of each installed model, or of --model, on inputs that drive its sums to both
    ends of their range, and compares it bit for bit with 64-bit arithmetic on the CPU. Then encodes a picture
    and decodes it again.
    """
    from aecodec.codec import Codec  # not above: `aec --help` does without torch
    from aecodec.weights import find, installed

    for weights in [find(model)] if model else (list(installed()) or [find()]):
        click.echo(f"model {weights.name}, entropy id {weights.entropy_id.hex()}, {weights.path}")
        codec = Codec(weights.path, device)
        _check_layers(weights, codec.device)
        picture = codec.decompress(codec.compress(_picture()))  # raises LatentsMismatch if they differ
        height, width = picture.pixels.shape[:2]
        click.echo(f"  a picture of {width} x {height} pixels decodes to the latents that were encoded")


def _check_layers(weights: "Weights", device: "torch.device") -> None:
    """Print for both float types whether all layers are exact, and which the codec uses."""
    import torch

    from aecodec.networks.load import load
    from aecodec.networks.photo import integer
    from aecodec.networks.photo.hyperprior import Hyperprior

    model = load(weights, device)
    if not isinstance(model, Hyperprior):
        click.echo("  no integer layers: its tables alone decide what the coder does")
        return
    entropy = model.entropy
    click.echo(f"  the bound is proved: float32 holds every sum in all {len(entropy.layers)} integer layers")
    for dtype in (torch.float32, torch.float64):
        layers = entropy.layers.items()
        inexact = [name for name, layer in layers if not integer.exact_on({name: layer}, device, dtype)]
        result = f"not exact in {', '.join(inexact)}" if inexact else "exact in every layer"
        click.echo(f"  {_name(dtype)} on {device}: {result}")
    used_device, used_dtype = entropy.arithmetic()
    click.echo(f"  in use: {_name(used_dtype)} on {used_device}, torch {torch.__version__}")
    if not integer.exact_on(entropy.layers, used_device, used_dtype):
        raise LatentsMismatch("no arithmetic here is exact: do not read or write .aec files on this machine")


def _name(dtype: object) -> str:
    return str(dtype).removeprefix("torch.")


def _picture() -> "Picture":
    """Waves under more and more noise: small and large latents."""
    import numpy as np

    from aecodec.picture.pictures import Picture

    rows, columns, channels = np.ogrid[0:200, 0:300, 0:3]
    waves = 128 + 90 * np.sin(rows * columns / 900 + channels)
    noise = np.random.default_rng(1).normal(0, columns / 10, (200, 300, 3))
    return Picture((waves + noise).clip(0, 255).astype(np.uint8))
