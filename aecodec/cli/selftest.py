"""`aec selftest`."""

import click

from aecodec.errors import LatentsMismatch


@click.command(epilog="Example: aec selftest --device cuda")
@click.option("--model", metavar="NAME|FILE", help="Weights to test, by name or as a .safetensors file.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to compute.",
)
def selftest(model: str | None, device: str) -> None:
    """Prove that this machine decodes to the same latents as every other.

    Runs every integer layer on inputs that drive its sums to both ends of their range, and compares it bit
    for bit with 64-bit arithmetic on the CPU.
    """
    import torch  # not above: `aec --help` does without

    from aecodec import models
    from aecodec.codec import pick_device
    from aecodec.networks.integer import exact_on
    from aecodec.networks.model import Model

    place = pick_device(device)
    loaded = Model(models.find(model), place)
    click.echo(f"model {loaded.weights.name}, entropy id {loaded.weights.entropy_id.hex()}: the bound holds")
    click.echo(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {place}")
    for dtype in (torch.float32, torch.float64):
        exact = exact_on(loaded.entropy.layers, place, dtype)
        click.echo(f"{dtype} on {place}: {'exact' if exact else 'not exact'}")
    where, dtype = loaded.entropy.arithmetic()
    click.echo(f"the entropy model runs in {dtype} on {where}")
    if not exact_on(loaded.entropy.layers, where, dtype):
        raise LatentsMismatch(
            "no arithmetic of this machine is exact: it can neither read nor write .aec files"
        )
