"""What other sessions do to a step: no room, deadlocks, long transactions. And the compiler dies."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dfc.compiler.plan import Form, Plan, Policy, SqlNode
from dfc.executor import migrate
from tests.executor.support import WorkerProcess, chain, count_of, effects, ended, submit, until
from tests.postgres import FAST, Server
from tests.preloaded import OWN_COMPILERS

Connection = psycopg.Connection[Any]


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with psycopg.connect(database, autocommit=True) as opened:
        opened.execute("CREATE TABLE effects (who text)")
        yield opened


def once(name: str, sql: str) -> Plan:
    """One step, which has one attempt: what is no fault of its own does not count as one."""
    [step] = chain((name, count_of(sql))).nodes
    assert isinstance(step, SqlNode)
    return Plan(nodes=(replace(step, policy=Policy(max_attempts=1)),), result=name)


@pytest.mark.long
def test_all_connections_of_the_server_are_taken() -> None:
    """Workflows wait for a connection; neither they nor the worker end."""
    server = Server("18", {**FAST, "max_connections": "16", "superuser_reserved_connections": "3"})
    with contextlib.ExitStack() as stack:
        stack.callback(server.remove)
        server.start()
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE ROLE anna LOGIN")
            connection.execute("CREATE DATABASE work OWNER anna")
        database = server.url("work", "anna")
        migrate.install(database)
        connection = stack.enter_context(psycopg.connect(database, autocommit=True))
        connection.execute("CREATE TABLE effects (who text)")
        worker = stack.enter_context(WorkerProcess(database))
        worker.registered()
        [instance] = submit(connection, chain(("warm", count_of("SELECT 1", kind="select"))))
        ended(connection, instance)
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dfc step'"
        )
        taken: list[psycopg.Connection[Any]] = []
        with pytest.raises(psycopg.OperationalError, match="reserved"):
            while True:
                taken.append(psycopg.connect(database))
        [instance] = submit(connection, once("only", "INSERT INTO effects VALUES ('only')"))
        until(lambda: worker.log.count("no connection instance=") >= 3, "refusals")
        # A worker that loses all it has meanwhile does not end either.
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'dfc %'"
        )
        for _ in range(4):
            with contextlib.suppress(psycopg.OperationalError):
                taken.append(psycopg.connect(database))
        until(lambda: "database lost" in worker.log, "the worker to notice")
        for each in taken:
            each.close()
        assert ended(connection, instance)["status"] == "completed"
        assert effects(connection) == [("only", 1)]
        assert worker.process.poll() is None


def test_a_step_and_a_user_deadlock(database: str, connection: Connection) -> None:
    """The step is the one that PostgreSQL ends: it is tried again, and its effect happens once."""
    name = connection.info.dbname
    connection.execute(f"ALTER DATABASE \"{name}\" SET deadlock_timeout = '50ms'".encode())
    connection.execute(
        "CREATE TABLE account (id int PRIMARY KEY, cents int); INSERT INTO account VALUES (1, 0), (2, 0)"
    )
    step = (
        "DO $$ BEGIN UPDATE account SET cents = cents + 1 WHERE id = 1;"
        " UPDATE account SET cents = cents + 1 WHERE id = 2; END $$"
    )
    waits = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND wait_event_type = 'Lock' AND application_name = 'dfc step'"
    )
    deadlocks = (
        "SELECT pg_stat_force_next_flush(), deadlocks FROM pg_stat_database"
        " WHERE datname = current_database()"
    )
    with WorkerProcess(database) as worker, psycopg.connect(database) as user:
        worker.registered()
        user.execute("SET deadlock_timeout = '10min'")
        user.commit()
        user.execute("UPDATE account SET cents = cents + 100 WHERE id = 2")
        [instance] = submit(connection, chain(("only", count_of(step, form=Form.EXECUTE, kind="do"))))
        until(lambda: connection.execute(waits).fetchone() == (1,), "the step to wait for the user")
        user.execute("UPDATE account SET cents = cents + 100 WHERE id = 1")  # returns when the step was ended
        user.commit()
        assert ended(connection, instance)["status"] == "completed"
    assert connection.execute("SELECT id, cents FROM account ORDER BY id").fetchall() == [(1, 101), (2, 101)]
    until(lambda: connection.execute(deadlocks.encode()).fetchone()[1] >= 1, "the statistics")  # type: ignore[index]


@pytest.mark.long
def test_a_transaction_is_open_for_long_beside_the_queue(database: str, connection: Connection) -> None:
    """It keeps what is dead from being vacuumed, and nobody from working."""
    plan = chain(*((f"s{n}", count_of(f"INSERT INTO effects VALUES ('s{n}')")) for n in range(3)))
    dead = "SELECT pg_relation_size('df.fences')"
    with WorkerProcess(database) as worker, psycopg.connect(database) as open_for_long:
        worker.registered()
        for instance in submit(connection, plan, times=50):
            ended(connection, instance)
        open_for_long.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        open_for_long.execute("SELECT count(*) FROM df.instances")
        taken: list[float] = []
        for _ in range(6):
            began = time.monotonic()
            for instance in submit(connection, plan, times=100):
                assert ended(connection, instance)["status"] == "completed"
            taken.append(time.monotonic() - began)
        connection.execute("VACUUM df.fences")
        held = connection.execute(dead).fetchone()
        assert held is not None and held[0] > 0, "what was deleted is held"
        open_for_long.rollback()
        connection.execute("VACUUM df.fences")
        assert connection.execute(dead).fetchone() == (0,)
    assert effects(connection) == [("s0", 650), ("s1", 650), ("s2", 650)]
    assert min(taken[3:]) < 3 * min(taken[:3]), f"it became slower and slower: {taken}"


@pytest.mark.long
def test_prepared_transactions_of_users(database: str, connection: Connection) -> None:
    """A start or a signal counts when it is committed, by whomever; a step prepares nothing."""
    wait = "SELECT df.start(df.wait_for_signal('go') ~> 'INSERT INTO effects VALUES (''went'')')"
    with WorkerProcess(database, poll_seconds=0.1) as worker:
        worker.registered()
        with psycopg.connect(database) as user:
            user.execute("SET df.notify = off")
            user.commit()
            row = user.execute(wait).fetchone()
            assert row is not None
            user.execute("PREPARE TRANSACTION 'start'")
        look = "SELECT status FROM df.instances WHERE id = %s"
        assert connection.execute(look, [row[0]]).fetchone() is None
        connection.execute("COMMIT PREPARED 'start'")
        id = str(row[0])
        until(lambda: connection.execute(look, [id]).fetchone() == ("running",), "the start")
        for end in ("ROLLBACK", "COMMIT"):
            with psycopg.connect(database) as user:
                user.execute("SET df.notify = off")
                user.commit()
                user.execute("SELECT df.signal(%s, 'go')", [row[0]])
                user.execute("PREPARE TRANSACTION 'signal'")
            # Another workflow is not held up by what is prepared.
            [other] = submit(connection, chain(("other", count_of("INSERT INTO effects VALUES ('other')"))))
            assert ended(connection, other)["status"] == "completed"
            assert connection.execute(look, [row[0]]).fetchone() == ("running",)
            connection.execute(f"{end} PREPARED 'signal'".encode())
        assert ended(connection, str(row[0]))["status"] == "completed"
        row = connection.execute("SELECT df.start('PREPARE TRANSACTION ''mine''')").fetchone()
        assert row is not None
        assert ended(connection, row[0])["error"]["code"] == "DF124"
        # A plan that has it all the same gets PostgreSQL's refusal.
        prepares = count_of("PREPARE TRANSACTION 'mine'", form=Form.EXECUTE, kind="other")
        assert ended(connection, submit(connection, chain(("only", prepares)))[0])["status"] == "failed"
        assert connection.execute("SELECT count(*) FROM pg_prepared_xacts").fetchone() == (0,)
    assert effects(connection) == [("other", 2), ("went", 1)]


def test_the_compiler_process_is_killed(
    database: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was being compiled is compiled again, by another process; the worker stays."""
    monkeypatch.setenv(OWN_COMPILERS, "1")
    branches = " & ".join(f"'INSERT INTO effects VALUES (''{n}'')'" for n in range(200))
    with WorkerProcess(database) as worker:
        worker.registered()
        row = connection.execute(f"SELECT df.start({branches})".encode()).fetchone()
        assert row is not None
        os.kill(until(lambda: compilers(worker.process.pid), "the compiler process")[0], signal.SIGKILL)
        assert ended(connection, str(row[0]))["status"] == "completed"
        assert "compiler process died" in worker.log
        assert worker.process.poll() is None
    assert connection.execute("SELECT count(*), count(DISTINCT who) FROM effects").fetchone() == (200, 200)


def compilers(parent: int) -> list[int]:
    """The compiler processes of a worker."""
    found: list[int] = []
    for task in Path(f"/proc/{parent}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [
                int(child)
                for child in task.read_text().split()
                if b"dfc.compiler.serve" in Path(f"/proc/{child}/cmdline").read_bytes()
            ]
    return found


@pytest.mark.long
def test_every_session_of_a_step_is_terminated_for_a_while(database: str, connection: Connection) -> None:
    """An administrator's hand: each time the step is rolled back and done again, until it is let alone."""
    plan = once("slow", "INSERT INTO effects SELECT 'slow' FROM pg_sleep(0.5)")
    terminate = (
        "SELECT count(pg_terminate_backend(pid))::int FROM pg_stat_activity"
        " WHERE application_name = 'dfc step' AND datname = current_database() AND wait_event = 'PgSleep'"
    )
    with WorkerProcess(database) as worker:
        worker.registered()
        [instance] = submit(connection, plan)
        for _ in range(3):
            until(lambda: connection.execute(terminate).fetchone() != (0,), "the step")
        assert ended(connection, instance)["status"] == "completed"
    assert effects(connection) == [("slow", 1)]
