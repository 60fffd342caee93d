"""What the runner knows of statements: how to send each, which columns it has, how its types are called.

It is learned from the server, kept, and put right when the server says that it has changed.
"""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

from dfc.compiler.plan import Form, Returns, SqlBody
from dfc.executor.bind import Bound, Mode, bind, needed_types, types_in
from dfc.executor.compose import (
    DF,
    Composed,
    Description,
    compose_count,
    compose_execute,
    compose_items_query,
    compose_items_rows,
    compose_query,
    compose_rows,
    needs_with,
)
from dfc.executor.failures import StepFailed
from dfc.executor.journal import StepError
from dfc.executor.queries import query
from dfc.executor.quoting import array_literal
from dfc.executor.runners.around import Around
from dfc.executor.runners.step import Step
from dfc.executor.session import Fields, Message, ServerError, Session
from dfc.executor.values import WRONG_KIND

CACHED_MAX: Final = 2048

WITHOUT_PARAMETERS: Final = frozenset({"select", "values", "table", "insert", "update", "delete", "merge"})

CALL: Final = "call"

DRIFT: Final = frozenset({"0A000", "42601", "42703", "42702", "42804", "42P10", "42P18"})
"""What PostgreSQL may answer when a statement has other columns by now than were described."""

_GONE: Final = re.compile(r'cache lookup failed for type (\d+)|type "(.*)" does not exist')
_log = logging.getLogger(__name__)
_K = TypeVar("_K")
_V = TypeVar("_V")
_Described = tuple[str, tuple[int, ...], str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Sent:
    """What goes out for a step, to make sense of what comes back."""

    bound: Bound
    composed: Composed
    values: tuple[str | None, ...]
    described: Description | None

    def message(self, step: Step, *, prepare: bool) -> Message:
        """What is sent. One that was prepared may have its plan already, which settings do not change."""
        values = (*self.values, *step.values)
        return Message(self.composed.text, values, self.composed.types, prepare=prepare)

    def position(self, fields: Fields) -> int | None:
        """Where in the node's SQL an error is; None when it is elsewhere (in a function, in our part)."""
        if fields.position is not None and self.composed.start is not None:
            return inside(self.bound, fields.position - 1 - self.composed.start)
        if fields.internal_position is not None and fields.internal_query == self.bound.text:
            return inside(self.bound, fields.internal_position - 1)
        return None


class NotDescribed(Exception):
    """PostgreSQL refused to describe the statement."""

    def __init__(self, cause: ServerError, around: Around, bound: Bound) -> None:
        super().__init__(cause.fields.message)
        self.cause = cause
        self.around = around
        position = cause.fields.position
        self.position = None if position is None else inside(bound, position - 1)


class Statements:
    """The knowledge of a worker about statements and types of a database, bounded.

    `schema` is where what a step needs is there.
    """

    def __init__(self, schema: str = DF) -> None:
        self._schema = schema
        self._descriptions: OrderedDict[_Described, Description] = OrderedDict()
        self._composed: OrderedDict[tuple[object, ...], Composed] = OrderedDict()
        self._type_names: OrderedDict[int, str | None] = OrderedDict()
        # Statements that turned out not to fit the form that the plan names.
        self._forms: OrderedDict[str, Form] = OrderedDict()
        self._refused: OrderedDict[str, Description] = OrderedDict()
        self._proven: OrderedDict[str, None] = OrderedDict()

    async def compose(self, session: Session, step: Step, describing: Callable[[], Around]) -> Sent:
        """The statement to send for a step; asks the server for what is not known yet.

        Args:
            session: where to ask.
            step: what is to be run.
            describing: what goes around a statement that is only to be described.

        Raises ServerError, NotDescribed; StepFailed for a reference that has no value.
        """
        body = step.body
        form = self._form(body)
        bound = await self.bound(session, step, mode_of(body, form))
        if body.returns is Returns.COUNT and not self._may_have_a_row(body):
            return self._counting(step, form, bound)
        described = await self._describe(session, step, bound, describing)
        if body.returns is Returns.COUNT and (not described.columns or needs_with(described)):
            return self._counting(step, form, bound)
        if form is not Form.WITH and needs_with(described) and body.form is Form.QUERY:
            self._learn_form(body, Form.WITH)
            return await self.compose(session, step, describing)
        what = "items" if step.items else "rows"
        if form is Form.WITH:
            composed = self._remember((what, bound.text, bound.types, described, step.keep), bound)
            return Sent(bound, composed, bound.values, described)
        await self._learn_types(session, described.types)
        composed = self._remember((f"{what} of query", described, step.keep), bound)
        return Sent(bound, composed, (bound.text, array_literal(bound.values)), described)

    async def bound(self, session: Session, step: Step, mode: Mode) -> Bound:
        """The statement with its references replaced; asks the server for names of types."""
        body = step.body
        if not body.parameters:
            return bind(step.path, body, {}, {}, mode)
        await self._learn_types(session, needed_types(body, step.sources, mode))
        names = self._known_names(types_in(step.sources) | {16, 20, 25, 1700, 3802})
        return bind(step.path, body, step.sources, names, mode)

    def forget_type(self, fields: Fields) -> bool:
        """Whether the error says that a type we know is gone; then its values go on as text."""
        gone = _GONE.fullmatch(fields.message)
        if gone is None:
            return False
        for oid, name in self._type_names.items():
            if name is not None and (gone[1] == str(oid) or gone[2] == name.replace('"', "")):
                self._type_names[oid] = None
                return True
        return False

    def learn(self, step: Step, sent: Sent, error: ServerError) -> bool:
        """Whether the statement's error says that what we know of it is wrong; then that is put right."""
        fields = error.fields
        if fields.sqlstate not in DRIFT:
            return False
        body = step.body
        form = self._form(body)
        self._proven.pop(sent.bound.text, None)
        if fields.sqlstate == "0A000" and form is Form.WITH and body.form is Form.WITH:
            # A view with rules, a WITH that changes data inside ours: legal, but not inside a WITH.
            self._learn_form(body, Form.EXECUTE)
            return True
        if sent.described is None or sent.position(fields) is not None:
            return False
        if body.kind == CALL and self._refused.get(body.sql) == sent.described:
            # The same once more: parameters of a domain, which df._rows cannot declare. They are not read.
            self._learn_form(body, form)
            return True
        if body.kind == CALL:
            self._refused[body.sql] = sent.described
            _trim(self._refused)
        if self._descriptions.pop(_key(step, sent.bound), None) is None:
            # Described a moment ago already: a domain column, which df._rows cannot declare.
            return False
        if fields.sqlstate == "42804" and form is Form.QUERY:
            self._learn_form(body, Form.WITH)
        _log.info("described again instance=%s sqlstate=%s", step.claim.instance, fields.sqlstate)
        return True

    def is_proven(self, sent: Sent) -> bool:
        """Whether a statement has run before the way it is to be sent now."""
        return sent.bound.text in self._proven

    def prove(self, sent: Sent) -> None:
        """Take note that a statement has run the way it was sent."""
        self._proven[sent.bound.text] = None
        _trim(self._proven)

    def forget(self) -> None:
        """Describe every statement again, at its next use."""
        self._descriptions.clear()
        self._proven.clear()

    # What is known

    def _may_have_a_row(self, body: SqlBody) -> bool:
        """Whether this is a CALL: it gives its OUT and INOUT parameters, if the server knows of any."""
        return body.kind == CALL and body.sql not in self._forms

    def _form(self, body: SqlBody) -> Form:
        return self._forms.get(body.sql, body.form)

    def _learn_form(self, body: SqlBody, form: Form) -> None:
        self._forms[body.sql] = form
        _trim(self._forms)

    def _counting(self, step: Step, form: Form, bound: Bound) -> Sent:
        if step.items:
            message = f"the statement of map `{step.path}` returns no rows"
            raise StepFailed(StepError(step=step.path, message=message, sqlstate=WRONG_KIND))
        if form is Form.WITH:
            composed = self._remember(("count", step.body.kind, bound.text, bound.types), bound)
            return Sent(bound, composed, bound.values, None)
        composed = self._remember(("execute",), bound)
        return Sent(bound, composed, (bound.text, array_literal(bound.values)), None)

    def _remember(self, key: tuple[object, ...], bound: Bound) -> Composed:
        found = self._composed.get(key)
        if found is not None:
            self._composed.move_to_end(key)
            return found
        schema = self._schema
        match key:
            case ("count", kind, _, _):
                made = compose_count(bound, returning=kind != "select", schema=schema)
            case ("execute",):
                made = compose_execute(schema=schema)
            case ("rows", _, _, Description() as described, bool(keep)):
                made = compose_rows(bound, described, keep=keep, schema=schema)
            case ("items", _, _, Description() as described, _):
                made = compose_items_rows(bound, described)
            case ("rows of query", Description() as described, bool(keep)):
                names = self._known_names(described.types)
                made = compose_query(described, names, keep=keep, schema=schema)
            case ("items of query", Description() as described, _):
                made = compose_items_query(described, self._known_names(described.types))
            case _:
                raise AssertionError(key)
        self._composed[key] = made
        _trim(self._composed)
        return made

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

    async def _describe(
        self, session: Session, step: Step, bound: Bound, describing: Callable[[], Around]
    ) -> Description:
        key = _key(step, bound)
        found = self._descriptions.get(key)
        if found is not None:
            self._descriptions.move_to_end(key)
            return found
        around = describing()
        message = Message(bound.text, types=bound.types, describe=True)
        try:
            answers = await session.exchange(*around.before, message, *around.after)
        except ServerError as error:
            raise NotDescribed(error, around, bound) from None
        answer = answers[len(around.before)]
        found = Description(answer.columns(), answer.column_types())
        self._descriptions[key] = found
        _trim(self._descriptions)
        return found


def inside(bound: Bound, position: int) -> int | None:
    """The code point of the node's SQL behind one of the bound text; None outside of it."""
    return bound.source_position(position) if 0 <= position <= len(bound.text) else None


def _key(step: Step, bound: Bound) -> _Described:
    return bound.text, bound.types, step.claim.search_path, step.policy.settings


def mode_of(body: SqlBody, form: Form) -> Mode:
    """How the values of a statement that is sent in this form get into it."""
    if form is Form.WITH:
        return Mode.TYPED
    return Mode.CAST if body.kind in WITHOUT_PARAMETERS else Mode.LITERAL


def _trim(kept: OrderedDict[_K, _V]) -> None:
    while len(kept) > CACHED_MAX:
        kept.popitem(last=False)
