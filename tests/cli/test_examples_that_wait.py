"""The examples that wait for somebody or some time: each with its one command, and killed in the middle."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dfc.executor.embedded import EmbeddedServer
from tests.cli.conftest import environment, rows, run
from tests.e2e.harness import wait_until

DFC = ("-P", "-m", "dfc")


@pytest.fixture
def session(examples: Path) -> Generator[psycopg.Connection[tuple[Any, ...]]]:
    """A superuser's look at the database of the examples."""
    with (
        EmbeddedServer(examples / ".dfc") as server,
        psycopg.connect(server.conninfo, autocommit=True) as connection,
    ):
        yield connection


@contextlib.contextmanager
def running(*command: str, cwd: Path) -> Generator[Path]:
    """A command that is killed at the end with all that it has started; the file is what it said."""
    said = cwd / "said.txt"
    with said.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=cwd,
            env=environment(),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
        try:
            yield said
            assert process.poll() is None, said.read_text()
        finally:
            subprocess.run(["pkill", "-KILL", "-s", str(process.pid)], check=False)
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            process.wait()


def value(connection: psycopg.Connection[tuple[Any, ...]], query: str) -> Any:
    """The one value of a query; None while there is no such table."""
    try:
        row = connection.execute(query.encode()).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return None
    return row and row[0]


@pytest.mark.long
def test_maintenance(examples: Path) -> None:
    answer = run("maintenance.py", cwd=examples)
    assert [row[:3] for row in rows(answer)] == [
        ['"Shopping Carts"', "8000", "1576 kB"],
        ["visits", "15000", "2792 kB"],
    ]
    assert "may visits be vacuumed? 15000 dead rows\n" in answer.stderr
    assert "Ann approves" in answer.stderr


def test_maintenance_goes_on_after_a_kill_with_an_approval_that_came_meanwhile(
    examples: Path, session: psycopg.Connection[tuple[Any, ...]]
) -> None:
    text = (examples / "maintenance.dfsql").read_text()
    # Nobody listens there.
    (examples / "alone.dfsql").write_text(text.replace(":8768", ":9").replace("'maintenance'", "'alone'"))
    waiting = "SELECT id FROM df.instances WHERE label = 'alone' AND waiting_for LIKE '%signal%'"
    with running(*DFC, "run", "alone.dfsql", cwd=examples):
        wait_until(lambda: bool(value(session, waiting)), 60, "the wait for the approval")
    instance = str(value(session, waiting))
    at = ("--database", ".dfc")
    sent = run(*DFC, "signal", instance, "approve", '{"approved": true}', *at, cwd=examples)
    assert (sent.returncode, sent.stdout, sent.stderr) == (0, "OK\n", "")
    answer = run(*DFC, "run", "alone.dfsql", cwd=examples)
    assert [row[0] for row in rows(answer)] == ['"Shopping Carts"', "visits"]
    assert "continuing the run that began at" in answer.stderr and instance in answer.stderr
    assert value(session, "SELECT count(*) FROM df.instances WHERE label = 'alone'") == 1
    assert value(session, "SELECT sum(n_dead_tup) FROM pg_stat_user_tables WHERE relname = 'visits'") == 0


def test_nightly_makes_up_for_missed_nights_once(
    examples: Path, session: psycopg.Connection[tuple[Any, ...]]
) -> None:
    answer = run(*DFC, "run", "nightly.dfsql", cwd=examples)
    shown = answer.stdout.splitlines()
    assert answer.returncode == 0 and "2026-03-02     30    1335" in shown, answer.stderr
    assert answer.stderr.count("by hand 0") == 1
    nights = shown[shown.index(next(line for line in shown if line.startswith("next_in_rome"))) + 1 :]
    assert len(nights) == 3 and all("T02:30:00" in night or "T03:00:00" in night for night in nights)
    # Three nights in which no worker was there.
    session.execute(
        "UPDATE df.schedule_states SET next_at = next_at - interval '3 days',"
        " ticks[1] = next_at - interval '3 days'"
    )
    # What a real tick starts, should one come just now, is something else.
    now = value(session, "SELECT now()")
    missed = f"FROM df.instances WHERE label = 'nightly' AND scheduled_at < '{now}'"
    with running(*DFC, "up", ".", cwd=examples):
        wait_until(lambda: value(session, f"SELECT count(*) {missed}") == 1, 60, "the last night's instance")
    with running(*DFC, "up", ".", cwd=examples):
        wait_until(lambda: value(session, f"SELECT status {missed}") == "completed", 60, "its end")
    assert value(session, f"SELECT count(*) {missed}") == 1
    assert value(session, "SELECT next_at > now() FROM df.schedules")
    last_night = f"(SELECT (scheduled_at AT TIME ZONE 'Europe/Rome')::date - 1 {missed})"
    assert value(session, f"SELECT count(*) FROM days_closed WHERE NOT by_hand AND day = {last_night}") == 1
    assert value(session, "SELECT count(*) FROM incidents") == 0


@pytest.mark.long
def test_invoices_are_reminded_and_decided_once_each(
    examples: Path, session: psycopg.Connection[tuple[Any, ...]]
) -> None:
    with running(*DFC, "run", "invoice.dfsql", cwd=examples):
        wait_until(
            lambda: bool(value(session, "SELECT reminders >= 1 FROM invoices WHERE id = 3")), 60, "a reminder"
        )
    answer = run(*DFC, "run", "invoice.dfsql", cwd=examples)
    found = rows(answer)[-3:]
    assert [row[:4] for row in found] == [
        ["1", "1000", "approved", "Ann"],
        ["2", "2000", "rejected", "Bob"],
        ["3", "3000", "approved", "Eve"],
    ]
    assert [int(row[4]) >= least for row, least in zip(found, (0, 2, 3), strict=True)] == [True] * 3
    # Each round but the last was one reminder, whatever was killed.
    rounds = "SELECT execution_count FROM df.list_instances() WHERE label LIKE 'invoice %' ORDER BY label"
    counted = session.execute(rounds).fetchall()
    assert [int(row[0]) - 1 for row in counted] == [int(row[4]) for row in found]


@pytest.mark.long
def test_a_web_hook_that_is_delivered_again_changes_nothing(
    examples: Path, session: psycopg.Connection[tuple[Any, ...]]
) -> None:
    with running("webhook.py", cwd=examples) as said:
        wait_until(lambda: said.read_text().count("paid: ") == 2, 60, "both deliveries")
    answer = run("webhook.py", cwd=examples)
    assert rows(answer)[-1:] == [["7", "50", "RF18 5390 0754 7034", "true"]]
    assert value(session, "SELECT count(*) FROM payments") == 1
