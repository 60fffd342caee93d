"""Steps in other databases of the cluster: each effect exactly once, whatever dies when."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dfc.cli.doctor import command as doctor
from dfc.cli.init import command as init
from dfc.executor.markers import install_markers
from tests.executor.proxy import Cut, Proxy
from tests.executor.support import WorkerProcess, ended, until

Connection = psycopg.Connection[Any]
KILLS_SEED = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The database of the workflows, and another one with markers."""

    home: str
    home_url: str
    other: str
    other_url: str

    @property
    def at(self) -> str:
        """The policy that makes a step run in the other one."""
        return f"database => '{self.other}'"


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


def started(home: Connection, workflow: str, *, database: str | None = None) -> str:
    row = home.execute(f"SELECT df.start({workflow}, database => %s)".encode(), [database]).fetchone()
    assert row is not None
    return str(row[0])


def test_a_step_runs_in_another_database(pair: Pair, home: Connection, other: Connection) -> None:
    with WorkerProcess(pair.home_url, poll_seconds=0.05) as worker:
        worker.registered()
        instance = started(
            home,
            f"""df.step('a', 'INSERT INTO ledger SELECT current_database() RETURNING who, 7 n', {pair.at})
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


def test_no_session_stays_in_another_database(pair: Pair, home: Connection) -> None:
    """It could not be dropped or renamed as long as one does."""
    there = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
    with WorkerProcess(pair.home_url) as worker:
        worker.registered()
        for _ in range(2):
            assert ended(home, started(home, f"df.sql('SELECT 1', {pair.at})"))["status"] == "completed"
            assert home.execute(there, [pair.other]).fetchone() == (1,)
            until(lambda: home.execute(there, [pair.other]).fetchone() == (0,), "the session to be closed")


def test_a_worker_dies_between_effect_and_record(pair: Pair, home: Connection, other: Connection) -> None:
    with WorkerProcess(pair.home_url, prelude=KILLED_BEFORE_THE_RECORD, poll_seconds=0.05) as worker:
        worker.registered()
        instance = started(
            home,
            f"""df.step('a', 'INSERT INTO ledger VALUES (''a'') RETURNING who', {pair.at})
            ~> df.sql('INSERT INTO ledger SELECT $a || '' b''', {pair.at})""",
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
                df.step('a', 'INSERT INTO ledger VALUES (''a'') RETURNING who', {pair.at}),
                df.sql('INSERT INTO ledger SELECT $a || '' undone''', {pair.at}))
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
    look = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    # The proxy stays: were it gone, PostgreSQL would find out that nobody waits, and stop the statement.
    with psycopg.connect(pair.other_url, autocommit=True) as holder, Proxy(pair.home_url) as proxy:
        holder.execute("SELECT pg_advisory_lock(1)")
        with WorkerProcess(proxy.database, poll_seconds=0.05) as worker:
            worker.registered()
            proxy.arm(0, Cut.UNSEEN, b"gate()", b"df_markers.checkpoint")
            instance = started(home, f"df.sql('INSERT INTO ledger SELECT gate()', {pair.at})")
            until(lambda: proxy.cuts == 1, "the cut")
            until(lambda: other.execute(look).fetchone() == (1,), "the statement to hang")
            worker.process.kill()
        if cancelled:
            home.execute("SELECT df.cancel(%s)", [instance])
        with WorkerProcess(pair.home_url, poll_seconds=0.05) as worker:
            row = ended(home, instance)
            assert row["status"] == ("cancelled" if cancelled else "completed"), (row["error"], worker.log)
            assert other.execute(look).fetchone() == (1,), "the first statement is still under way"
            holder.execute("SELECT pg_advisory_unlock(1)")
            until(lambda: other.execute(look).fetchone() == (0,), "the lock")
            gone = "SELECT count(*) FROM pg_stat_activity WHERE state <> 'idle' AND query LIKE '%gate()%'"
            until(lambda: other.execute(gone).fetchone() == (1,), "the late statement to end")
            assert ledger(other) == ([] if cancelled else ["repeated"])


MESSAGES = 32


@pytest.mark.parametrize(
    ("cut", "step"), [(Cut.UNSEEN, 4), *(pytest.param(cut, 1, marks=pytest.mark.long) for cut in Cut)]
)
def test_a_connection_is_lost_at_each_message(
    pair: Pair, home: Connection, other: Connection, cut: Cut, step: int
) -> None:
    at = pair.at
    workflow = f"""
        df.step('a', 'INSERT INTO ledger VALUES (''a'') RETURNING who', {at})
        ~> (df.sql('INSERT INTO ledger SELECT $a || '' left''', {at}, isolation => 'serializable')
            & df.sql('INSERT INTO ledger SELECT $a || '' right''', {at}))
        ~> df.atomic(df.step('x', 'INSERT INTO ledger VALUES (''x'') RETURNING who')
                     ~> 'INSERT INTO ledger SELECT $x || '' y''', {at})
        ~> df.map('SELECT generate_series(1, 2) AS n',
                  df.sql('INSERT INTO ledger SELECT ''item '' || $item.n', {at}))"""
    effects = ["a", "a left", "a right", "item 1", "item 2", "x", "x y"]
    with (
        Proxy(pair.home_url) as proxy,
        WorkerProcess(proxy.database, poll_seconds=0.05, lease_seconds=30.0) as worker,
    ):
        worker.registered()
        for cuts, message in enumerate(range(0, MESSAGES, step)):
            proxy.arm(message, cut)
            while proxy.cuts == cuts:
                instance = started(home, workflow)
                row = ended(home, instance)
                found = sorted(who for (who,) in other.execute("DELETE FROM ledger RETURNING who").fetchall())
                assert (row["status"], found) == ("completed", effects), (message, row["error"], worker.log)
        assert worker.process.poll() is None
        assert home.execute("SELECT count(*) FROM df.fences").fetchone() == (0,)


HELD_BEFORE_THE_RECORD = """
import asyncio
from dfc.executor.store_elsewhere import ElsewhereStore
record, held = ElsewhereStore.record_elsewhere, []
async def hold(*given):
    if not held:
        held.append(1)
        await asyncio.sleep(3600)
    return await record(*given)
ElsewhereStore.record_elsewhere = hold
"""


@pytest.mark.parametrize("how", ["cancel", "timeout", "race"])
def test_a_step_is_stopped_when_it_has_committed(
    pair: Pair, home: Connection, other: Connection, how: str
) -> None:
    """The worker lives; the effect is there, its record not yet."""
    step = f"""df.compensate(
        df.step('a', 'INSERT INTO ledger VALUES (''a'') RETURNING who', {pair.at}),
        df.sql('INSERT INTO ledger SELECT $a || '' undone''', {pair.at}))"""
    workflow = {
        "cancel": step,
        "timeout": f"df.timeout({step}, '1 s')",
        "race": f"df.race({step}, 'SELECT pg_sleep(1)')",
    }[how]
    with WorkerProcess(pair.home_url, prelude=HELD_BEFORE_THE_RECORD, poll_seconds=0.05) as worker:
        worker.registered()
        instance = started(home, workflow)
        until(lambda: ledger(other), "the effect")
        if how == "cancel":
            home.execute("SELECT df.cancel(%s)", [instance])
        row = ended(home, instance)
        status = {"cancel": "cancelled", "timeout": "compensated", "race": "completed"}[how]
        assert (row["status"], ledger(other)) == (status, ["a", "a undone"]), (row["error"], worker.log)
    notes = home.execute("SELECT note FROM df.checkpoints WHERE instance_id = %s AND path = 'a'", [instance])
    assert notes.fetchall() == [("completed after cancel",)]


def test_what_an_instance_has_left_is_cleared_away(pair: Pair, home: Connection, other: Connection) -> None:
    with WorkerProcess(
        pair.home_url, prelude="from dfc.executor import sweep; sweep.SWEEP_SECONDS = 0.1"
    ) as worker:
        worker.registered()
        instance = started(
            home,
            "df.seq('INSERT INTO ledger VALUES (1)', 'INSERT INTO ledger VALUES (2)', 'SELECT 1')",
            database=pair.other,
        )
        assert ended(home, instance)["status"] == "completed", worker.log
        assert other.execute("SELECT count(*) FROM df_markers.markers").fetchone() == (1,)
        home.execute("UPDATE df.elsewhere SET permitted_at = permitted_at - interval '11 minutes'")
        until(lambda: home.execute("SELECT count(*) FROM df.elsewhere").fetchone() == (0,), "the sweep")
        assert other.execute("SELECT count(*) FROM df_markers.fences").fetchone() == (0,)


def test_types_are_found_by_their_names(pair: Pair, home: Connection, other: Connection) -> None:
    for connection in (home, other):
        connection.execute("CREATE TYPE filler AS (n integer)")
    home.execute("CREATE TYPE mood AS ENUM ('sad', 'well'); CREATE DOMAIN grade AS integer")
    other.execute("CREATE DOMAIN grade AS integer; CREATE TYPE mood AS ENUM ('sad', 'well')")
    other.execute("CREATE TYPE only_there AS ENUM ('x'); CREATE DOMAIN there_too AS integer")
    other.execute("CREATE TABLE moods (m mood, ms mood[], g grade)")
    with WorkerProcess(pair.home_url, poll_seconds=0.05) as worker:
        worker.registered()
        instance = started(
            home,
            f"""df.step('a', 'SELECT ''well''::mood AS m, ARRAY[''sad'']::mood[] AS ms, 5::grade AS g')
            ~> df.sql('INSERT INTO moods VALUES ($a.m, $a.ms, $a.g)', {pair.at})
            ~> df.step('b', 'SELECT m, ms, ''x''::only_there AS o, 7::there_too AS t FROM moods', {pair.at})
            ~> df.sql('SELECT pg_typeof($b.m)::text AS m, pg_typeof($b.ms)::text AS ms, $b.o AS o,
                              $b.t + 1 AS t')
            ~> df.sql('SELECT pg_typeof(r.m)::text AS m, r.t AS t FROM $b.* AS r', {pair.at})""",
        )
        row = ended(home, instance)
        assert row["status"] == "completed", (row["error"], worker.log)
        assert row["result"]["rows"] == [{"m": "mood", "t": 7}]
        found = home.execute("SELECT cells FROM df.checkpoints WHERE path = 'sql_4'").fetchone()
        assert found == (["mood", "mood[]", "x", "8"],)
    assert other.execute("SELECT m::text, ms::text, g FROM moods").fetchall() == [("well", "{sad}", 5)]


@pytest.mark.parametrize(
    ("step", "sqlstate", "says"),
    [
        ("df.sql('SELECT 1', database => 'nowhere')", "3D000", 'database "nowhere" does not exist'),
        ("df.sql('SELECT 1', database => 'postgres')", "DF332", "dfc init --database postgres --markers"),
        ("df.sql('SELECT 1 / 0', database => '{other}')", "22012", "division by zero"),
        (
            "df.sql('SELECT pg_sleep(9)', database => '{other}', timeout => 0.1)",
            "timeout",
            "longer than its timeout",
        ),
        ("df.sql('SELECT generate_series(1, 10001)', database => '{other}')", "DF501", "returns too much"),
        ("df.atomic('SELECT 1' ~> 'SELECT 1 / 0', database => '{other}')", "22012", "division by zero"),
    ],
)
def test_what_fails_says_why(
    pair: Pair, home: Connection, other: Connection, step: str, sqlstate: str, says: str
) -> None:
    with WorkerProcess(pair.home_url, poll_seconds=0.05) as worker:
        worker.registered()
        instance = started(home, step.format(other=pair.other))
        row = ended(home, instance)
        assert (row["status"], row["error"]["sqlstate"]) == ("failed", sqlstate), (row["error"], worker.log)
        assert says in row["error"]["message"]


@pytest.mark.parametrize("step", ["SELECT 1", pytest.param("VACUUM", marks=pytest.mark.long)])
def test_a_database_that_has_gone_since_the_step_before_fails_the_step(
    pair: Pair, home: Connection, step: str
) -> None:
    with WorkerProcess(pair.home_url, poll_seconds=0.05) as worker:
        worker.registered()
        home.execute("SELECT pg_advisory_lock(9)")
        held = "'SELECT pg_advisory_xact_lock(9)'"
        instance = started(home, f"df.sql('SELECT 1', {pair.at}) ~> {held} ~> df.sql('{step}', {pair.at})")
        waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 9 AND NOT granted"
        until(lambda: home.execute(waits.encode()).fetchone() == (1,), "the second step")
        there = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
        until(lambda: home.execute(there, [pair.other]).fetchone() == (0,), "the session to be closed")
        home.execute(f'ALTER DATABASE "{pair.other}" RENAME TO "{pair.other}_then"'.encode())
        home.execute("SELECT pg_advisory_unlock(9)")
        row = ended(home, instance, 15)
        assert (row["status"], row["error"]["sqlstate"]) == ("failed", "3D000"), (row["error"], worker.log)
        home.execute(f'ALTER DATABASE "{pair.other}_then" RENAME TO "{pair.other}"'.encode())


def test_a_database_is_looked_at_when_the_workflow_is_started(pair: Pair, home: Connection) -> None:
    with pytest.raises(psycopg.errors.InvalidCatalogName, match='"nowhere" does not exist'):
        started(home, "'SELECT 1'", database="nowhere")


def test_all_forms_of_statements(pair: Pair, home: Connection, other: Connection) -> None:
    other.execute("CREATE TABLE numbers (n integer)")
    other.execute("CREATE PROCEDURE twice(n integer, INOUT r integer) LANGUAGE sql AS 'SELECT n * 2'")
    with WorkerProcess(pair.home_url, poll_seconds=0.05) as worker:
        worker.registered()
        instance = started(
            home,
            """df.seq(
            'CREATE TABLE made (n integer)',
            'INSERT INTO numbers SELECT generate_series(1, 3)',
            df.step('q', 'SELECT n, n::text AS t FROM numbers ORDER BY n'),
            df.sql('INSERT INTO made SELECT q.n FROM $q.* AS q', isolation => 'serializable',
                   settings => '{"work_mem": "8MB"}'),
            'VACUUM made',
            df.step('c', 'CALL twice(4, NULL)'),
            df.step('d', df.sql('DO $d$ BEGIN INSERT INTO made VALUES (9); COMMIT; END $d$',
                                autocommit => true)),
            df.if('SELECT count(*) = 4 FROM made', df.step('yes', 'SELECT max(n) AS n FROM made'),
                  'SELECT 0'),
            df.loop(df.step('l', 'INSERT INTO made VALUES (10)'), 'SELECT count(*) < 7 FROM made'),
            'SELECT $yes? AS yes, $c AS c, (SELECT count(*) FROM made) AS n, $q.row_count AS q')""",
            database=pair.other,
        )
        row = ended(home, instance)
        assert row["status"] == "completed", (row["error"], worker.log)
        assert row["result"]["rows"] == [{"yes": 9, "c": 8, "n": 7, "q": 3}]
        assert row["database"] == pair.other


def test_requests_are_computed_where_the_workflows_are(
    pair: Pair, home: Connection, other: Connection
) -> None:
    with WorkerProcess(pair.home_url, poll_seconds=0.05) as worker:
        worker.registered()
        instance = started(
            home,
            "df.step('a', 'SELECT 1 AS n') ~> df.http('http://127.0.0.1:9/$a') ~> 'SELECT 2'",
            database=pair.other,
        )
        row = ended(home, instance)
        assert "127.0.0.1" in row["error"]["message"], (row["error"], worker.log)


@pytest.mark.long
def test_workers_are_killed_at_random(pair: Pair, home: Connection, other: Connection) -> None:
    """No effect is lost and none is doubled, whatever the moment."""
    at = pair.at
    workflow = f"""
        df.step('a', 'INSERT INTO ledger SELECT nextval(''runs'') || '' a'' RETURNING who', {at})
        ~> 'SELECT 1'
        ~> df.loop(df.step('b', 'INSERT INTO ledger SELECT $a || '' b''', {at}),
                   df.sql('SELECT count(*) < 3 FROM ledger WHERE who = $a || '' b''', {at}))
        ~> (df.sql('INSERT INTO ledger SELECT $a || '' c''', {at})
            & df.atomic('INSERT INTO ledger SELECT $a || '' d''' ~> 'INSERT INTO ledger SELECT $a || '' e''',
                        {at}))"""
    other.execute("CREATE SEQUENCE runs")
    count, effects, kills = 8, 7, 0
    moments = random.Random(KILLS_SEED)
    for _ in range(count):
        started(home, workflow)
    done = 0
    while done < count * effects:
        done = min(done + moments.randrange(1, 12), count * effects)
        with WorkerProcess(pair.home_url, poll_seconds=0.05, lease_seconds=60.0) as worker:
            until(lambda goal=done: len(ledger(other)) >= goal, f"{done} effects")
            time.sleep(moments.random() * 0.01)
            kills += worker.process.poll() is None
    left = "SELECT count(*) FROM df.instances WHERE completed_at IS NULL"
    with WorkerProcess(pair.home_url, poll_seconds=0.05):
        until(lambda: home.execute(left).fetchone() == (0,), "the end of all")
    assert kills > 5, kills
    assert home.execute("SELECT DISTINCT status FROM df.instances").fetchall() == [("completed",)]
    found = Counter(who.partition(" ")[0] for who in ledger(other))
    assert len(found) == count, "an effect was repeated, and its run was given another number"
    kinds = {
        tuple(sorted(who.split(" ", 1)[1] for who in ledger(other) if who.startswith(f"{run} ")))
        for run in found
    }
    assert kinds == {("a", "a b", "a b", "a b", "a c", "a d", "a e")}, (KILLS_SEED, kinds)


def test_a_permit_does_not_outlive_what_is_cleared_away(other: Connection) -> None:
    key = b"k" * 32
    late = "SELECT df_markers.enter(%s, 'i', 1, clock_timestamp() - interval '61 seconds')"
    with pytest.raises(psycopg.Error) as caught:
        other.execute(late, [key])
    assert caught.value.sqlstate == "DX005"
    assert other.execute("SELECT count(*) FROM df_markers.fences").fetchone() == (0,)


def test_nobody_forges_a_marker(pair: Pair, other: Connection, roles: Callable[..., str]) -> None:
    """Whoever knows the key of an instance is still another role; and nobody has rights on the tables."""
    anna, key = roles("anna"), b"k" * 32
    other.execute("SELECT df_markers.enter(%s, 'i', 1, clock_timestamp())", [key])
    write = "SELECT df_markers.checkpoint(%s, 'i', 'p', '{}', '{}', '{}', 1, '{\"epoch\": 1}')"
    with psycopg.connect(make_conninfo(pair.other_url, user=anna), autocommit=True) as hers:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            hers.execute(write, [key])
        other.execute("SELECT df_markers.grant_usage(%s)", [anna])
        for statement in (write, "SELECT df_markers.enter(%s, 'i', 2, clock_timestamp())"):
            with pytest.raises(psycopg.Error) as caught:
                hers.execute(statement, [key])
            assert caught.value.sqlstate == "DX001"
        assert hers.execute("SELECT * FROM df_markers.marker(%s, 'p')", [key]).fetchall() == []
        hers.execute("SELECT df_markers.forget(ARRAY[%s::bytea])", [key])
        for table in ("meta", "fences", "markers"):
            for statement in (f"SELECT FROM df_markers.{table}", f"DELETE FROM df_markers.{table}"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    hers.execute(statement.encode())
    assert other.execute("SELECT count(*) FROM df_markers.fences").fetchone() == (1,)


def test_doctor_and_init_know_other_databases(pair: Pair, home: Connection) -> None:
    run = CliRunner()
    started(home, f"df.sql('SELECT 1', {pair.at})")
    plan = '{"nodes": [{"policy": {"database": "postgres"}}]}'
    home.execute("UPDATE df.instances SET plan = %s, plan_hash = 'x'", [plan])
    found = run.invoke(doctor, ["--database", pair.home_url])
    assert "database postgres" in found.output and "dfc init --database postgres --markers" in found.output
    again = run.invoke(init, [pair.other, "--markers", "--database", pair.home_url])
    assert (again.exit_code, again.output) == (0, "the df_markers schema is up to date, version 1\n")
    home.execute("UPDATE df.instances SET plan = %s", [plan.replace("postgres", pair.other)])
    found = run.invoke(doctor, ["--database", pair.home_url])
    assert f"database {pair.other}" in found.output and "has markers" in found.output


def test_a_retry_does_again_what_it_forgets_and_nothing_else(
    pair: Pair, home: Connection, other: Connection
) -> None:
    """The markers of what is done again are not taken for what it has come to."""
    steps = " ~> ".join(f"df.sql('INSERT INTO ledger VALUES (''{who}'')', {pair.at})" for who in ("a", "b"))
    broken = f"df.sql('INSERT INTO ledger SELECT ''c'' FROM gate WHERE 1 / open = 1', {pair.at})"
    other.execute("CREATE TABLE gate AS SELECT 0 AS open")
    first = f"df.sql('INSERT INTO ledger VALUES (''first'')', {pair.at})"
    with WorkerProcess(pair.home_url, poll_seconds=0.05) as worker:
        worker.registered()
        instance = started(home, f"{first} ~> df.retry({steps} ~> {broken}, 1)")
        assert ended(home, instance)["status"] == "failed"
        assert ledger(other) == ["a", "b", "first"]
        other.execute("UPDATE gate SET open = 1")
        home.execute("SELECT df.retry_instance(%s)", [instance])
        until(lambda: ledger(other) == ["a", "a", "b", "b", "c", "first"], "all of the part once more")
        row = ended(home, instance)
        assert row["status"] == "completed", (row["error"], worker.log)
    keys = home.execute("SELECT count(DISTINCT key), count(*) FROM df.elsewhere").fetchone()
    assert keys == (2, 2)
