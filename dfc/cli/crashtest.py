"""`dfc crashtest`: is a workflow of this file the same when its worker dies, wherever it dies?"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, LiteralString, cast

import click
import psycopg

from dfc.cli import present
from dfc.cli.compile import starting
from dfc.cli.compiling import compile_path
from dfc.cli.crashing.bench import Bench
from dfc.cli.crashing.processes import Body, work
from dfc.cli.crashing.report import as_json, show
from dfc.cli.crashing.scratch import Scratch
from dfc.cli.crashing.trial import Limits, Trial, try_workflow
from dfc.cli.database import Connection, say
from dfc.cli.errors import CliError
from dfc.cli.mocking import http_mock_option, mock_of
from dfc.cli.provenance import render_at, render_by_server
from dfc.cli.queries import query
from dfc.cli.script import NO_TRANSACTION_CONTROL, execute, is_session_setting, is_transaction_control
from dfc.cli.sources import Compiled, Server, Statement, Workflow, is_start
from dfc.cli.work import allow_host_option
from dfc.compiler.plan import COMPILER_VERSION
from dfc.executor.runners.http_mock import HttpMock

CRASHTEST_WAIT_SECONDS_MAX: Final = 60.0
CRASHTEST_KILLS_MAX: Final = 200
ROWS_SHOWN_MAX: Final = 5
SCHEDULE: Final = "schedule"


def _signals(
    context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """Names and JSON texts."""
    found: list[tuple[str, str]] = []
    for text in texts:
        name, given, data = text.partition("=")
        try:
            json.loads(data if given else "{}")
        except ValueError:
            message = f"`{data}` is not JSON: write --signal {name}='{{...}}'"
            raise click.BadParameter(message, context, parameter) from None
        found.append((name, data if given else "{}"))
    return tuple(found)


@click.command("crashtest")
@click.argument("file")
@click.option("--workflow", "only", metavar="NAME", help="Only the workflow with this label, or this number.")
@http_mock_option
@click.option(
    "--signal",
    "signals",
    multiple=True,
    metavar="NAME[=JSON]",
    callback=_signals,
    help="A signal that the workflow gets at its start.",
)
@click.option(
    "--wait",
    "wait_seconds_max",
    type=click.FloatRange(0.1, 86_400),
    default=CRASHTEST_WAIT_SECONDS_MAX,
    show_default=True,
    metavar="SECONDS",
    help="How long an undisturbed run may take (crashtest_wait_seconds_max).",
)
@click.option(
    "--kills-max",
    type=click.IntRange(1, 100_000),
    default=CRASHTEST_KILLS_MAX,
    show_default=True,
    help="Kills at most.",
)
@click.option("--jobs", type=click.IntRange(1, 64), help="Runs at the same time; by default twice the CPUs.")
@click.option("--json", "as_document", is_flag=True, help="Print what was found as JSON.")
@allow_host_option
def command(
    file: str,
    only: str | None,
    http_mock: str | None,
    signals: tuple[tuple[str, str], ...],
    wait_seconds_max: float,
    kills_max: int,
    jobs: int | None,
    as_document: bool,
    hosts: tuple[str, ...],
) -> int:
    """Kill the worker of each workflow of FILE at every boundary, and compare what comes of it.

    All of it happens in a scratch database that is gone afterwards. A worker is killed right behind every
    commit and once inside every step; another one does the rest. Then all tables, the status and the result
    must be those of an undisturbed run. Exit code 0: they always were. HTTP steps are answered from the file
    of --http-mock.
    """
    compilation = compile_path(file, "nothing was tried")
    asked = Asked(
        path=Path.cwd() / "stdin" if file == "-" else Path(file),
        compilation=compilation,
        only=only,
        mock=mock_of(http_mock),
        signals=signals,
        hosts=hosts,
        limits=Limits(
            wait_seconds_max=wait_seconds_max,
            kills_max=kills_max,
            jobs=jobs or max(2, 2 * (os.cpu_count() or 1)),
            rows_shown_max=ROWS_SHOWN_MAX,
        ),
    )
    trials: list[Trial] = []
    for trial in crashtest(asked):
        trials.append(trial)
        if not as_document:
            show(trial)
    safe = all(trial.safe for trial in trials)
    if as_document:
        found = {"file": compilation.name, "safe": safe, "workflows": [as_json(trial) for trial in trials]}
        click.echo(present.document(found))
    else:
        say("\nno kill has made a difference" if safe else "\na death makes a difference, or was not tried")
    return 0 if safe else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be tried, and how. Signals are names and JSON texts."""

    path: Path
    compilation: Compiled
    limits: Limits
    only: str | None = None
    mock: HttpMock | None = None
    signals: tuple[tuple[str, str], ...] = ()
    hosts: tuple[str, ...] = ()
    body: Body = work


def crashtest(asked: Asked, scratch: Scratch | None = None) -> Generator[Trial]:
    """Try the workflows of a file, one after the other, each on what the statements before it have made.

    `scratch` is a server that is there already. Raises CliError.
    """
    wanted = _wanted(asked)
    with contextlib.nullcontext(scratch) if scratch is not None else Scratch() as scratch:
        current = scratch.make()
        _make_plans_known(asked, scratch, current)
        settings: list[str] = []
        for index, statement in enumerate(asked.compilation.statements[: wanted[-1] + 1]):
            if not is_start(statement):
                with _connected(scratch, current, settings) as conn:
                    _run_server(asked, conn, statement)
                if isinstance(statement, Server) and is_session_setting(statement.text):
                    settings.append(statement.text)
                continue
            with _connected(scratch, current, settings) as conn:
                instance, name = _start(asked, conn, statement, index)
            bench = Bench(
                scratch=scratch,
                template=current,
                instance=instance,
                mock=asked.mock,
                hosts=asked.hosts,
                body=asked.body,
            )
            if index in wanted:
                trial = try_workflow(name, bench, asked.limits, _note)
                current = trial.base
                yield trial
            else:
                current = bench.undisturbed(asked.limits.wait_seconds_max).database


def _make_plans_known(asked: Asked, scratch: Scratch, database: str) -> None:
    """Spare each of the workers the compiling: the plans are here."""
    with _connected(scratch, database, []) as conn:
        for workflow in asked.compilation.workflows:
            if workflow.plan is not None:
                given = {"wire": workflow.wire, "plan": json.dumps(workflow.plan), "hash": workflow.hash}
                conn.execute(query("crashtest_plan"), {**given, "compiler_version": COMPILER_VERSION})


def _wanted(asked: Asked) -> list[int]:
    """The numbers of the statements that start what is to be tried."""
    statements = asked.compilation.statements
    starts = [index for index, statement in enumerate(statements) if is_start(statement)]
    if not starts:
        raise CliError(f"{asked.compilation.name} starts no workflow: write `SELECT df.start(...);`")
    if asked.only is not None:
        labels = {index: getattr(statements[index], "label", None) for index in starts}
        numbers = {str(number): index for number, index in enumerate(starts, 1)}
        chosen = [index for index in starts if labels[index] == asked.only]
        if not chosen and asked.only in numbers:
            chosen = [numbers[asked.only]]
        if not chosen:
            known = ", ".join(f"`{label}`" for label in labels.values() if label) or "none has a label"
            raise CliError(f"{asked.compilation.name} has no workflow `{asked.only}` ({known})")
        starts = chosen
    for statement in statements:
        if isinstance(statement, Workflow):
            _require_possible(asked, statement)
    return starts


def _require_possible(asked: Asked, workflow: Workflow) -> None:
    """Refuse what would reach out of the scratch database."""
    name = f"`{workflow.label}`" if workflow.label else "a workflow"
    plan = json.dumps(workflow.plan)
    if '"request":' in plan and asked.mock is None and not asked.hosts:
        raise CliError(
            f"{name} sends HTTP requests, and a crash test would send them again and again: answer them with"
            ' --http-mock FILE, a JSON array like [{"method": "POST", "url": "https://api.example.com/*",'
            ' "json": {}}]; or let them out with --allow-host HOST'
        )
    if '"database": "' in plan or "database" in workflow.options:
        raise CliError(f"{name} has steps in another database, which a crash test cannot copy")


@contextlib.contextmanager
def _connected(scratch: Scratch, database: str, settings: list[str]) -> Generator[Connection]:
    with psycopg.connect(scratch.conninfo(database), autocommit=True) as conn:
        for text in settings:
            conn.execute(cast(LiteralString, text))
        yield conn


def _run_server(asked: Asked, conn: Connection, statement: Statement) -> None:
    compilation = asked.compilation
    if isinstance(statement, Workflow):
        if statement.submit == SCHEDULE:
            say(f"the schedule `{statement.label}` is left out: nothing is to start by the clock")
            return
        statement = compilation.server(statement)
    if is_transaction_control(statement.text):
        raise _refused(render_at(compilation, statement, "DF124", NO_TRANSACTION_CONTROL, None))
    try:
        execute(conn, statement.text, asked.path.parent, show=False)
    except psycopg.Error as error:
        raise _refused(render_by_server(asked.compilation, statement, error)) from None


def _start(asked: Asked, conn: Connection, statement: Statement, index: int) -> tuple[str, str]:
    """Start a workflow, which nobody runs yet, and give it its signals; its id and its name."""
    try:
        if isinstance(statement, Server):
            row = conn.execute(cast(LiteralString, statement.text)).fetchone()
        else:
            row = conn.execute(query("start"), starting(statement, statement.label)).fetchone()
        assert row is not None
        instance = cast(str, row[0])
        for name, data in asked.signals:
            conn.execute(query("signal"), {"id": instance, "name": name, "data": data, "key": None})
        found = conn.execute(query("instance"), {"id": instance}).fetchone()
    except psycopg.Error as error:
        raise _refused(render_by_server(asked.compilation, statement, error)) from None
    label = None if found is None else cast("str | None", found[1])
    number = sum(is_start(each) for each in asked.compilation.statements[: index + 1])
    return instance, label or f"workflow {number}"


def _refused(shown: str) -> CliError:
    say(shown)
    return CliError("a statement before the workflow fails; nothing was tried")


def _note(done: int, count: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{done} of {count} kills{' ' * 4 if done < count else chr(10)}", err=True, nl=False)
