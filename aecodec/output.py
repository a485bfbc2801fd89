"""What the commands read and write: standard streams, and files, which are whole or not there."""

import errno
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

from aecodec import sources
from aecodec.errors import OutputExists, OutputUnwritable, about

fcntl: ModuleType | None
try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None

STREAM = "-"  # standard input as IN, standard output as OUT
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def shown(name: str, stream: str = "standard input") -> str:
    """Give the name that messages use for a file or for "-"."""
    return stream if name == STREAM else name


def read(name: str, fits: sources.Fits) -> bytes:
    """Read a whole file, or standard input for "-".

    Args:
        name: as the person gave it.
        fits: asked about the beginning of what may have no end; raises an AecError if that cannot be right.

    Raises:
        InputMissing: there is no such file, it is a folder, or it cannot be read.
        TooLarge: it is longer than any picture.

    """
    with about(shown(name)):
        return sources.read_standard_input(fits) if name == STREAM else sources.read_file(name, fits)


def check_output(source: str, target: str, force: bool, in_tree: bool = False) -> None:
    """Refuse an output that could not be written or must not be, before any work is done for it.

    `in_tree`: folders that are missing will be made.

    Raises:
        OutputExists: the file is there and `force` is false, or it is the input itself.
        OutputUnwritable: it is a folder, its folder is missing or not writable, or it is a terminal and
            `force` is false.

    """
    if target == STREAM and sys.stdout.isatty() and not force:
        raise OutputUnwritable(
            "standard output is a terminal, and this is no text: name a file with -o, or insist with --force"
        )
    if target == STREAM or _is_device(target):
        return
    try:
        path = Path(os.path.realpath(target))
        _check_path(source, target, path, force)
        _check_folder(target, _nearest(path.parent) if in_tree else path.parent)
    except OSError as fault:  # a name too long, a folder that may not be looked into
        raise OutputUnwritable(f"{target}: {_reason(fault)}: choose another output") from fault


def _is_device(target: str) -> bool:
    """Say whether the output is a device or a pipe, which is written to and never replaced."""
    return os.path.exists(target) and not os.path.isfile(target) and not os.path.isdir(target)


def check_folder(folder: str) -> None:
    """Refuse an output folder that is not there and cannot be made, or may not be written to.

    Raises:
        OutputUnwritable: so it is.

    """
    try:
        _check_folder(folder, _nearest(Path(os.path.realpath(folder))))
    except OSError as fault:
        raise OutputUnwritable(f"{folder}: {_reason(fault)}: choose another folder") from fault


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _check_path(source: str, target: str, path: Path, force: bool) -> None:
    if source != STREAM and path.exists() and Path(source).exists() and path.samefile(source):
        raise OutputExists(f"{target}: this is the input itself: name another output with -o")
    if path.is_dir():
        raise OutputUnwritable(f"{target}: this is a folder: write into it with -O {target}")
    if target.endswith((os.sep, os.altsep or os.sep)):
        raise OutputUnwritable(f"{target}: there is no such folder: make and fill it with -O {target}")
    if path.is_file() and not force:
        raise _exists(target)


def _check_folder(target: str, folder: Path) -> None:
    if not folder.is_dir():
        raise OutputUnwritable(f"{target}: there is no folder {folder}: create it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputUnwritable(f"{target}: the folder {folder} may not be written to: choose another")


def _exists(target: str) -> OutputExists:
    return OutputExists(
        f"{target}: the file exists: overwrite it with --force, pass it by with --skip-existing, or name "
        "another output"
    )


def write(target: str, data: bytes | memoryview, like: str | None = None, replace: bool = True) -> None:
    """Write the output whole or not at all: a run that fails or is stopped leaves nothing behind.

    `like`: a file whose times of access and modification the output gets; its folders are made. `replace`:
    whatever has the name; otherwise of several runs at a time that write this output one succeeds.

    Raises:
        OutputExists: the file is there and `replace` is false.
        OutputUnwritable: it cannot be written, for the disk is full or another reason.
        BrokenPipeError: nobody reads standard output any more.

    """
    try:
        if target == STREAM:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        elif _is_device(target):
            Path(target).write_bytes(data)
        else:
            path = Path(os.path.realpath(target))  # a link stays, what it points to is replaced
            if like:
                path.parent.mkdir(parents=True, exist_ok=True)
            _write_file(path, data, os.stat(like) if like else None, replace)
    except BrokenPipeError:
        raise
    except FileExistsError as fault:
        raise _exists(target) from fault
    except OSError as fault:
        raise unwritable(shown(target, "standard output"), fault) from fault


def unwritable(name: str, fault: OSError) -> OutputUnwritable:
    """The error that says why an output cannot be written."""
    hint = "free some space" if fault.errno in DISK_FULL else "choose another output"
    return OutputUnwritable(f"{name}: {_reason(fault)}: {hint}")


def _write_file(path: Path, data: bytes | memoryview, like: os.stat_result | None, replace: bool) -> None:
    _sweep(path.parent)
    with _part(path.parent) as (part, file):
        file.write(data)
        file.flush()
        os.fsync(file.fileno())  # else a crash of the machine may leave an empty file under the new name
        if like:
            os.utime(part, ns=(like.st_atime_ns, like.st_mtime_ns))
        if fcntl is None:
            file.close()  # Windows renames no file that is open
        if replace:
            if path.exists():
                part.chmod(stat.S_IMODE(path.stat().st_mode))
            part.replace(path)
        else:
            _add(part, path)


def _add(part: Path, path: Path) -> None:
    """Give a file a name that no other file has. Raises FileExistsError."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        path.touch(exist_ok=False)
        part.replace(path)


# Files that are not finished are locked for as long as the process lives that writes them.

_PART = re.compile(r"\.aec-[0-9a-f]{16}\.part")


@contextmanager
def _part(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file in a folder, removed at the end unless it has been renamed."""
    part = folder / f".aec-{secrets.token_hex(8)}.part"
    try:
        with open(part, "xb") as file:
            _lock(file)
            if part.exists():
                yield part, file
                return
    finally:  # after KeyboardInterrupt and Terminated, too
        with suppress(OSError):
            part.unlink(missing_ok=True)
    with _part(folder) as another:  # a run that swept just then took it for one that was left behind
        yield another


def _lock(file: BinaryIO, wait: bool = True) -> bool:
    """Lock a file; say whether that was possible: not every file system has locks."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


@cache
def _sweep(folder: Path) -> None:
    """Remove what runs that were killed have left in a folder; once a process is enough."""
    with suppress(OSError):
        for entry in os.scandir(folder):
            if _PART.fullmatch(entry.name):
                with suppress(OSError), open(entry.path, "rb") as file:
                    if _lock(file, wait=False):
                        os.unlink(entry.path)


def is_disk_full(fault: BaseException | None) -> bool:
    """Say whether a fault, or what it was raised from, is a want of space: no other file can be written."""
    while fault and not (isinstance(fault, OSError) and fault.errno in DISK_FULL):
        fault = fault.__cause__
    return fault is not None


def _reason(fault: OSError) -> str:
    return (fault.strerror or str(fault) or type(fault).__name__).lower()
