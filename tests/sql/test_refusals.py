"""What functions that people call refuse: with a message, a detail and a hint, and nothing is stored."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

Connection = psycopg.Connection[Any]

FUNCTIONS = Path(__file__).resolve().parents[2] / "sql" / "functions"
WIDE = "(SELECT string_agg(chr(20000 + 7 * g), '') FROM generate_series(1, 1000) AS g)"
"""1,000 characters, 3,000 bytes, and nothing that could be compressed: too much for an index."""
LONG = "(SELECT string_agg(md5(g::text), '') FROM generate_series(1, 500) AS g)"
OF_WORKERS = (
    *("checkpoint", "end_instance", "end_map", "fetch_items", "map_fill"),
    *("put_outcome", "result_of", "ride", "store_items"),
)
"""Files whose refusals are for workers, and mean that the worker is wrong."""
REFUSED = (
    ("df.signal('nobody', 'go')", "P0002"),
    ("df.signal(NULL, 'go')", "P0002"),
    ("df.signal(instance, '')", "22023"),
    ("df.signal(instance, NULL)", "22023"),
    ("df.signal(instance, 'go', NULL::text)", "22004"),
    (f"df.signal(instance, {LONG})", "22023"),
    ("df.signal(instance, 'go', '{\"a\": \"\\u0000\"}')", "22023"),
    ("df.signal(instance, 'go', '[\"\\ud800\"]'::json)", "22023"),
    ("df.signal_all('waits', 'go', '1e400000')", "22023"),
    ("df.signal(instance, 'go', '1', dedupe_key => '')", "22023"),
    (f"df.signal(instance, 'go', '1', dedupe_key => {LONG})", "22023"),
    ("df.signal_all('waits', 'go', '1', dedupe_key => '')", "22023"),
    (f"df.signal_all('waits', 'go', '1', dedupe_key => {LONG})", "22023"),
    ("df.signal_all(NULL, 'go')", "22004"),
    ("df.cancel('nobody')", "P0002"),
    ("df.pause_instance('nobody')", "P0002"),
    ("df.resume_instance('nobody')", "P0002"),
    ("df.retry_instance('nobody')", "P0002"),
    ("df.fork_instance('nobody', 'a')", "P0002"),
    ("df.fork_instance(instance, 'a')", "55000"),
    ("df.fork_instance(instance, 'a', label => repeat('x', 1001))", "22001"),
    ("df.await_instance('nobody')", "P0002"),
    ("df.await_instance(instance, 0)", "22023"),
    (f"df.start('SELECT 1', {WIDE})", "22001"),
    (f"df.start('SELECT 1', queue => {WIDE})", "22023"),
    (f"df.start('SELECT 1', idempotency_key => {WIDE})", "22023"),
    (f"df.start('SELECT 1', concurrency_key => {WIDE})", "22023"),
    (f"df.start('SELECT 1', debounce => 1, debounce_key => {WIDE})", "22023"),
    ("df.start('SELECT 1', timeout => '101 years')", "DF166"),
    ("df.start('SELECT 1', transaction_mode => 'later')", "22023"),
    ("df.start('SELECT 1', database => 'nowhere')", "3D000"),
    ("df.start('unknown')", "42704"),
    ("df.define('n n', 'SELECT 1')", "DF113"),
    (f"df.define('n', 'SELECT 1', queue => {WIDE})", "22023"),
    ("df.schedule('n n', '0 3 * * *', 'SELECT 1')", "DF113"),
    ("df.schedule('n', '0 3 * * *', 'unknown')", "42704"),
    ("df.grant_usage('nobody of this name')", "42704"),
    ("df.grant_usage('public', with_grant => true)", "0LP01"),
)


@pytest.fixture(scope="module")
def session(shared_database: str) -> Iterator[Connection]:
    with psycopg.connect(shared_database, autocommit=True) as connection:
        connection.execute("SELECT df.start(df.wait_for_signal('go'), 'waits')")
        yield connection


@pytest.mark.parametrize(("call", "code"), REFUSED)
def test_a_refusal_says_what_and_why_and_what_to_do(session: Connection, call: str, code: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        session.execute(f"SELECT {call} FROM (SELECT id AS instance FROM df.instances) AS i".encode())
    said = caught.value.diag
    assert said.sqlstate == code
    assert said.message_primary and said.message_detail and said.message_hint
    for table, rows in (("instances", 1), ("signals", 0), ("definitions", 0), ("requests", 0)):
        assert session.execute(f"SELECT count(*) FROM df.{table}".encode()).fetchall() == [(rows,)]


def test_a_key_of_a_thousand_two_byte_characters_is_taken(session: Connection) -> None:
    key = "(SELECT string_agg(chr(200 + g), '') FROM generate_series(1, 1000) AS g)"
    with session.transaction(force_rollback=True):
        keys = ", ".join(
            f"{name} => {key}" for name in ("label", "queue", "idempotency_key", "concurrency_key")
        )
        session.execute(f"SELECT df.start('SELECT 1', {keys})".encode())


def test_every_refusal_has_all_parts() -> None:
    raised = re.compile(r"RAISE EXCEPTION\b(.*?);[ \t]*(?:--[^\n]*)?\n", re.DOTALL)
    missing = [
        f"{file.name}: {' '.join(call.split())[:100]}"
        for file in sorted(FUNCTIONS.glob("*.sql"))
        if file.stem not in OF_WORKERS
        for call in raised.findall(file.read_text())
        if "'DX" not in call and not all(re.search(rf"\b{part}\s*=", call) for part in ("DETAIL", "HINT"))
    ]
    assert missing == []
