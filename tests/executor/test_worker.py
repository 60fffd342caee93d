"""Whole workers as processes, killed and stopped in every way."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest

from dfc.compiler.plan import Form, JoinNode, Plan, Request, SqlNode
from tests.executor.support import WorkerProcess, chain, count_of, ended, reference, rows_of, submit, until
from tests.postgres import DURABLE, Server

Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with psycopg.connect(database, autocommit=True) as opened:
        opened.execute("CREATE TABLE effects (who text, at timestamptz DEFAULT clock_timestamp())")
        yield opened


def effects(connection: Connection, plan: Plan | None = None) -> dict[str, int]:
    found = connection.execute("SELECT who, count(*)::int FROM effects GROUP BY who").fetchall()
    return {str(who): int(str(count)) for who, count in found}


def writes(*names: str) -> Plan:
    """One step a name, each writes a row with its name."""
    return chain(*((name, count_of(f"INSERT INTO effects VALUES ('{name}')")) for name in names))


def held(connection: Connection, name: str) -> Plan:
    """Steps `before`, `held` (which waits for the row lock of the test) and `after`."""
    connection.execute("CREATE TABLE IF NOT EXISTS gate (name text PRIMARY KEY)")
    connection.execute("INSERT INTO gate VALUES (%s)", [name])
    wait = f"WITH open AS (SELECT * FROM gate WHERE name = '{name}' FOR UPDATE) SELECT count(*) FROM open"
    return chain(
        ("before", count_of("INSERT INTO effects VALUES ('before')")),
        ("held", rows_of(wait)),
        ("after", count_of("INSERT INTO effects VALUES ('after')")),
    )


def waiting(connection: Connection) -> set[object]:
    """The backends whose step waits for a lock."""
    found = connection.execute(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'dfc step' AND wait_event_type = 'Lock'"
        " AND datname = current_database()"
    )
    return {pid for (pid,) in found}


def test_a_chain_with_references(database: str, connection: Connection) -> None:
    second = "INSERT INTO effects SELECT $first.word || r.n FROM $first.* AS r RETURNING who"
    third = "SELECT $second.row_count AS n, $first.word AS word, true AS yes"
    plan = chain(
        ("first", rows_of("SELECT 'w' AS word, n FROM generate_series(1, 3) AS n")),
        (
            "second",
            rows_of(
                second,
                reference(second, "$first.word"),
                reference(second, "$first.*", aliased=True),
                kind="insert",
            ),
        ),
        ("third", rows_of(third, reference(third, "$second.row_count"), reference(third, "$first.word"))),
    )
    with WorkerProcess(database) as worker:
        worker.registered()
        row = ended(connection, submit(connection, plan)[0])
    assert row["status"] == "completed"
    assert row["result"] == {"rows": [{"n": 3, "word": "w", "yes": True}], "row_count": 1}
    assert effects(connection) == {"w1": 1, "w2": 1, "w3": 1}


def test_a_failing_step_fails_the_instance(database: str, connection: Connection) -> None:
    plan = chain(
        ("good", count_of("INSERT INTO effects VALUES ('good')")),
        ("bad", rows_of("SELECT 1 / (count(*) - 1) FROM effects", form=Form.QUERY)),
        ("never", count_of("INSERT INTO effects VALUES ('never')")),
    )
    with WorkerProcess(database) as worker:
        worker.registered()
        row = ended(connection, submit(connection, plan)[0])
    assert (row["status"], row["error"]["step"], row["error"]["sqlstate"]) == ("failed", "bad", "22012")
    assert effects(connection) == {"good": 1}


def test_many_instances_at_once(database: str, connection: Connection) -> None:
    ids = submit(connection, writes("a", "b", "c"), times=100)
    with WorkerProcess(database), WorkerProcess(database, slots=3):
        for instance in ids:
            assert ended(connection, instance)["status"] == "completed"
    assert effects(connection) == {"a": 100, "b": 100, "c": 100}


def test_cancel_interrupts_a_running_step(database: str, connection: Connection) -> None:
    with WorkerProcess(database) as worker, psycopg.connect(database) as locker:
        worker.registered()
        plan = held(connection, "x")
        locker.execute("SELECT * FROM gate FOR UPDATE")
        [instance] = submit(connection, plan)
        until(lambda: waiting(connection), "the step to wait")
        connection.execute("SELECT df.cancel(%s, 'enough')", [instance])
        row = ended(connection, instance)
    assert (row["status"], row["error"]["reason"]) == ("cancelled", "enough")
    assert effects(connection) == {"before": 1}


def test_a_killed_worker_is_taken_over_by_its_lock(database: str, connection: Connection) -> None:
    # The lease cannot run out within this test: only the advisory lock can show that the worker is dead.
    with (
        WorkerProcess(database, lease_seconds=600.0) as first,
        WorkerProcess(database, lease_seconds=600.0, slots=1) as second,
        psycopg.connect(database) as locker,
    ):
        first.registered()
        second.registered()
        second.signal(signal.SIGSTOP)
        plan = held(connection, "x")
        locker.execute("SELECT * FROM gate FOR UPDATE")
        [instance] = submit(connection, plan)
        old = until(lambda: waiting(connection), "the step to wait")
        second.signal(signal.SIGCONT)
        first.process.kill()
        # The killed worker's statement ends by itself although its lock is never given.
        until(lambda: waiting(connection) - old, "the other worker to run the step")
        until(lambda: not waiting(connection) & old, "the dead worker's statement to end")
        locker.rollback()
        assert ended(connection, instance)["status"] == "completed"
    assert effects(connection) == {"before": 1, "after": 1}


def test_sigterm_hands_over_at_once(database: str, connection: Connection) -> None:
    with WorkerProcess(database, shutdown_seconds=0.2) as first, psycopg.connect(database) as locker:
        first.registered()
        plan = held(connection, "x")
        locker.execute("SELECT * FROM gate FOR UPDATE")
        [instance] = submit(connection, plan)
        until(lambda: waiting(connection), "the step to wait")
        first.signal(signal.SIGTERM)
        assert first.wait() == 0
        row = connection.execute("SELECT worker FROM df.fences WHERE instance_id = %s", [instance]).fetchone()
        assert row == (None,)
        assert connection.execute("SELECT count(*) FROM df.workers").fetchone() == (0,)
        locker.rollback()
        with WorkerProcess(database):
            assert ended(connection, instance)["status"] == "completed"
    assert effects(connection) == {"before": 1, "after": 1}


def test_sigterm_lets_a_running_step_finish(database: str, connection: Connection) -> None:
    with WorkerProcess(database) as first, psycopg.connect(database) as locker:
        first.registered()
        plan = held(connection, "x")
        locker.execute("SELECT * FROM gate FOR UPDATE")
        [instance] = submit(connection, plan)
        until(lambda: waiting(connection), "the step to wait")
        first.signal(signal.SIGTERM)
        until(lambda: "stopping" in first.log, "the worker to stop")
        locker.rollback()
        assert first.wait() == 0
        done = connection.execute(
            "SELECT path FROM df.checkpoints WHERE instance_id = %s", [instance]
        ).fetchall()
        assert {path for (path,) in done} == {"before", "held"}


def test_a_paused_worker_loses_its_lease_and_comes_back(database: str, connection: Connection) -> None:
    with WorkerProcess(database, lease_seconds=1.0) as first, psycopg.connect(database) as locker:
        first.registered()
        plan = held(connection, "x")
        locker.execute("SELECT * FROM gate FOR UPDATE")
        [instance] = submit(connection, plan)
        until(lambda: waiting(connection), "the step to wait")
        first.signal(signal.SIGSTOP)
        with WorkerProcess(database, lease_seconds=1.0) as second:
            second.registered()
            until(
                lambda: connection.execute("SELECT count(*) FROM df.workers").fetchone() == (1,),
                "the paused worker to be declared dead",
            )
            locker.rollback()
            assert ended(connection, instance)["status"] == "completed"
            first.signal(signal.SIGCONT)
            first.registered(times=2)
            assert "declared this one dead" in first.log
    assert effects(connection) == {"before": 1, "after": 1}


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A durable server of the test's own, to be killed."""
    running = Server("18", DURABLE)
    running.start()
    try:
        yield running
    finally:
        running.remove()


def test_postgres_killed_and_started_again(own_server: Server) -> None:
    from dfc.executor import migrate

    url = own_server.url()
    migrate.install(url)
    with WorkerProcess(url, lease_seconds=1.0) as worker:
        worker.registered()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE effects (who text, at timestamptz DEFAULT clock_timestamp())")
            ids = submit(connection, writes("a", "b", "c", "d"), times=60)
            until(lambda: effects(connection).get("a"), "progress")
        for _ in range(2):
            own_server.kill()
            own_server.start()
        with psycopg.connect(url, autocommit=True) as connection:
            for instance in ids:
                assert ended(connection, instance)["status"] == "completed"
            assert effects(connection) == {"a": 60, "b": 60, "c": 60, "d": 60}
        assert worker.log.count("registered worker=") >= 2
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0


@pytest.mark.long
def test_workers_killed_at_random_moments(database: str, connection: Connection) -> None:
    ids = submit(connection, writes("a", "b", "c"), times=150)
    kills = 0
    for number in range(8):
        with WorkerProcess(database, lease_seconds=2.0, poll_seconds=0.1) as worker:
            worker.registered()
            before = sum(effects(connection).values())
            goal = min(before + 20 + number, 449)
            until(lambda goal=goal: sum(effects(connection).values()) >= goal, "progress")
            worker.process.kill()
            kills += 1
    with WorkerProcess(database, lease_seconds=2.0):
        for instance in ids:
            assert ended(connection, instance)["status"] == "completed"
    assert kills == 8
    assert effects(connection) == {"a": 150, "b": 150, "c": 150}


def refusal(database: str) -> tuple[int, str]:
    with WorkerProcess(database) as worker:
        return worker.wait(), worker.log


def test_refuses_without_schema(bare_database: str) -> None:
    code, log = refusal(bare_database)
    assert (code, "run `dfc init` first" in log, log.count("\n")) == (1, True, 1)


def test_refuses_a_newer_or_older_schema(database: str, connection: Connection) -> None:
    connection.execute("UPDATE df.meta SET schema_version = 999")
    assert "upgrade dfc" in refusal(database)[1]
    connection.execute("UPDATE df.meta SET schema_version = 0")
    assert "run `dfc init`" in refusal(database)[1]


def test_refuses_a_newer_compiler(database: str, connection: Connection) -> None:
    connection.execute("UPDATE df.meta SET compiler_version = 999")
    code, log = refusal(database)
    assert (code, "upgrade dfc" in log, log.count("\n")) == (1, True, 1)


def test_leaves_what_it_cannot_read(database: str, connection: Connection) -> None:
    """Plans of a later format, and what only a later compiler may understand, wait for a later worker."""
    [later] = submit(connection, writes("later"))
    connection.execute(
        "UPDATE df.instances SET plan = jsonb_set(plan, '{format}', '99') WHERE id = %s", [later]
    )
    with WorkerProcess(database, poll_seconds=0.05) as worker:
        worker.registered()
        ended(connection, submit(connection, writes("now"))[0])
        said = "SELECT detail, hint FROM df.doctor() WHERE \"check\" = 'plans'"
        assert connection.execute(said).fetchall() == [
            (
                f"no worker reads plans of format 99: 1 waiting, the oldest is {later}",
                "Upgrade dfc where workers run.",
            )
        ]
        connection.execute("UPDATE df.meta SET compiler_version = 999")
        unknown = connection.execute("SELECT df.start('SELECT 42')").fetchone()
        assert unknown is not None
        ended(connection, submit(connection, writes("known"))[0])
        waits = "SELECT count(*) FROM df.instances WHERE status = 'pending' AND id = ANY (%s)"
        row = connection.execute(waits, [[later, unknown[0]]]).fetchone()
        assert row is not None and row[0] == 2
        # What is to be cancelled needs no plan.
        connection.execute("SELECT df.cancel(%s, 'enough')", [unknown[0]])
        assert ended(connection, str(unknown[0]))["status"] == "cancelled"


def test_refuses_a_copy(database: str, connection: Connection) -> None:
    connection.execute("UPDATE df.meta SET system_identifier = 1")
    code, log = refusal(database)
    assert (code, "this database is a copy: dfc adopt" in log) == (1, True)
    connection.execute("UPDATE df.meta SET system_identifier = NULL, database_oid = 1")
    assert "this database is a copy: dfc adopt" in refusal(database)[1]


def test_refuses_an_absent_server() -> None:
    code, log = refusal("postgresql:///x?host=/nowhere&connect_timeout=2")
    assert (code, "no connection to the database" in log, log.count("\n")) == (1, True, 1)


def test_a_worker_never_imports_the_compiler(database: str, connection: Connection) -> None:
    program = (
        "import asyncio, sys\n"
        "from dfc.executor.worker import Worker, WorkerSettings\n"
        "async def main():\n"
        f"    worker = Worker(WorkerSettings(database={database!r}, poll_seconds=0.05))\n"
        "    task = asyncio.create_task(worker.run())\n"
        "    await worker.ready.wait()\n"
        "    print('ready', flush=True)\n"
        "    await asyncio.to_thread(sys.stdin.readline)\n"
        "    worker.stop()\n"
        "    await task\n"
        "asyncio.run(main())\n"
        "heavy = {'lark', 'sqlglot', 'postgast', 'networkx'} & set(sys.modules)\n"
        "ours = {m for m in sys.modules if m.startswith('dfc.compiler.')}\n"
        "ours = {m for m in ours if not m.startswith('dfc.compiler.plan')}\n"
        "sys.exit(f'{heavy} {ours}' if heavy or ours else 0)\n"
    )
    request = Request(url="http://127.0.0.1:1/", method="GET", body=None, headers=(), timeout_seconds=1)
    ids = submit(connection, writes("a")) + submit(connection, chain(("h", request)))
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for instance in ids:
            ended(connection, instance)
        _, errors = process.communicate("\n")
    assert process.returncode == 0, errors


def test_what_is_cancelled_before_it_is_compiled_is_not_compiled(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        row = connection.execute("SELECT df.start('not SQL at all')").fetchone()
        assert row is not None
        connection.execute("SELECT df.cancel(%s, 'a mistake')", [row[0]])
        with WorkerProcess(database) as worker:
            worker.registered()
            found = ended(connection, row[0])
    assert (found["status"], found["error"]["reason"]) == ("cancelled", "a mistake")


def test_a_broad_instance_does_not_keep_others_waiting(database: str, connection: Connection) -> None:
    """It has steps enough for all connections, and none of them ends before the others have ended."""
    branches = [f"b{n}" for n in range(60)]
    wait = "WITH open AS (SELECT * FROM gate WHERE name = 'broad' FOR SHARE) SELECT count(*) FROM open"
    nodes = (
        *(SqlNode(id=name, after=(), body=rows_of(wait)) for name in branches),
        JoinNode(id="all", after=tuple(branches)),
    )
    connection.execute("CREATE TABLE gate (name text); INSERT INTO gate VALUES ('broad')")
    with WorkerProcess(database) as worker, psycopg.connect(database) as locker:
        worker.registered()
        locker.execute("SELECT * FROM gate FOR UPDATE")
        [broad] = submit(connection, Plan(nodes=nodes, result="all"))
        until(lambda: len(waiting(connection)) > 10, "its steps to wait")
        for instance in submit(connection, writes("a", "b", "c"), times=5):
            assert ended(connection, instance)["status"] == "completed"
        locker.rollback()
        assert ended(connection, broad)["status"] == "completed"
