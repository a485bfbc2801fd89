"""`aec compress`."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aecodec.cli import files, options
from aecodec.cli.batch import Work, process
from aecodec.cli.plan import Batch, Job, Kind, make_plan
from aecodec.cli.report import Outcome
from aecodec.errors import BadQuality, BadWeights, NoGpu, UnknownModel

if TYPE_CHECKING:
    from aecodec.pictures import Picture


@click.command(epilog="Example: aec compress holiday.jpg -q 60 -o holiday.aec")
@options.sources("IN...")
@options.output("IN with the ending .aec; stdout if IN is -")
@click.option("-q", "--quality", type=float, metavar="0..100", help="Small to good. [75]")
@click.option("--target-size", type=options.size, metavar="SIZE", help="Bytes, at most, as 200KB or 1MiB.")
@click.option("--bpp", type=options.positive("bits per pixel"), metavar="B", help="Bits per pixel to reach.")
@click.option(
    "--psnr", type=options.positive("dB"), metavar="DB", help="Peak signal-to-noise ratio to reach."
)
@click.option("--min-quality", type=float, metavar="Q", help="Never below this quality.")
@click.option("--max-quality", type=float, metavar="Q", help="Never above this quality.")
@click.option("--strip", is_flag=True, help="Leave metadata out; orientation is applied.")
@click.option("--strict", is_flag=True, help="Refuse a picture that would have to be converted.")
@click.option(
    "--frame", type=click.IntRange(min=0), metavar="N", help="Which of several pictures in a file, from 0."
)
@click.option("--verify", is_flag=True, help="Decode each result once before it is kept.")
@options.batch
@options.codec
def compress(
    sources: tuple[str, ...],
    batch: Batch,
    quality: float | None,
    target_size: int | None,
    bpp: float | None,
    psnr: float | None,
    min_quality: float | None,
    max_quality: float | None,
    strip: bool,
    strict: bool,
    frame: int | None,
    verify: bool,
    model: str | None,
    device: str,
    verbose: bool,
) -> None:
    """Compress the pictures IN into .aec files.

    IN is a file in any format that Pillow reads, a folder (with -r), a pattern like "*.png", or - for stdin.
    """
    targets = _given(target_size=target_size, bpp=bpp, psnr=psnr)
    if len(targets) + (quality is not None) > 1:
        raise click.UsageError("give only one of --quality, --target-size, --bpp and --psnr")
    plan = make_plan(sources, batch, Kind("pictures", _endings), _renamed)
    work = Compression(
        model=model,
        device=device,
        verbose=verbose,
        quality=None if targets else 75 if quality is None else quality,
        rate=targets | _given(min_quality=min_quality, max_quality=max_quality),
        reading=_given(frame=frame, strict=strict or None),
        strip=strip,
        verify=verify,
        force=batch.force,
        in_tree=plan.many,
    )
    process(work, plan, batch)


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _renamed(path: str) -> str:
    return str(Path(path).with_suffix(".aec"))


def _endings() -> frozenset[str]:
    from aecodec import pictures  # not above: `aec --help` does without Pillow

    return pictures.readable_endings()


@dataclass(kw_only=True)
class Compression(Work):
    """Picture file -> .aec file. `quality` is None where `rate` has a target."""

    quality: float | None
    rate: dict[str, Any]  # keywords of Codec.compress
    reading: dict[str, Any]  # keywords of pictures.load
    strip: bool
    verify: bool
    force: bool
    in_tree: bool

    done = "compressed"
    hopeless = (BadQuality, BadWeights, NoGpu, UnknownModel)

    def __call__(self, job: Job, outcome: Outcome) -> None:
        """Compress one picture."""
        start = time.perf_counter()
        assert job.target
        files.check_output(job.source, job.target, self.force, self.in_tree)
        original = files.read(job.source)
        outcome.bytes_in, outcome.quality = len(original), self.quality

        from aecodec import pictures  # not above: `aec --help` and `aec info` do without torch

        with files.about(outcome.file):
            picture = pictures.load(original, **self.reading)
            if self.strip:
                picture = pictures.stripped(picture)
        data = self.codec.compress(
            picture, *([self.quality] if self.quality is not None else []), **self.rate
        )
        if self.verify:
            self.codec.decompress(data)
        files.write(job.target, data, like=job.source if self.in_tree else None)

        outcome.bytes_out = len(data)
        outcome.describe(data)
        notes = _notes(picture, len(original), len(data))
        outcome.warnings = [f"{outcome.file}: {note}" for note in notes]
        if self.verbose:
            outcome.details = options.summary(outcome.output or "", data, self.codec.device, start)


def _notes(picture: "Picture", bytes_in: int, bytes_out: int) -> Iterator[str]:
    """What a person should know of the result."""
    if picture.converted:
        yield f"warning: converted {', '.join(picture.converted)}"
    if picture.left_out:
        yield f"note: the .aec file leaves out {', '.join(picture.left_out)}"
    if bytes_out > bytes_in:
        sizes = f"{bytes_out} bytes against {bytes_in}"
        advice = "keep the original, or compress with a lower quality"
        yield f"warning: the .aec file is larger, {sizes}: {advice}"
