"""Recording on real runs: what is kept, of whom, until when, and what it says."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dfc.cli.errors import CliError
from dfc.cli.export import exported
from dfc.executor import limits
from dfc.executor.replay import replay
from tests.cli.conftest import Run, dfc
from tests.e2e.harness import Connection, WorkerProcess, wait_until
from tests.executor.support import WorkerProcess as Process
from tests.fold_law import check_document
from tests.postgres import Server
from tests.sql.worker import connect

__all__ = ["dfc"]
SECONDS_MAX = 60.0
LIMITS = ("--lease", "1")
BUSY = (
    "df.loop(df.step('n', 'SELECT coalesce($n?, 0) + 1 AS n')"
    " ~> df.map('SELECT g FROM generate_series(1, 3) g', 'SELECT $item * 2 AS m FROM pg_sleep(0.01)')"
    " ~> (df.step('l', 'SELECT pg_sleep(0.02)') &"
    " df.race('SELECT 1', df.sleep(30)))"
    " ~> df.try('SELECT 1 / 0', 'SELECT $error.sqlstate AS s'), 'SELECT $n < 6')"
)


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    """A session that records what it starts."""
    with psycopg.connect(database, autocommit=True) as session:
        session.execute("SET df.record = on")
        yield session


def value(session: Connection, query: str, *parameters: object) -> Any:
    """The first column of the first row."""
    row = session.execute(query.encode(), parameters or None).fetchone()
    assert row is not None
    return row[0]


def start(session: Connection, expression: str) -> str:
    """Start a workflow."""
    return str(value(session, f"SELECT df.start({expression})"))


def end(session: Connection, instance: str) -> None:
    """Wait for the end."""
    ended = "SELECT completed_at IS NOT NULL FROM df.instances WHERE id = %s"
    wait_until(lambda: bool(value(session, ended, instance)), SECONDS_MAX, "the end")


def _reach(session: Connection, instance: str, entries: int) -> None:
    """Wait until the journal has so many entries."""
    reached = "SELECT count(*) >= %s FROM df.journal_entries WHERE instance_id = %s"
    wait_until(lambda: bool(value(session, reached, entries, instance)), SECONDS_MAX, "progress")


@pytest.mark.parametrize("kills_min", [1, pytest.param(8, marks=pytest.mark.long)])
def test_workers_are_killed_and_there_is_one_journal(
    database: str, connection: Connection, kills_min: int
) -> None:
    instance = start(connection, BUSY)
    chance = random.Random(7)
    kills = compared = 0
    with WorkerProcess(database, LIMITS) as worker:
        entries = "SELECT count(*) FROM df.journal_entries WHERE instance_id = %s"
        while kills < kills_min:
            there: int = value(connection, entries, instance) + chance.randrange(2, 12)
            _reach(connection, instance, there)
            kills += worker.kill()
            # What has committed, and what was written down, as a take-over would find them.
            compared += check_document(exported(connection, instance))
            worker.start()
        end(connection, instance)
    document = exported(connection, instance)
    begins = [entry for entry in document["entries"] if entry["kind"] == "begin"]
    assert len(begins) == 1 + kills
    assert [entry["number"] for entry in document["entries"]] == list(range(1, len(document["entries"]) + 1))
    assert len({entry["worker"] for entry in begins}) == 1 + kills
    assert replay(document) is None
    assert check_document(document) == kills
    assert compared >= kills


def test_one_that_runs_alone_as_a_suspect_goes_on_with_the_same_journal(
    database: str, connection: Connection
) -> None:
    connection.execute("CREATE TABLE gate (open bool); INSERT INTO gate VALUES (false)")
    instance = start(
        connection, "'SELECT 1' ~> df.wait_for('SELECT open FROM gate', every => 0.1) ~> 'SELECT 2'"
    )
    with WorkerProcess(database, LIMITS) as worker:
        _reach(connection, instance, 4)
        worker.kill()
    connection.execute("UPDATE gate SET open = true")
    soon = "from dfc.executor import limits; limits.SUSPECT_AFTER_DEATHS = 1"
    with Process(database, prelude=soon, lease_seconds=1.0) as alone:
        end(connection, instance)
        assert f"suspect instance={instance}" in alone.log
    document = exported(connection, instance)
    assert (document["status"], document["complete"]) == ("completed", True)
    begins = [entry for entry in document["entries"] if entry["kind"] == "begin"]
    assert len(begins) == len({entry["worker"] for entry in begins}) == 2
    assert len({entry["version"] for entry in begins}) == 1
    assert document["entries"][-1]["number"] == len(document["entries"]) > begins[-1]["number"]
    assert replay(document) is None


def _lasting(record: dict[str, Any]) -> dict[str, Any]:
    """A record without what is less with time, and without a result, which a worker leaves where it is."""
    return {field: part for field, part in record.items() if field not in ("seconds", "result")}


def test_what_lasts_of_one_that_waits_is_exported_as_a_worker_would_read_it(
    database: str, connection: Connection
) -> None:
    connection.execute("SELECT df.define('child', df.wait_for_signal('go'))")
    instance = start(
        connection,
        "df.step('flaky', 'SELECT 1 / 0', max_attempts => 3, retry_on => ARRAY['22012'], backoff => '1 hour',"
        " max_backoff => '1 hour')"
        " & df.call('child') & df.sleep(3600) & df.race('SELECT 1', df.sleep(9))"
        " & df.try('SELECT 1 / 0', df.wait_for('SELECT false', every => 3600))",
    )
    with WorkerProcess(database, LIMITS):
        parked = "SELECT count(*) FROM df.fences WHERE instance_id = %s AND wake_at IS NOT NULL"
        wait_until(lambda: bool(value(connection, parked, instance)), SECONDS_MAX, "the waits")
        document = exported(connection, instance)
        connection.execute("SELECT df.signal(i.id, 'go') FROM df.instances i WHERE i.parent = %s", [instance])
        again = (
            "SELECT count(*) >= 2 FROM df.journal_entries"
            " WHERE instance_id = %s AND entry ->> 'kind' = 'begin'"
        )
        wait_until(lambda: bool(value(connection, again, instance)), SECONDS_MAX, "the next beginning")
    assert check_document(document) == 1
    _, begin, *_ = [each for each in exported(connection, instance)["entries"] if each["kind"] == "begin"]
    live = sorted((_lasting(record) for record in document["live"]), key=str)
    assert live == sorted((_lasting(record) for record in begin["records"]), key=str)
    kinds = {record["@"] for record in live}
    assert kinds == {"retrying", "child", "timed", "decided", "failed", "completed", "positioned"}


def test_what_is_not_recorded(database: str, connection: Connection, dfc: Run) -> None:
    connection.execute("SET df.record = off")
    plain = start(connection, "df.step('a', 'SELECT 1 AS n') ~> 'SELECT $a + 1'")
    with pytest.raises(psycopg.Error, match=r'df\.record is "maybe"'):
        connection.execute("SET df.record = maybe; SELECT df.start('SELECT 1')")
    with WorkerProcess(database, LIMITS):
        end(connection, plain)
    assert value(connection, "SELECT count(*) FROM df.journal_entries") == 0
    said = dfc("export", plain[:23], "--database", database)
    document = json.loads(said.stdout)
    assert (said.returncode, document["recorded"], document["entries"]) == (0, False, [])
    assert "it was not recorded" in said.stderr
    assert [record["path"] for record in document["live"]] == ["a", "sql_2"]


def test_export_and_replay(database: str, connection: Connection, dfc: Run, tmp_path: Path) -> None:
    at = ("--database", database)
    connection.execute("SELECT df.define('child', 'SELECT ''dear reader'' AS word')")
    flow = "SELECT df.start(df.call('child') |=> 'c' ~> df.if('SELECT $c.word <> ''''', 'SELECT $c.word'));"
    (tmp_path / "flow.dfsql").write_text(flow)
    started = dfc("start", "--record", "flow.dfsql", *at)
    assert started.returncode == 0, started.stderr
    instance = started.stdout.strip()
    with WorkerProcess(database, LIMITS):
        end(connection, instance)
    # What it has called is recorded, too.
    assert value(connection, "SELECT count(DISTINCT instance_id) FROM df.journal_entries") == 2
    assert dfc("export", instance, "--output", "whole.json", *at).returncode == 0
    assert dfc("export", instance, "--no-values", "--output", "bare.json", *at).returncode == 0
    whole, bare = ((tmp_path / name).read_text() for name in ("whole.json", "bare.json"))
    assert "dear reader" in whole and "dear reader" not in bare
    said = dfc("replay", "whole.json", "bare.json")
    assert said.returncode == 0 and said.stdout.count("all decisions as recorded") == 2, said.stderr
    broken = json.loads(whole)
    broken["entries"][1]["actions"] = [{"@": "run_sql", "path": "elsewhere"}]
    (tmp_path / "broken.json").write_text(json.dumps(broken))
    said = dfc("replay", "whole.json", "broken.json")
    assert said.returncode == 1 and "broken.json: changed at entry 2 (" in said.stdout
    assert "expected run_sql `elsewhere`, found" in said.stdout
    (tmp_path / "wrong.json").write_text("[]")
    said = dfc("replay", "wrong.json")
    assert (said.returncode, said.stderr) == (1, "dfc: `wrong.json` is not what `dfc export` writes\n")


def test_a_journal_is_bounded(database: str, connection: Connection) -> None:
    instance = start(connection, "df.loop('SELECT coalesce($n?, 0) + 1 AS n' |=> 'n', 'SELECT $n < 60')")
    small = "from dfc.executor import limits; limits.JOURNAL_BYTES_MAX = 5000"
    with Process(database, prelude=small):
        end(connection, instance)
    document = exported(connection, instance)
    assert document["recorded"] and not document["complete"] and document["status"] == "completed"
    assert document["entries"][-1]["kind"] == "full"
    size = "SELECT sum(octet_length(entry::text)), max(bytes) FROM df.journal_entries"
    row = connection.execute(size).fetchone()
    assert row is not None and row[0] == row[1] <= 5000 + 60 < limits.JOURNAL_BYTES_MAX
    assert replay(document) is None


def test_who_has_lost_the_fence_writes_nothing(database: str, connection: Connection) -> None:
    instance = start(connection, "df.wait_for_signal('go')")
    with WorkerProcess(database, LIMITS):
        parked = "SELECT count(*) FROM df.fences WHERE instance_id = %s AND wake_at IS NOT NULL"
        wait_until(lambda: bool(value(connection, parked, instance)), SECONDS_MAX, "the wait")
        token = value(connection, "SELECT token FROM df.fences WHERE instance_id = %s", instance)
        connection.execute("SELECT df.signal(%s, 'go')", [instance])
        end(connection, instance)
    with pytest.raises(psycopg.Error) as refused:
        connection.execute("SELECT df._write_journal(%s, %s, 99, 0, ARRAY['{}'])", [token, instance])
    assert refused.value.sqlstate == "DX001"


def test_whose_journals_one_sees(server: Server, database: str, connection: Connection, roles: Any) -> None:
    reader = roles("reader")
    instance = start(connection, "'SELECT 1'")
    with WorkerProcess(database, LIMITS):
        end(connection, instance)
    connection.execute("SELECT df.grant_usage(%s)", [reader])
    name = value(connection, "SELECT current_database()")
    assert value(connection, "SELECT count(*) FROM df.journal_entries") >= 1
    with connect(server.url(str(name), reader)) as other:
        assert value(other, "SELECT count(*) FROM df.journal_entries") == 0
        other.execute("SET df.record = on")
        own = exported(other, start(other, "'SELECT 2'"))
        assert (own["recorded"], own["entries"], own["status"]) == (True, [], "pending")
        with pytest.raises(CliError, match="not yours"):
            exported(other, instance)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            other.execute("INSERT INTO df.journal_entries VALUES ('x', 1, 1, now(), 1, '{}')")
    connection.execute("DELETE FROM df.instances")
    assert value(connection, "SELECT count(*) FROM df.journal_entries") == 0
