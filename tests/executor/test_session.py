"""One connection in pipeline mode: answers belong to their messages, whatever was evicted or went wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import pytest
from psycopg import sql

from dfc.executor.connections import conninfo_for
from dfc.executor.session import PREPARED_MAX, ConnectionLost, Message, Session


def run(database: str, work: Callable[[Session], Awaitable[None]]) -> None:
    """Run a coroutine with a session of its own."""

    async def go() -> None:
        session = await Session.connect(conninfo_for(database, application="test", steps=True))
        try:
            await work(session)
        finally:
            session.close()

    asyncio.run(go())


async def number(session: Session, value: int) -> str | None:
    """What a statement says whose text is fixed for this number."""
    [answer] = await session.exchange(Message(f"SELECT {value} WHERE $1::int > 0", ("1",), prepare=True))
    return answer.text(0, 0)


def test_an_answer_is_the_messages_own_when_another_statement_makes_room(shared_database: str) -> None:
    async def work(session: Session) -> None:
        for value in range(PREPARED_MAX + 50):
            for _ in range(2):  # the second time it is prepared
                assert await number(session, value) == str(value)
        [kept] = await session.exchange(Message("SELECT count(*) FROM pg_prepared_statements"))
        assert PREPARED_MAX - 2 <= int(kept.text(0, 0) or 0) <= PREPARED_MAX
        assert await number(session, 0) == "0"

    run(shared_database, work)


def test_what_cannot_be_sent_leaves_no_answer_to_the_next(shared_database: str) -> None:
    async def work(session: Session) -> None:
        with pytest.raises(UnicodeEncodeError):
            await session.exchange(Message("SELECT 'one'"), Message("SELECT $1", ("\ud800",)))
        [answer] = await session.exchange(Message("SELECT 'two'"))
        assert answer.text(0, 0) == "two"

        with pytest.raises(TypeError):
            await session.exchange(Message("SELECT 'one'"), Message("SELECT $1", (1,)))  # type: ignore[arg-type]
        assert not session.alive
        with pytest.raises(ConnectionLost):
            await session.exchange(Message("SELECT 'two'"))

    run(shared_database, work)


@pytest.mark.parametrize("steps", [True, False])
def test_settings_of_the_database_do_not_end_or_hobble_sessions(database: str, steps: bool) -> None:
    hostile = {
        "idle_session_timeout": "1500ms",
        "idle_in_transaction_session_timeout": "1500ms",
        "default_transaction_read_only": "on",
        "default_transaction_isolation": "serializable",
    }
    if not steps:
        hostile |= {"statement_timeout": "1500ms", "lock_timeout": "1500ms"}
    with psycopg.connect(database, autocommit=True) as connection:
        for name, value in hostile.items():
            connection.execute(
                sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                    sql.Identifier(connection.info.dbname), sql.Identifier(name), sql.Literal(value)
                )
            )

    async def look() -> None:
        session = await Session.connect(conninfo_for(database, application="test", steps=steps))
        try:
            for name, value in hostile.items():
                [shown] = await session.exchange(Message(f"SHOW {name}"))
                assert shown.text(0, 0) != value, name
        finally:
            session.close()

    asyncio.run(look())
