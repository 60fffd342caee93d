"""PostgreSQL as the store: the journal of the instances, and what a worker asks of the `df` schema.

All of it runs on the worker's own connections; no SQL of a user does.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from dfc.compiler.plan import READABLE_FORMATS, Plan
from dfc.executor import answers, limits
from dfc.executor.actions import (
    AwaitInstance,
    CallWorkflow,
    EndItem,
    EndMap,
    FetchItems,
    Finish,
    Position,
    RecordAttempt,
    RecordBeginning,
    RecordDecision,
    RecordFailure,
    RecordWaited,
    Rider,
    StartTimer,
    StopCall,
    StoreItems,
    TakeSignal,
)
from dfc.executor.claim import Claim
from dfc.executor.compose import (
    carry_json,
    finish_json,
    items_source,
    json_text,
    rider_json,
)
from dfc.executor.control import Control, StoreError, bytea
from dfc.executor.cron import next_ticks
from dfc.executor.decide import kept_nodes
from dfc.executor.errors import error_object, read_failure
from dfc.executor.failures import StepFailed
from dfc.executor.journal import (
    Begun,
    Completed,
    Decided,
    Deferred,
    Failed,
    ItemEnded,
    ItemsFetched,
    NothingYet,
    Positioned,
    Record,
    Recorded,
    Result,
    Retrying,
    Shape,
    Stopped,
    Timed,
    Value,
)
from dfc.executor.ports import Answer, Parking
from dfc.executor.queries import query
from dfc.executor.quoting import array_literal, storable
from dfc.executor.session import Answered, Message
from dfc.executor.shapes import shape_json

FORMATS: Final = READABLE_FORMATS
"""Formats of plans that this program can run."""

_FAULTS_OF_DATA: Final = ("22", "54")
"""Classes of errors that say of a result that no items can be made of it."""

_SET_BACK: Final = "SELECT df._set_back()"
_SETTLE: Final = "SELECT df._settle($1, $2, $3)"
_CLAIM: Final = "SELECT * FROM df._claim($1, $2, $3, $4)"
_CANCELS: Final = "SELECT * FROM df._cancels($1)"
_NEXT_WAKE: Final = "SELECT df._next_wake()"
_RECORD: Final = "SELECT * FROM df._record($1, $2, $3, $4, $5, $6, $7)"
_RECORD_WAITED: Final = "SELECT * FROM df._record_waited($1, $2, $3, $4, $5)"
_RECORD_DECISION: Final = "SELECT value, journal FROM df._record_decision($1, $2, $3, $4)"
_RECORD_BEGINNING: Final = "SELECT df._record_beginning($1, $2, $3)"
_RECORD_ATTEMPT: Final = "SELECT df._record_attempt($1, $2, $3, $4, $5, $6, $7)"
_RECORD_POSITION: Final = "SELECT df._record_position($1, $2, $3, $4, $5, $6, $7, $8)"
_START_TIMER: Final = "SELECT remaining, at FROM df._start_timer($1, $2, $3, $4, $5)"
_END_ITEM: Final = "SELECT df._end_item($1, $2, $3, $4, $5, $6, $7)"
_END_MAP: Final = "SELECT journal, finished, cancel_reason, value FROM df._end_map($1, $2, $3, $4, $5)"
_TAKE_TURN: Final = "SELECT df._take_turn($1, $2, $3, $4, $5, $6)"
_TAKE_SIGNAL: Final = "SELECT * FROM df._take_signal($1, $2, $3, $4, $5, $6)"
_AWAIT_INSTANCE: Final = "SELECT * FROM df._await_instance($1, $2, $3, $4, $5, $6)"
_CALL: Final = "SELECT * FROM df._call($1, $2, $3, $4, $5, $6, $7)"
_STOP_CALL: Final = "SELECT * FROM df._stop_call($1, $2, $3)"
_PARK: Final = "SELECT df._park($1, $2, $3, $4, $5, $6, $7, $8)"
_BEGIN_AGAIN: Final = "SELECT df._begin_again($1, $2, $3, $4)"
_FINISH: Final = "SELECT df._finish($1, $2, $3)"
_ELSEWHERE: Final = "SELECT database FROM df._elsewhere($1, $2)"
_STORE_PLAN: Final = "SELECT df._store_plan($1, $2, $3, $4, $5)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedInstance:
    """An instance as it was claimed: with what is needed to find or make its plan.

    `variables` is a JSON object: the values of the variables in the expression, when there are any. `deaths`:
    so many workers in a row have died with it in their hands, without a checkpoint in between.
    """

    claim: Claim
    expression: str
    expression_hash: bytes
    plan_hash: str | None
    variables: str | None = None
    deaths: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """What has come for an instance that is held: `cancel` (with its reason), `pause`, `resume` or `wake`."""

    instance: str
    kind: str
    reason: str | None


class PostgresStore:
    """The Store of a worker, and its claims."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self.wakes_at: float | None = None
        """When the next parked instance is due, in the event loop's time, as far as is known."""

    async def settle(self, claim: Claim, token: bytes) -> None:
        """See `ports.Store`."""
        await self._ask_for(claim, _SETTLE, bytea(token))

    async def begin_again(self, claim: Claim, records: Sequence[str], maps: Sequence[str]) -> None:
        """See `ports.Store`."""
        await self._ask_for(claim, _BEGIN_AGAIN, array_literal(records), array_literal(maps))

    # What lasts: ports.Store

    async def history(self, claim: Claim, plan: Plan) -> list[Record]:
        """See `ports.Store`. Learns too where else the instance may have something (`Claim.databases`)."""
        kept = array_literal(sorted(kept_nodes(plan)))
        token = bytea(claim.token)
        answer, databases = await self._control.ask(
            Message(
                query("history"), (claim.instance, token, kept, str(limits.KEPT_BYTES_MAX)), prepare=True
            ),
            Message(_ELSEWHERE, (token, claim.instance), prepare=True),
            on_doubt=claim.doubt,
        )
        claim.databases = tuple(answers.text(databases, row, 0) for row in range(len(databases)))
        return [answers.record(answer, row) for row in range(len(answer))]

    async def record_of(self, claim: Claim, path: str) -> Recorded | None:
        """See `ports.Store`."""
        answer = await self._ask(query("record_of"), claim.instance, bytea(claim.token), path, claim=claim)
        return answers.recorded(answer, 0) if len(answer) else None

    async def result_of(self, claim: Claim, shape: Shape) -> Result:
        """See `ports.Store`."""
        answer = await self._ask_for(claim, query("result_of"), shape_json(shape))
        found = answers.result(answer, 0, 0)
        assert found is not None, "a shape has a result, or the store refuses it"
        return found

    async def record_failure(self, claim: Claim, action: RecordFailure) -> Answer:
        """See `ports.Store`."""
        error = json_text(error_object(action.error))
        answer = await self._record(claim, action.path, "failed", None, error, action.finish)
        event = Failed(number=answers.integer(answer, 0, 0), path=action.path, error=action.error)
        return answers.answered(event, answer, action.finish)

    async def record_value(
        self, claim: Claim, path: str, value: str, rider: Rider | None, *, keep: bool
    ) -> Answer:
        """Record the result of a step that is not SQL, given as JSON text.

        Raises FenceLost, AlreadyRecorded, Beaten, Transient, StoreError.
        """
        answer = await self._record(claim, path, "completed", value, None, rider)
        return _valued(path, value, answer, rider, keep=keep)

    async def record_decision(self, claim: Claim, action: RecordDecision) -> Decided:
        """See `ports.Store`."""
        answer = await self._ask_for(claim, _RECORD_DECISION, action.path, storable(action.value))
        return Decided(
            number=answers.integer(answer, 0, 1), path=action.path, value=answers.text(answer, 0, 0)
        )

    async def record_beginning(self, claim: Claim, action: RecordBeginning) -> Begun:
        """See `ports.Store`."""
        await self._ask_for(claim, _RECORD_BEGINNING, action.path)
        return Begun(path=action.path)

    async def record_attempt(self, claim: Claim, action: RecordAttempt) -> Retrying:
        """See `ports.Store`."""
        error = json_text(error_object(action.error))
        counts = (str(action.attempts), str(action.losses))
        await self._ask_for(claim, _RECORD_ATTEMPT, action.path, *counts, str(action.seconds), error)
        return Retrying(
            path=action.path,
            attempts=action.attempts,
            losses=action.losses,
            seconds=action.seconds,
            error=action.error,
        )

    async def start_timer(self, claim: Claim, action: StartTimer) -> Timed:
        """See `ports.Store`."""
        until = action.until
        if action.cron is not None:
            until = next_ticks(action.cron, action.time_zone, await self.clock(), 1)[0].isoformat()
        try:
            answer = await self._ask_for(claim, _START_TIMER, action.path, str(action.seconds), until)
        except StoreError as error:
            raise StepFailed(error.of_step(action.path)) from None
        return Timed(path=action.path, seconds=answers.number(answer, 0, 0), at=answers.text(answer, 0, 1))

    async def clock(self) -> datetime:
        """What time it is for the database. Raises Transient."""
        answer = await self._ask(query("clock"))
        return datetime.fromtimestamp(answers.number(answer, 0, 0), UTC)

    # What comes from outside: ports.Store

    async def record_waited(self, claim: Claim, action: RecordWaited) -> Answer | Deferred:
        """See `ports.Store`."""
        riding = None if action.rider is None else rider_json(action.rider)
        answer = await self._ask_for(claim, _RECORD_WAITED, action.path, action.value, riding)
        if answer.raw(0, 3) is not None:
            return Deferred(path=action.path, seconds=answers.number(answer, 0, 3))
        return _valued(action.path, action.value, answer, action.rider, keep=action.keep)

    async def take_signal(self, claim: Claim, action: TakeSignal) -> Answer | NothingYet:
        """See `ports.Store`."""
        return await self._ask_for_news(claim, _TAKE_SIGNAL, action, action.name, _flag(action.expired))

    async def await_instance(self, claim: Claim, action: AwaitInstance) -> Answer | NothingYet:
        """See `ports.Store`."""
        expired = _flag(action.expired)
        return await self._ask_for_news(claim, _AWAIT_INSTANCE, action, action.instance, expired)

    async def call(self, claim: Claim, action: CallWorkflow) -> Answer | NothingYet:
        """See `ports.Store`."""
        return await self._ask_for_news(claim, _CALL, action, action.child, action.workflow, action.input)

    async def _ask_for_news(
        self,
        claim: Claim,
        text: str,
        action: TakeSignal | AwaitInstance | CallWorkflow,
        *values: str | None,
    ) -> Answer | NothingYet:
        rider = None if action.rider is None else rider_json(action.rider)
        try:
            answer = await self._ask_for(claim, text, action.path, *values, rider)
        except StoreError as error:
            raise StepFailed(error.of_step(action.path)) from None
        if isinstance(action, CallWorkflow) and answer.raw(0, 4) is not None:
            raise StepFailed(read_failure(action.path, answer.text(0, 4)))
        if answer.raw(0, 0) is None:
            return NothingYet(path=action.path, others=answer.raw(0, 1) == b"t")
        value = answer.text(0, 3) if action.keep else None
        event = Completed(
            number=answers.integer(answer, 0, 0),
            path=action.path,
            result=None if value is None else Value(json=value),
        )
        return answers.answered(event, answer, action.rider)

    async def stop_call(self, claim: Claim, action: StopCall) -> Recorded | Stopped | NothingYet:
        """See `ports.Store`."""
        answer = await self._ask_for(claim, _STOP_CALL, action.path)
        if answer.raw(0, 0) != b"t":
            return NothingYet(path=action.path)
        if answer.raw(0, 1) is None:
            return Stopped(path=action.path)
        return Completed(number=answers.integer(answer, 0, 1), path=action.path, result=None)

    async def position(self, claim: Claim, action: Position) -> Positioned:
        """See `ports.Store`."""
        error = None if action.error is None else json_text(error_object(action.error))
        answer = await self._ask_for(
            claim,
            _RECORD_POSITION,
            action.path,
            str(action.round),
            carry_json(action.carry),
            array_literal(action.forget),
            str(action.seconds),
            error,
        )
        return Positioned(
            path=action.path,
            round=action.round,
            carry=action.carry,
            seconds=answers.number(answer, 0, 0),
            error=action.error,
        )

    # Maps: ports.Store

    async def store_items(self, claim: Claim, action: StoreItems) -> Answer:
        """See `ports.Store`."""
        try:
            answer = await self._ask_for(
                claim, query("store_items"), action.path, str(action.batch_size), *items_source(action.source)
            )
        except StoreError as error:
            if error.sqlstate[:2] not in _FAULTS_OF_DATA:
                raise
            raise StepFailed(error.of_step(action.path)) from None
        return answers.items_stored(action.path, answer)

    async def fetch_items(self, claim: Claim, action: FetchItems) -> ItemsFetched:
        """See `ports.Store`."""
        ended = _flag(action.ended)
        answer = await self._ask_for(
            claim, query("fetch_items"), action.path, str(action.after), str(action.limit), ended
        )
        return answers.items(action.path, answer)

    async def end_item(self, claim: Claim, action: EndItem) -> ItemEnded:
        """See `ports.Store`."""
        shape = None if action.shape is None else shape_json(action.shape)
        error = None if action.error is None else json_text(error_object(action.error))
        await self._ask_for(
            claim, _END_ITEM, action.path, str(action.item), shape, error, array_literal(action.forget)
        )
        return ItemEnded(path=action.path, item=action.item)

    async def end_map(self, claim: Claim, action: EndMap) -> Answer:
        """See `ports.Store`."""
        rider = None if action.rider is None else rider_json(action.rider)
        answer = await self._ask_for(claim, _END_MAP, action.path, _flag(action.keep), rider)
        value = answer.text(0, 3)
        event = Completed(
            number=answers.integer(answer, 0, 0),
            path=action.path,
            result=None if value is None else Value(json=value),
        )
        return answers.answered(event, answer, action.rider)

    # Waiting and the end: ports.Store

    async def take_turn(self, claim: Claim, path: str, key: str, count: int, seconds: int) -> float:
        """See `ports.Store`."""
        answer = await self._ask_for(claim, _TAKE_TURN, path, key, str(count), str(seconds))
        return answers.number(answer, 0, 0)

    async def park(self, claim: Claim, parking: Parking) -> None:
        """See `ports.Store`."""
        seconds, known = parking.seconds, _flag(parking.cancel_known)
        listens, listening = _flag(bool(parking.listening)), array_literal(parking.listening)
        values = (str(seconds), parking.waiting_for, known, listens, listening, _flag(parking.pausing))
        await self._ask_for(claim, _PARK, *values)
        if seconds == math.inf:
            return
        due = asyncio.get_running_loop().time() + max(seconds, 0.0)
        self.wakes_at = due if self.wakes_at is None else min(self.wakes_at, due)

    async def finish(self, claim: Claim, finish: Finish) -> None:
        """See `ports.Store`."""
        await self._ask_for(claim, _FINISH, finish_json(finish))

    async def wait(self, seconds: float) -> None:
        """See `ports.Store`."""
        await asyncio.sleep(seconds)

    # What only the worker asks

    async def set_back(self) -> None:
        """The clock may have been set back: put right what waits. Raises Transient, StoreError."""
        await self._ask(_SET_BACK)

    async def poll(
        self, worker: int, roles: Sequence[str], *, claim_max: int, cancels: bool
    ) -> tuple[list[ClaimedInstance], list[Told]]:
        """Claim up to `claim_max` instances.

        With `cancels`, also say what has come for instances that the worker holds.
        A claim also learns when the next parked instance is due (`wakes_at`).
        """
        messages: list[Message] = []
        if cancels:
            messages.append(Message(_CANCELS, (str(worker),), prepare=True))
        if claim_max > 0:
            values = (
                str(worker),
                array_literal([str(format) for format in FORMATS]),
                array_literal(list(roles)),
                str(claim_max),
            )
            messages += [Message(_CLAIM, values, prepare=True), Message(_NEXT_WAKE, prepare=True)]
            self.wakes_at = None
        found = await self._control.ask(*messages) if messages else []
        told: list[Told] = []
        if cancels:
            told = [
                Told(answers.text(found[0], row, 0), answers.text(found[0], row, 1), found[0].text(row, 2))
                for row in range(len(found[0]))
            ]
        if claim_max == 0:
            return [], told
        claims, wake = found[-2:]
        if wake.raw(0, 0) is not None:
            self.wakes_at = asyncio.get_running_loop().time() + answers.number(wake, 0, 0)
        return [_claimed(claims, row) for row in range(len(claims))], told

    async def plan_text(self, instance: str) -> str | None:
        """The pinned plan of an instance as JSON text."""
        answer = await self._ask(query("plan"), instance)
        return answer.text(0, 0) if len(answer) else None

    async def last_checkpoint(self, instance: str) -> int | None:
        """The number of its last checkpoint; None where it has none. Raises Transient, StoreError."""
        answer = await self._ask(query("last_checkpoint"), instance)
        return None if answer.raw(0, 0) is None else answers.integer(answer, 0, 0)

    async def store_plan(self, claim: Claim, compiler_version: int, plan: str, plan_hash: str) -> None:
        """Pin a plan (JSON text) to the instance, keep it for later starts. Raises FenceLost, Transient."""
        token = bytea(claim.token)
        await self._ask(_STORE_PLAN, claim.instance, token, str(compiler_version), plan, plan_hash)

    async def fail(self, claim: Claim, error: dict[str, Any]) -> None:
        """End an instance as failed, with this error object. Raises FenceLost, Transient, StoreError."""
        await self._ask_for(claim, _FINISH, json_text({"status": "failed", "error": error}))

    async def _record(
        self,
        claim: Claim,
        path: str,
        kind: str,
        value: str | None,
        error: str | None,
        rider: Rider | None,
    ) -> Answered:
        riding = None if rider is None else rider_json(rider)
        return await self._ask_for(claim, _RECORD, path, kind, value, error, riding)

    async def _ask_for(self, claim: Claim, text: str, *values: str | None) -> Answered:
        """The answer to a statement whose first parameters are the fence's token and the instance."""
        return await self._ask(text, bytea(claim.token), claim.instance, *values, claim=claim)

    async def _ask(self, text: str, *values: str | None, claim: Claim | None = None) -> Answered:
        message = Message(text, values, prepare=True)
        [answer] = await self._control.ask(message, on_doubt=None if claim is None else claim.doubt)
        return answer


def _valued(path: str, value: str, answer: Answered, rider: Rider | None, *, keep: bool) -> Answer:
    result = Value(json=value) if keep else None
    event = Completed(number=answers.integer(answer, 0, 0), path=path, result=result)
    return answers.answered(event, answer, rider)


def _flag(value: bool) -> str:
    return "t" if value else "f"


def _claimed(answer: Answered, row: int) -> ClaimedInstance:
    claim = Claim(
        instance=answers.text(answer, row, 0),
        token=answers.blob(answer, row, 1),
        submitted_by=answers.text(answer, row, 5),
        database=answer.text(row, 6),
        search_path=answers.text(answer, row, 7),
        time_zone=answers.text(answer, row, 8),
        cancel_reason=answer.text(row, 9),
        resumed=answer.raw(row, 10) == b"t",
        input=answer.text(row, 11),
        timeout_seconds=None if answer.raw(row, 13) is None else answers.number(answer, row, 13),
        retrying=answer.raw(row, 14) == b"t",
        recorded=answer.raw(row, 15) == b"t",
    )
    return ClaimedInstance(
        claim=claim,
        expression=answers.text(answer, row, 2),
        expression_hash=answers.blob(answer, row, 3),
        plan_hash=answer.text(row, 4),
        variables=answer.text(row, 12),
        deaths=answers.integer(answer, row, 16),
    )
