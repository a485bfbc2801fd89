"""The command `aec`: a click group that imports a command only when it is asked for."""

import importlib
from typing import Any, NoReturn

import click

from aecodec import __version__
from aecodec.cli.faults import BROKEN_PIPE, INTERRUPTED, Terminated, failure_of, prepare_process
from aecodec.output import silence_stdout

COMMANDS = (
    "bench",
    "compress",
    "decompress",
    "info",
    "models",
    "selftest",
    "train",
    "tune",
    "verify",
    "visualize",
)


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
        except BrokenPipeError:
            silence_stdout()
            ctx.exit(BROKEN_PIPE)
        except KeyboardInterrupt:
            _fail(ctx, "interrupted", INTERRUPTED)
        except Terminated as terminated:
            click.echo("aec: terminated", err=True)
            raise terminated
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as fault:
            failure = failure_of(fault)
            _fail(ctx, failure.message, failure.exit_code)


def _fail(ctx: click.Context, message: str, code: int) -> NoReturn:
    click.echo(f"aec: {message}", err=True)
    ctx.exit(code)


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
    prepare_process()
    aec(prog_name="aec")
