"""`aec compress`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aecodec import output
from aecodec.cli import options
from aecodec.cli.many.batch import process
from aecodec.cli.many.plan import Job, Kind, make_plan
from aecodec.cli.many.report import Outcome
from aecodec.cli.many.work import Work
from aecodec.cli.options import Batch
from aecodec.errors import BadQuality, BadWeights, NoGpu, UnknownModel, about

if TYPE_CHECKING:
    from aecodec.picture.pictures import Picture


@click.command(epilog="Example: aec compress holiday.jpg -q 60 -o holiday.aec")
@options.sources("IN...")
@options.output("IN with the ending .aec; stdout if IN is -")
@click.option("-q", "--quality", type=float, metavar="0..100", help="Small to good. [75]")
@click.option(
    "--effort",
    type=click.IntRange(0, 9),
    default=1,
    show_default=True,
    help="From quick to small; decoding takes the same time.",
)
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
    effort: int,
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
    fast: bool,
    verbose: bool,
) -> None:
    """Compress the pictures IN into .aec files.

    IN is a file in any format that Pillow reads, a folder (with -r), a pattern like "*.png", or - for stdin.
    """
    targets = _given(target_size=target_size, bpp=bpp, psnr=psnr)
    if len(targets) + (quality is not None) > 1:
        raise click.UsageError("give only one of --quality, --target-size, --bpp and --psnr")
    bounds = _given(min_quality=min_quality, max_quality=max_quality)
    if bounds and not targets:
        raise click.UsageError(
            "--min-quality and --max-quality bound --target-size, --bpp and --psnr: give one of these"
        )
    plan = make_plan(sources, batch, Kind("pictures", _endings), _renamed)
    work = Compression(
        model=model,
        device=device,
        fast=fast,
        verbose=verbose,
        effort=effort,
        rate=(targets or {"quality": 75 if quality is None else quality}) | bounds,
        frame=frame,
        strict=strict,
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
    from aecodec.picture import opening  # not above: `aec --help` does without Pillow

    return opening.readable_endings()


@dataclass(kw_only=True)
class Compression(Work):
    """Picture file -> .aec file."""

    effort: int
    rate: dict[str, Any]  # keywords of Codec.compress: a quality or a target, and its bounds
    frame: int | None
    strict: bool
    strip: bool
    verify: bool
    force: bool
    in_tree: bool

    done = "compressed"
    hopeless = (BadQuality, BadWeights, NoGpu, UnknownModel)

    def read(self, job: Job, outcome: Outcome) -> "Read":
        """Read one picture."""
        assert job.target
        output.check_output(job.source, job.target, self.force, self.in_tree)

        original = output.read(job.source, _check_beginning)
        outcome.bytes_in, outcome.quality = len(original), self.rate.get("quality")
        from aecodec.picture import pictures  # not above: `aec --help` and `aec info` do without NumPy

        with about(outcome.file):
            picture = pictures.load(original, frame=self.frame, strict=self.strict)
            return Read(len(original), pictures.stripped(picture) if self.strip else picture)

    def convert(self, items: list["Read"]) -> list[bytes]:
        """Compress pictures; the search for a target takes them one by one."""
        batch = [item.picture for item in items]
        if len(batch) > 1 and self.rate.keys() == {"quality"}:
            made = self.codec.compress_batch(batch, **self.rate, effort=self.effort)
        else:
            made = [self.codec.compress(picture, **self.rate, effort=self.effort) for picture in batch]
        if self.verify:
            self.codec.decompress_batch(made)
        return made

    def write(self, job: Job, outcome: Outcome, item: "Read", made: bytes) -> None:
        """Write one .aec file."""
        assert job.target
        output.write(job.target, made, job.source if self.in_tree else None, replace=self.force)
        outcome.bytes_out = len(made)
        outcome.describe(made)
        notes = _notes(item.picture, item.size, len(made))
        outcome.warnings = [f"{outcome.file}: {note}" for note in notes]
        if self.verbose:
            outcome.details = options.summary(outcome.output or "", made, self.codec.device, outcome.start)


@dataclass
class Read:
    """A picture, and the bytes that its file takes."""

    size: int
    picture: "Picture"


def _check_beginning(head: bytes) -> None:
    """Raise NotAnImage where no picture file can begin like this."""
    from aecodec.picture import opening

    opening.check_beginning(head)


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
