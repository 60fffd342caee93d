"""PostgreSQL as the store: the journal of the instances, and what a worker asks of the `df` schema.

All of it runs on the worker's own connections; no SQL of a user does.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from dfc.compiler.plan import PLAN_FORMAT, Plan
from dfc.executor import retry, sqlstates
from dfc.executor.actions import Finish, RecordFailure
from dfc.executor.bind import array_literal
from dfc.executor.compose import error_object, finish_json, json_text
from dfc.executor.connections import conninfo_for
from dfc.executor.decide import kept_paths
from dfc.executor.journal import Completed, Failed, Recorded, Result, Rows, StepError, Value
from dfc.executor.ports import AlreadyRecorded, Answer, Claim, FenceLost, Transient
from dfc.executor.queries import query
from dfc.executor.session import Answered, ConnectionLost, Message, ServerError, Session

CONTROL_CONNECTIONS_MAX: Final = 4

_CLAIM: Final = "SELECT * FROM df._claim($1, $2, $3, $4)"
_CANCELS: Final = "SELECT * FROM df._cancels($1)"
_RECORD: Final = "SELECT * FROM df._record($1, $2, $3, $4, $5, $6, $7)"
_FINISH: Final = "SELECT df._finish($1, $2, $3)"
_STORE_PLAN: Final = "SELECT df._store_plan($1, $2, $3, $4, $5)"


class StoreError(Exception):
    """The database refused what the worker asked: a fault of ours, or of the installation."""

    def __init__(self, message: str, sqlstate: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedInstance:
    """An instance as it was claimed: with what is needed to find or make its plan.

    `variables` is a JSON object: the values of the variables in the expression, when there are any.
    """

    claim: Claim
    expression: str
    expression_hash: bytes
    plan_hash: str | None
    variables: str | None = None


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

    async def ask(self, *messages: Message) -> list[Answered]:
        """The answers to messages sent as one transaction.

        Raises FenceLost, AlreadyRecorded, Transient, StoreError.
        """
        async with self._places:
            session: Session | None = None
            try:
                session = self._idle.pop() if self._idle else await self.open()
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

    def close(self) -> None:
        """Close every session at once."""
        self._closed = True
        for session in self._all:
            session.on_lost = None
            session.close()
        self._all.clear()
        self._idle.clear()


class PostgresStore:
    """The Store of a worker, and its claims."""

    def __init__(self, control: Control) -> None:
        self._control = control

    # The journal of one instance: ports.Store

    async def history(self, claim: Claim, plan: Plan) -> list[Recorded]:
        """See `ports.Store`."""
        [answer] = await self._control.ask(
            Message(
                query("history"),
                (claim.instance, _bytea(claim.token), array_literal(sorted(kept_paths(plan)))),
                prepare=True,
            )
        )
        return [_recorded(answer, row) for row in range(len(answer))]

    async def record_of(self, claim: Claim, path: str) -> Recorded | None:
        """See `ports.Store`."""
        [answer] = await self._control.ask(
            Message(query("record_of"), (claim.instance, _bytea(claim.token), path), prepare=True)
        )
        return _recorded(answer, 0) if len(answer) else None

    async def record_failure(self, claim: Claim, action: RecordFailure) -> Answer:
        """See `ports.Store`."""
        error = json_text(error_object(action.error))
        answer = await self._record(claim, action.path, "failed", None, error, action.finish)
        event = Failed(number=int(answer.raw(0, 0) or 0), path=action.path, error=action.error)
        return _answer(event, answer)

    async def record_value(
        self, claim: Claim, path: str, value: str, finish: Finish | None, *, keep: bool
    ) -> Answer:
        """Record the result of a step that is not SQL, given as JSON text.

        Raises FenceLost, AlreadyRecorded, Transient, StoreError.
        """
        answer = await self._record(claim, path, "completed", value, None, finish)
        result = Value(json=value) if keep else None
        return _answer(Completed(number=int(answer.raw(0, 0) or 0), path=path, result=result), answer)

    async def finish(self, claim: Claim, finish: Finish) -> None:
        """See `ports.Store`."""
        await self._finish(claim, finish_json(finish))

    async def wait(self, seconds: float) -> None:
        """See `ports.Store`."""
        await asyncio.sleep(seconds)

    # What only the worker asks

    async def poll(
        self, worker: int, roles: Sequence[str], *, claim_max: int, cancels: bool
    ) -> tuple[list[ClaimedInstance], dict[str, str]]:
        """Claim up to `claim_max` instances; with `cancels`, also cancel reasons by instance."""
        messages: list[Message] = []
        if cancels:
            messages.append(Message(_CANCELS, (str(worker),), prepare=True))
        if claim_max > 0:
            values = (str(worker), f"{{{PLAN_FORMAT}}}", array_literal(list(roles)), str(claim_max))
            messages.append(Message(_CLAIM, values, prepare=True))
        answers = await self._control.ask(*messages) if messages else []
        reasons: dict[str, str] = {}
        if cancels:
            found = answers[0]
            reasons = {_text(found, row, 0): _text(found, row, 1) for row in range(len(found))}
        if claim_max == 0:
            return [], reasons
        return [_claimed(answers[-1], row) for row in range(len(answers[-1]))], reasons

    async def plan_text(self, instance: str) -> str | None:
        """The pinned plan of an instance as JSON text."""
        [answer] = await self._control.ask(Message(query("plan"), (instance,), prepare=True))
        return answer.text(0, 0) if len(answer) else None

    async def store_plan(self, claim: Claim, compiler_version: int, plan: str, plan_hash: str) -> None:
        """Pin a plan (JSON text) to the instance, keep it for later starts. Raises FenceLost, Transient."""
        values = (claim.instance, _bytea(claim.token), str(compiler_version), plan, plan_hash)
        await self._control.ask(Message(_STORE_PLAN, values, prepare=True))

    async def fail(self, claim: Claim, error: dict[str, Any]) -> None:
        """End an instance as failed, with this error object. Raises FenceLost, Transient, StoreError."""
        await self._finish(claim, json_text({"status": "failed", "error": error}))

    async def _finish(self, claim: Claim, finish: str) -> None:
        await self._control.ask(Message(_FINISH, (_bytea(claim.token), claim.instance, finish), prepare=True))

    async def _record(
        self,
        claim: Claim,
        path: str,
        kind: str,
        value: str | None,
        error: str | None,
        finish: Finish | None,
    ) -> Answered:
        ending = None if finish is None else finish_json(finish)
        values = (_bytea(claim.token), claim.instance, path, kind, value, error, ending)
        [answer] = await self._control.ask(Message(_RECORD, values, prepare=True))
        return answer


def _meaning(error: ServerError) -> Exception:
    fields = error.fields
    match fields.sqlstate:
        case sqlstates.FENCE_LOST:
            return FenceLost(fields.message)
        case sqlstates.RECORDED:
            return AlreadyRecorded(fields.message)
        case sqlstate if retry.is_transient(sqlstate):
            return Transient(fields.message, sqlstate)
        case sqlstate:
            return StoreError(fields.message, sqlstate)


def _answer(event: Recorded, answer: Answered) -> Answer:
    return Answer(event=event, finished=answer.raw(0, 1) == b"t", cancel_reason=answer.text(0, 2))


def _claimed(answer: Answered, row: int) -> ClaimedInstance:
    claim = Claim(
        instance=_text(answer, row, 0),
        token=_bytes(answer, row, 1),
        submitted_by=_text(answer, row, 5),
        database=answer.text(row, 6),
        search_path=_text(answer, row, 7),
        time_zone=_text(answer, row, 8),
        cancel_reason=answer.text(row, 9),
        resumed=answer.raw(row, 10) == b"t",
    )
    return ClaimedInstance(
        claim=claim,
        expression=_text(answer, row, 2),
        expression_hash=_bytes(answer, row, 3),
        plan_hash=answer.text(row, 4),
        variables=answer.text(row, 11),
    )


def _recorded(answer: Answered, row: int) -> Recorded:
    path = _text(answer, row, 0)
    number = int(_text(answer, row, 1))
    if _text(answer, row, 2) == "failed":
        return Failed(number=number, path=path, error=_step_error(path, answer.text(row, 8)))
    return Completed(number=number, path=path, result=_kept(answer, row))


def _kept(answer: Answered, row: int) -> Result | None:
    if answer.raw(row, 4) is not None:
        columns: list[str] = json.loads(_text(answer, row, 4))
        types: list[str | int] = json.loads(_text(answer, row, 5))
        cells: list[str | None] = json.loads(_text(answer, row, 6))
        return Rows(
            columns=tuple(columns),
            types=tuple(int(oid) for oid in types),
            cells=tuple(cells),
            row_count=int(_text(answer, row, 3)),
        )
    value = answer.text(row, 7)
    return None if value is None else Value(json=value)


def _step_error(path: str, text: str | None) -> StepError:
    fields: dict[str, Any] = json.loads(text or "{}")
    return StepError(
        step=fields.get("step", path),
        message=fields.get("message", "failed"),
        sqlstate=fields.get("sqlstate", "XX000"),
        detail=fields.get("detail"),
        hint=fields.get("hint"),
        position=fields.get("position"),
    )


def _text(answer: Answered, row: int, column: int) -> str:
    return answer.text(row, column) or ""


def _bytes(answer: Answered, row: int, column: int) -> bytes:
    return bytes.fromhex(_text(answer, row, column)[2:])


def _bytea(value: bytes) -> str:
    return "\\x" + value.hex()
