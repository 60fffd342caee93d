"""Runs SQL steps: guard, statement and checkpoint in one round trip and one transaction.

What cannot be so is elsewhere: statements outside of transactions (`autocommit`), transactions of several
statements (`atomic`).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import psycopg

from dfc.compiler.plan import Form
from dfc.executor.actions import RunAtomic, RunItems, RunSql
from dfc.executor.claim import Claim
from dfc.executor.connections import RoleUnavailable, StepConnections
from dfc.executor.failures import Transient, Unreachable
from dfc.executor.journal import AtomicDone
from dfc.executor.ports import Answer, Transaction
from dfc.executor.runners.alone import run_alone
from dfc.executor.runners.answers import answer_of, answer_of_items
from dfc.executor.runners.around import check_settings
from dfc.executor.runners.atomic import run_atomic
from dfc.executor.runners.autocommit import Autocommit
from dfc.executor.runners.elsewhere import ElsewhereSql
from dfc.executor.runners.hygiene import Replace
from dfc.executor.runners.statements import Statements
from dfc.executor.runners.step import items_step, sql_step
from dfc.executor.session import ConnectionLost, Session
from dfc.executor.sqlstates import LOST
from dfc.executor.store_elsewhere import ElsewhereStore

REPLACED_MAX: Final = 100

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class PostgresSql:
    """The SqlRunner of a worker. What it learns of statements and types it keeps, bounded."""

    def __init__(self, connections: StepConnections, records: ElsewhereStore | None = None) -> None:
        self._connections = connections
        self._statements = Statements()
        self._elsewhere = ElsewhereSql(connections.database, self._on_session, records)

    @property
    def elsewhere(self) -> ElsewhereSql:
        """The part that knows other databases."""
        return self._elsewhere

    def _elsewhere_of(self, action: RunSql | RunItems | RunAtomic) -> str | None:
        """The database of an action, where it is another one than that of the workflows."""
        return None if action.database == self._connections.database else action.database

    async def run(self, claim: Claim, action: RunSql) -> Answer:
        """See `ports.SqlRunner`."""
        check_settings(action.path, action.policy)
        if (database := self._elsewhere_of(action)) is not None:
            return await self._elsewhere.run(claim, action, database)
        step = sql_step(claim, action)
        if action.body.form is Form.AUTOCOMMIT:
            outside = Autocommit(self._statements, step, action)
            return await outside.run(lambda work: self._on_session(claim, work))

        async def work(session: Session) -> Answer:
            sent, [answer] = await run_alone(self._statements, session, step)
            return answer_of(session, action, sent, answer)

        return await self._on_session(claim, work)

    async def run_items(self, claim: Claim, action: RunItems) -> Answer:
        """See `ports.SqlRunner`."""
        if (database := self._elsewhere_of(action)) is not None:
            return await self._elsewhere.run(claim, action, database)
        step = items_step(claim, action)

        async def work(session: Session) -> Answer:
            sent, [answer] = await run_alone(self._statements, session, step)
            return answer_of_items(session, action, sent, answer)

        return await self._on_session(claim, work)

    async def run_atomic(
        self, claim: Claim, action: RunAtomic, work: Callable[[Transaction], Awaitable[None]]
    ) -> AtomicDone:
        """See `ports.SqlRunner`."""
        check_settings(action.path, action.policy)
        if (database := self._elsewhere_of(action)) is not None:
            return await self._elsewhere.run_atomic(claim, action, database, work)
        return await self._on_session(
            claim, lambda session: run_atomic(self._statements, session, claim, action, work)
        )

    async def _on_session(
        self, claim: Claim, work: Callable[[Session], Awaitable[_T]], database: str | None = None
    ) -> _T:
        # Every session that is replaced was left unclean by an earlier step: there is an end to them.
        for _ in range(REPLACED_MAX):
            connected = False
            try:
                async with self._connections.acquire(claim.submitted_by, database, claim.instance) as session:
                    connected = True
                    if database is None:
                        return await _noting_loss(claim, session, work)
                    return await work(session)
            except Replace:
                continue
            except ConnectionLost as error:
                raise Transient(f"the connection was lost: {error}", LOST) from None
            except RoleUnavailable as error:
                _log.warning("no connection instance=%s reason=%s", claim.instance, error)
                raise Unreachable(str(error), "28000") from None
            except (psycopg.OperationalError, OSError) as error:
                if connected:
                    raise
                reason = " ".join(str(error).split())
                _log.warning("no connection instance=%s reason=%s", claim.instance, reason)
                raise Unreachable(f"no connection for the step: {error}", LOST) from None
        raise Transient("the guard in front of the step fails on every session", LOST)


async def _noting_loss(claim: Claim, session: Session, work: Callable[[Session], Awaitable[_T]]) -> _T:
    """Do the work; where the session is lost over it, the claim knows that the outcome is open."""
    try:
        return await work(session)
    except Replace:
        raise  # nothing has happened there
    except BaseException:
        if not session.alive:
            claim.doubt()
        raise
