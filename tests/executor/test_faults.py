"""Steps and surroundings that do what they can to make a worker lose an instance or itself."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from dfc.compiler.plan import Duration, Form, Policy, SqlNode
from dfc.executor.actions import RunSql
from dfc.executor.compiler_pool import compilers
from dfc.executor.connections import StepConnections
from dfc.executor.failures import Unreachable
from dfc.executor.runners.sql import PostgresSql
from tests.executor.support import (
    WorkerProcess,
    bench,
    chain,
    count_of,
    effects,
    ended,
    rows_of,
    submit,
    until,
)
from tests.postgres import Server

Connection = psycopg.Connection[tuple[object, ...]]
AWAY = "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()"


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with psycopg.connect(database, autocommit=True) as opened:
        opened.execute("CREATE TABLE effects (who text)")
        yield opened


def raising(sqlstate: str) -> str:
    return f"DO $$ BEGIN RAISE EXCEPTION 'mine' USING ERRCODE = '{sqlstate}'; END $$"


HOSTILE = {
    "calls df.checkpoint": (
        rows_of(
            "SELECT * FROM df.checkpoint('\\x00', (SELECT max(id) FROM df.instances), 'only', '{}', '{}',"
            " '{}', 0, NULL)"
        ),
        "DX001",
    ),
    "DX001": (count_of(raising("DX001"), form=Form.EXECUTE, kind="do"), "DX001"),
    "DX002": (count_of(raising("DX002"), form=Form.EXECUTE, kind="do"), "DX002"),
    "DX003": (count_of(raising("DX003"), form=Form.EXECUTE, kind="do"), "DX003"),
    "40001": (count_of(raising("40001"), form=Form.EXECUTE, kind="do"), "40001"),
    "cancels itself": (rows_of("SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(1)"), "57014"),
    "another user": (
        count_of("SET SESSION AUTHORIZATION pg_monitor", form=Form.EXECUTE, kind="set"),
        "DX001",
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_step_ends_its_instance_and_nothing_else(
    database: str, connection: Connection, what: str
) -> None:
    body, sqlstate = HOSTILE[what]
    with WorkerProcess(database) as worker:
        worker.registered()
        [instance] = submit(connection, chain(("only", body)))
        row = ended(connection, instance)
        assert (row["status"], row["error"]["sqlstate"]) == ("failed", sqlstate)
        [instance] = submit(connection, chain(("after", count_of("INSERT INTO effects VALUES ('after')"))))
        assert ended(connection, instance)["status"] == "completed"
        assert worker.log.count("registered worker=") == 1


def test_a_step_that_loses_its_connection_every_time_fails(database: str, connection: Connection) -> None:
    """However long it waits in between: an instance that is parked would forget how often it was."""
    prelude = "from dfc.executor import limits; limits.PARK_SECONDS = 0.05"
    policy = Policy(max_attempts=2, max_backoff=Duration(microseconds=80_000), jitter=False)
    plan = chain(("only", rows_of("SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(1)")))
    [only] = plan.nodes
    assert isinstance(only, SqlNode)
    with WorkerProcess(database, prelude=prelude) as worker:
        worker.registered()
        [instance] = submit(connection, replace(plan, nodes=(replace(only, policy=policy),)))
        row = ended(connection, instance)
        assert (row["status"], row["error"]["sqlstate"]) == ("failed", "08006")
        assert "lost in 20 attempts" in row["error"]["hint"]


def test_a_step_may_start_and_cancel(database: str, connection: Connection) -> None:
    with WorkerProcess(database) as worker:
        worker.registered()
        cancels = "SELECT df.cancel(id, 'by itself') FROM df.instances WHERE status = 'running'"
        [instance] = submit(
            connection,
            chain(("first", rows_of(cancels)), ("second", count_of("INSERT INTO effects VALUES ('second')"))),
        )
        row = ended(connection, instance)
        assert (row["status"], row["error"]["reason"]) == ("cancelled", "by itself")
        starts = chain(("starts", rows_of("SELECT df.start('SELECT 1', 'child')")))
        [instance] = submit(connection, starts)
        assert ended(connection, instance)["status"] == "completed"
        child = connection.execute("SELECT id FROM df.instances WHERE label = 'child'").fetchone()
        assert child is not None
        assert ended(connection, str(child[0]))["status"] == "completed"


def test_no_room_for_connections_fails_nothing(server: Server, database: str, connection: Connection) -> None:
    """Attempts for which there was no connection are not counted, and the step goes on when there is one."""
    name = connection.info.dbname
    with psycopg.connect(server.url(), autocommit=True) as outside, WorkerProcess(database) as worker:
        worker.registered()
        # The control connection for claims has to be there.
        [instance] = submit(connection, chain(("warm", count_of("SELECT 1", kind="select"))))
        ended(connection, instance)
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dfc step'"
            " AND datname = current_database()"
        )
        outside.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
        [instance] = submit(connection, chain(("only", count_of("INSERT INTO effects VALUES ('only')"))))
        until(lambda: worker.log.count("no connection instance=") >= 3, "refusals")
        outside.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())
        assert ended(connection, instance)["status"] == "completed"


def test_an_attempt_without_a_connection_does_not_count(database: str) -> None:
    async def go() -> None:
        async with bench(database) as on:
            nowhere = StepConnections("host=/nowhere", role=on.claim.submitted_by, database="x")
            action = RunSql(path="a", body=rows_of("SELECT 1"), sources={}, rider=None, keep=False)
            with pytest.raises(Unreachable):
                await PostgresSql(nowhere).run(on.claim, action)
            other = replace(on.claim, submitted_by="somebody else")
            with pytest.raises(Unreachable):
                await on.sql.run(other, action)

    asyncio.run(go())


@pytest.mark.parametrize("application", ["dfc heartbeat", "dfc worker", "dfc step"])
def test_a_session_of_the_worker_is_terminated(
    database: str, connection: Connection, application: str
) -> None:
    plan = chain(*((f"s{n}", count_of(f"INSERT INTO effects VALUES ('s{n}')")) for n in range(3)))
    with WorkerProcess(database, lease_seconds=1.0) as worker:
        worker.registered()
        for _ in range(3):
            ids = submit(connection, plan, times=10)
            until(lambda: connection.execute(AWAY.encode(), [application]).fetchone(), "a session")
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = %s AND datname = current_database()",
                [application],
            )
            assert {ended(connection, one)["status"] for one in ids} == {"completed"}
        found = effects(connection)
        assert found == [("s0", 30), ("s1", 30), ("s2", 30)]
        assert worker.process.poll() is None


def test_an_end_that_is_refused_for_a_while_comes(database: str, connection: Connection) -> None:
    """A plan that cannot be read ends its instance, although the end fails at first."""
    connection.execute(
        "CREATE SEQUENCE refused; CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF nextval('public.refused') < 3 THEN RAISE EXCEPTION 'not now' USING ERRCODE = '40001'; END IF;"
        " RETURN NEW; END $$;"
        " CREATE TRIGGER refuse BEFORE UPDATE ON df.instances FOR EACH ROW"
        " WHEN (NEW.status = 'failed') EXECUTE FUNCTION public.refuse()"
    )
    with WorkerProcess(database) as worker:
        worker.registered()
        wire = '/*dfc:1:18*/{"sql":"SELECT 1"}'
        broken: dict[str, object] = {"format": 1, "nodes": [], "result": "nothing"}
        connection.execute(
            "INSERT INTO df.plans (expression_hash, compiler_version, plan, plan_hash)"
            " SELECT %s, compiler_version, %s, 'broken' FROM df.meta",
            [hashlib.sha256(wire.encode()).digest(), json.dumps(broken)],
        )
        row = connection.execute(
            "INSERT INTO df.instances (expression) VALUES (%s) RETURNING id", [wire]
        ).fetchone()
        assert row is not None
        found = ended(connection, str(row[0]))
        assert (found["status"], found["error"]["sqlstate"]) == ("failed", "XX000")


def test_checkpoints_say_how_long_they_took(database: str, connection: Connection) -> None:
    with WorkerProcess(database) as worker:
        worker.registered()
        [instance] = submit(connection, chain(("only", rows_of("SELECT pg_sleep(0.05)"))))
        ended(connection, instance)
    row = connection.execute(
        "SELECT finished_at - started_at >= interval '50 ms' FROM df.checkpoints"
    ).fetchone()
    assert row == (True,)


def test_the_folder_one_stands_in_is_not_imported_from(
    database: str, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of the name of a module of ours or of Python's does not get into the compiler process."""
    (tmp_path / "json.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(tmp_path)
    with compilers() as pool:
        reply = pool.compile_file("x.dfsql", "SELECT df.start('SELECT 1');")
    assert reply.diagnostics == ()
    assert len(reply.statements) == 1
