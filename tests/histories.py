"""Records the histories under golden/history from real runs: `python -m tests.histories [NAME...]`.

A history that is there stays as it is: it says what a released version has decided. Only what is named, or
missing, is recorded.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from dfc.cli.export import exported, written
from dfc.executor import migrate
from tests.e2e.harness import Connection, Hooks, WorkerProcess, wait_until
from tests.postgres import FAST, Server

FOLDER = Path(__file__).resolve().parent.parent / "golden" / "history"
SECONDS_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Run:
    """A recording under way."""

    connection: Connection
    instance: str
    worker: WorkerProcess

    def ask(self, statement: str, *values: object) -> object:
        """The first value of the first row."""
        row = self.connection.execute(statement.encode(), values).fetchone()
        return None if row is None else row[0]

    def until(self, statement: str, *values: object) -> None:
        """Wait until a statement gives something true."""
        wait_until(lambda: bool(self.ask(statement, *values)), SECONDS_MAX, statement)

    def kill_when(self, condition: str) -> None:
        """Kill the worker while a step sleeps and a condition holds, and start it again."""
        held = "SELECT count(*) FROM df.fences f JOIN df.workers w ON w.id = f.worker WHERE w.pid = %s"
        self.until(held, self.worker.pid)
        self.until(
            f"SELECT {condition} AND EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')"
        )
        self.worker.kill()
        self.worker.start()

    def waits(self) -> None:
        """Wait until it is parked."""
        self.until("SELECT wake_at IS NOT NULL FROM df.fences WHERE instance_id = %s", self.instance)


@dataclass(frozen=True, slots=True)
class History:
    """A workflow to be recorded: `expression` is what df.start takes."""

    name: str
    expression: str
    drive: Callable[[Run], object] = lambda _: None
    setup: str = ""
    input: str | None = None


def _retry(run: Run) -> None:
    run.until("SELECT status = 'failed' FROM df.instances WHERE id = %s", run.instance)
    run.ask("UPDATE gate SET open = 1 RETURNING open")
    run.ask("SELECT df.retry_instance(%s)", run.instance)
    run.until("SELECT status = 'completed' FROM df.instances WHERE id = %s", run.instance)


def _kills(run: Run) -> None:
    run.kill_when("(SELECT last_value = 1 FROM kills)")
    run.kill_when("(SELECT last_value = 2 FROM kills)")
    run.kill_when("(SELECT last_value = 10 FROM rounds)")


def _signals(run: Run) -> None:
    run.waits()
    run.ask("SELECT df.signal(%s, 'approve', '{\"by\": \"anna\"}')", run.instance)


def _cancel(run: Run) -> None:
    run.until("SELECT count(*) = 1 FROM df.checkpoints WHERE instance_id = %s", run.instance)
    run.ask("SELECT df.cancel(%s, 'enough')", run.instance)


def _pause(run: Run) -> None:
    run.until("SELECT count(*) = 1 FROM df.checkpoints WHERE instance_id = %s", run.instance)
    run.ask("SELECT df.pause_instance(%s)", run.instance)
    run.until("SELECT paused FROM df.instances WHERE id = %s", run.instance)
    run.ask("SELECT df.resume_instance(%s)", run.instance)


HISTORIES: Sequence[History] = (
    History(
        "chain_and_join",
        "df.step('first', 'SELECT 7 AS n') ~> (df.step('left', 'SELECT $first.n + 1 AS n') & df.step('right',"
        " 'SELECT $first.n + 2 AS n') & df.step('wide', 'SELECT g FROM generate_series(1, 3) AS g'))"
        " ~> df.step('last', 'SELECT $left.n + $right.n AS sum, count(*) FROM $wide.*')",
    ),
    History(
        "if_and_input",
        "df.if('SELECT $input.amount > 100', df.step('large', 'SELECT ''large'' AS word'), df.step('small',"
        " 'SELECT ''small'' AS word')) ~> df.if(df.step('none', 'SELECT NULL'), 'SELECT 1', 'SELECT 2')",
        input='{"amount": 250, "who": "anna"}',
    ),
    History(
        "loop",
        "df.loop('SELECT coalesce($n?, 0) + 1 AS n' |=> 'n' ~> df.if('SELECT $n >= 12', df.break('{\"at\": $n}')),"
        " 'SELECT $n < 20')",
    ),
    History(
        "map",
        "df.map('SELECT g AS n FROM generate_series(0, 4) AS g', df.step('part', 'SELECT 12 / $item.n AS n') ~>"
        " 'SELECT $part.n + 1 AS n', max_parallel => 2, on_error => 'continue') |=> 'all'"
        " ~> df.map('SELECT g FROM generate_series(1, 5) AS g', 'SELECT count(*) FROM $b.*', name => 'b', batch_size => 2)",
    ),
    History(
        "race_and_timeout",
        "df.race(df.sleep(30), df.step('quick', 'SELECT 1 AS n'), df.step('slow', 'SELECT pg_sleep(30)'))"
        " ~> df.timeout(df.sleep(60), '200 ms', df.step('late', 'SELECT ''too late'' AS said'))"
        " ~> df.timeout(df.step('in_time', 'SELECT 2 AS n'), '1 hour')",
    ),
    History(
        "retry",
        "df.retry('SELECT nextval(''attempt'') AS n' |=> 'try' ~> 'SELECT 1 / ($try / 3) AS ok', 5, backoff => '10 ms')"
        " ~> df.step('flaky', 'SELECT 1 / (nextval(''flaky'') / 2) AS ok', max_attempts => 3, retry_on => ARRAY['22012'], backoff => '1.1 s', jitter => false)",
        setup="CREATE SEQUENCE attempt; CREATE SEQUENCE flaky",
    ),
    History(
        "compensate",
        "df.compensate(df.step('hotel', 'INSERT INTO bookings VALUES (''hotel'') RETURNING what'), df.step('no_hotel',"
        " 'DELETE FROM bookings WHERE what = $hotel')) ~> df.compensate(df.step('train',"
        " 'INSERT INTO bookings VALUES (''train'')'), df.step('no_train', 'DELETE FROM bookings WHERE what = ''train'''))"
        " ~> df.step('broken', 'SELECT 1 / 0')",
        setup="CREATE TABLE bookings (what text)",
    ),
    History(
        "try_and_atomic",
        "df.try(df.step('divide', 'SELECT 1 / 0'), df.step('caught', 'SELECT $error.sqlstate AS code'), finally =>"
        " df.step('always', 'SELECT 3 AS n')) ~> df.atomic(df.step('one', 'SELECT 1 AS n') ~> df.step('two', 'SELECT $one + 1 AS n'))"
        " ~> 'SELECT $two * 2 AS n'",
    ),
    History(
        "signals",
        "df.step('approval', df.wait_for_signal('approve', 3600)) ~> 'SELECT $approval.data ->> ''by'' AS by'"
        " ~> df.wait_for_signal('never', 0.2) |=> 'n' ~> df.if('$n', 'SELECT 1', 'SELECT 2')",
        drive=_signals,
    ),
    History(
        "waits",
        "'SELECT 0.2 AS s' |=> 'pause' ~> df.sleep('$pause.s seconds') ~> df.wait_for('SELECT nextval(''polls'') > 2',"
        " every => '0.1 s', timeout => '1 hour') ~> df.sleep(6) ~> df.wait_until('2020-01-01 00:00:00+00')",
        setup="CREATE SEQUENCE polls",
    ),
    History(
        "calls",
        "'SELECT 7 AS number' |=> 'order' ~> df.call('invoice', '{\"number\": \"$order.number\"}', max_attempts => 3)"
        " |=> 'invoice' ~> 'SELECT $invoice.amount AS amount' ~> df.try(df.call('broken'), 'SELECT $error.message AS said')",
        setup="SELECT df.define('invoice', 'SELECT $input.number * 10 AS amount', params => '{\"number\": \"integer\"}');"
        " SELECT df.define('broken', 'SELECT 1 / 0')",
    ),
    History(
        "http",
        "df.step('sent', df.http('{hook}/a', 'POST', '{{}}')) ~> df.step('word', 'SELECT ''b'' AS b')"
        " ~> df.http('{hook}/$word', 'POST', '{{}}') |=> 'second' ~> 'SELECT $second.status AS status'",
    ),
    History(
        "killed",
        "df.step('before', 'SELECT 1 AS n') ~> (df.step('held', 'SELECT $before + 1 AS n FROM pg_sleep(CASE WHEN nextval(''kills'') < 3"
        " THEN 20 ELSE 0 END)') & df.step('beside', 'SELECT 5 AS n')) ~> df.loop(df.step('count', 'SELECT coalesce($count?, 0) + 1 AS n FROM"
        " pg_sleep(CASE WHEN nextval(''rounds'') = 10 THEN 20 ELSE 0 END)'), 'SELECT $count < 12') ~> df.step('after', 'SELECT $held + 1 AS n')",
        drive=_kills,
        setup="CREATE SEQUENCE kills; CREATE SEQUENCE rounds",
    ),
    History(
        "cancelled",
        "df.compensate(df.step('made', 'SELECT 1 AS n'), df.step('unmade', 'SELECT 2 AS n')) ~> df.step('long', 'SELECT pg_sleep(60)')",
        drive=_cancel,
    ),
    History(
        "retried",
        "df.step('a', 'SELECT 1 AS n') ~> df.map('SELECT g FROM generate_series(0, 2) AS g', 'SELECT 1 / (open + $item) FROM gate')"
        " ~> df.step('c', 'SELECT $a + 1 AS n')",
        drive=_retry,
        setup="CREATE TABLE gate AS SELECT 0 AS open",
    ),
    History(
        "paused",
        "df.step('a', 'SELECT 1 AS n') ~> df.step('b', 'SELECT $a + 1 AS n FROM pg_sleep(1)') ~> df.step('c', 'SELECT $b + 1 AS n')",
        drive=_pause,
    ),
)


def record(server: Server, history: History) -> str:
    """Run a workflow with recording on; the document of it."""
    name = f"history_{history.name}"
    with psycopg.connect(server.url(), autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    migrate.install(server.url(name))
    with (
        psycopg.connect(server.url(name), autocommit=True) as connection,
        Hooks() as hooks,
        WorkerProcess(server.url(name), ("--lease", "1", "--allow-host", hooks.host)) as worker,
    ):
        if history.setup:
            connection.execute(history.setup.encode())
        expression = history.expression.replace("{hook}", f"http://{hooks.host}").replace("{{}}", "{}")
        connection.execute("SET df.record = on")
        row = connection.execute(
            f"SELECT df.start({expression}, %s, input => %s)".encode(), [history.name, history.input]
        ).fetchone()
        assert row is not None
        run = Run(connection, str(row[0]), worker)
        history.drive(run)
        run.until("SELECT completed_at IS NOT NULL FROM df.instances WHERE id = %s", run.instance)
        return written(exported(connection, run.instance))


def main(names: Sequence[str]) -> None:
    """Record what is named, or what is missing."""
    server = Server("18", FAST)
    server.start()
    try:
        for history in HISTORIES:
            path = FOLDER / history.name / "journal.json"
            if history.name not in names and (names or path.exists()):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(record(server, history), encoding="utf-8")
    finally:
        server.remove()


if __name__ == "__main__":
    main(sys.argv[1:])
