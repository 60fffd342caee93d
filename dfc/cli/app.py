"""The `dfc` command: finds a command by name, imports it only then, and turns every error into one line.

`dfc --help` and `dfc --version` import click and nothing else of ours, which keeps them at 0.15 s.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from dfc import __version__
from dfc.cli.errors import CliError, explain

COMMANDS = {
    "run": "Run a workflow file on an embedded database, and show how it goes.",
    "compile": "Print the plan of a workflow file.",
    "validate": "Check workflow files and folders.",
    "fmt": "Give workflow files their canonical layout.",
    "explain": "Draw the graph of a workflow file as text.",
    "crashtest": "Kill the worker of a workflow file at every boundary, and compare.",
    "up": "Keep the embedded database and a worker running.",
    "reset": "Remove the embedded database.",
    "init": "Install the df schema into a database, or bring it up to date.",
    "worker": "Run the workflows of a database.",
    "start": "Start a workflow, and print its id.",
    "diff": "Compare workflows step by step, and say which instances could go on.",
    "deploy": "Bring definitions and schedules of a database to what a file says.",
    "schedules": "List schedules, with their next ticks.",
    "list": "List workflows.",
    "show": "Show a workflow and its steps.",
    "cancel": "Cancel workflows.",
    "pause": "Let nothing new begin in workflows.",
    "resume": "Let paused workflows go on.",
    "retry": "Let failed workflows go on from where they failed.",
    "fork": "Start a workflow that takes over what another one has done.",
    "signal": "Send a signal to a workflow that waits for it.",
    "export": "Write what has happened to a workflow as JSON.",
    "replay": "Fold exported journals once more, and compare each decision.",
    "doctor": "Say what may keep workflows from running, and what to do.",
    "adopt": "Let a copied database run workflows.",
}
"""Every command with its line of `dfc --help`; the module has the command's name."""


class Commands(click.Group):
    """The group of all commands. Only the command that is called is imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"dfc.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f": did you mean `dfc {near[0]}`?" if near else "; `dfc --help` lists them all"
            raise click.UsageError(f"there is no command `{args[0]}`{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="dfc", message="%(prog)s %(version)s")
def cli() -> None:
    """Durable workflows for PostgreSQL.

    The commands that need a database take it from --database, DFC_DATABASE, or libpq's own variables (PGHOST,
    PGSERVICE, ...); a folder, for example `examples/.dfc`, stands for the embedded database in it.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process: 0 fine, 1 errors, 2 wrong usage, 130 Ctrl-C."""
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    _replace_closed_streams()
    if hasattr(sys.stdout, "reconfigure"):
        for stream in (sys.stdout, sys.stderr):
            # JSON is UTF-8 whatever the locale is; what people see is what their terminal shows.
            encoding = stream.encoding if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")  # type: ignore[union-attr]
    try:
        result = cli.main(args=arguments, prog_name="dfc", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 2
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.exceptions.Exit as error:
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("dfc: stopped", err=True)
        return 130
    except BrokenPipeError:
        # The reader (`| head`) has gone. Python would complain once more when it flushes at exit.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        _report(error)
        return error.exit_code if isinstance(error, CliError) else 1


def _replace_closed_streams() -> None:
    """Give a stream that the caller has closed (`>&-`), which is None in Python, to nowhere."""
    nowhere = Path(os.devnull)
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]
        sys.stdin = nowhere.open(encoding="utf-8")
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]
        sys.stdout = nowhere.open("w", encoding="utf-8")
    if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison]
        sys.stderr = nowhere.open("w", encoding="utf-8")


def _report(error: Exception) -> None:
    """One line on standard error; what nobody foresaw also leaves its traceback in a file."""
    known = explain(error)
    if os.environ.get("DFC_DEBUG") == "1" and not (isinstance(error, CliError) and error.__cause__ is None):
        traceback.print_exception(error)
    if known is not None:
        click.echo(f"dfc: {known}", err=True)
        return
    text = " ".join(str(error).split()) or "no message"
    try:
        with tempfile.NamedTemporaryFile("w", prefix="dfc-error-", suffix=".log", delete=False) as log:
            traceback.print_exception(error, file=log)
        where = f"the traceback is in {log.name}"
    except OSError:
        where = "DFC_DEBUG=1 shows the traceback"
    click.echo(f"dfc: unexpected {type(error).__name__}: {text} ({where})", err=True)
