"""Runs a statement outside of a transaction: VACUUM, CREATE INDEX CONCURRENTLY, a CALL that commits.

Three exchanges: the guard and the session's settings; the statement alone; its checkpoint. A crash between
the second and the third means that the statement runs again: at least once, not exactly once. To keep that
window small, a checkpoint that cannot be written is tried again, on another session where need be, and a
cancel that comes when the statement has run lets the checkpoint be written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from dfc.executor import retry
from dfc.executor.actions import RunSql
from dfc.executor.bind import Bound, Mode
from dfc.executor.compose import compose_checkpoint
from dfc.executor.failures import FenceLost, Transient, Unreachable
from dfc.executor.journal import Rows
from dfc.executor.ports import Answer
from dfc.executor.quoting import array_literal
from dfc.executor.runners.answers import answer_of
from dfc.executor.runners.around import Around, guard, outside, statement_limit
from dfc.executor.runners.hygiene import ATTEMPTS_MAX, Replace, cleaned, exchange
from dfc.executor.runners.meaning import meaning
from dfc.executor.runners.statements import Statements, inside
from dfc.executor.runners.step import Limit, Step, sql_step
from dfc.executor.session import Answered, ConnectionLost, Message, ServerError, Session
from dfc.executor.sqlstates import LOST

CHECKPOINT_ATTEMPTS_MAX: Final = 5
"""How often a session is looked for that takes the checkpoint of a statement that has run."""

OnSession = Callable[[Callable[[Session], Awaitable[Answer]]], Awaitable[Answer]]


class Autocommit:
    """One activation outside of a transaction, on as many sessions as it takes.

    `record` writes the checkpoint where that is not done on the session of the statement.
    """

    def __init__(
        self,
        statements: Statements,
        step: Step,
        action: RunSql,
        record: Callable[[Rows], Awaitable[Answer]] | None = None,
    ) -> None:
        self._statements = statements
        self._step = step
        self._action = action
        self._record = record
        # Where the statement is running; what has come of it, when it has run.
        self._running: Session | None = None
        self._result: Rows | None = None
        self._cancelled = False

    async def run(self, on_session: OnSession) -> Answer:
        """Run on sessions from `on_session`. Raises as `ports.SqlRunner.run`.

        Cancelling the call cancels the statement; when that has run before, its checkpoint is written.
        """
        task = asyncio.ensure_future(self._insist(on_session))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await self._stop(task)
            raise

    async def _stop(self, task: asyncio.Future[Answer]) -> None:
        self._cancelled = True
        try:
            if self._running is not None:
                await self._running.interrupt()
            elif self._result is None:
                task.cancel()
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise
        finally:
            if task.done() and not task.cancelled():
                task.exception()  # read here, so that it does not warn

    async def _insist(self, on_session: OnSession) -> Answer:
        step = self._step
        attempts = 0
        while True:
            token = step.claim.token
            try:
                return await on_session(self._run_on)
            except FenceLost:
                # The driver may have changed the token since: the statement has run all the same.
                if self._result is None or not await step.claim.moved(token):
                    raise
                continue
            except Transient as error:
                attempts += 1
                if self._result is None:
                    raise
                if self._cancelled or attempts >= CHECKPOINT_ATTEMPTS_MAX:
                    message = f"the statement has run, but its checkpoint could not be written: {error}"
                    raise Transient(message, error.sqlstate) from None
            await asyncio.sleep(retry.delay(step.claim.instance, step.path, attempts))

    async def _run_on(self, session: Session) -> Answer:
        result = self._result or await self._run_statement(session)
        if self._record is not None:
            return await self._record(result)
        return await self._write_checkpoint(session, result)

    async def _run_statement(self, session: Session) -> Rows:
        step = self._step
        now = asyncio.get_running_loop().time
        limit = statement_limit(step, now())
        try:
            bound = await self._prepare(session, limit)
        except ConnectionLost as error:
            # A session that was lost while it was idle, more often than not: this attempt has not begun.
            raise Unreachable(f"the connection was lost before the statement: {error}", LOST) from None
        self._running = session
        try:
            [answer] = await session.exchange(Message(bound.text))
            # At once, so that a cancel that comes now finds that it has run.
            self._result = _result(answer)
            return self._result
        except ServerError as error:
            position = error.fields.position
            where = None if position is None else inside(bound, position - 1)
            raise meaning(step.path, error, limit=limit, now=now(), position=where) from None
        finally:
            self._running = None

    async def _prepare(self, session: Session, limit: Limit | None) -> Bound:
        """Make the session ready for the statement, which has none of a transaction's own settings."""
        step = self._step
        now = asyncio.get_running_loop().time
        attempts = 0
        while True:
            attempts += 1
            around: Around | None = None
            try:
                bound = await self._statements.bound(session, step, Mode.LITERAL)
                around = outside(step, limit, now())
                await session.exchange(*around.before)
                return bound
            except ServerError as error:
                if attempts >= ATTEMPTS_MAX or not await cleaned(session, around, error):
                    raise meaning(step.path, error, around=around, limit=limit, now=now()) from None

    async def _write_checkpoint(self, session: Session, result: Rows) -> Answer:
        step = self._step
        composed = compose_checkpoint()
        oids = [str(oid) for oid in result.types]
        given = (str(result.row_count), *map(array_literal, (result.columns, oids, result.cells)))
        # Not the step's own values: the token may have changed since.
        values = (*given, *sql_step(step.claim, self._action).values)
        message = Message(composed.text, values, composed.types, prepare=True)
        around = Around((guard(step.claim),), guard=0)
        attempts = 0
        while True:
            attempts += 1
            if not session.alive:
                raise Replace
            try:
                [answer] = await exchange(session, around, message)
                return answer_of(session, self._action, result, answer)
            except ServerError as error:
                if attempts >= ATTEMPTS_MAX or not await cleaned(session, around, error):
                    raise meaning(step.path, error, around=around) from None


def _result(answer: Answered) -> Rows:
    """What a statement has answered: the row of a CALL, or how many rows were affected."""
    rows, width = range(len(answer)), range(len(answer.column_types()))
    try:
        columns = answer.columns()
        cells = tuple(answer.text(row, column) for row in rows for column in width)
    except ValueError:
        # The statement has changed client_encoding for its own answer. It has run: this must not fail.
        return Rows(columns=(), types=(), cells=(), row_count=len(rows))
    count = len(rows) if width else answer.affected
    return Rows(columns=columns, types=answer.column_types(), cells=cells, row_count=count)
