"""Jobs -> outcomes: one after the other in this process, or spread over processes of their own."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import NoReturn

import click

from aecodec.cli.faults import UNEXPECTED, Failure, prepare_process
from aecodec.cli.many import together
from aecodec.cli.many.plan import Job, Plan
from aecodec.cli.many.report import Outcome, Report
from aecodec.cli.many.work import Work, attempt
from aecodec.cli.options import Batch
from aecodec.errors import TooLarge
from aecodec.threads import cores

STOP_SECONDS = 10  # a process that has not ended by then, in the middle of one call of a library, is killed


def process(work: Work, plan: Plan, batch: Batch) -> NoReturn:
    """Do all jobs, report on each, and end with the exit code that they deserve."""
    if work.model:
        from aecodec.weights import find

        find(work.model)  # a wrong name is said once
    report = Report(plan, work.done, batch.as_json)
    with report, closing(_outcomes(work, plan.jobs, batch.jobs)) as outcomes:
        for outcome in outcomes:
            report.add(outcome)
    click.get_current_context().exit(report.exit_code)


def _outcomes(work: Work, jobs: Sequence[Job], count: int | None) -> Generator[Outcome]:
    if count is None and len(jobs) > 1 and together.on_gpu(work.device):
        return together.run(work, jobs)
    return run(work, jobs, min(count or cores(), len(jobs)))


def run(work: Work, jobs: Sequence[Job], count: int) -> Generator[Outcome]:
    """The outcomes as they come, from `count` processes; ends early after one that is final."""
    if count > 1:
        yield from _in_processes(work, jobs, count)
        return
    for job in jobs:
        outcome = attempt(work, job)
        yield outcome
        if outcome.final:
            return


# In processes: each has a pipe of its own, so that it is known which job a process died of


def _in_processes(work: Work, jobs: Sequence[Job], count: int) -> Iterator[Outcome]:
    waiting = deque(jobs)
    threads = max(1, cores() // count)
    workers = [_Worker(work, threads) for _ in range(count)]
    try:
        for worker in workers:
            worker.give(waiting.popleft())
        while busy := [worker for worker in workers if worker.job]:
            ready = wait([worker.pipe for worker in busy])
            for worker in [worker for worker in busy if worker.pipe in ready]:
                outcome = worker.take()
                if waiting:
                    worker.give(waiting.popleft())
                yield outcome
                if outcome.final:
                    return
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.join()


class _Worker:
    """A process that does one job after the other; another takes its place if it dies."""

    def __init__(self, work: Work, threads: int) -> None:
        self.work, self.threads = work, threads
        self.job: Job | None = None
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")  # a fork copies locks that threads of others hold
        self.pipe, theirs = context.Pipe()
        arguments = theirs, self.work, self.threads
        self.process = context.Process(target=_serve, args=arguments, daemon=True)
        with _without_interrupts():
            self.process.start()
        theirs.close()  # so that the pipe ends when the process does

    def give(self, job: Job) -> None:
        self.job = job
        if not self.process.is_alive():
            self._start()
        with suppress(BrokenPipeError):  # it dies just now, which `take` will find
            self.pipe.send(job)

    def take(self) -> Outcome:
        job, self.job = self.job, None
        assert job
        try:
            outcome: Outcome = self.pipe.recv()
            return outcome
        except (EOFError, ConnectionResetError):
            self.join()
            return _lost(job, self.process.exitcode)

    def join(self) -> None:
        """Wait until the process has ended: it removes what it has half written."""
        self.process.join(STOP_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.pipe.close()


def _lost(job: Job, code: int | None) -> Outcome:
    """The outcome of a job whose process has died; where memory is short, Linux kills one."""
    killed = code == -getattr(signal, "SIGKILL", 9)
    how = "was killed, perhaps for want of memory" if killed else f"ended with {code}"
    outcome = Outcome(job.source, job.target)
    exit_code = TooLarge.exit_code if killed else UNEXPECTED
    outcome.fail(
        Failure("ProcessLost", exit_code, f"the process that worked on it {how}: try it with --jobs 1")
    )
    return outcome


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Start processes to which Ctrl-C means nothing: this one gets it too, and ends them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, work: Work, threads: int) -> None:
    """The life of a worker process: it ends when the pipe does, with the process that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prepare_process()
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # that this process may use
    with suppress(EOFError, ConnectionError):
        while True:
            pipe.send(attempt(work, pipe.recv()))
