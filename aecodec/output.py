"""What the commands read and write: standard streams, default names, output that is whole or not there."""

import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aecodec.errors import AecError, InputMissing, OutputExists, OutputUnwritable

STREAM = "-"  # standard input as IN, standard output as OUT
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def about(name: str) -> Iterator[None]:
    """Put the name of a file before the message of an AecError: the modules below do not know it."""
    try:
        yield
    except AecError as error:
        raise type(error)(f"{name}: {error}") from error


def shown(name: str, stream: str = "standard input") -> str:
    """Give the name that messages use for a file or for "-"."""
    return stream if name == STREAM else name


def read(name: str) -> bytes:
    """Read a whole file, or standard input for "-".

    Raises:
        InputMissing: there is no such file, it is a folder, or it may not be read.

    """
    if name == STREAM:
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as fault:
        raise InputMissing(f"{name}: {_reason(fault)}: name a file that can be read") from fault


def check_output(source: str, target: str, force: bool, in_tree: bool = False) -> None:
    """Refuse an output that could not be written or must not be, before any work is done for it.

    `in_tree`: folders that are missing will be made.

    Raises:
        OutputExists: the file is there and `force` is false, or it is the input itself.
        OutputUnwritable: it is a folder, or its folder is missing or not writable.

    """
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
        raise OutputUnwritable(f"{target}: this is a folder: name a file in it")
    if path.is_file() and not force:
        raise OutputExists(
            f"{target}: the file exists: overwrite it with --force, pass it by with --skip-existing, or name "
            "another output"
        )


def _check_folder(target: str, folder: Path) -> None:
    if not folder.is_dir():
        raise OutputUnwritable(f"{target}: there is no folder {folder}: create it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputUnwritable(f"{target}: the folder {folder} may not be written to: choose another")


def write(target: str, data: bytes | memoryview, like: str | None = None) -> None:
    """Write the output whole or not at all: a run that fails or is stopped leaves nothing behind.

    `like`: a file whose times of access and modification the output gets; its folders are made.

    Raises:
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
            _write_file(path, data, os.stat(like) if like else None)
    except BrokenPipeError:
        raise
    except OSError as fault:
        name = shown(target, "standard output")
        hint = "free some space" if fault.errno in DISK_FULL else "choose another output"
        raise OutputUnwritable(f"{name}: {_reason(fault)}: {hint}") from fault


def _write_file(path: Path, data: bytes | memoryview, like: os.stat_result | None) -> None:
    part = path.with_name(f".aec-{secrets.token_hex(8)}.part")
    try:
        with open(part, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # else a crash of the machine may leave an empty file under the new name
        if like:
            os.utime(part, ns=(like.st_atime_ns, like.st_mtime_ns))
        if path.exists():
            part.chmod(stat.S_IMODE(path.stat().st_mode))
        part.replace(path)
    except BaseException:  # KeyboardInterrupt and Terminated too
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def is_disk_full(fault: BaseException | None) -> bool:
    """Say whether a fault, or what it was raised from, is a want of space: no other file can be written."""
    while fault and not (isinstance(fault, OSError) and fault.errno in DISK_FULL):
        fault = fault.__cause__
    return fault is not None


def _reason(fault: OSError) -> str:
    return (fault.strerror or str(fault) or type(fault).__name__).lower()


def silence_stdout() -> None:
    """Let what is still buffered for a closed pipe go nowhere, or Python complains of it at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
