"""What is done with each file: read, convert, write; whatever goes wrong becomes part of its outcome."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from aecodec import output
from aecodec.cli import options
from aecodec.cli.faults import failure_of
from aecodec.cli.many.plan import Job
from aecodec.cli.many.report import Outcome
from aecodec.errors import AecError, NoGpu, about

if TYPE_CHECKING:
    from aecodec.codec import Codec


@dataclass(kw_only=True)
class Work(ABC):
    """What is done with each file. It travels to other processes before the codec is made."""

    model: str | None
    device: str
    fast: bool = False
    verbose: bool = False

    done: ClassVar[str]  # "compressed": what a summary says of the files
    hopeless: ClassVar[tuple[type[AecError], ...]] = (NoGpu,)  # errors that every other file would meet too

    @cached_property
    def codec(self) -> "Codec":
        """The codec of this process."""
        from aecodec.codec import Codec  # not above: `aec --help` does without NumPy

        if self.verbose:
            options.log()
        return Codec(self.model, self.device, precision="fast" if self.fast else "float32")

    @abstractmethod
    def read(self, job: Job, outcome: Outcome) -> Any:
        """What the codec is to work on; `outcome` learns what is known of it. Raises AecError."""

    @abstractmethod
    def convert(self, items: list[Any]) -> list[Any]:
        """What the codec makes of each. Raises AecError, for any of them."""

    @abstractmethod
    def write(self, job: Job, outcome: Outcome, item: Any, made: Any) -> None:
        """Keep and describe what was made of an item. Raises AecError."""

    def finish(self, job: Job, outcome: Outcome, item: Any) -> None:
        """Convert and write one item alone."""
        with about(outcome.file):
            (made,) = self.convert([item])
        self.write(job, outcome, item, made)


def attempt(work: Work, job: Job) -> Outcome:
    """Do one job; whatever goes wrong with it becomes part of its outcome."""
    outcome = outcome_of(job)
    with noted(work, outcome):
        work.finish(job, outcome, read(work, job, outcome))
    return outcome


def outcome_of(job: Job) -> Outcome:
    """The outcome of a job of which nothing is known yet."""
    return Outcome(
        output.shown(job.source), output.shown(job.target, "standard output") if job.target else None
    )


def read(work: Work, job: Job, outcome: Outcome) -> Any:
    """What the codec is to work on. Raises AecError, what the plan has found wrong first."""
    if job.fault:
        raise job.fault
    return work.read(job, outcome)


@contextmanager
def noted(work: Work, outcome: Outcome) -> Iterator[None]:
    """Note the time that a step has ended at, and what goes wrong in it."""
    try:
        yield
    except BrokenPipeError:  # nobody reads standard output any more
        raise
    except Exception as fault:
        outcome.fail(failure_of(fault))
        outcome.final = isinstance(fault, work.hopeless) or output.is_disk_full(fault)
    outcome.seconds = round(time.perf_counter() - outcome.start, 4)
