"""PostgreSQL itself as the describer: each statement is prepared and described, and never run.

A statement is sent as the executor would send it, with made-up values of the types that a run will have, in a
transaction that is rolled back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Self

import psycopg
from psycopg import pq
from psycopg.pq.abc import PGresult

from dfc.compiler.plan import Form, Returns, SqlBody
from dfc.compiler.plan_describe import (
    OF_NAMES,
    UNKNOWN,
    Answer,
    Column,
    Count,
    Described,
    Refused,
    Rows,
    Statement,
    Unsaid,
    column_keys,
)
from dfc.executor.bind import Bound, Mode, bind
from dfc.executor.describe.arbiter import missing_arbiter
from dfc.executor.describe.made_up import ANY, MadeUp, make_up, types_needed
from dfc.executor.describe.refusal import Catalog, of_ddl, refusal
from dfc.executor.describe.session import Session
from dfc.executor.describe.utility import as_tried, is_nowhere, is_tried, missing_relation
from dfc.executor.failures import StepFailed
from dfc.executor.queries import query
from dfc.executor.quoting import array_literal
from dfc.executor.runners.statements import mode_of
from dfc.executor.session import Fields, fields_of
from dfc.executor.values import BOOL, JSONB, NUMERIC, TEXT

LOCK_SECONDS_MAX: Final = 5
STATEMENT_SECONDS_MAX: Final = 30

_BEGIN: Final = (
    f"BEGIN; SET LOCAL lock_timeout = '{LOCK_SECONDS_MAX}s';"
    f" SET LOCAL statement_timeout = '{STATEMENT_SECONDS_MAX}s'"
)
_ALWAYS: Final = ("boolean", "bigint", "text", "numeric", "jsonb")
_GUESSES: Final = (TEXT, NUMERIC, JSONB, BOOL)
"""What a value of JSON may be."""
_AS: Final = re.compile(
    r"\s*create\s+(?:(?:temp|temporary|unlogged)\s+)?table\b[^;]*?\bas\s*\(?\s*(?:select|with|values|table)\b",
    re.IGNORECASE,
)
_NO_DATA: Final = re.compile(r"\bwith\s+(?:no\s+)?data\s*\Z", re.IGNORECASE)
_FAILED: Final = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE)


@dataclass(frozen=True, slots=True)
class _Refusal(Exception):
    """What the server says against a statement."""

    fields: Fields


class _NotMadeError(Exception):
    """What steps in front of a statement make cannot be made here."""


class DatabaseDescriber:
    """A describer over one connection of its own; a context manager.

    `scratch`: the database is nobody's. What PostgreSQL cannot describe, because it makes or changes objects,
    is run there, and rolled back.
    """

    def __init__(self, conninfo: str, *, scratch: bool = False) -> None:
        self._scratch = scratch
        self._pgconn = Session(conninfo, is_bounded=not scratch)
        self._oids: dict[str, int | None] = {}
        self._names: dict[int, str] = {}
        self._formatted: dict[int, str | None] = {}
        self._known: dict[tuple[object, ...], tuple[Answer]] = {}
        self._made: tuple[str, ...] = ()
        self._catalog = Catalog(self._ask)
        self._learn_types(_ALWAYS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._pgconn.close()

    def execute(self, text: str) -> Answer:
        """Run a statement: a setting of the session, or in a scratch database what makes its schema.

        None when it has run, else why it has not.
        """
        result = self._pgconn.exec_(text.encode())
        if result.status not in _FAILED:
            self.forget()
            return None
        try:
            self._checked(result)
        except _Refusal as refused:
            body = SqlBody(sql=text, kind="", form=Form.EXECUTE, returns=Returns.COUNT)
            return of_ddl(refusal(refused.fields, body, bind("", body, {}, {}), (), self._catalog))
        return None

    def forget(self) -> None:
        """Take note that the schema, or a setting, is another one now."""
        self._known.clear()
        self._oids.clear()
        self._catalog.forget()

    def describe(self, statement: Statement) -> Answer:
        """What PostgreSQL says of a statement; in a scratch database with what steps in front of it make."""
        if statement.made and self._scratch:
            self._made = tuple(map(_without_rows, statement.made))
            try:
                answer = self._describe(statement)
                return replace(answer, with_made=True) if isinstance(answer, Refused) else answer
            except _NotMadeError:
                pass
            finally:
                self._made = ()
        return self._describe(statement)

    def _describe(self, statement: Statement) -> Answer:
        if statement.database is not None:
            return Unsaid(why=f"the step runs in the database `{statement.database}`")
        body = statement.body
        self._learn_types(types_needed(body, statement.sources))
        answer = self._answer(statement, ANY)
        if isinstance(answer, Refused) and answer.sqlstate in OF_NAMES:
            statement, answer = self._elsewhere(statement, answer)
        if isinstance(answer, Refused) and answer.sqlstate in OF_NAMES:
            answer = replace(answer, makers=self._catalog.dynamic())
        if isinstance(answer, Refused) or not self._is_unsure(statement):
            return answer
        # What PostgreSQL makes of a parameter without a type is a guess; only what holds for all is known.
        guesses = [answer, *(self._answer(statement, oid) for oid in _GUESSES)]
        found = [each for each in guesses if isinstance(each, Described)]
        return _common(found) if found else answer

    def _elsewhere(self, statement: Statement, answer: Answer) -> tuple[Statement, Answer]:
        """Whether what is unknown is in a schema behind those of the search path.

        A scratch database has the objects of another one, and not the path that its roles have there.
        """
        if not self._scratch or _path_of(statement.settings) is not None:
            return statement, answer
        path = self._ask("describe_wider_path")
        # A path does not tell PostgreSQL what it looks for only when a statement runs.
        if not path or is_nowhere(statement.body, self._catalog):
            return statement, answer
        wider = replace(statement, settings=(*statement.settings, ("search_path", path[0][0])))
        found = self._answer(wider, ANY)
        still = isinstance(found, Refused) and found.sqlstate in OF_NAMES
        return (statement, answer) if still else (wider, found)

    def _is_unsure(self, statement: Statement) -> bool:
        made = make_up(statement.body, statement.sources, self._oids.get)
        return made is not None and bool(made.unsure)

    def _answer(self, statement: Statement, unknown: int) -> Answer:
        body = statement.body
        made = make_up(body, statement.sources, self._oids.get, unknown)
        if made is None:
            return Unsaid(why="the columns of a row set in it are not known")
        try:
            bound = self._bound(statement.node, made)
        except StepFailed:
            # A name, or a value where only a constant can stand, which only the run knows.
            return Unsaid(why="it depends on a value")
        key = (bound.text, bound.types, statement.settings, made.unsure, self._made)
        if key not in self._known:
            self._known[key] = (self._described(body, made, bound, statement.settings),)
        return self._known[key][0]

    def _bound(self, node: str, made: MadeUp) -> Bound:
        mode = mode_of(made.body, made.body.form)
        if mode is Mode.CAST and made.unsure:
            # As a cast a type that nobody knows would be text.
            mode = Mode.TYPED
        return bind(node, made.body, made.sources, self._names, mode)

    def _described(
        self, body: SqlBody, made: MadeUp, bound: Bound, settings: Sequence[tuple[str, str]]
    ) -> Answer:
        try:
            found = self._prepared(bound, settings)
        except _Refusal as refused:
            return refusal(refused.fields, body, bound, made.unsure, self._catalog)
        arbiter = missing_arbiter(body, self._catalog)
        if arbiter is not None:
            return arbiter
        if found.nfields == 0:
            refused = self._tried(body, bound, settings)
            if refused is not None:
                return refused
            return Described(Count() if body.returns == "count" else Rows(()))
        names = column_keys([(found.fname(at) or b"").decode() for at in range(found.nfields)])
        oids = [found.ftype(at) for at in range(found.nfields)]
        self._learn_names(oids)
        columns = [Column(name, self._formatted.get(oid)) for name, oid in zip(names, oids, strict=True)]
        return Described(Rows(tuple(columns)))

    def _tried(self, body: SqlBody, bound: Bound, settings: Sequence[tuple[str, str]]) -> Answer:
        """What is wrong with a utility statement, which PostgreSQL does not look into before it runs.

        Only in a scratch database is one run.
        """
        # What has been made in this transaction alone is not in the catalog: trying tells.
        by_path = _path_of(settings) is None
        missing = None if self._made else missing_relation(body, self._catalog, by_path=by_path)
        if missing is None and self._scratch and is_tried(body):
            try:
                self._begin(settings)
                self._checked(self._pgconn.exec_(as_tried(body, bound.text).encode()))
            except _Refusal as refused:
                return of_ddl(refusal(refused.fields, body, bound, (), self._catalog))
            finally:
                if self._pgconn.status == pq.ConnStatus.OK:
                    self._pgconn.exec_(b"ROLLBACK")
        return missing

    def _prepared(self, bound: Bound, settings: Sequence[tuple[str, str]]) -> PGresult:
        """The description of a statement. Raises _Refusal; the transaction is rolled back."""
        try:
            self._begin(settings)
            self._checked(self._pgconn.prepare(b"", bound.text.encode(), bound.types or None))
            return self._checked(self._pgconn.describe_prepared(b""))
        finally:
            if self._pgconn.status == pq.ConnStatus.OK:
                self._pgconn.exec_(b"ROLLBACK")

    def _begin(self, settings: Sequence[tuple[str, str]]) -> None:
        """A transaction with a step's own settings, and what steps in front make. Raises _Refusal."""
        self._checked(self._pgconn.exec_(_BEGIN.encode()))
        for text in self._made:
            if self._pgconn.exec_(text.encode()).status in _FAILED:
                raise _NotMadeError
        for name, value in settings:
            self._checked(
                self._pgconn.exec_params(
                    b"SELECT pg_catalog.set_config($1, $2, true)", [name.encode(), value.encode()]
                )
            )

    def _checked(self, result: PGresult) -> PGresult:
        if result.status not in _FAILED:
            return result
        if self._pgconn.status != pq.ConnStatus.OK:
            raise psycopg.OperationalError(result.get_error_message())
        raise _Refusal(fields_of(result))

    def _ask(self, name: str, *values: str | None) -> list[tuple[str, ...]]:
        """The rows of a query of ours, as texts. What fails has no rows."""
        encoded = [None if value is None else value.encode() for value in values]
        result = self._pgconn.exec_params(query(name).encode(), encoded)
        if result.status in _FAILED:
            return []
        return [
            tuple([(result.get_value(row, at) or b"").decode() for at in range(result.nfields)])
            for row in range(result.ntuples)
        ]

    # Types

    def _learn_types(self, names: Iterable[str]) -> None:
        missing = sorted({name for name in names if name not in self._oids})
        if not missing:
            return
        self._oids.update(dict.fromkeys(missing))
        for name, oid in self._ask("describe_types", array_literal(missing)):
            self._oids[name] = int(oid)
        self._learn_names([oid for name in missing if (oid := self._oids[name]) is not None])

    def _learn_names(self, oids: Iterable[int]) -> None:
        """The names of types to be cast to, and as people write them."""
        missing = sorted({oid for oid in oids if oid not in self._formatted})
        if not missing:
            return
        self._formatted.update(dict.fromkeys(missing))
        for oid, formatted, name in self._ask(
            "describe_type_names", array_literal([str(oid) for oid in missing])
        ):
            self._formatted[int(oid)] = formatted
            self._oids[formatted] = int(oid)
            if name:
                self._names[int(oid)] = name


def _without_rows(sql: str) -> str:
    """A statement that makes something, so that its query is not run."""
    return f"{sql} WITH NO DATA" if _AS.match(sql) and not _NO_DATA.search(sql) else sql


def _path_of(settings: Sequence[tuple[str, str]]) -> str | None:
    """The search path that a step sets for itself."""
    return next((value for name, value in reversed(settings) if name.lower() == "search_path"), None)


def _common(found: Sequence[Described]) -> Described:
    """What descriptions agree on."""
    shapes = [each.shape for each in found]
    first = shapes[0]
    if all(shape == first for shape in shapes):
        return found[0]
    columns = [shape.columns for shape in shapes if isinstance(shape, Rows) and shape.columns is not None]
    if len(columns) < len(shapes):
        return Described(UNKNOWN)
    common: list[Column] = []
    for same in zip(*columns, strict=False):
        agreed = all(each == same[0] for each in same)
        common.append(same[0] if agreed else Column(same[0].name))
    return Described(Rows(tuple(common)))
