"""A database of the schema version before, with workflows under way: `python -m tests.upgrades` makes it anew.

`golden/upgrade/schema_0010.sql.gz` is what pg_dump says of a database that the program of `OLD_COMMIT` has
installed and worked on, until its worker was killed in the midst of everything: what a user has who upgrades.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import psycopg

from tests.e2e.harness import Connection, WorkerProcess, wait_until
from tests.postgres import FAST, Server, programs

OLD_COMMIT = "f30db080f551988f2ab2cc68f6a9c32108f0809a"
"""The last one of schema version 10."""
ROOT = Path(__file__).resolve().parent.parent
DUMP = ROOT / "golden" / "upgrade" / "schema_0010.sql.gz"
SECONDS_MAX = 60.0

SETUP = """
CREATE TABLE ledger (workflow text, step text);
CREATE TABLE gate AS SELECT false AS open;
CREATE FUNCTION hold(held boolean) RETURNS integer LANGUAGE sql VOLATILE AS
    'SELECT 1 FROM pg_sleep(CASE WHEN held AND NOT (SELECT open FROM public.gate) THEN 600 ELSE 0 END)';
SELECT df.define('child', df.wait_for_signal('child') ~> 'INSERT INTO ledger VALUES (''call'', ''child'')');
"""


def _entry(workflow: str, step: str, *, held: bool = False) -> str:
    """A named step that writes one row, and does not end before the gate is open where it is held."""
    insert = f"INSERT INTO ledger SELECT ''{workflow}'', ''{step}'' FROM hold({str(held).lower()})"
    return f"df.step('{step}', '{insert}')"


_FLAKY = "INSERT INTO ledger SELECT ''{}'', ''flaky'' WHERE 1 / (SELECT open::integer FROM gate) = 1"

WORKFLOWS: dict[str, str] = {
    "loop": "df.loop(df.step('n', 'WITH n AS (SELECT coalesce($n?, 0) + 1 AS n), w AS (INSERT INTO ledger SELECT ''loop'',"
    " ''round '' || n FROM n, hold((SELECT n > 10 FROM n))) SELECT n FROM n, hold((SELECT n > 10 FROM n))'), 'SELECT $n < 14')",
    "map": "df.map('SELECT g AS n FROM generate_series(1, 6) AS g', 'INSERT INTO ledger SELECT ''map'', ''item '' || $item.n"
    " FROM hold($item.n > 3)', max_parallel => 2) ~> " + _entry("map", "after"),
    "timer": f"{_entry('timer', 'before')} ~> df.sleep(6) ~> {_entry('timer', 'after')}",
    "signal": "df.wait_for_signal('go') |=> 's' ~> 'INSERT INTO ledger SELECT ''signal'', $s.data ->> ''word'''",
    "retrying": f"df.step('flaky', '{_FLAKY.format('retrying')}', max_attempts => 90, retry_on => ARRAY['22012'],"
    " backoff => '2 s', max_backoff => '2 s')",
    "retry_block": f"df.retry('SELECT 1' ~> df.step('flaky', '{_FLAKY.format('retry_block')}'), 90,"
    " backoff => '2 s', max_backoff => '2 s')",
    "undoing": f"df.compensate({_entry('undoing', 'made')}, {_entry('undoing', 'unmade', held=True)})"
    f" ~> df.compensate({_entry('undoing', 'also_made')}, {_entry('undoing', 'also_unmade', held=True)}) ~> 'SELECT 1 / 0'",
    "call": f"{_entry('call', 'before')} ~> df.call('child') ~> {_entry('call', 'after')}",
    "race": f"df.race(df.wait_for_signal('never'), {_entry('race', 'quick', held=True)}) ~> {_entry('race', 'after')}",
    "timeout": f"df.timeout({_entry('timeout', 'slow', held=True)}, '50 years') ~> {_entry('timeout', 'after')}",
    "try": f"df.try('SELECT 1 / 0', {_entry('try', 'caught', held=True)}, finally => {_entry('try', 'always')})",
    "join": f"({_entry('join', 'left')} & {_entry('join', 'right', held=True)}) ~> {_entry('join', 'after')}",
    "atomic": f"df.atomic({_entry('atomic', 'one')} ~> {_entry('atomic', 'two', held=True)}) ~> {_entry('atomic', 'after')}",
    "paused": f"{_entry('paused', 'before')} ~> df.wait_for_signal('on') ~> {_entry('paused', 'after')}",
    "failed": f"{_entry('failed', 'before')} ~> df.step('flaky', '{_FLAKY.format('failed')}') ~> {_entry('failed', 'after')}",
    "completed": _entry("completed", "only"),
    "keyed": _entry("keyed", "holder", held=True),
}
"""Those that have begun when the worker is killed, by their label."""

LATER: dict[str, str] = {
    "pending": f"{_entry('pending', 'one')} ~> {_entry('pending', 'two')}",
    "known": _entry("completed", "only"),
}
"""Those that are started when no worker is there: one that nobody has compiled yet, and one whose plan is kept."""

HELD = 10
"""Steps that are under way when the worker is killed: two of the map, one of each other that is held."""

LEDGER: dict[str, Sequence[str]] = {
    "loop": [f"round {n}" for n in range(1, 15)],
    "map": [*(f"item {n}" for n in range(1, 7)), "after"],
    "timer": ["before", "after"],
    "signal": ["word"],
    "retrying": ["flaky"],
    "retry_block": ["flaky"],
    "undoing": ["made", "also_made", "also_unmade", "unmade"],
    "call": ["before", "child", "after"],
    "race": ["quick", "after"],
    "timeout": ["slow", "after"],
    "try": ["caught", "always"],
    "join": ["left", "right", "after"],
    "atomic": ["one", "two", "after"],
    "paused": ["before", "after"],
    "failed": ["before", "flaky", "after"],
    "completed": ["only", "only"],
    "keyed": ["holder", "waiter"],
    "pending": ["one", "two"],
}
"""What has happened when all have ended: each effect once."""


class OldWorker(WorkerProcess):
    """`dfc worker` of another tree of this repository."""

    def __init__(self, tree: Path, database: str, arguments: Sequence[str] = ()) -> None:
        super().__init__(database, arguments)
        self._environment = {**self._environment, "PYTHONPATH": str(tree)}

    def spawn(self, streams: tuple[int, int, int]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "dfc", *self._arguments]
        stdin, stdout, stderr = streams
        return subprocess.Popen(
            command, stdin=stdin, stdout=stdout, stderr=stderr, env=self._environment, start_new_session=True
        )


def tree_of(commit: str, folder: Path) -> Path:
    """The files of a commit of this repository."""
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True)
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


def old_init(tree: Path, database: str) -> None:
    """`dfc init` of another tree."""
    command = [sys.executable, "-P", "-m", "dfc", "init", "--database", database]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(tree)}, check=True, capture_output=True)


def start(connection: Connection, label: str, expression: str, options: str = "") -> str:
    """Start a workflow."""
    row = connection.execute(f"SELECT df.start({expression}, '{label}'{options})".encode()).fetchone()
    assert row is not None
    return str(row[0])


def begin(connection: Connection, worker: WorkerProcess, *, atomic: bool = True) -> None:
    """Start everything, wait until each is in its state, and kill the worker.

    `atomic`: with one that holds a transaction of several steps open, for which an upgrade would wait.
    """

    def until(condition: str, what: str) -> None:
        def holds() -> bool:
            row = connection.execute(f"SELECT {condition}".encode()).fetchone()
            return row is not None and bool(row[0])

        wait_until(holds, SECONDS_MAX, f"{what}: {condition}")

    connection.execute(SETUP.encode())
    ids = {
        label: start(connection, label, text, _options(label))
        for label, text in WORKFLOWS.items()
        if atomic or label != "atomic"
    }
    held = HELD if atomic else HELD - 1
    until(f"count(*) = {held} FROM pg_stat_activity WHERE wait_event = 'PgSleep'", "the held steps")
    until("count(*) = 4 FROM df.fences WHERE wake_at IS NOT NULL AND listens", "those that listen")
    until("count(*) = 1 FROM df.fences WHERE wake_at IS NOT NULL AND NOT listens", "the sleeper")
    until("count(*) = 1 FROM df.attempts_made WHERE attempts > 0", "the attempts")
    until("count(*) = 1 FROM df.marks WHERE kind = 'position' AND error IS NOT NULL", "the retry")
    until("count(*) = 1 FROM df.instances WHERE status = 'failed'", "the failure")
    start(connection, "keyed", _entry("keyed", "waiter"), _options("keyed"))
    until("count(*) = 1 FROM df.instances WHERE held", "the one that waits for a key")
    connection.execute("SELECT df.pause_instance(%s)", [ids["paused"]])
    until("count(*) = 1 FROM df.instances WHERE paused", "the paused one")
    worker.kill()
    until("count(*) = 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep'", "the end of its steps")
    start(connection, "cancelled", "'SELECT 1'")
    connection.execute("SELECT df.cancel(i.id, 'enough') FROM df.instances i WHERE i.label = 'cancelled'")
    for label, text in LATER.items():
        start(connection, label, text)


def _options(label: str) -> str:
    return ", concurrency_key => 'one'" if label == "keyed" else ""


def make() -> None:
    """Write the dump."""
    with tempfile.TemporaryDirectory() as folder:
        tree = tree_of(OLD_COMMIT, Path(folder) / "tree")
        server = Server("18", FAST)
        server.start()
        try:
            with psycopg.connect(server.url(), autocommit=True) as owner:
                owner.execute("CREATE DATABASE before")
            database = server.url("before")
            old_init(tree, database)
            limits = ("--slots", "64", "--connections", "64")
            with (
                OldWorker(tree, database, limits) as worker,
                psycopg.connect(database, autocommit=True) as connection,
            ):
                begin(connection, worker)
            dump = [
                str(programs("18") / "pg_dump"),
                "--no-owner",
                "--inserts",
                "--rows-per-insert=100",
                database,
            ]
            text = subprocess.run(dump, check=True, capture_output=True, text=True).stdout
        finally:
            server.remove()
    # What psql alone understands; psycopg sends the rest as it is.
    lines = [line for line in text.splitlines() if not line.startswith(("\\", "--"))]
    DUMP.parent.mkdir(parents=True, exist_ok=True)
    with gzip.GzipFile(DUMP, "wb", mtime=0) as file:
        file.write("\n".join(line for line in lines if line.strip()).encode())


def restore(connection: Connection) -> None:
    """Put the dump into an empty database."""
    connection.execute(gzip.decompress(DUMP.read_bytes()))
    connection.execute("RESET ALL")


if __name__ == "__main__":
    make()
