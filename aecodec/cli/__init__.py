"""The command `aec`: a click group that imports a command only when it is asked for."""

import importlib
import signal
import sys
import traceback
import warnings
from types import FrameType
from typing import Any, NoReturn

import click

from aecodec import __version__
from aecodec.cli.files import silence_stdout
from aecodec.errors import AecError, TooLarge

COMMANDS = ("compress", "decompress", "info", "models", "selftest", "train")  # modules here
UNEXPECTED, INTERRUPTED, BROKEN_PIPE = 1, 130, 141  # the last two are what a shell gives for the signals


class Terminated(BaseException):
    """A signal asks the process to end: raised so that files half written are removed on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number  # as a shell says it


class Commands(click.Group):
    """Imports commands on demand and turns every error into one line on stderr and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands, as `aec --help` lists them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import one command."""
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(f"aecodec.cli.{name}"), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; the one place where errors become messages."""
        try:
            return super().invoke(ctx)
        except AecError as error:
            _fail(ctx, str(error), error.exit_code)
        except BrokenPipeError:
            silence_stdout()
            ctx.exit(BROKEN_PIPE)
        except KeyboardInterrupt:
            _fail(ctx, "interrupted", INTERRUPTED)
        except Terminated as terminated:
            _fail(ctx, "terminated", terminated.exit_code)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as fault:
            if _is_out_of_memory(fault):
                _fail(ctx, "there is not enough memory for this picture", TooLarge.exit_code)
            _fail(ctx, _describe(fault), UNEXPECTED)


def _fail(ctx: click.Context, message: str, code: int) -> NoReturn:
    click.echo(f"aec: {message}", err=True)
    ctx.exit(code)


def _is_out_of_memory(fault: Exception) -> bool:
    """Say whether memory was short; torch tells it by a RuntimeError and the words of each allocator."""
    phrases = ("out of memory", "not enough memory", "can't allocate memory")
    said = isinstance(fault, RuntimeError) and any(phrase in str(fault) for phrase in phrases)
    return said or isinstance(fault, MemoryError)


def _describe(fault: Exception) -> str:
    """Name a fault that is nobody's mistake but ours, with the line it was raised in."""
    last = traceback.extract_tb(fault.__traceback__)[-1]
    where = f"{last.filename}, line {last.lineno}"
    return f"a fault in aecodec, please report it: {type(fault).__name__}: {fault} ({where})"


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated(number)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog="Example: aec compress photo.png -o photo.aec",
)
@click.version_option(__version__, prog_name="aec")
def aec() -> None:
    """Compress photographs into small .aec files, and back."""


def main() -> None:
    """Run `aec` as a program."""
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):  # Windows has no SIGHUP
        if signal.getsignal(number) == signal.SIG_DFL:  # not where nohup ignores it
            signal.signal(number, _terminate)
    warnings.filterwarnings("ignore", module="PIL")  # oddities in picture files are no news for a person
    try:
        aec(prog_name="aec")
    except Terminated as terminated:  # before the command has begun
        sys.exit(terminated.exit_code)
