"""Runs a SQL step: guard, statement and checkpoint in one round trip and one transaction."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import re
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

import psycopg

from dfc.compiler.plan import Form, Returns, SqlBody
from dfc.executor import retry
from dfc.executor.actions import Finish, RunSql
from dfc.executor.bind import Bound, Mode, array_literal, bind, needed_types
from dfc.executor.compose import (
    Composed,
    Description,
    compose_count,
    compose_execute,
    compose_query,
    compose_rows,
    finish_json,
    needs_with,
)
from dfc.executor.connections import RoleUnavailable, StepConnections, clean
from dfc.executor.journal import Completed, Rows, StepError
from dfc.executor.ports import AlreadyRecorded, Answer, Claim, FenceLost, StepFailed, Transient, Unreachable
from dfc.executor.queries import query
from dfc.executor.session import (
    PREPARED_PREFIX,
    Answered,
    ConnectionLost,
    Fields,
    Message,
    ServerError,
    Session,
)
from dfc.executor.sqlstates import FENCE_LOST, LOST, NO_STATEMENT, RECORDED

CACHED_MAX: Final = 2048
REPLACED_MAX: Final = 100
ATTEMPTS_MAX: Final = 4
"""How often one step is sent on one session, each time wiser: no attempt had an effect."""

WITHOUT_PARAMETERS: Final = frozenset({"select", "values", "table", "insert", "update", "delete", "merge"})

_BEGIN: Final = "SELECT df.begin_step($1, $2)"
_DRIFT: Final = frozenset({"0A000", "42601", "42703", "42702", "42804", "42P10", "42P18"})
"""What PostgreSQL may answer when a statement has other columns by now than were described."""

_GONE: Final = re.compile(r'cache lookup failed for type (\d+)|type "(.*)" does not exist')
_OUR_CONTEXT: Final = " df.checkpoint("
_log = logging.getLogger(__name__)
_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class _Sent:
    """What went out for a step, to make sense of what comes back."""

    body: SqlBody
    bound: Bound
    composed: Composed
    values: tuple[str | None, ...]
    described: Description | None


class _Replace(Exception):
    """The session is of no use any more; nothing of the step has happened: take another."""


class _NotDescribed(Exception):
    """PostgreSQL refused to describe the statement."""

    def __init__(self, cause: ServerError, bound: Bound) -> None:
        super().__init__(cause.fields.message)
        self.cause = cause
        self.bound = bound
        self.position = -1 if cause.fields.position is None else cause.fields.position - 1


class PostgresSql:
    """The SqlRunner of a worker. What it learns of statements and types it keeps, bounded."""

    def __init__(self, connections: StepConnections) -> None:
        self._connections = connections
        self._descriptions: OrderedDict[tuple[str, tuple[int, ...], str], Description] = OrderedDict()
        self._composed: OrderedDict[tuple[object, ...], Composed] = OrderedDict()
        self._type_names: OrderedDict[int, str | None] = OrderedDict()
        # Statements that turned out not to fit the form that the plan names.
        self._forms: OrderedDict[str, Form] = OrderedDict()

    async def run(self, claim: Claim, action: RunSql) -> Answer:
        """See `ports.SqlRunner`."""
        try:
            # Every session that is replaced was left unclean by an earlier step: there is an end to them.
            for _ in range(REPLACED_MAX):
                with contextlib.suppress(_Replace):
                    async with self._connections.acquire(claim.submitted_by, claim.database) as session:
                        return await self._run_on(session, claim, action)
            raise Transient("the guard in front of the step fails on every session", LOST)
        except ConnectionLost as error:
            raise Transient(f"the connection was lost: {error}", LOST) from None
        except (psycopg.OperationalError, OSError) as error:
            # `Session.exchange` raises ConnectionLost: this comes from connecting, so nothing was sent.
            _log.warning("no connection instance=%s reason=%s", claim.instance, " ".join(str(error).split()))
            raise Unreachable(f"no connection for the step: {error}", LOST) from None
        except RoleUnavailable as error:
            _log.warning("no connection instance=%s reason=%s", claim.instance, error)
            raise Unreachable(str(error), "28000") from None

    async def _run_on(self, session: Session, claim: Claim, action: RunSql) -> Answer:
        attempts = 0
        while True:
            attempts += 1
            sent: _Sent | None = None
            try:
                sent = await self._compose(session, claim, action)
                return await self._send(session, claim, action, sent)
            except ServerError as error:
                if attempts < ATTEMPTS_MAX and await self._cleaned(session, error):
                    continue
                if attempts < ATTEMPTS_MAX and self._forget_type(error.fields):
                    continue
                if sent is not None and attempts < ATTEMPTS_MAX and self._learn(claim, sent, error):
                    continue
                raise self._meaning(action, sent, error) from None
            except _NotDescribed as error:
                if attempts < ATTEMPTS_MAX and await self._cleaned(session, error.cause):
                    continue
                if attempts < ATTEMPTS_MAX and self._forget_type(error.cause.fields):
                    continue
                raise self._meaning(action, None, error.cause, _inside(error.bound, error.position)) from None

    async def _cleaned(self, session: Session, error: ServerError) -> bool:
        """Whether not the step was at fault but what one before it has left; then the session is as new.

        Nothing of the step has happened. Raises _Replace where the session cannot be made as new.
        """
        fields = error.fields
        # Whatever the guard fails with: a role that may not call it, a time limit, another encoding.
        unclean = error.index == 0
        deallocated = fields.sqlstate == NO_STATEMENT and PREPARED_PREFIX.decode() in fields.message
        if not unclean and not deallocated:
            return False
        await clean(session)
        if not session.alive:
            raise _Replace
        return True

    # Composing

    async def _compose(self, session: Session, claim: Claim, action: RunSql) -> _Sent:
        body = action.body
        form = self._forms.get(body.sql, body.form)
        mode = _mode(body, form)
        bound = await self._bind(session, action, mode)
        keep = action.keep
        if body.returns is Returns.COUNT:
            if form is Form.WITH:
                composed = self._remember(("count", body.kind, bound.text, bound.types), bound)
                return _Sent(body, bound, composed, bound.values, None)
            composed = self._remember(("execute",), bound)
            return _Sent(body, bound, composed, (bound.text, array_literal(bound.values)), None)
        described = await self._describe(session, claim, bound)
        if form is not Form.WITH and needs_with(described) and body.form is Form.QUERY:
            self._forms[body.sql] = Form.WITH
            _trim(self._forms)
            return await self._compose(session, claim, action)
        if form is Form.WITH:
            composed = self._remember(("rows", bound.text, bound.types, described, keep), bound)
            return _Sent(body, bound, composed, bound.values, described)
        await self._learn_types(session, described.types)
        composed = self._remember(("query", described, keep), bound)
        return _Sent(body, bound, composed, (bound.text, array_literal(bound.values)), described)

    def _remember(self, key: tuple[object, ...], bound: Bound) -> Composed:
        found = self._composed.get(key)
        if found is not None:
            self._composed.move_to_end(key)
            return found
        match key:
            case ("count", kind, _, _):
                made = compose_count(bound, returning=kind != "select")
            case ("execute",):
                made = compose_execute()
            case ("rows", _, _, Description() as described, bool(keep)):
                made = compose_rows(bound, described, keep=keep)
            case (_, Description() as described, bool(keep)):
                made = compose_query(described, self._known_names(described.types), keep=keep)
            case _:
                raise AssertionError(key)
        self._composed[key] = made
        _trim(self._composed)
        return made

    async def _bind(self, session: Session, action: RunSql, mode: Mode) -> Bound:
        body = action.body
        if not body.parameters:
            return bind(action.path, body, {}, {}, mode)
        await self._learn_types(session, needed_types(body, action.sources, mode))
        oids = {oid for source in action.sources.values() if isinstance(source, Rows) for oid in source.types}
        names = self._known_names(oids | {16, 20, 25, 1700, 3802})
        return bind(action.path, body, action.sources, names, mode)

    def _known_names(self, oids: Iterable[int]) -> dict[int, str]:
        found = {oid: self._type_names.get(oid) for oid in oids}
        return {oid: name for oid, name in found.items() if name is not None}

    async def _learn_types(self, session: Session, oids: Iterable[int]) -> None:
        missing = [str(oid) for oid in oids if oid not in self._type_names]
        if not missing:
            return
        [answer] = await session.exchange(Message(query("type_names"), [array_literal(missing)]))
        for oid in missing:
            self._type_names[int(oid)] = None
        for row in range(len(answer)):
            self._type_names[int(answer.raw(row, 0) or 0)] = answer.text(row, 1)
        _trim(self._type_names)

    async def _describe(self, session: Session, claim: Claim, bound: Bound) -> Description:
        key = (bound.text, bound.types, claim.search_path)
        found = self._descriptions.get(key)
        if found is not None:
            self._descriptions.move_to_end(key)
            return found
        try:
            _, answer = await session.exchange(
                _begin(claim), Message(bound.text, types=bound.types, describe=True)
            )
        except ServerError as error:
            raise _NotDescribed(error, bound) from None
        found = Description(answer.columns(), answer.column_types())
        self._descriptions[key] = found
        _trim(self._descriptions)
        return found

    # Sending, and what came of it

    async def _send(self, session: Session, claim: Claim, action: RunSql, sent: _Sent) -> Answer:
        finish = None if not isinstance(action.rider, Finish) else finish_json(action.rider)
        path = action.path
        token = "\\x" + hashlib.sha256(claim.token + path.encode()).hexdigest()
        _, answer = await session.exchange(
            _begin(claim),
            Message(
                sent.composed.text,
                (*sent.values, token, claim.instance, path, finish),
                sent.composed.types,
                prepare=True,
            ),
        )
        try:
            result = _result(answer, sent) if action.keep else None
        except ValueError:
            # The step has changed client_encoding for its own answer. It has committed: read the journal.
            session.close()
            raise Transient("the answer is not UTF-8", LOST) from None
        return Answer(
            event=Completed(number=int(answer.raw(0, 0) or 0), path=path, result=result),
            finished=answer.raw(0, 1) == b"t",
            cancel_reason=answer.text(0, 2),
        )

    def _learn(self, claim: Claim, sent: _Sent, error: ServerError) -> bool:
        """Whether the error says that what we know of the statement is wrong; then that is put right."""
        fields = error.fields
        if fields.sqlstate not in _DRIFT or error.index != 1:
            return False
        in_statement = self._position(sent, fields) is not None
        form = self._forms.get(sent.body.sql, sent.body.form)
        if fields.sqlstate == "0A000" and form is Form.WITH and sent.body.form is Form.WITH:
            # A view with rules, a WITH that changes data inside ours: legal, but not inside a WITH.
            self._forms[sent.body.sql] = Form.EXECUTE
            _trim(self._forms)
            return True
        if sent.described is None or in_statement:
            return False
        key = (sent.bound.text, sent.bound.types, claim.search_path)
        if self._descriptions.pop(key, None) is None:
            # Described a moment ago already: a domain column, which df._rows cannot declare.
            return False
        if fields.sqlstate == "42804" and form is Form.QUERY:
            self._forms[sent.body.sql] = Form.WITH
            _trim(self._forms)
        _log.info("described again instance=%s sqlstate=%s", claim.instance, fields.sqlstate)
        return True

    def _forget_type(self, fields: Fields) -> bool:
        """Whether the error says that a type we know is gone; then its values go on as text."""
        gone = _GONE.fullmatch(fields.message)
        if gone is None:
            return False
        for oid, name in self._type_names.items():
            if name is not None and (gone[1] == str(oid) or gone[2] == name.replace('"', "")):
                self._type_names[oid] = None
                return True
        return False

    def _meaning(
        self, action: RunSql, sent: _Sent | None, error: ServerError, position: int | None = None
    ) -> Exception:
        fields = error.fields
        ours = _OUR_CONTEXT in (fields.context or "").split("\n", 1)[0]
        if ours and fields.sqlstate == FENCE_LOST:
            return FenceLost(fields.message)
        if ours and fields.sqlstate == RECORDED:
            return AlreadyRecorded(fields.message)
        if retry.is_transient(fields.sqlstate):
            return Transient(fields.message, fields.sqlstate)
        return StepFailed(
            StepError(
                step=action.path,
                message=fields.message,
                sqlstate=fields.sqlstate,
                detail=fields.detail,
                hint=fields.hint,
                position=position if sent is None else self._position(sent, fields),
            )
        )

    def _position(self, sent: _Sent, fields: Fields) -> int | None:
        """Where in the node's SQL the error is; None when it is elsewhere (in a function, in our part)."""
        if fields.position is not None and sent.composed.start is not None:
            return _inside(sent.bound, fields.position - 1 - sent.composed.start)
        if fields.internal_position is not None and fields.internal_query == sent.bound.text:
            return _inside(sent.bound, fields.internal_position - 1)
        return None


def _mode(body: SqlBody, form: Form) -> Mode:
    if form is Form.WITH:
        return Mode.TYPED
    return Mode.CAST if body.kind in WITHOUT_PARAMETERS else Mode.LITERAL


def _begin(claim: Claim) -> Message:
    # Never a named statement: the step before could have put one of its own in the place of the guard.
    return Message(_BEGIN, (claim.search_path, claim.time_zone))


def _inside(bound: Bound, position: int) -> int | None:
    return bound.source_position(position) if 0 <= position <= len(bound.text) else None


def _result(answer: Answered, sent: _Sent) -> Rows:
    if sent.described is None:
        return Rows(columns=(), types=(), cells=(), row_count=int(answer.raw(0, 3) or 0))
    cells: list[str | None] = json.loads(answer.raw(0, 3) or b"[]")
    types: list[int] = [int(oid) for oid in json.loads(answer.raw(0, 5) or b"[]")]
    return Rows(
        columns=sent.described.columns,
        types=tuple(types),
        cells=tuple(cells),
        row_count=int(answer.raw(0, 4) or 0),
    )


def _trim(kept: OrderedDict[_K, _V]) -> None:
    while len(kept) > CACHED_MAX:
        kept.popitem(last=False)
