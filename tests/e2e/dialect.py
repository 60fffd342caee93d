"""Runs a case of golden/dialect: starts its workflow, plays its session beside it, writes down what is said.

A `session.sql` is what another session does after the start, statement by statement, each in a transaction of
its own. `:'id'` is the instance. A statement below the line `-- until true` is repeated until it gives true.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.e2e.harness import Connection, connected

UNTIL = "-- until true\n"
SECONDS_MAX = 30.0
MASKS = (
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?[-+]\d\d(:\d\d)?"), "<time>"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<other id>"),
)
"""What is another text in every run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a case: as end.json has it, and what its session saw."""

    end: dict[str, Any]
    said: str


def statements(script: str) -> Iterator[str]:
    """The statements of a script: each ends at the end of a line."""
    for part in re.split(r"(?<=;)\n", script):
        if part.strip():
            yield part.strip()


def play(folder: Path, database: str) -> Outcome:
    """Run a case to its end."""
    text = (folder / "workflow.dfsql").read_text(encoding="utf-8")
    script = folder / "session.sql"
    with connected(database) as starting, connected(database) as other:
        try:
            id = started(starting, text)
        except psycopg.Error as error:
            return Outcome(end={"refused": error.diag.message_primary}, said="")
        said = watched(other, script.read_text(encoding="utf-8"), id) if script.exists() else ""
        other.execute("SELECT df.await_instance(%s, 60)", [id])
        row = other.execute("SELECT result, error FROM df.instances WHERE id = %s", [id]).fetchone()
        assert row is not None
        result, error = row
        end = {"result": result} if error is None else {"error": error.get("sqlstate", error["message"])}
        return Outcome(end=end, said=said)


def started(session: Connection, text: str) -> str:
    """The id of the last instance that a script starts."""
    cursor = session.execute(text.encode())
    while cursor.nextset():
        pass
    row = cursor.fetchone()
    assert row is not None
    return str(row[0])


def watched(session: Connection, script: str, id: str) -> str:
    """Play the script of a session; what each statement gave stands below it."""
    notices: list[str] = []
    session.add_notice_handler(lambda said: notices.append(f"{said.severity}: {said.message_primary}"))
    lines: list[str] = []
    for statement in statements(script):
        bound = statement.replace(":'id'", sql.Literal(id).as_string(session))
        answer = repeated(session, bound) if statement.startswith(UNTIL) else once(session, bound)
        lines += [statement, *notices, *answer, ""]
        notices.clear()
    text = "\n".join(lines)
    text = text.replace(id, "<id>")
    for pattern, mask in MASKS:
        text = pattern.sub(mask, text)
    return text


def once(session: Connection, statement: str) -> list[str]:
    try:
        cursor = session.execute(statement.encode())
    except psycopg.Error as error:
        return [f"ERROR: {error.diag.message_primary} ({error.diag.sqlstate})"]
    if cursor.description is None:
        return []
    rows = [" | ".join(map(shown, row)) for row in cursor.fetchall()]
    return [" | ".join(column.name for column in cursor.description), *rows]


def repeated(session: Connection, statement: str) -> list[str]:
    deadline = time.monotonic() + SECONDS_MAX
    while session.execute(statement.encode()).fetchone() != (True,):
        if time.monotonic() > deadline:
            raise TimeoutError(statement)
        time.sleep(0.02)
    return []


def shown(value: object) -> str:
    """A value in one line, NULL as psql's \\pset null shows it."""
    match value:
        case None:
            return "∅"
        case bool():
            return "t" if value else "f"
        case dict() | list():
            return json.dumps(value)
        case _:
            return str(value).replace("\n", "⏎\n")
