"""The worker's own sessions: how it asks the `df` schema, and what it means when that refuses.

No SQL of a user runs on them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import psycopg

from dfc.executor import retry, sqlstates
from dfc.executor.connections import conninfo_for
from dfc.executor.failures import AlreadyRecorded, Beaten, FenceLost, Transient
from dfc.executor.journal import StepError
from dfc.executor.session import Answered, ConnectionLost, Message, ServerError, Session

CONTROL_CONNECTIONS_MAX: Final = 4


class StoreError(Exception):
    """The database refused what the worker asked: a fault of ours, or of the installation."""

    def __init__(
        self, message: str, sqlstate: str, *, detail: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.detail = detail
        self.hint = hint

    def of_step(self, path: str) -> StepError:
        """The same as the error of a step."""
        return StepError(
            step=path, message=str(self), sqlstate=self.sqlstate, detail=self.detail, hint=self.hint
        )


class Control:
    """The worker's own sessions. `on_lost` is called when one of them is lost, from the event loop."""

    def __init__(self, conninfo: str, *, on_lost: Callable[[str], None]) -> None:
        self._conninfo = conninfo_for(conninfo, application="dfc worker", steps=False)
        self._on_lost = on_lost
        self._places = asyncio.Semaphore(CONTROL_CONNECTIONS_MAX)
        self._idle: list[Session] = []
        self._all: set[Session] = set()
        self._closed = False

    async def open(self) -> Session:
        """A session of its own for whoever asks. Raises psycopg.OperationalError."""
        session = await Session.connect(self._conninfo)
        if self._closed:
            session.close()
        session.on_lost = self._on_lost
        self._all.add(session)
        return session

    async def ask(self, *messages: Message, on_doubt: Callable[[], None] | None = None) -> list[Answered]:
        """The answers to messages sent as one transaction.

        `on_doubt` is called when they were sent and there will be no answer. Raises FenceLost,
        AlreadyRecorded, Transient, StoreError.
        """
        async with self._places:
            session: Session | None = None
            sent = False
            try:
                session = self._idle.pop() if self._idle else await self.open()
                sent = session.alive
                return await session.exchange(*messages)
            except ServerError as error:
                raise _meaning(error) from None
            except (ConnectionLost, psycopg.OperationalError, OSError) as error:
                raise Transient(f"the database is away: {error}", sqlstates.LOST) from None
            finally:
                if session is not None and session.alive:
                    self._idle.append(session)
                elif session is not None:
                    self._all.discard(session)
                    if sent and on_doubt is not None:
                        on_doubt()

    def close(self) -> None:
        """Close every session at once."""
        self._closed = True
        for session in self._all:
            session.on_lost = None
            session.close()
        self._all.clear()
        self._idle.clear()


def _meaning(error: ServerError) -> Exception:
    fields = error.fields
    match fields.sqlstate:
        case sqlstates.FENCE_LOST:
            return FenceLost(fields.message)
        case sqlstates.RECORDED:
            return AlreadyRecorded(fields.message)
        case sqlstates.BEATEN:
            return Beaten(fields.message)
        case sqlstate if retry.is_transient(sqlstate):
            return Transient(fields.message, sqlstate)
        case _:
            return StoreError(fields.message, fields.sqlstate, detail=fields.detail, hint=fields.hint)


def bytea(value: bytes) -> str:
    """Bytes as PostgreSQL reads them."""
    return "\\x" + value.hex()
