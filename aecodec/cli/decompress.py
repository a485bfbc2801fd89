"""`aec decompress`."""

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from aecodec import output
from aecodec.cli import options
from aecodec.cli.many.batch import process
from aecodec.cli.many.plan import AEC_FILES, Job, make_plan
from aecodec.cli.many.report import Outcome
from aecodec.cli.many.work import Work
from aecodec.cli.options import Batch
from aecodec.errors import about
from aecodec.file import container

if TYPE_CHECKING:
    from aecodec.picture.pictures import Picture


@click.command(epilog="Example: aec decompress holiday.aec -o holiday.png")
@options.sources("IN...")
@options.output("IN with .png added; PNG to stdout if IN is -")
@click.option("--format", "ending", metavar="ENDING", help="Format without -o, as jpg, webp, tif. [png]")
@click.option("--region", type=options.region, metavar="X,Y,W,H", help="Only these pixels; 0,0 is top left.")
@click.option("--salvage", is_flag=True, help="Decode what is intact of a damaged file; the rest is grey.")
@options.batch
@options.codec
def decompress(
    sources: tuple[str, ...],
    batch: Batch,
    ending: str | None,
    region: tuple[int, int, int, int] | None,
    salvage: bool,
    model: str | None,
    device: str,
    fast: bool,
    verbose: bool,
) -> None:
    """Decompress the .aec files IN into pictures.

    IN is a file, a folder (with -r), a pattern like "*.aec", or - for stdin. The ending of OUT names the
    format, any that Pillow writes. In a FOLDER given with -O photo.aec becomes photo.png.
    """
    if salvage and region:
        raise click.UsageError("--salvage gives whole pictures: leave --region out")
    if ending and batch.target not in (None, output.STREAM):
        raise click.UsageError("the ending of OUT names the format: leave --format out")
    ending = _checked(ending) if ending else "png"

    def rename(path: str) -> str:
        return f"{path.removesuffix('.aec') if batch.folder else path}.{ending}"

    plan = make_plan(sources, batch, AEC_FILES, rename)
    work = Decompression(
        model=model,
        device=device,
        fast=fast,
        verbose=verbose,
        stream_name=f"picture.{ending}",
        region=region,
        salvage=salvage,
        force=batch.force,
        in_tree=plan.many,
    )
    process(work, plan, batch)


def _checked(ending: str) -> str:
    """Give the ending without its dot if Pillow writes such files."""
    from aecodec.errors import OutputUnwritable
    from aecodec.picture import pictures  # not above: `aec --help` does without Pillow

    ending = ending.lower().removeprefix(".")
    try:
        pictures.format_of(f"picture.{ending}")
    except OutputUnwritable:
        sentence = f"Pillow writes no format {ending!r}: give another, as png, jpg or webp."
        raise click.BadParameter(sentence, param_hint="--format") from None
    return ending


@dataclass(kw_only=True)
class Decompression(Work):
    """.aec file -> picture file. The ending of `stream_name` names the format on standard output."""

    stream_name: str
    region: tuple[int, int, int, int] | None
    salvage: bool
    force: bool
    in_tree: bool

    done = "decompressed"

    def read(self, job: Job, outcome: Outcome) -> bytes:
        """Read one file."""
        assert job.target and outcome.output
        output.check_output(job.source, job.target, self.force, self.in_tree)
        data = output.read(job.source, container.check_beginning)
        outcome.bytes_in = len(data)
        with about(outcome.output):
            self._format(job.target)
        return data

    def convert(self, items: list[bytes]) -> list[tuple["Picture", tuple[str, ...]]]:
        """Decode pictures, and say what of them is damaged."""
        if self.salvage:
            salvaged = map(self.codec.salvage, items)
            return [(each.picture, each.damaged) for each in salvaged]
        if len(items) > 1 and not self.region:
            return [(picture, ()) for picture in self.codec.decompress_batch(items)]
        return [(self.codec.decompress(data, region=self.region), ()) for data in items]

    def write(self, job: Job, outcome: Outcome, item: bytes, made: tuple["Picture", tuple[str, ...]]) -> None:
        """Write one picture."""
        from aecodec.picture import pictures

        assert job.target and outcome.output
        picture, damaged = made
        format, encoded = self._format(job.target), io.BytesIO()
        with about(outcome.output):
            lost = pictures.save(picture, encoded, format)
        like = job.source if self.in_tree else None
        output.write(job.target, encoded.getbuffer(), like, replace=self.force)

        outcome.bytes_out = encoded.tell()
        outcome.describe(item)
        outcome.height, outcome.width = picture.pixels.shape[:2]  # of a region, it may be
        if lost:
            outcome.warnings = [f"{outcome.output}: note: {format} has no place for {', '.join(lost)}"]
        if self.verbose:
            outcome.details = options.summary(outcome.file, item, self.codec.device, outcome.start)
        if damaged:
            from aecodec.errors import Incomplete

            parts = "; ".join(damaged)
            raise Incomplete(f"{outcome.file}: {outcome.output} is not whole: {parts}: look for another copy")

    def _format(self, target: str) -> str:
        """Pillow's name of the format of an output. Raises OutputUnwritable."""
        from aecodec.picture import pictures  # not above: `aec --help` and `aec info` do without NumPy

        return pictures.format_of(self.stream_name if target == output.STREAM else target)
