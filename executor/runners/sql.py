"""Runs SQL steps: guard, statement and checkpoint in one round trip and one transaction.

What cannot be so is elsewhere: statements outside of transactions (`autocommit`), transactions of several
statements (`atomic`).
"""

from __future__ import annotations

import asyncio
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
from dfc.executor.runners.answers import answer_of, answer_of_items
from dfc.executor.runners.around import alone, check_settings, statement_limit
from dfc.executor.runners.atomic import run_atomic
from dfc.executor.runners.autocommit import Autocommit
from dfc.executor.runners.hygiene import ATTEMPTS_MAX, Replace, cleaned, exchange
from dfc.executor.runners.meaning import meaning
from dfc.executor.runners.statements import NotDescribed, Sent, Statements
from dfc.executor.runners.step import Step, items_step, sql_step
from dfc.executor.session import Answered, ConnectionLost, ServerError, Session
from dfc.executor.sqlstates import LOST

REPLACED_MAX: Final = 100

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class PostgresSql:
    """The SqlRunner of a worker. What it learns of statements and types it keeps, bounded."""

    def __init__(self, connections: StepConnections) -> None:
        self._connections = connections
        self._statements = Statements()

    async def run(self, claim: Claim, action: RunSql) -> Answer:
        """See `ports.SqlRunner`."""
        check_settings(action.path, action.policy)
        step = sql_step(claim, action)
        if action.body.form is Form.AUTOCOMMIT:
            outside = Autocommit(self._statements, step, action)
            return await outside.run(lambda work: self._on_session(claim, work))

        async def work(session: Session) -> Answer:
            sent, answer = await self._run_on(session, step)
            return answer_of(session, action, sent, answer)

        return await self._on_session(claim, work)

    async def run_items(self, claim: Claim, action: RunItems) -> Answer:
        """See `ports.SqlRunner`."""
        step = items_step(claim, action)

        async def work(session: Session) -> Answer:
            sent, answer = await self._run_on(session, step)
            return answer_of_items(session, action, sent, answer)

        return await self._on_session(claim, work)

    async def run_atomic(
        self, claim: Claim, action: RunAtomic, work: Callable[[Transaction], Awaitable[None]]
    ) -> AtomicDone:
        """See `ports.SqlRunner`."""
        check_settings(action.path, action.policy)
        return await self._on_session(
            claim, lambda session: run_atomic(self._statements, session, claim, action, work)
        )

    async def _on_session(self, claim: Claim, work: Callable[[Session], Awaitable[_T]]) -> _T:
        # Every session that is replaced was left unclean by an earlier step: there is an end to them.
        for _ in range(REPLACED_MAX):
            connected = False
            try:
                async with self._connections.acquire(
                    claim.submitted_by, claim.database, claim.instance
                ) as session:
                    connected = True
                    return await _noting_loss(claim, session, work)
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

    async def _run_on(self, session: Session, step: Step) -> tuple[Sent, Answered]:
        """Run a statement in a transaction of its own."""
        now = asyncio.get_running_loop().time
        limit = statement_limit(step, now())
        attempts = 0
        while True:
            attempts += 1
            sent = around = None
            try:
                sent = await self._statements.compose(
                    session, step, lambda: alone(step, limit, now(), describing=True)
                )
                around = alone(step, limit, now())
                message = sent.message(step, prepare=not step.policy.settings)
                return sent, await exchange(session, around, message)
            except NotDescribed as error:
                if attempts < ATTEMPTS_MAX and await cleaned(session, error.around, error.cause):
                    continue
                if attempts < ATTEMPTS_MAX and self._statements.forget_type(error.cause.fields):
                    continue
                cause, around, position = error.cause, error.around, error.position
            except ServerError as error:
                if attempts < ATTEMPTS_MAX and await cleaned(session, around, error):
                    continue
                if attempts < ATTEMPTS_MAX and self._statements.forget_type(error.fields):
                    continue
                cause, position = error, None
                if sent is not None and around is not None and error.index == len(around.before):
                    if attempts < ATTEMPTS_MAX and self._statements.learn(step, sent, error):
                        continue
                    position = sent.position(error.fields)
            raise meaning(
                step.path,
                cause,
                around=around,
                limit=limit,
                now=now(),
                position=position,
                kind=step.body.kind,
            )


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
