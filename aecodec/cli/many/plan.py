"""What there is to do: inputs -> jobs, each with its output. Nothing is read."""

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path

import click

from aecodec.cli.options import Batch
from aecodec.errors import AecError, InputMissing
from aecodec.output import STREAM, check_folder

Rename = Callable[[str], str]


@dataclass(frozen=True)
class Kind:
    """Which files a folder is searched for: their name in the plural, and the endings they have."""

    name: str
    endings: Callable[[], frozenset[str]]


AEC_FILES = Kind(".aec files", lambda: frozenset([".aec"]))


@dataclass(frozen=True)
class Job:
    """One file. `relative` is its path in the folder that was searched; `fault` what is wrong already."""

    source: str
    relative: str
    target: str | None = None
    fault: AecError | None = None


@dataclass
class Plan:
    """The jobs in their order. `many`: it is more than one file that was given by its name."""

    jobs: list[Job]
    many: bool
    passed_by: Counter[str] = field(default_factory=Counter)
    skipped: int = 0


def make_plan(sources: Sequence[str], batch: Batch, kind: Kind, rename: Rename | None = None) -> Plan:
    """Find the inputs and name the outputs. `rename` gives a path the ending of the output.

    Raises:
        click.UsageError: the options do not go together, or outputs would overwrite each other or an input.
        InputMissing: there is nothing to do.
        OutputUnwritable: the output folder may not be written to.

    """
    _check_usage(sources, batch, writes=rename is not None)
    plan = _find(sources, batch, kind)
    if not plan.jobs:
        found = f" ({listed(plan.passed_by)})" if plan.passed_by else ""
        raise InputMissing(
            f"{', '.join(sources)}: there are no {kind.name} in it{found}: name another folder"
        )
    if plan.many and batch.target:
        raise click.UsageError("-o names one output, and here is more than one input: use -O FOLDER")
    if rename:
        plan.jobs = [_placed(job, batch, rename) for job in plan.jobs]
        _check_clashes(plan.jobs)
        if batch.folder:
            check_folder(batch.folder)
    number, count = batch.shard
    plan.jobs = plan.jobs[number - 1 :: count]
    if batch.skip_existing:
        left = [job for job in plan.jobs if not (job.target and os.path.exists(job.target))]
        plan.skipped, plan.jobs = len(plan.jobs) - len(left), left
    return plan


def _check_usage(sources: Sequence[str], batch: Batch, writes: bool) -> None:
    """Refuse options that do not go together."""
    piped = STREAM in sources
    to_stdout = writes and (batch.target == STREAM or (piped and batch.target is None))
    for wrong, sentence in (
        ("" in sources or batch.target == "", "a name is empty: give that of a file"),
        (piped and len(sources) > 1, "- stands for standard input: give it alone"),
        (piped and batch.folder, "what comes from standard input has no name in -O: use -o"),
        (batch.target and batch.folder, "-o names a file and -O a folder: give only one of them"),
        (batch.as_json and to_stdout, "--json and the output cannot both go to standard output: use -o FILE"),
        (batch.skip_existing and batch.force, "--skip-existing keeps what --force overwrites: give one"),
    ):
        if wrong:
            raise click.UsageError(sentence)


def listed(passed_by: Counter[str]) -> str:
    """Say what was passed by: "hidden (1), not pictures (3)"."""
    return ", ".join(f"{what} ({count})" for what, count in sorted(passed_by.items()))


# Inputs


def _find(sources: Sequence[str], batch: Batch, kind: Kind) -> Plan:
    """All inputs, each once, sorted by their relative paths: every shard sees the same list."""
    plan = Plan([], many=len(sources) > 1 or batch.folder is not None)
    found: dict[str, Job] = {}
    for source, relative in _expanded(sources):
        plan.many |= relative != ""  # it was a pattern
        jobs: Iterator[Job] = iter([Job(source, relative or os.path.basename(source))])
        if os.path.isdir(source) and batch.recursive:
            plan.many = True
            jobs = _walk(source, relative, batch.folder, kind, plan.passed_by)
        elif os.path.isdir(source):
            reason = f"{source}: this is a folder: give -r to take the {kind.name} in it"
            jobs = iter([Job(source, relative, fault=InputMissing(reason))])
        for job in jobs:
            found.setdefault(job.source if source == STREAM else os.path.abspath(job.source), job)
    plan.jobs = sorted(found.values(), key=lambda job: (job.relative, job.source))
    return plan


def _expanded(sources: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each input with its path relative to what was named, "" for itself; patterns become what they match."""
    for source in sources:
        if source == STREAM or os.path.lexists(source) or not glob.has_magic(source):
            yield source, ""
            continue
        fixed = takewhile(lambda part: not glob.has_magic(part), Path(source).parts)
        base = Path(*fixed)
        matches = sorted(glob.glob(source, recursive=True))
        yield from ((match, os.path.relpath(match, base)) for match in matches)
        if not matches:
            yield source, ""  # said like any other file that is missing


def _walk(folder: str, prefix: str, output: str | None, kind: Kind, passed_by: Counter[str]) -> Iterator[Job]:
    """The files of a kind in a folder and below it. Links to files are taken, links to folders are not."""
    endings, avoided = kind.endings(), output and os.path.realpath(output)
    faults: list[OSError] = []
    for here, folders, names in os.walk(folder, onerror=faults.append):
        inside = os.path.normpath(os.path.join(prefix, os.path.relpath(here, folder)))
        paths = {name: os.path.join(here, name) for name in [*folders, *names]}
        for name in list(folders):
            reason = "hidden" if name[0] == "." else "links to folders" if os.path.islink(paths[name]) else ""
            passed_by.update([reason] if reason else [])
            if reason or os.path.realpath(paths[name]) == avoided:
                folders.remove(name)
        for name in names:
            if reason := _why_not(name, paths[name], endings, kind):
                passed_by[reason] += 1
            else:
                yield Job(paths[name], os.path.normpath(os.path.join(inside, name)))
    for fault in faults:
        reason = f"{fault.filename}: {(fault.strerror or 'unknown').lower()}: name a folder that can be read"
        yield Job(str(fault.filename), os.path.relpath(fault.filename, folder), fault=InputMissing(reason))


def _why_not(name: str, path: str, endings: frozenset[str], kind: Kind) -> str:
    """Why a file found in a folder is passed by; "" if it is not."""
    if name[0] == ".":
        return "hidden"
    if os.path.splitext(name)[1].lower() not in endings:
        return f"not {kind.name}"
    return "not files" if os.path.exists(path) and not os.path.isfile(path) else ""


# Outputs


def _placed(job: Job, batch: Batch, rename: Rename) -> Job:
    """The job with its output: as named, in the output folder, or beside the input."""
    if job.fault:
        return job
    if batch.target or job.source == STREAM:
        return replace(job, target=batch.target or STREAM)
    if batch.folder:
        return replace(job, target=os.path.join(batch.folder, rename(job.relative)))
    return replace(job, target=rename(job.source))


def _check_clashes(jobs: list[Job]) -> None:
    """Refuse outputs that would overwrite each other, or the input of another job."""
    files = [job for job in jobs if job.target and job.target != STREAM]
    sources = {os.path.realpath(job.source): job.source for job in files}
    makers: dict[str, str] = {}
    for job in files:
        assert job.target
        path = os.path.realpath(job.target)
        if path in makers:
            raise click.UsageError(
                f"{job.target}: {makers[path]} and {job.source} would both become this file: "
                "rename one of them, or give each its own call with another -O"
            )
        makers[path] = job.source
        if sources.get(path, job.source) != job.source:
            raise click.UsageError(
                f"{job.target}: {job.source} would overwrite this, another input: choose another -O"
            )
