"""A statement that takes PostgreSQL down each time: it fails in the end, and what it held up goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from dfc.executor.migrate import install
from dfc.executor.runners.http_mock import (
    HttpMock,
    MockAnswer,
    mock_as_written,
    read_mock,
    written_mock,
)
from tests.executor.support import WorkerProcess, until
from tests.postgres import Server

SOON = (
    "from dfc.executor import limits; limits.SUSPECT_AFTER_DEATHS = 1; limits.SUSPECT_LOSSES_MAX = 2\n"
    "from dfc.executor.runners.http_mock import HttpMock, MockAnswer"
)
MOCK = HttpMock(name="m", answers=(MockAnswer(url="https://api.example.com/*", body=b"[7]"),))


@pytest.fixture
def mortal() -> Iterator[Server]:
    made = Server("18")
    made.start()
    try:
        yield made
    finally:
        made.kill()


def start(url: str, expression: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(f"SELECT df.start({expression})".encode()).fetchone()
        assert row is not None
        return str(row[0])


def ended(url: str, instance: str) -> tuple[str, str, str]:
    """Status, code and message, however often the server is away meanwhile."""

    def look() -> tuple[str, str, str] | None:
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                return connection.execute(
                    "SELECT status, error ->> 'code', error ->> 'message' FROM df.instances"
                    " WHERE id = %s AND completed_at IS NOT NULL",
                    [instance],
                ).fetchone()
        except psycopg.OperationalError:
            return None

    return until(look, f"instance {instance} to end", 120)


def test_a_statement_that_ends_postgres_fails_in_the_end_and_the_others_go_on(mortal: Server) -> None:
    url = mortal.url()
    install(url)
    poison = start(url, "df.sql($$COPY (SELECT 1) TO PROGRAM 'kill -9 $PPID'$$)")
    other = start(url, "'SELECT pg_sleep(1)' ~> df.http('https://api.example.com/x', 'GET')")
    with WorkerProcess(url, prelude=SOON, lease_seconds=2.0, http_mock=MOCK) as worker:
        status, code, message = ended(url, poison)
        assert (status, code) == ("failed", "DF591"), worker.log
        assert "2 times in a row" in message
        # It was a suspect, too; its process has the worker's mock.
        assert ended(url, other)[0] == "completed"
        assert worker.process.poll() is None


def test_a_mock_is_the_same_in_another_process(tmp_path: Path) -> None:
    file = tmp_path / "mock.json"
    file.write_text(json.dumps([{"url": "a*", "headers": {"X": "y"}, "body": "ä", "times": 2}, {"url": "b"}]))
    for mock in (read_mock(file), read_mock(file).noting(tmp_path / "ledger")):
        assert mock_as_written(json.loads(json.dumps(written_mock(mock)))) == mock


def test_a_suspect_runs_where_its_worker_may_though_a_newer_one_has_come(database: str) -> None:
    soon = "from dfc.executor import limits; limits.SUSPECT_AFTER_DEATHS = 1"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE gate AS SELECT false AS open")
        instance = start(database, "'SELECT 1' ~> df.wait_for('SELECT open FROM gate', every => 0.1)")
        with WorkerProcess(database, lease_seconds=60.0) as first:
            until(
                lambda: connection.execute("SELECT FROM df.checkpoints").fetchone() is not None,
                "a checkpoint",
            )
            with WorkerProcess(database, prelude=soon, lease_seconds=60.0) as second:
                second.registered()
                connection.execute("UPDATE df.meta SET compiler_version = compiler_version + 1")
                first.process.kill()
                until(lambda: "suspect instance=" in second.log, "the take-over")
                connection.execute("UPDATE gate SET open = true")
                assert ended(database, instance)[0] == "completed", second.log
                assert "suspect died" not in second.log
