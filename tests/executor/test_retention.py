"""Instances that have ended go when their time is over, with all that belongs to them, and no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tests.executor.support import WorkerProcess, ended, until
from tests.postgres import Server
from tests.sql.worker import refusal, value

Connection = psycopg.Connection[Any]
BELONGS = (
    "fences",
    "requests",
    "signals",
    "checkpoints",
    "attempts_made",
    "marks",
    "maps",
    "map_items",
    "maps_left",
)
PARTS = (
    "df.sql('SELECT g FROM generate_series(1, 3) AS g') |=> 'rows'"
    " ~> df.map('SELECT g FROM generate_series(1, 3) AS g', 'SELECT $item.g AS n')"
    " ~> df.loop('SELECT 1 AS n', 'SELECT false') ~> df.timeout('SELECT 1 AS n', 60) ~> 'SELECT 2 AS n'"
)


@pytest.fixture(scope="module")
def worker(shared_database: str) -> Iterator[WorkerProcess]:
    with WorkerProcess(shared_database) as process:
        yield process.registered()


@pytest.fixture
def session(shared_database: str, worker: WorkerProcess) -> Iterator[Connection]:
    assert worker.process.poll() is None
    with psycopg.connect(shared_database, autocommit=True) as connection:
        yield connection
        value(connection, "SELECT df.set_retention(NULL)")
        for table in ("instances", "definitions", "schedule_states", "archived"):
            connection.execute(f"DELETE FROM df.{table}".encode())


def start(session: Connection, workflow: str, **options: str) -> str:
    given = "".join(f", {name} => {text}" for name, text in options.items())
    return str(value(session, f"SELECT df.start({workflow}{given})"))


def kept(session: Connection) -> set[str]:
    return {row[0] for row in session.execute("SELECT id FROM df.instances").fetchall()}


def sweep(session: Connection, most: int = 100) -> int:
    """A whole pass: how many went."""
    session.execute("SELECT pg_sleep(0.005)")
    gone = 0
    while True:
        row = session.execute("SELECT gone, more FROM df._sweep_finished(%s, 0)", [most]).fetchone()
        assert row is not None
        gone += row[0]
        if not row[1]:
            return gone


def rows(session: Connection, tables: tuple[str, ...] = BELONGS) -> dict[str, object]:
    found = {table: value(session, f"SELECT count(*) FROM df.{table}") for table in tables}
    return {table: count for table, count in found.items() if count}


def test_all_that_belongs_to_an_instance_goes(session: Connection) -> None:
    first = start(session, PARTS)
    assert ended(session, first)["status"] == "completed"
    assert {"checkpoints", "maps", "map_items"} <= set(rows(session))
    assert sweep(session) == 0, "without a time everything is kept for ever"
    said = value(session, "SELECT df.set_retention('1 millisecond')")
    assert said == "Finished instances are kept for 00:00:00.001, then deleted"
    assert sweep(session) == 1
    assert kept(session) == set()
    assert rows(session) == {}
    assert value(session, "SELECT df.status(%s)", first) is None
    assert value(session, "SELECT df.set_retention(NULL)") == "Finished instances are kept for ever"
    said = "Finished instances are kept for ever; what a definition keeps for a time is then archived"
    assert value(session, "SELECT df.set_retention(NULL, true)") == said
    value(session, "SELECT df.set_retention(NULL)")


def test_what_has_not_ended_and_what_is_younger_stays(session: Connection) -> None:
    waiting = start(session, "df.wait_for_signal('go')")
    old = start(session, "'SELECT 1 AS n'")
    ended(session, old)
    value(session, "SELECT df.set_retention('1 hour')")
    assert sweep(session) == 0
    value(session, "SELECT df.set_retention('1 millisecond')")
    assert sweep(session, most=1) == 1
    assert kept(session) == {waiting}
    value(session, "SELECT df.signal(%s, 'go')", waiting)
    ended(session, waiting)
    assert sweep(session) == 1


def test_a_definition_has_its_own_time(session: Connection) -> None:
    define = "SELECT df.define('polls', 'SELECT 1 AS n'{})"
    assert value(session, define.format("")) == "polls version 1"
    assert value(session, define.format(", keep_finished => '1 millisecond'")) == "polls version 2"
    assert value(session, define.format(", keep_finished => '0.001'")) == "polls version 2"
    short = start(session, "'polls'")
    value(session, define.format(", keep_finished => '2 months', timeout => 30"))
    long = start(session, "'polls'")
    other = start(session, "'SELECT 1 AS n'")
    for each in (short, long, other):
        ended(session, each)
    assert sweep(session) == 1
    assert kept(session) == {long, other}, "only what says so of its own goes"
    value(session, "SELECT df.set_retention('1 millisecond')")
    assert sweep(session) == 1
    assert kept(session) == {long}
    assert refusal(session, define.format(", keep_finished => '-1 day'")) == "22023"
    assert refusal(session, "SELECT df.set_retention('2000 years')") == "22023"


def test_what_somebody_needs_stays(session: Connection) -> None:
    value(session, "SELECT df.define('child', df.sql('SELECT 1 AS n'))")
    caller = start(session, "df.call('child') ~> df.wait_for_signal('go')")
    child = until(
        lambda: session.execute(
            "SELECT id FROM df.instances WHERE parent IS NOT NULL AND completed_at IS NOT NULL"
        ).fetchone(),
        "the child's end",
    )[0]
    awaited = start(session, "df.wait_for_signal('go')")
    waits = start(session, f"df.wait_for_instance('{awaited}') ~> df.wait_for_signal('go')")
    until(lambda: value(session, "SELECT count(*) FROM df.marks WHERE kind = 'awaited'"), "somebody to wait")
    value(session, "SELECT df.signal(%s, 'go')", awaited)
    ended(session, awaited)
    value(session, "SELECT df.set_retention('1 millisecond')")
    assert sweep(session) == 0
    assert kept(session) == {caller, child, awaited, waits}
    for each in (caller, waits):
        value(session, "SELECT df.signal(%s, 'go')", each)
        ended(session, each)
    sweep(session)
    sweep(session)
    assert kept(session) == set()


def test_what_a_retry_needs_stays(session: Connection) -> None:
    session.execute("CREATE TABLE gate (open boolean); INSERT INTO gate VALUES (false)")
    value(session, "SELECT df.define('child', df.sql('SELECT 7 AS n'))")
    workflow = "df.call('child') |=> 'c' ~> 'SELECT $c.n / (SELECT open::int FROM gate) AS n'"
    caller = start(session, workflow)
    assert ended(session, caller)["status"] == "failed"
    value(session, "SELECT df.set_retention('1 hour')")
    value(session, "SELECT df.define('child', df.sql('SELECT 7 AS n'), keep_finished => '1 millisecond')")
    session.execute(
        "UPDATE df.instances SET keep_finished = interval '1 millisecond' WHERE parent IS NOT NULL"
    )
    assert sweep(session) == 0, "who has called it may be retried"
    session.execute("UPDATE gate SET open = true")
    value(session, "SELECT df.retry_instance(%s)", caller)
    again = until(
        lambda: session.execute(
            "SELECT result::text FROM df.instances WHERE id = %s AND status = 'completed'", [caller]
        ).fetchone(),
        "the retry's end",
    )
    assert again[0] == '{"rows": [{"n": 7}], "row_count": 1}'
    assert sweep(session) == 1
    assert kept(session) == {caller}


def test_what_is_to_be_retried_stays(session: Connection) -> None:
    failed = start(session, "'SELECT 1 / 0 AS n'")
    ended(session, failed)
    value(session, "SELECT df.set_retention('1 millisecond')")
    with session.transaction():
        value(session, "SELECT df.retry_instance(%s)", failed)
        assert sweep(session) == 0
        session.execute("DELETE FROM df.requests")
    assert sweep(session) == 1


def test_a_fork_does_not_need_what_it_was_made_of(session: Connection) -> None:
    source = start(session, "df.step('a', 'SELECT 1 AS n') ~> df.step('b', 'SELECT $a.n + 1 AS n')")
    ended(session, source)
    with session.transaction():
        fork = str(value(session, "SELECT df.fork_instance(%s, 'b')", source))
        with psycopg.connect(session.info.dsn, autocommit=True) as other:
            value(other, "SELECT df.set_retention('1 millisecond')")
            assert sweep(other) == 0, "while it is copied it stays"
    assert ended(session, fork)["result"] == {"rows": [{"n": 2}], "row_count": 1}
    assert sweep(session) == 2


def test_the_last_instance_of_a_schedule_stays(session: Connection) -> None:
    value(session, "SELECT df.schedule('often', '* * * * *', 'SELECT 1 AS n')")
    until(
        lambda: value(session, "SELECT count(*) FROM df.schedule_states WHERE next_at > now()"), "its ticks"
    )
    session.execute(
        "UPDATE df.schedule_states"
        " SET next_at = date_trunc('minute', now()), since = now() - interval '1 hour',"
        " ticks = ARRAY[date_trunc('minute', now()), date_trunc('minute', now()) + interval '1 minute']"
    )
    session.execute("NOTIFY df_work")
    query = "SELECT i.id FROM df.instances i WHERE i.schedule IS NOT NULL AND i.completed_at IS NOT NULL"
    last = until(lambda: session.execute(query).fetchone(), "an instance of it")[0]
    value(session, "SELECT df.set_retention('1 millisecond')")
    assert sweep(session) == 0
    assert last in kept(session)
    session.execute("DELETE FROM df.schedule_states")
    assert sweep(session) >= 1


def test_the_items_of_a_large_map_go_bit_by_bit(session: Connection) -> None:
    large = start(
        session, "df.map('SELECT g FROM generate_series(1, 1500) AS g', 'SELECT 1', batch_size => 1)"
    )
    session.execute("SELECT df.cancel(%s)", [large])
    ended(session, large)
    with session.transaction():
        session.execute(
            "INSERT INTO df.maps (instance_id, path, columns, types, batch_size, items)"
            " VALUES (%s, 'm', '{}', '{}', 1, 1500)",
            [large],
        )
        session.execute(
            "INSERT INTO df.map_items (map, item, rows, value) SELECT m.map, g, 1, '1'"
            " FROM df.maps m, generate_series(1, 1500) AS g WHERE m.path = 'm'"
        )
    value(session, "SELECT df.set_retention('1 millisecond')")
    left: list[object] = []
    more = True
    session.execute("SELECT pg_sleep(0.005)")
    while more:
        more = bool(value(session, "SELECT more FROM df._sweep_finished(50, 0)"))
        left.append(value(session, "SELECT count(*) FROM df.map_items"))
    assert {1500, 500} <= set(left)
    assert rows(session) == {}


def test_the_archive_keeps_what_came_of_it(
    session: Connection, roles: Callable[..., str], server: Server
) -> None:
    good = start(session, "'SELECT $input.n AS n'", label="'good'", input="""'{"n": 5}'""")
    bad = start(session, "'SELECT 1 / 0 AS n'")
    for each in (good, bad):
        ended(session, each)
    info = session.execute("SELECT * FROM df.instance_info(%s)", [bad]).fetchone()
    assert info is not None
    value(session, "SELECT df.set_retention('1 millisecond', archive => true)")
    assert sweep(session) == 2
    assert rows(session) == {}
    assert kept(session) == set()
    assert value(session, "SELECT df.status(%s)", bad) == "failed"
    assert value(session, "SELECT df.result(%s)", good) == '{"rows": [{"n": 5}], "row_count": 1}'
    assert value(session, "SELECT df.result(%s)", bad) is None
    assert value(session, "SELECT df.await_instance(%s)", bad) == "failed"
    [(label, given, plan, again)] = session.execute(
        "SELECT label, input, plan_hash IS NOT NULL, completed_at > created_at"
        " FROM df.archived WHERE id = %s",
        [good],
    ).fetchall()
    assert (label, given, plan, again) == ("good", {"n": 5}, True, True)
    left = session.execute("SELECT * FROM df.instance_info(%s)", [bad]).fetchone()
    assert left is not None
    assert left[5:7] == info[5:7]
    waits = start(session, f"df.wait_for_instance('{good}') |=> 'w' ~> 'SELECT $w.status AS s'")
    assert ended(session, waits)["result"] == {"rows": [{"s": "completed"}], "row_count": 1}
    assert refusal(session, "SELECT df.retry_instance(%s)", bad) == "P0002"

    somebody = roles("somebody")
    session.execute(f"SELECT df.grant_usage('{somebody}')".encode())
    with psycopg.connect(server.url(session.info.dbname, somebody), autocommit=True) as other:
        assert value(other, "SELECT count(*) FROM df.archived") == 0
        assert value(other, "SELECT df.status(%s)", good) is None
        assert refusal(other, "SELECT df.set_retention('1 day')") == "42501"
        assert refusal(other, "DELETE FROM df.archived") == "42501"


def test_a_worker_does_it_and_one_at_a_time(session: Connection, shared_database: str) -> None:
    several = [start(session, "'SELECT 1 AS n'") for _ in range(5)]
    for each in several:
        ended(session, each)
    value(session, "SELECT df.set_retention('1 millisecond')")
    session.execute("SELECT pg_sleep(0.005)")
    with psycopg.connect(shared_database) as other:
        other.execute("SELECT df._sweep_finished(2, 0)")
        assert session.execute("SELECT gone, more FROM df._sweep_finished(2, 0)").fetchone() == (0, False)
    assert len(kept(session)) == 3
    with WorkerProcess(shared_database) as process:
        process.registered()
        until(lambda: not kept(session), "the worker to remove them")
        until(
            lambda: value(session, "SELECT passed_at > '-infinity' FROM df.retention"), "the end of the pass"
        )
    passed = value(session, "SELECT passed_at FROM df.retention")
    session.execute("SELECT gone FROM df._sweep_finished(2, 60)")
    assert value(session, "SELECT passed_at FROM df.retention") == passed, "the next pass begins later"
