"""`dfc run`: the statements of a file in order, each workflow watched until it ends."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString, cast

import click
import psycopg
from rich.text import Text

from dfc.cli import present
from dfc.cli.compile import starting
from dfc.cli.compiling import compile_path
from dfc.cli.database import (
    EMBEDDED,
    Connection,
    Target,
    connect,
    database_option,
    embedded,
    say,
    shown,
    target,
    without_passwords,
)
from dfc.cli.errors import CliError
from dfc.cli.follow import Progress, follow, progress, screen
from dfc.cli.mocking import http_mock_option, mock_of
from dfc.cli.provenance import render_at, render_by_server, render_error
from dfc.cli.queries import query
from dfc.cli.runbook import Run, open_run
from dfc.cli.script import NO_TRANSACTION_CONTROL, execute, is_session_setting, is_transaction_control
from dfc.cli.sources import UNREADABLE, Compiled, Server, Statement, Workflow, is_start
from dfc.cli.supervise import WorkerChild
from dfc.cli.work import allow_host_option, why_unserved
from dfc.compiler.plan_json import from_json
from dfc.executor.migrate import install

RECONNECT_SECONDS = 0.2
RECONNECTS_MAX = 300


@click.command("run")
@click.argument("file")
@database_option
@click.option("--no-wait", is_flag=True, help="Start each workflow and do not wait for it.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print id, status, result and error of each workflow as JSON."
)
@click.option("--slots", type=click.IntRange(1, 1000), help="Workflows at the same time (embedded database).")
@allow_host_option
@http_mock_option
def command(
    file: str,
    database: str | None,
    no_wait: bool,
    as_json: bool,
    slots: int | None,
    hosts: tuple[str, ...],
    http_mock: str | None,
) -> int:
    """Run the statements of FILE in order, and wait for each workflow.

    Without --database an embedded PostgreSQL in .dfc/ beside the file is used. Killed at any moment, the same
    command goes on where it stood.
    """
    compilation = compile_path(file, "nothing was run")
    path = Path.cwd() / "stdin" if file == "-" else Path(file)
    if http_mock is not None:
        if database:
            raise CliError("with --database the answers belong to `dfc worker --http-mock`")
        mock_of(http_mock)  # what is wrong with it is said here, and not in the worker's log
    worker = Wanted(slots=slots, hosts=hosts, http_mock=http_mock)
    with _session(path, compilation, database, None if no_wait else worker) as session:
        session.no_wait, session.as_json = no_wait, as_json
        try:
            code = session.run()
        except KeyboardInterrupt:
            say(f"dfc: stopped; nothing is lost: `dfc run {shlex.quote(file)}` goes on where this stood")
            return 130
        if not as_json:
            _next_steps(session, file, code)
        return code


@dataclass(slots=True, kw_only=True)
class Session:
    """A run of a file against a database: what it needs, and what came of it."""

    path: Path
    compilation: Compiled
    where: Target
    conn: Connection
    stack: contextlib.ExitStack
    worker: WorkerChild | None
    no_wait: bool = False
    as_json: bool = False
    instances: list[str] = field(default_factory=list[str])
    outcomes: list[dict[str, object]] = field(default_factory=list[dict[str, object]])
    warned: bool = False

    def run(self) -> int:
        """All statements in order. 0, or 1 when one fails."""
        run = (
            open_run(self.conn, self.path, self.compilation.text) if self.where.folder is not None else Run()
        )
        self._say_continued(run)
        code = 0
        for index, statement in enumerate(self.compilation.statements):
            if index < run.done:
                if isinstance(statement, Server) and is_session_setting(statement.text):
                    execute(self.conn, statement.text, self.path.parent, show=False)
                continue
            if not self._statement(run, index, statement):
                code = 1
                break
        run.finish(self.conn)
        if self.as_json:
            click.echo(present.document(self.outcomes))
        return code

    def _statement(self, run: Run, index: int, statement: Statement) -> bool:
        """Run a statement. Whether it was right, and what it started has completed."""
        if is_start(statement):
            return self._start(run, index, statement)
        server = statement if isinstance(statement, Server) else self.compilation.server(statement)
        return self._server(run, index, server)

    def _say_continued(self, run: Run) -> None:
        if run.since is not None:
            count = f"{run.done} of {len(self.compilation.statements)} statements are done"
            say(f"continuing the run that began at {run.since} ({count})")
        elif run.given_up:
            say("the file has changed since its last, unfinished run: starting anew; `dfc list` shows both")

    def _server(self, run: Run, index: int, statement: Server) -> bool:
        """Run a server statement and its mark in one transaction, where PostgreSQL lets it run in one."""
        if is_transaction_control(statement.text):
            return self._refused(statement, "DF124", NO_TRANSACTION_CONTROL)
        show = not self.as_json
        folder = self.path.parent
        try:
            try:
                with self.conn.transaction():
                    execute(self.conn, statement.text, folder, show=show)
                    run.mark(self.conn, index + 1)
            except psycopg.errors.ActiveSqlTransaction:
                execute(self.conn, statement.text, folder, show=show)
                run.mark(self.conn, index + 1)
        except psycopg.Error as error:
            if self.conn.broken:
                raise
            return self._refused_by_server(statement, error)
        except CliError as error:
            return self._refused(statement, UNREADABLE, str(error))
        return True

    def _refused_by_server(self, statement: Statement, error: psycopg.Error) -> bool:
        say(render_by_server(self.compilation, statement, error))
        return False

    def _refused(self, statement: Statement, code: str, message: str) -> bool:
        say(render_at(self.compilation, statement, code, message, None))
        return False

    def _start(self, run: Run, index: int, statement: Statement) -> bool:
        """Start a workflow, unless the continued run has done so, and watch it. Whether it completed."""
        # Without a plan: variables decide what the workflow does, or it is a definition's, and the worker
        # compiles it.
        workflow = statement if isinstance(statement, Workflow) else None
        label = None if workflow is None else workflow.label
        plan = None if workflow is None or workflow.plan is None else from_json(workflow.plan)
        instance = run.instance
        if instance is None:
            try:
                with self.conn.transaction():
                    instance = self._started(statement)
                    run.started(self.conn, instance)
            except psycopg.Error as error:
                if self.conn.broken:
                    raise
                return self._refused_by_server(statement, error)
        if workflow is None:
            label = self._label(instance)
        self.instances.append(instance)
        if not self.as_json:
            present.errors.print(Text(f"{label or 'workflow'} {instance}", style="bold"))
        if self.no_wait:
            run.mark(self.conn, index + 1)
            self.outcomes.append({"id": instance, "label": label, "status": "pending"})
            return True
        with screen(plan, quiet=self.as_json) as shown_on:
            end = follow(lambda: self._progress(instance), shown_on, self._watch)
        run.mark(self.conn, index + 1)
        self._report(label, {} if workflow is None else workflow.provenance, end)
        return end.status == "completed"

    def _started(self, statement: Statement) -> str:
        """The id of the instance that a statement starts."""
        if isinstance(statement, Server):
            row = self.conn.execute(cast(LiteralString, statement.text)).fetchone()
        else:
            row = self.conn.execute(query("start"), starting(statement, statement.label)).fetchone()
        assert row is not None
        return cast(str, row[0])

    def _label(self, instance: str) -> str | None:
        """The label of an instance whose text says none, such as one of a definition."""
        row = self.conn.execute(query("instance"), {"id": instance}).fetchone()
        return None if row is None else cast("str | None", row[1])

    def _progress(self, instance: str) -> Progress:
        """How the instance stands; waits for the database when it has gone away."""
        for _ in range(RECONNECTS_MAX):
            try:
                return progress(self.conn, instance)
            except psycopg.OperationalError:
                if not self.conn.broken and not self.conn.closed:
                    raise
            self._reconnect()
        raise CliError("PostgreSQL does not come back; start it, then run the same command again")

    def _reconnect(self) -> None:
        """A new connection; an embedded server that has crashed is started again."""
        if not self.warned:
            self.warned = True
            say("PostgreSQL has gone away; waiting for it")
        try:
            if self.where.folder is not None:
                # Starts the server again where it has crashed; the run's own use of it is held all along.
                with embedded(self.where.folder):
                    pass
            self.conn = self.stack.enter_context(connect(self.where.conninfo))
        except psycopg.OperationalError:
            time.sleep(RECONNECT_SECONDS)
        else:
            if self.where.folder is not None:
                open_run(self.conn, self.path, self.compilation.text)
            self.warned = False

    def _watch(self, now: Progress) -> None:
        if self.worker is not None:
            self.worker.check()
        elif now.status == "pending" and not self.warned and (reasons := why_unserved(self.conn)):
            self.warned = True
            say("\n".join((*reasons, "waiting")))

    def _report(self, label: str | None, provenance: Mapping[str, Any], end: Progress) -> None:
        result = None if end.result is None else present.Verbatim(end.result)
        outcome: dict[str, object] = {"id": end.id, "label": label, "status": end.status}
        self.outcomes.append(outcome | {"result": result, "error": dict(end.error) or None})
        if end.status in ("failed", "compensated"):
            name, text = self.compilation.name, self.compilation.text
            say("\n" + render_error(name, text, provenance, end.error))
            if end.status == "compensated":
                say("what had completed was undone")
        elif end.status == "cancelled":
            say(f"{end.id} was cancelled: {end.error.get('reason') or end.error.get('message')}")
        elif not self.as_json:
            click.echo("", err=True)
            present.result(None if end.result is None else present.parsed(end.result))


@contextlib.contextmanager
def _session(
    path: Path,
    compilation: Compiled,
    database: str | None,
    worker: Wanted | None,
) -> Generator[Session]:
    """The database of a run, its connection, and for an embedded one schema and worker."""
    folder = path.parent / EMBEDDED
    with contextlib.ExitStack() as stack:
        if database:
            where = stack.enter_context(target(database))
        else:
            if not folder.exists():
                say(f"making an embedded PostgreSQL in {shown(folder)}/")
            where = stack.enter_context(embedded(folder))
        child: WorkerChild | None = None
        if where.folder is not None:
            install(where.conninfo)
            if worker is not None and compilation.starts:
                if worker.http_mock is None:
                    _say_loopback(where.folder, compilation)
                child = stack.enter_context(worker_child(where.conninfo, where.folder, worker))
        conn = stack.enter_context(connect(where.conninfo))
        yield Session(path=path, compilation=compilation, where=where, conn=conn, stack=stack, worker=child)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How the worker of an embedded database is to run. `http_mock` is the file that answers HTTP steps."""

    slots: int | None = None
    hosts: tuple[str, ...] = ()
    http_mock: str | None = None


def worker_child(conninfo: str, folder: Path, wanted: Wanted) -> WorkerChild:
    """The worker of an embedded database: it may speak HTTP to this machine, and to the hosts it is given."""
    arguments = ["--allow-loopback", *(f"--allow-host={host}" for host in wanted.hosts)]
    if wanted.slots is not None:
        arguments += ["--slots", str(wanted.slots)]
    if wanted.http_mock is not None:
        arguments += ["--http-mock", wanted.http_mock]
    return WorkerChild(conninfo, log=folder / "worker.log", arguments=arguments, say=say)


def _say_loopback(folder: Path, compilation: Compiled) -> None:
    """Say once a database that HTTP to this machine is allowed, when a workflow speaks HTTP at all."""
    mark = folder / "http-said"
    plans = (json.dumps(workflow.plan) for workflow in compilation.workflows)
    if not mark.exists() and any('"request":' in plan for plan in plans):
        say("HTTP steps may reach this machine (127.0.0.1, ::1, localhost) from the embedded database")
        with contextlib.suppress(OSError):
            mark.touch()


def _next_steps(session: Session, file: str, code: int) -> None:
    """The last lines: what to try next, as commands that work from here."""
    if not session.instances:
        return
    quoted = shlex.quote(file)
    option = session.where.option
    last = session.instances[-1]
    # What the environment names is named for the next command as well.
    is_known = option in ("", without_passwords(os.environ.get("DFC_DATABASE", "")))
    named = "" if is_known else f" --database {shlex.quote(option)}"
    lines = [(f"dfc show {last}{named}", "its steps and their results")]
    if session.where.folder is not None:
        up = shlex.quote(shown(session.where.folder.parent))
        lines.append(
            (f"dfc up {up}".removesuffix(" ."), "keep the database up, for psql and for more workflows")
        )
    if session.no_wait and session.where.folder is not None:
        lines.reverse()
    lines.append((f"dfc explain {quoted}", "the graph of the workflow"))
    if code:
        lines[-1] = (f"dfc run {quoted}", "when it is mended")
    width = max(len(text) for text, _ in lines)
    say("\ntry next:")
    for text, why in lines:
        say(f"  {text:<{width}}   {why}")
