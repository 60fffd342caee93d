"""What the executor's tests share: plans by hand, instances that are pinned to them, workers as processes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg.rows import dict_row

from dfc.compiler import plan_json
from dfc.compiler.plan import (
    DEFAULT_POLICY,
    Form,
    HttpNode,
    Node,
    Parameter,
    Plan,
    Policy,
    Request,
    Returns,
    SqlBody,
    SqlNode,
    Use,
)
from dfc.executor.actions import Finish, Rider, RunSql
from dfc.executor.claim import Claim
from dfc.executor.connections import StepConnections
from dfc.executor.control import Control
from dfc.executor.journal import Result
from dfc.executor.runners.sql import PostgresSql
from dfc.executor.store import ClaimedInstance, PostgresStore
from tests.preloaded import Process, preloaded

WAIT_SECONDS_MAX = 30.0


def until(condition: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS_MAX) -> Any:
    """Wait for a condition and return what it gave. Fails with `what` when it does not come."""
    deadline = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for: {what}")
        time.sleep(0.005)


def rows_of(sql: str, *parameters: Parameter, form: Form = Form.WITH, kind: str = "select") -> SqlBody:
    """A statement that returns rows."""
    return SqlBody(sql=sql, kind=kind, form=form, returns=Returns.ROWS, parameters=tuple(parameters))


def count_of(sql: str, *parameters: Parameter, form: Form = Form.WITH, kind: str = "insert") -> SqlBody:
    """A statement that counts."""
    return SqlBody(sql=sql, kind=kind, form=form, returns=Returns.COUNT, parameters=tuple(parameters))


def reference(sql: str, written: str, *, nth: int = 0, aliased: bool = False) -> Parameter:
    """The parameter for the `nth` place where `$name`, `$name.col`, `$name.*` (and `?`) stands in `sql`."""
    start = -1
    for _ in range(nth + 1):
        start = sql.index(written, start + 1)
    name, _, column = written.lstrip("$").rstrip("?").partition(".")
    use = {"*": Use.ROWS, "row_count": Use.ROW_COUNT}.get(column, Use.VALUE)
    return Parameter(
        name=name,
        source=name,
        use=use,
        start=start,
        end=start + len(written),
        column=(column or None) if use is Use.VALUE else None,
        optional=written.endswith("?"),
        aliased=aliased,
    )


def chain(*steps: tuple[str, SqlBody | Request]) -> Plan:
    """A plan of named steps, one after the other."""
    nodes: list[Node] = []
    last: tuple[str, ...] = ()
    name = ""
    wanted = {p.source for _, body in steps if isinstance(body, SqlBody) for p in body.parameters}
    for name, body in steps:
        match body:
            case SqlBody():
                nodes.append(SqlNode(id=name, after=last, body=body, used=name in wanted))
            case Request():
                nodes.append(HttpNode(id=name, after=last, request=body, used=name in wanted))
        last = (name,)
    return Plan(nodes=tuple(nodes), result=name)


def seed(connection: psycopg.Connection[Any], plan: Plan) -> str:
    """Put a plan into df.plans under an expression made up for it, and return that expression."""
    text = json.dumps({"sql": f"SELECT '{plan_json.plan_hash(plan)}'"}, separators=(",", ":"))
    wire = f"/*dfc:1:{len(text)}*/{text}"
    connection.execute(
        "INSERT INTO df.plans (expression_hash, compiler_version, plan, plan_hash)"
        " SELECT %s, compiler_version, %s, %s FROM df.meta ON CONFLICT DO NOTHING",
        [hashlib.sha256(wire.encode()).digest(), plan_json.canonical(plan), plan_json.plan_hash(plan)],
    )
    return wire


def submit(connection: psycopg.Connection[Any], plan: Plan, *, times: int = 1) -> list[str]:
    """Start instances of a plan; their ids."""
    wire = seed(connection, plan)
    found = [
        connection.execute(
            "INSERT INTO df.instances (expression) VALUES (%s) RETURNING id", [wire]
        ).fetchone()
        for _ in range(times)
    ]
    connection.execute("NOTIFY df_work")
    return [str(row[0]) for row in found if row]


def ended(
    connection: psycopg.Connection[Any], instance: str, seconds: float = WAIT_SECONDS_MAX
) -> dict[str, Any]:
    """The row of an instance when it has ended."""

    def look() -> dict[str, Any] | None:
        with connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(
                "SELECT * FROM df.instances WHERE id = %s AND completed_at IS NOT NULL", [instance]
            )
            return cursor.fetchone()

    return until(look, f"instance {instance} to end", seconds)


def effects(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """Who has written into the table `effects`, and how often."""
    return connection.execute("SELECT who, count(*) FROM effects GROUP BY who ORDER BY who").fetchall()


class WorkerProcess:
    """`run_worker` in a process of its own, with its log. `prelude` runs there before anything else.

    `anew`: with an interpreter of its own, too, where the environment counts at the start of a process
    (LD_PRELOAD, sitecustomize): a fork of the preloaded one is not concerned by it.
    """

    def __init__(self, database: str, *, prelude: str = "", anew: bool = False, **settings: object) -> None:
        given = "".join(f", {name}={value!r}" for name, value in settings.items())
        program = (
            f"{prelude}\nimport sys; from dfc.executor.worker import WorkerSettings;"
            "from tests.executor.run_worker import run_worker;"
            f"sys.exit(run_worker(WorkerSettings(database={database!r}{given})))"
        )
        read, write = os.pipe()
        with open(os.devnull, "r+b") as null, os.fdopen(write, "wb") as stderr:  # noqa: PTH123
            streams = (null.fileno(), null.fileno(), stderr.fileno())
            if prelude or anew:
                self.process: Process | subprocess.Popen[bytes] = subprocess.Popen(
                    [sys.executable, "-c", program], stdin=streams[0], stdout=streams[1], stderr=streams[2]
                )
            else:
                self.process = preloaded().start(program, streams=streams)
        self._stderr = os.fdopen(read)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._stderr:
            self.lines.append(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        self._reader.join()
        self._stderr.close()
        if kind is not None:
            sys.stderr.writelines(self.lines)

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return "".join(self.lines)

    def registered(self, times: int = 1) -> Self:
        """Wait until it has registered this often."""
        until(
            lambda: self.log.count("registered worker=") >= times or self.process.poll() is not None,
            "a worker",
        )
        assert self.log.count("registered worker=") >= times, self.log
        return self

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def wait(self, seconds: float = WAIT_SECONDS_MAX) -> int:
        """The exit code."""
        code = self.process.wait(seconds)
        self._reader.join()
        return code


class Bench:
    """Claims one instance and runs single steps of it, without a worker."""

    def __init__(
        self, database: str, claimed: ClaimedInstance, store: PostgresStore, sql: PostgresSql
    ) -> None:
        self.database = database
        self.claim: Claim = claimed.claim
        self.store = store
        self.sql = sql
        self.results: dict[str, Result] = {}
        self._number = 0

    def action(
        self,
        body: SqlBody,
        *,
        name: str | None = None,
        rider: Rider | None = None,
        keep: bool = True,
        policy: Policy = DEFAULT_POLICY,
    ) -> RunSql:
        """The action for a step that may refer to the steps before."""
        self._number += 1
        path = name or f"step{self._number}"
        sources = dict(self.results)
        return RunSql(path=path, body=body, sources=sources, rider=rider, keep=keep, policy=policy)

    async def step(
        self,
        body: SqlBody,
        *,
        name: str | None = None,
        finish: Finish | None = None,
        keep: bool = True,
        policy: Policy = DEFAULT_POLICY,
    ) -> Any:
        """Run a step and return its result; it can be referred to by `name`."""
        action = self.action(body, name=name, rider=finish, keep=keep, policy=policy)
        answer = await self.sql.run(self.claim, action)
        result = getattr(answer.event, "result", None)
        if result is not None:
            self.results[action.path] = result
        return result


@asynccontextmanager
async def bench(database: str, *, connections_max: int = 1) -> AsyncGenerator[Bench]:
    """A `Bench` on a database, with as many step sessions."""

    def prepare() -> tuple[int, str, str]:
        with psycopg.connect(database, autocommit=True) as connection:
            submit(connection, chain(("only", rows_of("SELECT 1"))))
            connection.execute(
                "INSERT INTO df.workers (id, host, pid, version, compiler_version, plan_formats,"
                " lease_seconds, slots)"
                " VALUES (1000000, 'here', 1, 't', 1, '{1}', 3600, 1) ON CONFLICT (id) DO NOTHING;"
            )
            row = connection.execute("SELECT 1000000, session_user, current_database()").fetchone()
            assert row is not None
            return row[0], row[1], row[2]

    worker, role, name = await asyncio.to_thread(prepare)
    control = Control(database, on_lost=lambda _: None)
    steps = StepConnections(database, role=role, database=name, connections_max=connections_max)
    store = PostgresStore(control)
    try:
        [claimed], _ = await store.poll(worker, [role], claim_max=1, cancels=False)
        yield Bench(database, claimed, store, PostgresSql(steps))
    finally:
        steps.close()
        control.close()
