"""The command `aec`: a click group that imports a command only when it is asked for."""

import difflib
import importlib
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

import click

from aecodec import __version__
from aecodec.cli import streams
from aecodec.cli.faults import INTERRUPTED, Terminated, failure_of, prepare_process

COMMANDS = {  # as `aec --help` lists them
    "compress": "Compress pictures into .aec files.",
    "decompress": "Decompress .aec files into pictures.",
    "info": "Show what .aec files contain.",
    "verify": "Check .aec files for damage.",
    "models": "List the installed models.",
    "selftest": "Check that this machine decodes exactly.",
    "bench": "Compare aec with other codecs on your pictures.",
    "train": "Train a model.",
    "tune": "Search the settings of a classic autoencoder.",
    "visualize": "Draw figures of a classic autoencoder.",
}


class Commands(click.Group):
    """Imports commands on demand and turns every error into one line on stderr and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands, for the completion in a shell."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import one command."""
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(f"aecodec.cli.{name}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List all commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or suggest one."""
        near = difflib.get_close_matches(args[0], COMMANDS, 1)
        if near and args[0] not in COMMANDS:
            raise click.UsageError(f"there is no command {args[0]!r}: do you mean {near[0]!r}?", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:  # before click prints an empty line for it
            streams.say("aec: interrupted")
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:  # of a named pipe that was given as an output
            ctx.exit(streams.BROKEN_PIPE)

    def main(self, *args: Any, **settings: Any) -> NoReturn:
        """Run the program; the one place where errors become messages and exit codes."""
        code = _exit_code(partial(super().main, *args, **settings | {"standalone_mode": False}))
        streams.finish()
        sys.exit(code)


def _exit_code(run: Callable[[], int | None]) -> int:
    """What the program ends with."""
    try:
        code = run() or 0
        sys.stdout.flush()
        return code
    except streams.ReaderGone:
        return streams.BROKEN_PIPE
    except click.Abort:
        streams.say("aec: interrupted")
        return INTERRUPTED
    except click.ClickException as refusal:
        context = getattr(refusal, "ctx", None)
        click.UsageError(streams.one_line(refusal.format_message()), context).show()
        return refusal.exit_code
    except Terminated as terminated:
        streams.say("aec: terminated")
        return terminated.exit_code
    except Exception as fault:
        failure = failure_of(fault)
        streams.say(f"aec: {failure.message}")
        return failure.exit_code


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
    for library in ("OPENBLAS", "MKL"):  # whose threads would start with NumPy, and wait busily
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    streams.prepare()
    prepare_process()
    aec(prog_name="aec")
