"""`run`: pictures x codecs x qualities -> rows, on all cores, resumable; then times, one codec at a time."""

import datetime
import json
import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from aecodec.bench import inputs, results, speed, worker
from aecodec.bench.codecs import Aec, BenchCodec, LeftOut, choose
from aecodec.bench.inputs import Failure, Input
from aecodec.bench.results import Results
from aecodec.bench.worker import Row, Unit
from aecodec.errors import BadArgument, BadData, OutputExists, OutputUnwritable
from aecodec.measure.metrics import METRICS, SLOW

DEFAULT_ANCHOR = "jpeg"
FILES = "files"  # folder of the coded files
FINISHED = "rows.jsonl"  # every row as soon as it is there, for --resume

Progress = Callable[[str, int, int], None]  # the picture and codec just done; how many are done, of how many


def silent(done: str, count: int, total: int) -> None:
    """Show no progress."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured, with all that the caller left open decided."""

    pictures: Sequence[Input]
    codecs: Sequence[BenchCodec]
    left_out: Sequence[LeftOut]
    failures: Sequence[Failure]
    qualities: Sequence[float] | None
    metrics: Sequence[str] | None
    device: str
    words: Sequence[str] | None
    jobs: int
    anchor: str


def run(
    pictures: Sequence[str | Path] = (),
    *,
    codecs: Sequence[str] | None = None,
    qualities: Sequence[float] | None = None,
    metrics: Sequence[str] | None = None,
    device: str = "auto",
    jobs: int | None = None,
) -> list[Row]:
    """Measure codecs on pictures: a row for each picture, codec and quality, as pandas.DataFrame takes them.

    pictures: files and folders; photographs of scikit-image if there are none. codecs: names, a name stands
    for its variants too; all by default. qualities: settings 0..100 for every codec, by default each codec's
    own. metrics: names of `aecodec.measure.metrics.METRICS`; by default all, the slow one at every second
    quality. jobs: processes, by default one a core. Warns where pictures, codecs or files are missing among
    the rows. Raises InputMissing, BadArgument, NoGpu, and BadData where nothing could be measured.
    """
    with TemporaryDirectory() as folder:
        made = plan([Path(p) for p in pictures], codecs, qualities, metrics, None, device, jobs)
        rows, failures = _measure_rows(made, Path(folder), resume=False)
    missing: list[LeftOut | Failure] = [*made.left_out, *made.failures, *failures]
    if not rows:
        reasons = dict.fromkeys(fault.reason for fault in missing)
        raise BadData(f"nothing could be measured: {'; '.join(reasons)}")
    if missing:
        warnings.warn(f"{len(missing)} missing among the rows, the first: {missing[0]}", stacklevel=2)
    return rows


def plan(
    paths: Sequence[Path],
    words: Sequence[str] | None = None,
    qualities: Sequence[float] | None = None,
    names: Sequence[str] | None = None,
    anchor: str | None = None,
    device: str = "auto",
    jobs: int | None = None,
) -> Plan:
    """Check what was asked for before any work is done.

    Arguments as of `run`; anchor: the codec that BD-rates are taken against, by default JPEG if it is there.
    """
    if names is not None and not names:
        raise BadArgument(f"no metric is named: give one or more of {', '.join(METRICS)}")
    for name in names or ():
        if name not in METRICS:
            raise BadArgument(f"there is no metric {name!r}: choose from {', '.join(METRICS)}")
    if qualities is not None and not (qualities and all(0 <= quality <= 100 for quality in qualities)):
        raise BadArgument(f"qualities {list(qualities)}: give one or more numbers from 0 to 100")
    if jobs is not None and jobs < 1:
        raise BadArgument(f"{jobs} jobs: give one or more")
    chosen, left_out = choose(words, device)
    if any(isinstance(codec, Aec) for codec in chosen):
        from aecodec.devices import pick_device

        pick_device(device)
    if not chosen:
        raise BadArgument("; ".join(f"{missing.codec}: {missing.reason}" for missing in left_out))
    names_chosen = [codec.name for codec in chosen]
    anchor = anchor or (DEFAULT_ANCHOR if DEFAULT_ANCHOR in names_chosen else names_chosen[0])
    if anchor not in names_chosen:
        raise BadArgument(f"the anchor {anchor!r} is not measured: choose from {', '.join(names_chosen)}")
    found, failures = inputs.gather(paths)
    jobs = jobs or os.cpu_count() or 1
    return Plan(found, chosen, left_out, failures, qualities, names, device, words, jobs, anchor)


def measure(
    plan: Plan,
    out: Path,
    *,
    resume: bool,
    command: str = "",
    timing: bool = False,
    progress: Progress = silent,
) -> Results:
    """Do all of a plan in the folder `out`: files/, rows.jsonl, and the dict that results.json will hold.

    Raises OutputExists where the folder holds a run and `resume` is false, OutputUnwritable.
    """
    rows, failures = _measure_rows(plan, out, resume, progress)
    curves = results.curves(rows)
    timed = [
        speed.measure(codec, plan.device, curves[codec.name], rows, plan.pictures)
        for codec in plan.codecs
        if timing and codec.name in curves
    ]
    failures += [time for time in timed if isinstance(time, Failure)]
    weights = [codec.weights for codec in plan.codecs if isinstance(codec, Aec)]
    measured = [name for name in METRICS if any(row.get(name) is not None for row in rows)]
    return {
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": results.machine(),
        "versions": results.versions(),
        "models": [results.model(w) for w in weights],
        "pictures": [
            {"name": p.name, "width": p.width, "height": p.height, "sha256": p.sha256} for p in plan.pictures
        ],
        "codecs": [{"name": c.name, "label": c.label, "settings": c.settings} for c in plan.codecs],
        "left_out": [asdict(missing) for missing in plan.left_out],
        "metrics": measured,
        "anchor": plan.anchor,
        "rows": rows,
        "failures": [asdict(failure) for failure in (*plan.failures, *failures)],
        "curves": curves,
        "bd": results.bd_table(rows, plan.anchor),
        "speed": [time for time in timed if not isinstance(time, Failure)],
    }


def _measure_rows(
    plan: Plan, out: Path, resume: bool, progress: Progress = silent
) -> tuple[list[Row], list[Failure]]:
    keys = {
        (unit.picture.name, unit.codec, quality): _key(plan, unit, quality, names)
        for unit in _units(plan, out)
        for quality, names in unit.points
    }
    failures: list[Failure] = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        finished = _finished(out / FINISHED, resume)
        done = {point: finished[key] for point, key in keys.items() if key in finished}
        todo = [u for unit in _units(plan, out) if (u := _without(unit, done)).points]
        with (out / FINISHED).open("a") as log:
            log.write("\n" if log.tell() else "")  # ends the line that a kill may have cut short
            for count, (unit, found) in enumerate(_in_processes(plan, todo), 1):
                failures += [result for result in found if isinstance(result, Failure)]
                for row in (result for result in found if not isinstance(result, Failure)):
                    point = row["picture"], row["codec"], row["quality"]
                    done[point] = row
                    log.write(json.dumps({"key": keys[point], "row": row}) + "\n")
                log.flush()
                progress(f"{unit.picture.name}, {unit.codec}", count, len(todo))
    except OSError as fault:
        raise OutputUnwritable(f"{out}: {fault.strerror or fault}: choose another folder") from fault
    return [done[point] for point in keys if point in done], failures


def _units(plan: Plan, out: Path) -> Iterator[Unit]:
    """All units in the order of the rows."""
    for picture in plan.pictures:
        for codec in plan.codecs:
            qualities = tuple(sorted(set(plan.qualities or codec.qualities)))
            points = tuple((quality, _metrics(plan, number)) for number, quality in enumerate(qualities))
            yield Unit(picture, codec.name, points, out / FILES)


def _metrics(plan: Plan, number: int) -> tuple[str, ...]:
    """Metrics at the quality of this number: the slow one only at every second, unless it was asked for."""
    if plan.metrics is not None:
        return tuple(plan.metrics)
    return tuple(name for name in METRICS if name != SLOW or number % 2)


def _without(unit: Unit, done: dict[tuple[str, str, float], Row]) -> Unit:
    points = tuple(p for p in unit.points if (unit.picture.name, unit.codec, p[0]) not in done)
    return Unit(unit.picture, unit.codec, points, unit.folder)


def _key(plan: Plan, unit: Unit, quality: float, names: Sequence[str]) -> str:
    """All that a row depends on: where one of it has changed, the row is measured anew."""
    settings = next(codec.settings for codec in plan.codecs if codec.name == unit.codec)
    return json.dumps(
        [unit.picture.name, unit.picture.sha256, unit.codec, settings, quality, names, results.versions()]
    )


def _finished(path: Path, resume: bool) -> dict[str, Row]:
    """Rows of an earlier run by their keys; lines that a kill has cut short are passed by."""
    if not path.exists():
        return {}
    if not resume:
        raise OutputExists(
            f"{path.parent}: holds a run already: go on with it by --resume, or choose another --out"
        )
    rows = {}
    for line in path.read_text().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        rows[entry["key"]] = entry["row"]
    return rows


def _in_processes(plan: Plan, units: Sequence[Unit]) -> Iterator[tuple[Unit, list[Row | Failure]]]:
    """Measure the units on all cores, in any order; a unit that kills its process becomes a failure."""
    left = {id(unit): unit for unit in units}
    try:
        with _pool(plan, plan.jobs) as pool:
            futures = {pool.submit(worker.measure, unit): unit for unit in units}
            try:
                for future in as_completed(futures):
                    found = future.result()
                    yield left.pop(id(futures[future])), found
            finally:
                pool.shutdown(wait=False, cancel_futures=True)  # a run that is stopped begins no more units
    except BrokenProcessPool:  # one of those in work did it: each alone, to tell which
        for unit in list(left.values()):
            try:
                with _pool(plan, 1) as pool:
                    yield unit, pool.submit(worker.measure, unit).result()
            except BrokenProcessPool:
                yield unit, [Failure(unit.picture.name, unit.codec, None, "the codec ended its process")]


def _pool(plan: Plan, jobs: int) -> ProcessPoolExecutor:
    spawn = multiprocessing.get_context("spawn")  # a fork of a process with torch's threads may hang
    return ProcessPoolExecutor(jobs, spawn, worker.start, (plan.words, plan.device))
