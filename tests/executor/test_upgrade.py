"""From one version to the next: what was begun before is finished, and once."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dfc.executor import migrate
from dfc.executor.migrate import SchemaState
from tests import upgrades
from tests.e2e.harness import WorkerProcess, wait_until
from tests.upgrades import LEDGER, OLD_COMMIT, ROOT, OldWorker

Connection = psycopg.Connection[tuple[Any, ...]]
LIMITS = ("--slots", "64", "--connections", "64", "--lease", "1")
SECONDS_MAX = 60.0


def value(connection: Connection, statement: str, *values: object) -> Any:
    """The first value of the first row."""
    row = connection.execute(statement.encode(), values).fetchone()
    return None if row is None else row[0]


def adopt(connection: Connection) -> None:
    """What `dfc adopt` does: the dump was made elsewhere."""
    connection.execute("SELECT df._adopt(%s)", [migrate.system_identifier(connection)])


def let_go(connection: Connection) -> None:
    """Open the gate, send what is waited for, and say what an operator would."""
    ids = dict(connection.execute("SELECT label, id FROM df.instances").fetchall())
    connection.execute("UPDATE gate SET open = true")
    connection.execute("SELECT df.signal(%s, 'go', '{\"word\": \"word\"}')", [ids["signal"]])
    connection.execute("SELECT df.signal(%s, 'child')", [ids["child"]])
    connection.execute("SELECT df.signal(%s, 'on')", [ids["paused"]])
    connection.execute("SELECT df.resume_instance(%s)", [ids["paused"]])
    connection.execute("SELECT df.retry_instance(%s)", [ids["failed"]])


def all_ended(connection: Connection) -> None:
    """Wait until everything has ended as it should, and count the ledger."""
    rest = "SELECT string_agg(label || ' ' || status, ', ') FROM df.instances WHERE completed_at IS NULL"
    try:
        wait_until(lambda: value(connection, rest) is None, SECONDS_MAX, "the end")
    except TimeoutError:
        raise AssertionError(value(connection, rest)) from None
    found = connection.execute("SELECT label, status FROM df.instances ORDER BY 1").fetchall()
    ends = {"undoing": "compensated", "cancelled": "cancelled"}
    assert [(label, ends.get(label, "completed")) for label, _ in found] == found
    ledger = connection.execute("SELECT workflow, step FROM ledger ORDER BY 1, 2").fetchall()
    there = {label for label, _ in found} | {"call", "completed"}
    assert ledger == sorted(
        [(name, step) for name, steps in LEDGER.items() for step in steps if name in there]
    )
    assert value(connection, "SELECT count(*) FROM df.fences") == 0


def test_workflows_of_the_version_before_are_finished(bare_database: str) -> None:
    with psycopg.connect(bare_database, autocommit=True) as connection:
        upgrades.restore(connection)
    with psycopg.connect(bare_database, autocommit=True) as connection:
        assert migrate.check(bare_database) is SchemaState.OLDER
        running = value(connection, "SELECT count(*) FROM df.instances WHERE status = 'running'")
        assert running == len(upgrades.WORKFLOWS) - 2 + 1  # one has completed, one has failed; a child
        report = migrate.install(bare_database)
        assert (report.before, report.applied[0]) == (SchemaState.OLDER, "0011_schedule_retries")
        assert migrate.check(bare_database) is SchemaState.SAME
        adopt(connection)
        let_go(connection)
        with WorkerProcess(bare_database, LIMITS):
            all_ended(connection)
        # What was defined before, and is defined again, is the same version.
        known = "SELECT expression FROM df.definitions WHERE name = 'child'"
        assert (
            value(connection, "SELECT df.define('child', %s)", value(connection, known)) == "child version 1"
        )
        # The plans that the version before has kept are still good.
        assert value(connection, "SELECT count(*) FROM df.plans") >= len(upgrades.WORKFLOWS)


def test_an_upgrade_takes_everything_from_the_workers_of_before(bare_database: str) -> None:
    with psycopg.connect(bare_database, autocommit=True) as connection:
        upgrades.restore(connection)
    with psycopg.connect(bare_database, autocommit=True) as connection:
        fences = "SELECT instance_id, token, wake_at::text FROM df.fences ORDER BY 1"
        before = connection.execute(fences).fetchall()
        migrate.install(bare_database)
        after = connection.execute(fences).fetchall()
        assert [(row[0], row[2]) for row in before] == [(row[0], row[2]) for row in after]
        assert not {row[1] for row in before} & {row[1] for row in after}
        assert value(connection, "SELECT count(*) FROM df.fences WHERE worker IS NOT NULL") == 0
        assert value(connection, "SELECT count(*) FROM df.workers") == 0
        for instance, token, _ in before:
            with pytest.raises(psycopg.Error) as refused:
                connection.execute("SELECT df._finish(%s, %s, %s)", [token, instance, '{"status": "failed"}'])
            assert refused.value.sqlstate == "DX001"


def test_an_upgrade_that_fails_changes_nothing(bare_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with psycopg.connect(bare_database, autocommit=True) as connection:
        upgrades.restore(connection)
    text = migrate.code()
    monkeypatch.setattr(migrate, "code", lambda: text + "SELECT 1/0;")
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate.install(bare_database)
    with psycopg.connect(bare_database, autocommit=True) as connection:
        assert value(connection, "SELECT schema_version FROM df.meta") == 10
        assert value(connection, "SELECT count(*) FROM df.workers") == 1


def test_an_upgrade_in_a_deadlock_with_a_session_is_tried_again(bare_database: str) -> None:
    with psycopg.connect(bare_database, autocommit=True) as connection:
        upgrades.restore(connection)
    ended: list[int] = []

    def upgrade() -> None:
        ended.append(migrate.install(bare_database).version)

    waits = (
        "SELECT count(*) = 1 FROM pg_locks WHERE relation = 'df.fences'::regclass AND NOT granted"
        " AND mode = 'AccessExclusiveLock'"
    )
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    with (
        psycopg.connect(bare_database, autocommit=True) as connection,
        psycopg.connect(bare_database) as session,
    ):
        # The upgrade looks, once, when this one has come into its way; this one never does.
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE \"{name}\" SET deadlock_timeout = '3s'".encode())
        session.execute("SET deadlock_timeout = '10min'")
        session.execute("SELECT count(*) FROM df.fences")
        thread = threading.Thread(target=upgrade)
        thread.start()
        wait_until(lambda: value(connection, waits), SECONDS_MAX, "the upgrade to wait")
        assert value(connection, "SELECT count(*) FROM df.workers") == 1
        session.execute("LOCK TABLE df.workers IN ROW EXCLUSIVE MODE")  # returns when the upgrade was ended
        assert ended == [] and thread.is_alive()
        assert value(session, "SELECT schema_version FROM df.meta") == 10
        session.commit()
        thread.join(SECONDS_MAX)
        assert ended == [migrate.schema_version()]
        assert migrate.check(bare_database) is SchemaState.SAME
        connection.execute("SELECT pg_stat_force_next_flush()")
        wait_until(lambda: value(connection, deadlocks) >= 1, SECONDS_MAX, "the statistics")


@pytest.fixture
def old_tree(tmp_path: Path) -> Iterator[Path]:
    """The program of the version before."""
    known = subprocess.run(["git", "cat-file", "-e", OLD_COMMIT], cwd=ROOT, capture_output=True, check=False)
    if known.returncode != 0:
        pytest.skip("the repository's history is not here")
    yield upgrades.tree_of(OLD_COMMIT, tmp_path / "tree")


@pytest.mark.long
def test_workers_of_two_versions_side_by_side(bare_database: str, old_tree: Path) -> None:
    upgrades.old_init(old_tree, bare_database)
    with (
        psycopg.connect(bare_database, autocommit=True) as connection,
        OldWorker(old_tree, bare_database, LIMITS) as old,
    ):
        upgrades.begin(connection, old, atomic=False)
        old.start()
        held = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        wait_until(
            lambda: value(connection, held) == upgrades.HELD - 1, SECONDS_MAX, "the old worker at work"
        )
        # One of the new version does not touch what is not migrated, and says so.
        with WorkerProcess(bare_database, LIMITS) as new:
            wait_until(lambda: not new.alive, SECONDS_MAX, "the new worker's refusal")
        assert new.log.read_text().strip() == (
            "dfc: the df schema is older than this program: run `dfc init --database ...`"
        )
        migrate.install(bare_database)
        wait_until(lambda: not old.alive, SECONDS_MAX, "the old worker's end")
        said = old.log.read_text()
        assert "upgrade dfc" in said.splitlines()[-1] and "Traceback" not in said, said
        assert value(connection, "SELECT count(*) FROM df.instances WHERE status = 'failed'") == 1, said
        assert value(connection, held) == 0
        # Nor does the old one begin again.
        old.start()
        wait_until(lambda: not old.alive, SECONDS_MAX, "the old worker's refusal")
        assert "the df schema is newer than this program: upgrade dfc" in old.log.read_text().splitlines()[-1]
        with WorkerProcess(bare_database, LIMITS):
            wait_until(lambda: value(connection, held) >= 1, SECONDS_MAX, "the new worker at work")
            let_go(connection)
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
            )
            all_ended(connection)
