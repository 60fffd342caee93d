"""The schema describer beside the real server: what both say of a statement."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import pq

from dfc.compiler.plan_describe import Answer, Described, Refused, Rows, Statement, Unsaid, column_keys
from dfc.compiler.plan_statement import Form, Returns, SqlBody
from dfc.compiler.schema import Catalog, SchemaDescriber, SchemaSource, read_schema
from dfc.compiler.schema.describer import NOT_FORESEEN
from dfc.compiler.schema.split import pieces
from tests.postgres import Server

FOLDER = Path(__file__).parent
SCHEMA = (FOLDER / "schema.sql").read_text(encoding="utf-8")


def statements(name: str = "statements.sql") -> Iterator[str]:
    """The statements of a file."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    for piece in pieces(text):
        yield text[piece.start : piece.end]


def catalog(ddl: str = SCHEMA) -> Catalog:
    """The catalog of a text; everything in it is understood."""
    read = read_schema([SchemaSource(name="schema.sql", text=ddl)])
    assert read.skipped == ()
    return read.catalog


def body(sql: str) -> SqlBody:
    """A statement without references."""
    return SqlBody(sql=sql, kind="select", form=Form.EXECUTE, returns=Returns.ROWS)


def described(known: Catalog, sql: str) -> Answer:
    """What the describer says of a text."""
    answer = SchemaDescriber(known).describe(Statement(node="step", body=body(sql)))
    assert not isinstance(answer, Unsaid) or answer.why != NOT_FORESEEN, sql
    return answer


@dataclass(frozen=True, slots=True)
class Verdict:
    """What PostgreSQL says: names and types of columns, or why not. `offset`: code points, from 0."""

    columns: tuple[tuple[str, str], ...] = ()
    sqlstate: str = ""
    message: str = ""
    offset: int | None = None


class Oracle:
    """A connection to a database that has the schema; statements are prepared and described, never run."""

    def __init__(self, url: str, ddl: str = SCHEMA) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute(ddl.encode())
        self._types: dict[tuple[int, int], str] = {}

    def close(self) -> None:
        """Gone."""
        self._connection.close()

    def says(self, sql: str) -> Verdict:
        """What PostgreSQL says of a text."""
        server = self._connection.pgconn
        result = server.prepare(b"", sql.encode())
        if result.status != pq.ExecStatus.COMMAND_OK:
            field = pq.DiagnosticField
            place = result.error_field(field.STATEMENT_POSITION)
            return Verdict(
                sqlstate=(result.error_field(field.SQLSTATE) or b"").decode(),
                message=(result.error_field(field.MESSAGE_PRIMARY) or b"").decode(),
                offset=int(place) - 1 if place else None,
            )
        found = server.describe_prepared(b"")
        return Verdict(
            columns=tuple(
                ((found.fname(i) or b"").decode(), self._type(found.ftype(i), found.fmod(i)))
                for i in range(found.nfields)
            )
        )

    def runs(self, sql: str) -> str:
        """Why PostgreSQL does not run a text, or nothing. What it has done is rolled back."""
        try:
            with self._connection.transaction(force_rollback=True):
                self._connection.execute(sql.encode())
        except psycopg.Error as error:
            return f"{error.sqlstate} {error}"
        return ""

    def relations(self) -> dict[tuple[str, str], list[tuple[str, str]]]:
        """All relations of the schema with their columns and types, as the server's catalog has them."""
        found: dict[tuple[str, str], list[tuple[str, str]]] = {}
        rows = self._connection.execute(
            """SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE n.nspname IN ('app', 'public') AND c.relkind NOT IN ('i', 'I', 'c')
            ORDER BY 1, 2, a.attnum"""
        )
        for schema, name, column, type in rows:
            found.setdefault((schema, name), []).append((column, type))
        return found

    def _type(self, oid: int, modifier: int) -> str:
        if (oid, modifier) not in self._types:
            row = self._connection.execute("SELECT format_type(%s, %s)", (oid, modifier)).fetchone()
            assert row is not None
            self._types[oid, modifier] = row[0]
        return self._types[oid, modifier]


@contextmanager
def database(server: Server, name: str) -> Generator[str]:
    """A database of this name, gone afterwards; its URL."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            yield server.url(name)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@contextmanager
def asked(url: str, ddl: str = SCHEMA) -> Generator[Oracle]:
    """An oracle over a database with this DDL, closed afterwards."""
    found = Oracle(url, ddl)
    try:
        yield found
    finally:
        found.close()


def columns_of(answer: Answer) -> tuple[tuple[str, str | None], ...] | None:
    """The columns that a description has, None where they are not known."""
    if isinstance(answer, Described) and isinstance(answer.shape, Rows) and answer.shape.columns is not None:
        return tuple([(column.name, column.type) for column in answer.shape.columns])
    return None


def suffixed(columns: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Names as the stored result has them."""
    names = column_keys([name for name, _ in columns])
    return tuple((name, type) for name, (_, type) in zip(names, columns, strict=True))


def is_refused(answer: Answer) -> bool:
    """Whether it is an alarm."""
    return isinstance(answer, Refused)
