"""Bytes of whatever holds them: a path, an open file, standard input. Never more than MAX_BYTES."""

import contextlib
import os
import select
import stat
import sys
from collections.abc import Callable, Iterator
from typing import Any

from aecodec.errors import BadArgument, InputMissing, TooLarge, about

MAX_BYTES = 2**31  # the largest picture, 2^28 pixels, in four channels of 16 bits
HEAD_BYTES, PART_BYTES = 2**12, 2**20

Fits = Callable[[bytes], object]  # takes the first bytes of a file; raises an AecError if they are wrong


def read(source: Any, fits: Fits | None = None) -> bytes:
    """Give the bytes of a path or an open binary file, or bytes as they are.

    Args:
        source: bytes, a path, or an object with `read`.
        fits: asked about the beginning of a named pipe or device, which may have no end.

    Raises:
        InputMissing: there is no such file, it is a folder, or it cannot be read.
        TooLarge: it has more than MAX_BYTES.
        BadArgument: `source` is of another type.

    """
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if isinstance(source, str | os.PathLike):
        name = os.fsdecode(source)
        with about(name):
            return read_file(name, fits)
    if hasattr(source, "read"):
        with _readable():
            return _read_open(source, 0, fits)
    raise _wrong_type(source)


def read_file(path: str, fits: Fits | None = None) -> bytes:
    """Read a file by its path, as `read` does; errors do not tell the name."""
    with _readable():
        return _read_path(path, fits)


def read_standard_input(fits: Fits | None = None) -> bytes:
    """Read standard input to its end. Raises InputMissing, TooLarge."""
    if sys.stdin is None:
        raise InputMissing("it is closed: name a file, or send one into the program")
    return read(sys.stdin.buffer, fits)


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as fault:  # ValueError: a zero byte in the name, a file that has been closed
        raise InputMissing(f"{_reason(fault)}: name a file that can be read") from fault


def _read_path(path: str, fits: Fits | None) -> bytes:
    with open(path, "rb") as file:
        found = os.stat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            return _read_open(file, 0, fits)
        _check_size(found.st_size)
        return _read_open(file, found.st_size, None)


def _read_open(file: Any, expected: int, fits: Fits | None) -> bytes:
    """Read to the end: so many bytes as are expected at once, and then what has been added meanwhile."""
    parts: list[bytes] = []
    size = expected + 1 if expected else HEAD_BYTES
    while part := _read_part(file, size):
        if fits and not parts:
            fits(part)
        parts.append(part)
        _check_size(sum(map(len, parts)))
        size = PART_BYTES
    return b"".join(parts)


def _read_part(file: Any, size: int) -> bytes:
    while (part := file.read(size)) is None:  # another program has made it not wait
        select.select([file], [], [])
    if not isinstance(part, bytes | bytearray | memoryview):
        raise _wrong_type(file)
    return bytes(part)


def _check_size(count: int) -> None:
    if count > MAX_BYTES:
        raise TooLarge(f"the file has more than {MAX_BYTES / 1e9:.1f} GB, as no picture has: name another")


def _reason(fault: Exception) -> str:
    reason: str = getattr(fault, "strerror", None) or str(fault) or type(fault).__name__
    return reason[0].lower() + reason[1:]


def _wrong_type(source: object) -> BadArgument:
    return BadArgument(
        f"a {type(source).__name__} cannot be read: give a path, bytes or an open binary file; a picture may "
        "also be a PIL image, a uint8 array or a uint8 torch tensor"
    )
