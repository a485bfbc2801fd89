"""The standard streams of the program: what is written arrives whole, or it is said why not."""

import errno
import io
import os
import select
import sys
from collections.abc import Callable
from typing import Any, TextIO

import click

from aecodec.errors import OutputUnwritable
from aecodec.output import unwritable

BROKEN_PIPE = 141  # what a shell gives for the signal


def prepare() -> None:
    """Replace standard output and error by streams that lose nothing without an error.

    Python's own write once to a file that takes a part (PYTHONUNBUFFERED), are None where they are closed,
    and raise OSErrors that do not say what they are about.
    """
    for number in range(3):
        if not _is_open(number):  # the next file that is opened would become a standard stream
            os.open(os.devnull, os.O_RDONLY)
    sys.stdout = _text(_Output(1, "wb", closefd=False), sys.stdout)
    sys.stderr = _text(_Messages(2, "wb", closefd=False), sys.stderr)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _text(raw: io.FileIO, like: TextIO | None) -> TextIO:
    """A text stream, for any file name: what the encoding does not have is escaped."""
    encoding = getattr(like, "encoding", None)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=True)


class ReaderGone(SystemExit):
    """Nobody reads standard output any more, as behind `| head`: the program ends, and nothing is wrong."""

    def __init__(self) -> None:
        super().__init__(BROKEN_PIPE)


class _Output(io.FileIO):
    """Standard output. Raises OutputUnwritable, ReaderGone."""

    def write(self, data: Any) -> int:
        """Write a part, and tell the buffer above how much."""
        try:
            return _write(super().write, data, self)
        except BrokenPipeError:
            raise ReaderGone from None
        except OSError as fault:
            if fault.errno == errno.EBADF:
                raise OutputUnwritable("standard output: it is closed: name a file with -o") from fault
            raise unwritable("standard output", fault) from fault


class _Messages(io.FileIO):
    """Standard error. Where it cannot be written to nobody hears of it, and the exit code says the rest."""

    def write(self, data: Any) -> int:
        """Write what can be written."""
        try:
            return _write(super().write, data, self)
        except OSError:
            return len(data)


def _write(write: Callable[[Any], int | None], data: Any, file: io.FileIO) -> int:
    """Write a part to a file that may have been told not to wait, as a parent's pipe sometimes is."""
    while (count := write(data)) is None:
        select.select([], [file], [])
    return count


def finish() -> None:
    """Drop what is still buffered for a standard output that failed: Python would complain at exit."""
    try:
        sys.stdout.flush()
    except (ReaderGone, OutputUnwritable):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(line: str, err: bool = True) -> None:
    """Print one line on standard error, or on standard output."""
    click.echo(one_line(line), err=err)


def one_line(text: str) -> str:
    """Escape line ends and other control characters, which names of files may hold."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
