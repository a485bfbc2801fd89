"""`aec verify`."""

from dataclasses import dataclass

import click

from aecodec.cli import files, options
from aecodec.cli.batch import Work, process
from aecodec.cli.plan import AEC_FILES, Batch, Job, make_plan
from aecodec.cli.report import Outcome


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

    def __call__(self, job: Job, outcome: Outcome) -> None:
        """Check one file."""
        data = files.read(job.source)
        outcome.bytes_in = len(data)
        with files.about(outcome.file):
            self.codec.verify(data)
        outcome.describe(data)
        outcome.verdict = f"{outcome.file}: ok"
