"""The output folder of a run: made at its start, its faults told by its name; the CSV logs in it."""

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from aecodec.errors import BadData, OutputUnwritable


@contextmanager
def made(out: Path) -> Iterator[None]:
    """Make a folder for what is done inside, where errors of the system become OutputUnwritable."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        yield
    except BrokenPipeError:  # of the terminal, not of the folder
        raise
    except OSError as fault:
        raise OutputUnwritable(
            f"{out} cannot be written ({fault}): free some space, or name another folder with --out"
        ) from fault


def checkpoint_of(out: Path) -> Path:
    """The checkpoint in a folder. Raises BadData when there is none."""
    path = out / "checkpoint.pt"
    if not path.exists():
        raise BadData(f"{path}: no checkpoint to resume from: leave out --resume to start")
    return path


def append(log: Path, row: Mapping[str, object]) -> None:
    """Add a row to a CSV file, below the names of its columns."""
    fresh = not log.exists()
    with log.open("a", newline="") as file:
        writer = csv.writer(file)
        if fresh:
            writer.writerow(row)
        writer.writerow(row.values())


def forget(log: Path, last: int) -> None:
    """Leave out the rows after a checkpoint, which will be written again; each begins with its number."""
    if not log.exists():
        return
    with log.open(newline="") as file:
        names, *rows = [*csv.reader(file)] or [[]]
    kept = [row for row in rows if len(row) == len(names) and int(row[0]) <= last]  # a kill cuts rows short
    if kept:
        with log.open("w", newline="") as file:
            csv.writer(file).writerows([names, *kept])
    else:
        log.unlink()
