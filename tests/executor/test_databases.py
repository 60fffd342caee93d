"""Steps in other databases of the cluster: each effect exactly once, whatever dies when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo


from dfc.executor.markers import install_markers
from tests.executor.proxy import Cut, Proxy
from tests.executor.support import WorkerProcess, ended, until

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The database of the workflows, and another one with markers."""

    home: str
    home_url: str
    other: str
    other_url: str


@pytest.fixture
def pair(database: str, bare_database: str) -> Pair:
    install_markers(bare_database)
    return Pair(
        home=str(conninfo_to_dict(database)["dbname"]),
        home_url=database,
        other=str(conninfo_to_dict(bare_database)["dbname"]),
        other_url=bare_database,
    )


@pytest.fixture
def home(pair: Pair) -> Iterator[Connection]:
    with psycopg.connect(pair.home_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def other(pair: Pair) -> Iterator[Connection]:
    with psycopg.connect(pair.other_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE ledger (who text)")
        yield connection


def started(home: Connection, workflow: str, **options: str) -> str:
    given = sql.SQL("").join(
        sql.SQL(", {} => {}").format(sql.Identifier(name), sql.Literal(value))
        for name, value in options.items()
    )
    row = home.execute(sql.SQL("SELECT df.start({}{})").format(sql.SQL(workflow), given)).fetchone()
    assert row is not None
    return str(row[0])


def test_a_step_runs_in_another_database(pair: Pair, home: Connection, other: Connection) -> None:
    with WorkerProcess(pair.home_url, poll_seconds=0.05) as worker:
        worker.registered()
        instance = started(
            home,
            f"""df.step('a', 'INSERT INTO ledger VALUES (current_database()) RETURNING who, 7 AS n', database => '{pair.other}')
            ~> df.sql('SELECT $a.who AS there, $a.n + 1 AS n, current_database() AS here')""",
        )
        row = ended(home, instance)
        assert row["status"] == "completed", (row["error"], worker.log)
        assert row["result"]["rows"] == [{"there": pair.other, "n": 8, "here": pair.home}]
        assert other.execute("SELECT who FROM ledger").fetchall() == [(pair.other,)]


KILLED_BEFORE_THE_RECORD = """
import os
from dfc.executor.store_elsewhere import ElsewhereStore
async def die(*given):
    os.kill(os.getpid(), 9)
ElsewhereStore.record_elsewhere = die
"""


def ledger(other: Connection) -> list[str]:
    return [who for (who,) in other.execute("SELECT who FROM ledger ORDER BY who").fetchall()]


def test_a_worker_dies_between_effect_and_record(pair: Pair, home: Connection, other: Connection) -> None:
    with WorkerProcess(pair.home_url, prelude=KILLED_BEFORE_THE_RECORD, poll_seconds=0.05) as worker:
        worker.registered()
        instance = started(
            home,
            f"""df.step('a', 'INSERT INTO ledger VALUES (''a'') RETURNING who', database => '{pair.other}')
            ~> df.sql('INSERT INTO ledger SELECT $a || '' b''', database => '{pair.other}')""",
        )
        assert worker.wait() == -9
    assert ledger(other) == ["a"]
    assert home.execute("SELECT path FROM df.checkpoints").fetchall() == []
    with WorkerProcess(pair.home_url, poll_seconds=0.05) as worker:
        row = ended(home, instance)
        assert (row["status"], ledger(other)) == ("completed", ["a", "a b"]), (row["error"], worker.log)
    notes = home.execute("SELECT path, note FROM df.checkpoints WHERE instance_id = %s", [instance])
    assert {note for _, note in notes.fetchall()} == {None}


def test_a_step_that_had_committed_is_undone_by_a_cancel(
    pair: Pair, home: Connection, other: Connection
) -> None:
    with WorkerProcess(pair.home_url, prelude=KILLED_BEFORE_THE_RECORD, poll_seconds=0.05) as worker:
        worker.registered()
        instance = started(
            home,
            f"""df.compensate(
                df.step('a', 'INSERT INTO ledger VALUES (''a'') RETURNING who', database => '{pair.other}'),
                df.sql('INSERT INTO ledger SELECT $a || '' undone''', database => '{pair.other}'))
            ~> 'SELECT pg_sleep(60)'""",
        )
        assert worker.wait() == -9
    home.execute("SELECT df.cancel(%s)", [instance])
    with WorkerProcess(pair.home_url, poll_seconds=0.05) as worker:
        row = ended(home, instance)
        assert (row["status"], ledger(other)) == ("cancelled", ["a", "a undone"]), (row["error"], worker.log)
    notes = home.execute("SELECT note FROM df.checkpoints WHERE instance_id = %s AND path = 'a'", [instance])
    assert notes.fetchall() == [("completed after cancel",)]


GATE = """
CREATE SEQUENCE calls;
CREATE FUNCTION gate() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('calls') = 1 THEN
        PERFORM pg_advisory_xact_lock(1);
        RETURN 'late';
    END IF;
    RETURN 'repeated';
END $$;
"""


@pytest.mark.parametrize("cancelled", [False, True])
def test_the_statement_of_a_dead_worker_does_not_commit(
    pair: Pair, home: Connection, other: Connection, cancelled: bool
) -> None:
    """It is under way when the worker dies, and goes on afterwards: its epoch is over by then."""
    other.execute(GATE)
    with psycopg.connect(pair.other_url, autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(1)")
        look = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        with Proxy(pair.home_url) as proxy, WorkerProcess(proxy.database, poll_seconds=0.05) as worker:
            worker.registered()
            proxy.arm(0, Cut.UNSEEN, b"gate()", b"df_markers.checkpoint")
            instance = started(
                home, f"df.sql('INSERT INTO ledger SELECT gate()', database => '{pair.other}')"
            )
            until(lambda: proxy.cuts == 1, "the cut")
            until(lambda: other.execute(look).fetchone() == (1,), "the statement to hang")
            worker.process.kill()
        if cancelled:
            home.execute("SELECT df.cancel(%s)", [instance])
        with WorkerProcess(pair.home_url, poll_seconds=0.05) as worker:
            row = ended(home, instance)
            assert row["status"] == ("cancelled" if cancelled else "completed"), (row["error"], worker.log)
            holder.execute("SELECT pg_advisory_unlock(1)")
            gone = "SELECT count(*) FROM pg_stat_activity WHERE state <> 'idle' AND query LIKE '%gate()%'"
            until(lambda: other.execute(gone).fetchone() == (1,), "the late statement to end")
            assert ledger(other) == ([] if cancelled else ["repeated"])


MESSAGES = 40


@pytest.mark.parametrize("cut", list(Cut))
def test_a_connection_is_lost_at_each_message(
    pair: Pair, home: Connection, other: Connection, cut: Cut
) -> None:
    at = pair.other
    workflow = f"""
        df.step('a', 'INSERT INTO ledger VALUES (''a'') RETURNING who', database => '{at}')
        ~> (df.sql('INSERT INTO ledger SELECT $a || '' left''', database => '{at}', isolation => 'serializable')
            & df.sql('INSERT INTO ledger SELECT $a || '' right''', database => '{at}'))
        ~> df.atomic(df.step('x', 'INSERT INTO ledger VALUES (''x'') RETURNING who')
                     ~> 'INSERT INTO ledger SELECT $x || '' y''', database => '{at}')
        ~> df.map('SELECT generate_series(1, 2) AS n',
                  df.sql('INSERT INTO ledger SELECT ''item '' || $item.n', database => '{at}'))"""
    effects = ["a", "a left", "a right", "item 1", "item 2", "x", "x y"]
    with (
        Proxy(pair.home_url) as proxy,
        WorkerProcess(proxy.database, poll_seconds=0.05, lease_seconds=30.0) as worker,
    ):
        worker.registered()
        for message in range(MESSAGES):
            proxy.arm(message, cut)
            while proxy.cuts == message:
                instance = started(home, workflow)
                row = ended(home, instance)
                found = sorted(who for (who,) in other.execute("DELETE FROM ledger RETURNING who").fetchall())
                assert (row["status"], found) == ("completed", effects), (message, row["error"], worker.log)
        assert worker.process.poll() is None
        assert home.execute("SELECT count(*) FROM df.fences").fetchone() == (0,)
