"""How a command ends when it does not end well: faults as messages and exit codes, and signals."""

import errno
import logging
import signal
import traceback
import warnings
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

from aecodec.errors import AecError, SomeFailed, TooLarge

UNEXPECTED, INTERRUPTED = 1, 130  # the second is what a shell gives for the signal

_ENDING = (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))  # Windows has no SIGHUP


class Terminated(SystemExit):
    """A signal asks the process to end: raised so that files half written are removed on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)  # as a shell says it
        self.exit_code = 128 + number


@dataclass(frozen=True)
class Failure:
    """Why something was not done. `kind` is the class of the error; the message is one line."""

    kind: str
    exit_code: int
    message: str


def failure_of(fault: Exception) -> Failure:
    """Say what a fault means for a person: every error but those of click passes through here."""
    kind = type(fault).__name__
    if isinstance(fault, AecError):
        return Failure(kind, fault.exit_code, str(fault))
    if _is_out_of_memory(fault):
        return Failure(kind, TooLarge.exit_code, "there is not enough memory for this picture")
    if isinstance(fault, OSError) and fault.errno in (errno.EMFILE, errno.ENFILE):
        reason = "too many files are open: allow more (ulimit -n), or work on fewer at a time (--jobs)"
        return Failure(kind, TooLarge.exit_code, reason)
    last = traceback.extract_tb(fault.__traceback__)[-1]
    where = f"{last.filename}, line {last.lineno}"
    message = f"a fault in aecodec, please report it: {kind}: {fault} ({where})"
    return Failure(kind, UNEXPECTED, message)


def exit_code(codes: set[int]) -> int:
    """What a run over many files ends with: 0 without failures, their code if they have one in common."""
    return min(codes, default=0) if len(codes) < 2 else SomeFailed.exit_code


def _is_out_of_memory(fault: Exception) -> bool:
    """Say whether memory was short; torch tells it by a RuntimeError and the words of each allocator."""
    phrases = ("out of memory", "not enough memory", "can't allocate memory")
    said = isinstance(fault, RuntimeError) and any(phrase in str(fault) for phrase in phrases)
    return said or isinstance(fault, MemoryError)


def prepare_process() -> None:
    """Let signals that end the process clean up first, and silence Pillow's warnings."""
    for number in _ENDING:
        if signal.getsignal(number) == signal.SIG_DFL:  # not where nohup ignores it
            signal.signal(number, _terminate)
    warnings.filterwarnings("ignore", module="PIL")  # oddities in picture files are no news for a person
    logging.getLogger("PIL").addHandler(logging.NullHandler())


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    for other in _ENDING:  # a second one must not stop the cleaning up
        signal.signal(other, signal.SIG_IGN)
    raise Terminated(number)
