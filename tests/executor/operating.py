"""Workflows that write a ledger and can be held up, for the tests of what operators do with them."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.executor.support import until

Connection = psycopg.Connection[Any]

GATE = 4711
"""The advisory lock that holds a step up: whoever has it, exclusively, shuts the gate."""

WROTE = f"""
CREATE FUNCTION wrote(step text, gated boolean DEFAULT false) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
    IF gated THEN PERFORM pg_advisory_xact_lock_shared({GATE}); END IF;
    IF EXISTS (SELECT FROM faults f WHERE f.step = $1) THEN RAISE '% is broken', $1; END IF;
    INSERT INTO ledger (step) VALUES ($1);
    RETURN 1;
END $$
"""


def prepare(connection: Connection) -> None:
    """Make the ledger, and the function that a step writes into it with."""
    connection.execute("CREATE TABLE ledger (n serial, step text)")
    connection.execute("CREATE TABLE faults (step text)")
    connection.execute(WROTE.encode())


def shut(connection: Connection) -> None:
    """Hold up every gated step from now on."""
    connection.execute(f"SELECT pg_advisory_lock({GATE})".encode())


def open_gate(connection: Connection) -> None:
    """Let them go on."""
    connection.execute(f"SELECT pg_advisory_unlock({GATE})".encode())


def held_up(connection: Connection, count: int = 1) -> None:
    """Wait until so many steps stand at the gate."""
    look = f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {GATE} AND NOT granted"
    until(lambda: connection.execute(look.encode()).fetchone() == (count,), f"{count} steps at the gate")


def break_step(connection: Connection, *steps: str) -> None:
    """Let steps of these names fail."""
    for step in steps:
        connection.execute("INSERT INTO faults VALUES (%s)", [step])


def mend(connection: Connection) -> None:
    """Let nothing fail any more."""
    connection.execute("DELETE FROM faults")


def start(connection: Connection, expression: str, arguments: str = "") -> str:
    """Start a workflow given as SQL; its id."""
    row = connection.execute(f"SELECT df.start({expression}{arguments})".encode()).fetchone()
    assert row is not None
    return str(row[0])


def ledger(connection: Connection) -> list[str]:
    """The steps that have written, in order."""
    return [str(row[0]) for row in connection.execute("SELECT step FROM ledger ORDER BY n").fetchall()]


def status(connection: Connection, instance: str) -> str:
    """What df.status says."""
    row = connection.execute("SELECT df.status(%s)", [instance]).fetchone()
    assert row is not None
    return str(row[0])


def comes_to(connection: Connection, instance: str, *wanted: str) -> dict[str, Any]:
    """Wait until the instance's row has one of these statuses."""

    def look() -> dict[str, Any] | None:
        with connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(
                "SELECT * FROM df.instances WHERE id = %s AND status = ANY (%s)", [instance, list(wanted)]
            ).fetchone()

    return until(look, f"{instance} to be {wanted}")


def paused(connection: Connection, instance: str) -> None:
    """Wait until the pause has been carried out."""
    look = "SELECT paused FROM df.instances WHERE id = %s"
    until(lambda: connection.execute(look, [instance]).fetchone() == (True,), f"{instance} to be paused")
