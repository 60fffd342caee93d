"""Connections on which steps run: always logged in as the submitter, one pool per role, one limit over all.

Today there is one role, the worker's own; `StepConnections` is the seam for more. What is pinned in the
start packet wins over ALTER ROLE and ALTER DATABASE, and RESET ALL comes back to it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dfc.executor.limits import CONNECTIONS_MAX
from dfc.executor.places import Places
from dfc.executor.session import ConnectionLost, Message, ServerError, Session

PINNED: Final = {
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "row_security": "on",
    "lc_monetary": "C",
    "log_parameter_max_length_on_error": "0",
    "client_connection_check_interval": "500ms",
    "default_transaction_isolation": "read\\ committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    # A session that waits for work, or for notifications, is not one that somebody has forgotten.
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
"""Settings on which the text of values depends, and those that guard a session."""

STEP_ONLY: Final = {"df.in_workflow": "true"}
CONTROL_ONLY: Final = {"search_path": "pg_catalog,pg_temp", "statement_timeout": "0", "lock_timeout": "0"}

_TIMEOUTS: Final = {
    "connect_timeout": "10",
    "tcp_user_timeout": "20000",
    "keepalives_idle": "5",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}
_SERVER_SIDE: Final = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
"""What a machine that has vanished holds is given up after 20 s, and not after the system's two hours."""
_REST: Final = "SELECT df.begin_step('', 'UTC')"
_REST_ELSEWHERE: Final = "SELECT df_markers.begin_step('', 'UTC')"
_PoolKey = tuple[str, str]


TIDY_SECONDS: Final = 0.05
"""A session that nobody has taken for this long is tidied: no lock of an ended step outlives that."""
AWAY_SECONDS: Final = 5.0
"""How long an idle session stays in another database, which cannot be dropped, renamed or copied as long."""

TIDYING: Final = "tidying"
"""Who holds a place for that. No instance has this id."""


class RoleUnavailable(Exception):
    """Nobody can be logged in as this role here; its instances wait. The message says why."""


def conninfo_for(conninfo: str, *, application: str, steps: bool, database: str | None = None) -> str:
    """`conninfo` with our name, time limits and settings; `steps` for sessions that run the users' SQL."""
    given = conninfo_to_dict(conninfo)
    parts: dict[str, str] = {key: str(value) for key, value in given.items() if value is not None}
    options = parts.get("options", "")
    settings = {**PINNED, **_SERVER_SIDE, **(STEP_ONLY if steps else CONTROL_ONLY)}
    options += "".join(f" -c {name}={value}" for name, value in settings.items())
    merged = {**_TIMEOUTS, **parts, "options": options.strip(), "application_name": application}
    merged["client_encoding"] = "UTF8"
    if database is not None:
        merged["dbname"] = database
    return make_conninfo("", **merged)


class StepConnections:
    """Pools of step sessions.

    Args:
        conninfo: how the worker itself logs in.
        role: the role that this logs in as.
        database: the database that this connects to.
        connections_max: sessions over all pools, idle ones included.
    """

    def __init__(
        self, conninfo: str, *, role: str, database: str, connections_max: int = CONNECTIONS_MAX
    ) -> None:
        self._conninfo = conninfo
        self._role = role
        self._database = database
        self._places = Places(connections_max)
        self._connections_max = connections_max
        self._open = 0
        self._idle: OrderedDict[Session, _PoolKey] = OrderedDict()
        self._busy: set[Session] = set()
        self._untidy: dict[Session, float] = {}
        self._away: dict[Session, asyncio.TimerHandle] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._tidying: asyncio.Task[None] | None = None

    @property
    def database(self) -> str:
        """The database of the workflows."""
        return self._database

    @property
    def roles(self) -> list[str]:
        """The roles whose instances can run here."""
        return [self._role]

    @asynccontextmanager
    async def acquire(self, role: str, database: str | None, instance: str) -> AsyncGenerator[Session]:
        """A session of `role` for the time of one step; waits while `connections_max` are in use.

        Instances share them fairly (`places`), however many steps each of them wants to run at once.

        Raises RoleUnavailable, psycopg.OperationalError when it cannot be opened.
        """
        if role != self._role:
            raise RoleUnavailable(f"this worker logs in as `{self._role}` only, not as `{role}`")
        key = (role, database or self._database)
        async with self._places.hold(instance):
            session = self._take(key) or await self._connect(key)
            self._busy.add(session)
            try:
                yield session
            finally:
                self._busy.discard(session)
                self._give_back(session, key)
                self._untidy[session] = asyncio.get_running_loop().time()
                self._set_timer()

    def close(self) -> None:
        """Close every session at once; what runs on them is rolled back by the server."""
        if self._timer is not None:
            self._timer.cancel()
        if self._tidying is not None:
            self._tidying.cancel()
        for timer in self._away.values():
            timer.cancel()
        for session in (*self._idle, *self._busy):
            session.close()
        self._idle.clear()

    def _take(self, key: _PoolKey) -> Session | None:
        """The session of this pool that was used last: few warm sessions beat many cool ones."""
        for session in reversed(self._idle):
            if self._idle[session] == key:
                del self._idle[session]
                if session.alive:
                    return session
                self._open -= 1
                return self._take(key)
        return None

    async def _connect(self, key: _PoolKey) -> Session:
        while self._open >= self._connections_max and self._idle:
            oldest, _ = self._idle.popitem(last=False)
            oldest.close()
            self._open -= 1
        self._open += 1
        try:
            return await Session.connect(
                conninfo_for(self._conninfo, application="dfc step", steps=True, database=key[1])
            )
        except BaseException:
            self._open -= 1
            raise

    def _give_back(self, session: Session, key: _PoolKey) -> None:
        if session.in_transaction:
            session.close()
        if (timer := self._away.pop(session, None)) is not None:
            timer.cancel()
        if not session.alive:
            self._open -= 1
            return
        self._idle[session] = key
        if key[1] != self._database:
            self._away[session] = asyncio.get_running_loop().call_later(AWAY_SECONDS, self._leave, session)

    def _leave(self, session: Session) -> None:
        """Close a session in another database that nobody has wanted for a while."""
        del self._away[session]
        if self._idle.pop(session, None) is not None:
            session.close()
            self._open -= 1

    def _set_timer(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TIDY_SECONDS, self._start_tidying)

    def _start_tidying(self) -> None:
        self._timer = None
        if self._tidying is not None and not self._tidying.done():
            self._set_timer()
            return
        self._tidying = asyncio.get_running_loop().create_task(self._tidy())

    async def _tidy(self) -> None:
        """Let go of what the last steps hold on sessions that nobody has wanted since."""
        loop = asyncio.get_running_loop()
        for session in [session for session in self._untidy if not session.alive]:
            del self._untidy[session]
        for session, at in list(self._untidy.items()):
            # A place that is free is taken without waiting, so nobody takes the session in between.
            if session not in self._idle or loop.time() - at < TIDY_SECONDS or self._places.free == 0:
                continue
            async with self._places.hold(TIDYING):
                key = self._idle.pop(session)
                del self._untidy[session]
                self._busy.add(session)
                try:
                    await _rest(session, elsewhere=key[1] != self._database)
                finally:
                    self._busy.discard(session)
                    self._give_back(session, key)
        if self._untidy:
            self._set_timer()


async def _rest(session: Session, *, elsewhere: bool) -> None:
    """End what a step has left, before another one comes. Session locks would keep others waiting."""
    guard = _REST_ELSEWHERE if elsewhere else _REST
    try:
        await session.exchange(Message(guard, prepare=True))
    except ServerError:
        await clean(session)
    except ConnectionLost:
        return


async def clean(session: Session) -> None:
    """Remove what a step left in its session; closes it where that cannot be done.

    A temp schema stays with a session for good, so such a session is closed.
    """
    try:
        [answer] = await session.exchange(
            Message("SELECT pg_catalog.pg_my_temp_schema() <> 0::pg_catalog.oid")
        )
        if answer.text(0, 0) == "t":
            session.close()
            return
        await session.exchange(Message("DISCARD ALL"))
        session.forget_prepared()
    except (ServerError, ConnectionLost, psycopg.Error):
        session.close()
