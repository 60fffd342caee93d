"""Keys of df.start at their edges: too long for an index, other limits and databases under the same key."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.sql.worker import Connection, claim, connect, refusal, register, value

LONG = "(SELECT string_agg(chr(65600 + n * 7919 % 60000), '') FROM generate_series(1, 900) AS n)"
"""Fewer than 1,000 characters, and more bytes than an entry of an index has room for."""


@pytest.fixture
def session(database: str) -> Iterator[Connection]:
    with connect(database) as connection:
        yield connection


def start(connection: Connection, arguments: str) -> str:
    return str(value(connection, f"SELECT df.start('SELECT 1', {arguments})"))


def claimed(connection: Connection, worker: int) -> list[str]:
    return [instance for instance, _, _ in claim(connection, worker)]


def test_each_counts_with_the_limit_it_was_started_with(session: Connection) -> None:
    me = register(session)
    one = start(session, "concurrency_key => 'k'")
    assert claimed(session, me) == [one]
    low, high = (start(session, f"concurrency_key => 'k', concurrency_limit => {limit}") for limit in (1, 2))
    assert claimed(session, me) == [high]
    assert value(session, f"SELECT waiting_for FROM df.instances WHERE id = '{low}'") is not None


def test_another_database_under_a_key(session: Connection) -> None:
    here = session.info.dbname
    one = start(session, "idempotency_key => 'k'")
    assert start(session, f"idempotency_key => 'k', database => '{here}'") == one
    with pytest.raises(psycopg.Error) as caught:
        start(session, "idempotency_key => 'k', database => 'postgres'")
    assert caught.value.sqlstate == "22023" and one in str(caught.value.diag.message_detail)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (f"idempotency_key => {LONG}", "22023"),
        (f"debounce_key => {LONG}, debounce => 1", "22023"),
        (f"concurrency_key => {LONG}", "22023"),
        (f"queue => {LONG}", "22023"),
        (f"label => {LONG}", "22001"),
    ],
)
def test_what_no_index_has_room_for(session: Connection, arguments: str, code: str) -> None:
    assert refusal(session, f"SELECT df.start('SELECT 1', {arguments})") == code
