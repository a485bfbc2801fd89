"""`aec verify`."""

from dataclasses import dataclass

import click

from aecodec import output
from aecodec.cli import options
from aecodec.cli.many.batch import process
from aecodec.cli.many.plan import AEC_FILES, Job, make_plan
from aecodec.cli.many.report import Outcome
from aecodec.cli.many.work import Work
from aecodec.cli.options import Batch
from aecodec.file import container


@click.command(epilog="Example: aec verify -r backup")
@options.sources("FILE...")
@options.recursive
@options.as_json
@options.model
@options.device
def verify(sources: tuple[str, ...], recursive: bool, as_json: bool, model: str | None, device: str) -> None:
    """Check .aec files, all but the drawing of pixels: every checksum, and the latents that they decode to.

    Prints "FILE: ok", or on stderr what is wrong. FILE may be a folder (with -r), or - for stdin.
    """
    batch = Batch(recursive=recursive, as_json=as_json)
    process(Verification(model=model, device=device), make_plan(sources, batch, AEC_FILES), batch)


@dataclass(kw_only=True)
class Verification(Work):
    """.aec file -> nothing, or an error."""

    done = "intact"

    def read(self, job: Job, outcome: Outcome) -> bytes:
        """Read one file."""
        data = output.read(job.source, container.check_beginning)
        outcome.bytes_in = len(data)
        return data

    def convert(self, items: list[bytes]) -> list[bytes]:
        """Check files, which stay what they are."""
        for data in items:
            self.codec.verify(data)
        return items

    def write(self, job: Job, outcome: Outcome, item: bytes, made: bytes) -> None:
        """Say that one file is intact."""
        outcome.describe(item)
        outcome.verdict = f"{outcome.file}: ok"
