"""The table "what happens when" of docs/reference/what-happens.md: each row is a workflow that runs here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.e2e.happenings import HAPPENINGS, Happening
from tests.e2e.harness import WorkerProcess, connected, wait_until

REFERENCE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "what-happens.md"


@pytest.fixture(scope="module")
def session(shared_database: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with WorkerProcess(shared_database), connected(shared_database) as connection:
        connection.execute("CREATE TABLE ledger (n serial, what text)")
        connection.execute(
            "CREATE FUNCTION put(what text) RETURNS text LANGUAGE sql AS "
            "$$ SELECT df.sql(format('INSERT INTO ledger (what) VALUES (%L)', what)) $$"
        )
        connection.execute(
            "CREATE FUNCTION undoable(what text) RETURNS text LANGUAGE sql AS "
            "$$ SELECT df.compensate(put(what), put('undo-' || what)) $$"
        )
        connection.execute("SELECT df.define('breaks', undoable('in') ~> 'SELECT 1/0')")
        connection.execute("SELECT df.define('hangs', undoable('in') ~> df.sleep(60))")
        yield connection


def words(session: psycopg.Connection[tuple[Any, ...]]) -> list[str]:
    return [row[0] for row in session.execute("SELECT what FROM ledger ORDER BY n").fetchall()]


@pytest.mark.parametrize("happening", HAPPENINGS, ids=[happening.when for happening in HAPPENINGS])
def test_what_happens(happening: Happening, session: psycopg.Connection[tuple[Any, ...]]) -> None:
    session.execute("TRUNCATE ledger RESTART IDENTITY")
    row = session.execute(f"SELECT df.start({happening.workflow})".encode()).fetchone()
    assert row is not None
    for word in (happening.cancel_at, happening.again_at):
        if word is not None:
            wait_until(lambda word=word: word in words(session), 60, f"`{word}`")
            session.execute("SELECT df.cancel(%s, 'the test wants it')", [row[0]])
    session.execute("CALL df.await(%s, 60)", [row[0]])
    ended = session.execute("SELECT status, error FROM df.instances WHERE id = %s", [row[0]]).fetchone()
    assert ended is not None
    status: str = ended[0]
    error: dict[str, Any] = ended[1] or {}
    assert (status, " ".join(words(session))) == (happening.status, happening.ledger), error
    if happening.sqlstate is not None:
        assert error["sqlstate"] == happening.sqlstate
    if happening.cause is not None:
        assert error["cause"]["sqlstate"] == happening.cause
    if status == "cancelled":
        assert error["reason"] == "the test wants it"
    assert tuple(each["sqlstate"] for each in error.get("undo", [])) == happening.undo


def test_the_reference_has_a_sentence_for_each() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    table = text.partition("## What happens when")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (?!when|---)(.*?) \|", table, re.MULTILINE)
    assert rows == [happening.when for happening in HAPPENINGS]
