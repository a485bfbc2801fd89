"""Many files on a GPU: this process reads and writes in threads, and the codec converts many at a time."""

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from aecodec.cli.many.plan import Job
from aecodec.cli.many.report import Outcome
from aecodec.cli.many.work import Work, noted, outcome_of, read
from aecodec.devices import has_gpu
from aecodec.threads import cores

TOGETHER = 32  # files; as many more are read meanwhile


@dataclass
class Opened:
    """A job whose input has been read, or whose outcome says why not."""

    job: Job
    outcome: Outcome
    item: Any = None


def on_gpu(device: str) -> bool:
    """Whether a codec would work on a GPU."""
    return device != "cpu" and has_gpu()


def run(work: Work, jobs: Sequence[Job]) -> Generator[Outcome]:
    """The outcomes in the order of the jobs; ends early after one that is final."""
    with ThreadPoolExecutor(cores()) as pool:
        ahead = pool.map(partial(_open, work), jobs[:TOGETHER])
        for start in range(0, len(jobs), TOGETHER):
            some = list(ahead)
            ahead = pool.map(partial(_open, work), jobs[start + TOGETHER : start + 2 * TOGETHER])
            for outcome in pool.map(partial(_close, work), some, _converted(work, some)):
                yield outcome
                if outcome.final:
                    return


def _open(work: Work, job: Job) -> Opened:
    opened = Opened(job, outcome_of(job))
    with noted(work, opened.outcome):
        opened.item = read(work, job, opened.outcome)
    return opened


def _converted(work: Work, some: Sequence[Opened]) -> list[Any]:
    """What the codec makes of each; None for one that was not read, and for all after the fault of one."""
    try:
        made = iter(work.convert([opened.item for opened in some if not opened.outcome.failure]))
    except Exception:  # whatever it is, the file that it is about will meet it again, alone
        return [None] * len(some)
    return [None if opened.outcome.failure else next(made) for opened in some]


def _close(work: Work, opened: Opened, made: Any) -> Outcome:
    if not opened.outcome.failure:
        with noted(work, opened.outcome):
            if made is None:
                work.finish(opened.job, opened.outcome, opened.item)
            else:
                work.write(opened.job, opened.outcome, opened.item, made)
    return opened.outcome
