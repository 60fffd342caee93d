"""Runs several steps in one transaction, each with its checkpoint: all of it happens once, or nothing.

The transaction stays open between its steps, the one place where the executor does that. It is bounded
twice: by `atomic_seconds_max` (or a timeout of its own), which the server counts in each statement, and by
`atomic_idle_seconds_max` between two of them, for the worker that is paused or cut off. Its checkpoints look
at the fence, and only the commit locks it: no other step of the instance waits for a transaction in between.

An error inside of a transaction ends it. Where the runner may have to send a statement once more, wiser,
there is a savepoint in front of it: a statement that has not run before, or one whose step goes on after an
error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from dfc.compiler.plan import OnError
from dfc.executor.actions import RunAtomic, RunSql
from dfc.executor.claim import Claim, Place
from dfc.executor.compose import DF, MARKERS
from dfc.executor.failures import Transient
from dfc.executor.journal import AtomicDone, Completed
from dfc.executor.limits import ATOMIC_SECONDS_MAX
from dfc.executor.ports import Transaction
from dfc.executor.runners.answers import completed
from dfc.executor.runners.around import (
    BACK,
    atomic_limit,
    check_settings,
    commit,
    opening,
    statement_limit,
    within,
)
from dfc.executor.runners.hygiene import ATTEMPTS_MAX, cleaned
from dfc.executor.runners.meaning import meaning, out_of_time
from dfc.executor.runners.statements import NotDescribed, Sent, Statements
from dfc.executor.runners.step import Limit, Step, at_hand, elsewhere_step, sql_step
from dfc.executor.session import Answered, ConnectionLost, ServerError, Session
from dfc.executor.sqlstates import CONFLICT, LOST


async def run_atomic(
    statements: Statements,
    session: Session,
    claim: Claim,
    action: RunAtomic,
    work: Callable[[Transaction], Awaitable[None]],
    place: Place | None = None,
) -> AtomicDone:
    """See `ports.SqlRunner.run_atomic`; `place` where it is another database.

    Raises ConnectionLost, and Replace before `work` has begun.
    """
    now = asyncio.get_running_loop().time
    limit = atomic_limit(action.path, action.policy, now(), ATOMIC_SECONDS_MAX)
    steps = _Steps(statements, session, claim, action, limit, place)
    try:
        await _begin(session, claim, action, DF if place is None else MARKERS)
        await work(steps)
        await steps.commit()
    except BaseException:
        await session.roll_back()
        raise
    return AtomicDone(path=action.path, records=tuple(steps.records))


async def _begin(session: Session, claim: Claim, action: RunAtomic, schema: str) -> None:
    around = opening(claim, action.policy, schema)
    attempts = 0
    while True:
        attempts += 1
        try:
            await session.exchange(*around.before)
            return
        except ServerError as error:
            await session.roll_back()
            if attempts >= ATTEMPTS_MAX or not await cleaned(session, around, error):
                raise meaning(action.path, error, around=around) from None


class _Steps:
    """The Transaction that `work` gets."""

    def __init__(
        self,
        statements: Statements,
        session: Session,
        claim: Claim,
        action: RunAtomic,
        limit: Limit,
        place: Place | None,
    ) -> None:
        self._statements = statements
        self._session = session
        self._claim = claim
        self._path = action.path
        self._limit = limit
        self._place = place
        self._now = asyncio.get_running_loop().time
        # What a setting has to be when a step has set it and the next one does not.
        self._settings = action.policy.settings
        self._base = {name.lower(): value for name, value in self._settings}
        self._base.setdefault("search_path", claim.search_path)
        self._base.setdefault("timezone", claim.time_zone)
        self._changed: tuple[str, ...] = ()
        self._failure: Exception | None = None
        self.records: list[Completed] = []

    async def run(self, action: RunSql) -> Completed:
        """See `ports.Transaction`."""
        assert action.rider is None, "a transaction of several steps carries nothing along"
        if self._failure is not None:
            raise self._failure
        check_settings(action.path, action.policy)
        if self._place is None:
            step = sql_step(self._claim, action, within=True)
        else:
            sources = at_hand(action.sources)
            step = elsewhere_step(self._claim, action, self._place, sources, within=True)
        limit = self._limit_of(step)
        try:
            sent, answer = await self._run(step, limit)
            record = completed(self._session, action, sent, answer)
        except ConnectionLost as error:
            self._failure = Transient(f"the connection was lost: {error}", LOST)
            raise self._failure from None
        self._statements.prove(sent)
        self._changed = tuple(name.lower() for name, _ in step.policy.settings)
        self.records.append(record)
        return record

    async def commit(self) -> None:
        """Commit, unless a step has failed and nobody has said so."""
        if self._failure is not None:
            raise self._failure
        now = self._now()
        if now >= self._limit.ends_at:
            raise out_of_time(self._path, self._limit)
        try:
            *_, answer = await self._session.exchange(
                *commit(self._claim, self._path, self._limit, now, self._place)
            )
        except ServerError as error:
            raise meaning(self._path, error, limit=self._limit, now=self._now()) from None
        assert answer.tag == "COMMIT", answer.tag

    def _limit_of(self, step: Step) -> Limit:
        """What bounds a step that begins now: its own time limit, or that of the whole."""
        now = self._now()
        if now >= self._limit.ends_at:
            raise out_of_time(self._path, self._limit)
        own = statement_limit(step, now)
        return self._limit if own is None or own.ends_at > self._limit.ends_at else own

    async def _run(self, step: Step, limit: Limit) -> tuple[Sent, Answered]:
        goes_on = step.policy.on_error is OnError.CONTINUE
        own = {name.lower() for name, _ in step.policy.settings}
        others = [(name, self._base.get(name)) for name in self._changed if name not in own]
        attempts = 0
        while True:
            attempts += 1
            sent = around = None
            saved = goes_on
            try:
                sent = await self._statements.compose(
                    self._session, step, lambda: within(step, limit, self._now(), others, saved=goes_on)
                )
                saved = goes_on or not self._statements.is_proven(sent)
                around = within(step, limit, self._now(), others, saved=saved)
                message = sent.message(step, prepare=not (own or self._settings))
                answers = await self._session.exchange(*around.before, message, *around.after)
                return sent, answers[len(around.before)]
            except NotDescribed as error:
                cause, around, position = error.cause, error.around, error.position
            except ServerError as error:
                cause, position = error, None
                if sent is not None and around is not None and error.index == len(around.before):
                    if self._statements.learn(step, sent, error):
                        if saved and attempts < ATTEMPTS_MAX and await self._back():
                            continue
                        self._statements.forget()
                        self._failure = Transient(f"described again: {error.fields.message}", CONFLICT)
                        raise self._failure from None
                    position = sent.position(error.fields)
            problem = meaning(
                step.path, cause, around=around, limit=limit, now=self._now(), position=position
            )
            if not goes_on or not await self._back():
                self._failure = problem
            raise problem

    async def _back(self) -> bool:
        """Whether the transaction is as it was at the savepoint."""
        try:
            await self._session.exchange(*BACK)
        except ServerError:
            return False
        return True
