"""What PostgreSQL 18 itself says of the statement of a broken step.

Independent of the compiler's own ways to ask: the statements of a workflow are prepared one behind the other
in a transaction that is rolled back, with the types that those before return; DDL is executed there.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import pq

from bench.mutation.mutants import Edit
from bench.mutation.seeds import SCHEMAS, Body, Seed
from dfc.compiler.plan import Form, Literal, Parameter, Returns, SqlBody, Use
from dfc.compiler.span import Span
from dfc.compiler.sql.references import Rendered, swap
from dfc.compiler.sql.tokens import split_comments
from dfc.executor import migrate
from tests.postgres import Server

Connection = psycopg.Connection[tuple[object, ...]]
Columns = Sequence[tuple[str, int]]

_NO_CAUSES = frozenset({"25001", "25P02", "2D000"})
_CAUSES = ("42", "3F", "0A", "22P02", "22007", "22008", "22003", "428")
"""SQLSTATEs of what a statement says, not of what it meets when it runs."""
_PREPARED = frozenset(
    {"select", "values", "insert", "update", "delete", "merge", "explain", "create table as"}
)
_NEVER_RUN = frozenset({"do", "call", "copy", "execute", "checkpoint", "load", "alter system", "discard all"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """PostgreSQL refuses the statement. `syntax`: its parser does, without looking at a schema."""

    sqlstate: str
    message: str
    place: Span | None
    syntax: bool


class Oracle:
    """Databases of a server, one with the DDL of each kind of seeds."""

    def __init__(self, server: Server) -> None:
        self._connections: dict[str, Connection] = {}
        for name, ddl in SCHEMAS.items():
            with psycopg.connect(server.url(), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE mutation_{name} TEMPLATE template0".encode())
            url = server.url(f"mutation_{name}")
            migrate.install(url)
            connection = psycopg.connect(url)
            connection.execute("SET statement_timeout = '5s'")
            connection.execute(ddl.read_bytes())
            connection.commit()
            self._connections[name] = connection

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()

    def judge(self, seed: Seed, edits: Mapping[int, Edit]) -> dict[int, Refusal | None]:
        """The verdict on each edit; without those that nothing can be said about."""
        connection = self._connections[seed.schema]
        found: dict[int, Refusal | None] = {}
        known: dict[str, Columns] = {}
        connection.rollback()
        if "database =>" in seed.text:
            # The schema of another database is not known.
            return found
        for body in seed.bodies:
            statement = body.statement
            for number, edit in edits.items():
                if edit.body is body:
                    changed = _Statement(statement, edit, known)
                    if changed.certain:
                        found[number] = _refusal(connection, changed, edit)
            original = _Statement(statement, None, known)
            if original.certain:
                columns = _describe(connection, original, body)
                if columns is not None:
                    for name in (body.node.id, *body.node.bindings):
                        known[name] = columns
        connection.rollback()
        return found


class _Statement:
    """A statement with its references replaced: by parameters of their types, by rows of their columns."""

    def __init__(self, body: SqlBody, edit: Edit | None, known: Mapping[str, Columns]) -> None:
        self.kind = body.kind
        self.runs = body.kind not in _PREPARED and body.kind not in _NEVER_RUN and body.form is Form.EXECUTE
        self.prepares = body.kind in _PREPARED
        self.types: list[int] = []
        self.certain = True
        self._known = known
        sql = body.sql if edit is None else edit.sql
        shift = 0 if edit is None else len(edit.by) - (edit.end - edit.start)
        swaps: list[tuple[int, int, str]] = []
        for parameter in body.parameters:
            start, end = parameter.start, parameter.end
            if edit is not None and start >= edit.end:
                start, end = start + shift, end + shift
            elif edit is not None and end > edit.start:
                self.certain = self.certain and not edit.by.startswith("$")
                continue
            if _in_literal(parameter, body.literals) or not self.prepares:
                self.certain = False
                return
            swaps.append((start, end, self._replacement(parameter)))
        self.sql = sql
        self.rendered: Rendered = swap(sql, swaps)

    def _replacement(self, parameter: Parameter) -> str:
        columns = self._known.get(parameter.source)
        if parameter.use is Use.ROWS:
            if columns is None:
                self.certain = False
                return ""
            shown = ", ".join(f'NULL::{_type(oid)} AS "{name}"' for name, oid in columns)
            alias = "" if parameter.aliased else f" AS {parameter.name}"
            return f"(SELECT {shown} WHERE false){alias}"
        oid = 0
        if parameter.use is Use.ROW_COUNT:
            oid = 20
        elif columns and not parameter.otherwise:
            types = dict(reversed(columns))
            if parameter.column is not None and parameter.column not in types:
                self.certain = False
            oid = types.get(parameter.column or columns[0][0], 0)
        self.types.append(oid)
        return f" ${len(self.types)} "


def _in_literal(parameter: Parameter, literals: Sequence[Literal]) -> bool:
    return any(one.start <= parameter.start < one.end for one in literals)


_TYPES: dict[int, str] = {}


def _type(oid: int) -> str:
    return _TYPES.get(oid, "text")


@contextmanager
def _undone(connection: Connection) -> Generator[None]:
    connection.execute("SAVEPOINT mutation")
    try:
        yield
    finally:
        connection.execute("ROLLBACK TO mutation")
        connection.execute("RELEASE mutation")


def _refusal(connection: Connection, statement: _Statement, edit: Edit) -> Refusal | None:
    with _undone(connection):
        result = connection.pgconn.prepare(b"", statement.rendered.text.encode(), statement.types)
        if result.status is pq.ExecStatus.COMMAND_OK and statement.runs:
            result = connection.pgconn.exec_prepared(b"", [])
        if result.status in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
            return None
        return _said(result, statement, edit)


def _said(result: pq.abc.PGresult, statement: _Statement, edit: Edit) -> Refusal | None:
    def field(name: pq.DiagnosticField) -> str:
        value = result.error_field(name)
        return "" if value is None else value.decode()

    state = field(pq.DiagnosticField.SQLSTATE)
    message = field(pq.DiagnosticField.MESSAGE_PRIMARY)
    if state in _NO_CAUSES or not state.startswith(_CAUSES):
        return None
    position = field(pq.DiagnosticField.STATEMENT_POSITION)
    place = None
    if position:
        offset = statement.rendered.original(min(int(position) - 1, len(statement.rendered.text)))
        place = _place(statement.sql, offset, edit)
    syntax = state == "42601" and (
        message.startswith(("syntax error", "unterminated", "trailing junk", "zero-length"))
    )
    return Refusal(state, message, place, syntax)


def _place(sql: str, offset: int, edit: Edit) -> Span | None:
    """The token at an offset of the broken statement (the last one behind its end), in the source."""
    token = None
    for lexeme in split_comments(sql)[0]:
        token = lexeme
        if lexeme.end > offset:
            break
    if token is None:
        return None
    if token.start >= edit.start + len(edit.by):
        shift = len(edit.by) - (edit.end - edit.start)
        place = edit.body.text.locate(token.start - shift, token.end - shift)
        return Span(place.start + shift, place.end + shift)
    if token.start < edit.start:
        place = edit.body.text.locate(token.start, min(token.end, edit.start))
        return Span(place.start, max(place.end, place.start + 1))
    first = edit.body.text.locate(edit.start, edit.start + 1).start + token.start - edit.start
    return Span(first, first + token.end - token.start)


def _describe(connection: Connection, statement: _Statement, body: Body) -> Columns | None:
    """The columns of a valid statement. DDL is executed, for those that follow."""
    text = statement.rendered.text.encode()
    connection.execute("SAVEPOINT described")
    result = connection.pgconn.prepare(b"", text, statement.types)
    if result.status is pq.ExecStatus.COMMAND_OK and statement.runs:
        result = connection.pgconn.exec_prepared(b"", [])
    if result.status is not pq.ExecStatus.COMMAND_OK:
        connection.execute("ROLLBACK TO described")
        return None
    if not statement.prepares or body.statement.returns is Returns.COUNT:
        return [("row_count", 20)] if statement.prepares else None
    described = connection.pgconn.describe_prepared(b"")
    columns: list[tuple[str, int]] = []
    for number in range(described.nfields):
        name = described.fname(number)
        assert name is not None
        columns.append((name.decode(), described.ftype(number)))
    for _, oid in columns:
        if oid not in _TYPES:
            row = connection.execute("SELECT format_type(%s, NULL)", (oid,)).fetchone()
            assert row is not None
            _TYPES[oid] = str(row[0])
    return columns
