"""Every kind of command: the analysis is what a real server confirms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString, cast

import psycopg
import pytest
from psycopg import errors

from dfc.compiler.ast import Text
from dfc.compiler.plan import Form, Returns
from dfc.compiler.sql import Analysis, analyse
from tests.compiler_sql.statements import BEFORE_SETUP, CASES, SETUP, Case
from tests.postgres import Server

_ROWS = """
CREATE FUNCTION run_rows(q text) RETURNS SETOF record LANGUAGE plpgsql AS 'BEGIN RETURN QUERY EXECUTE q; END'
"""
_COUNT = """
CREATE FUNCTION run_count(q text) RETURNS bigint LANGUAGE plpgsql AS
'DECLARE n bigint; BEGIN EXECUTE q; GET DIAGNOSTICS n = ROW_COUNT; RETURN n; END'
"""

Connection = psycopg.Connection[tuple[object, ...]]


def _analysis(case: Case) -> Analysis:
    return analyse(Text(value=case.sql))


def _run(connection: Connection, sql: str) -> psycopg.Cursor[tuple[object, ...]]:
    return connection.execute(cast(LiteralString, sql), prepare=False)


@pytest.fixture(scope="module")
def filled(server: Server) -> Iterator[Connection]:
    name = "statements"
    with psycopg.connect(server.url(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE statements TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
    with psycopg.connect(server.url(name), autocommit=True) as connection:
        for statement in (BEFORE_SETUP, _ROWS, _COUNT):
            _run(connection, statement)
        _run(connection, SETUP)
        yield connection


def test_there_are_enough() -> None:
    assert len(CASES) >= 120


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_classified(case: Case) -> None:
    found = _analysis(case)
    assert found.problems == ()
    assert (found.kind, found.form, found.returns) == (case.kind, case.form, case.returns)


@pytest.mark.parametrize("case", [case for case in CASES if case.runs], ids=repr)
def test_server_agrees(case: Case, filled: Connection) -> None:
    found = _analysis(case)
    if found.form is Form.AUTOCOMMIT:
        _refused_in_a_transaction(filled, found.sql)
        return
    with filled.transaction(force_rollback=True):
        try:
            cursor = _run(filled, found.sql)
        except errors.SyntaxError:
            if filled.info.server_version >= 180_000:
                raise
            pytest.skip("newer than this server")
        direct = cursor.rowcount if found.kind not in ("explain", "show") else None
        assert (cursor.description is not None) == (found.returns is Returns.ROWS) or found.kind == "call"
        columns = len(cursor.description or ())
        tag = (cursor.statusmessage or "").lower().rstrip("0123456789 ")
    if found.kind not in ("values", "create table as", "create materialized view"):
        assert tag == found.kind
    filled.execute("DEALLOCATE ALL")
    with filled.transaction(force_rollback=True):
        match found.form:
            case Form.WITH:
                affected = _inside_with(filled, found)
            case Form.QUERY:
                affected = _through_rows(filled, found.sql, columns)
            case _:
                affected = _run(filled, f"SELECT run_count($q${found.sql}$q$)").fetchone()
                affected = affected[0] if affected else None
    if found.kind in ("select", "values", "insert", "update", "delete", "merge", "create table as"):
        assert affected == max(direct or 0, 0)


def _refused_in_a_transaction(connection: Connection, sql: str) -> None:
    refusals: tuple[type[psycopg.Error], ...] = (errors.ActiveSqlTransaction,)
    if connection.info.server_version < 180_000:
        refusals = (*refusals, errors.SyntaxError)
    with pytest.raises(refusals), connection.transaction(force_rollback=True):
        _run(connection, sql)


def _inside_with(connection: Connection, found: Analysis) -> object:
    sql = found.sql if found.returns is Returns.ROWS else f"{found.sql} RETURNING 1"
    row = _run(connection, f"WITH step AS ({sql}) SELECT count(*) FROM step").fetchone()
    return row and row[0]


def _through_rows(connection: Connection, sql: str, columns: int) -> object:
    described = _run(connection, "SELECT 1") if columns == 0 else _described(connection, sql)
    if columns == 0:
        return _run(connection, sql).rowcount
    shape = ", ".join(f"c{n} {kind}" for n, kind in enumerate(cast(list[str], described)))
    row = _run(connection, f"SELECT count(*) FROM run_rows($q${sql}$q$) AS r({shape})").fetchone()
    return row and row[0]


def _described(connection: Connection, sql: str) -> list[str]:
    with connection.transaction(force_rollback=True):
        cursor = _run(connection, sql)
        oids = [column.type_code for column in cursor.description or ()]
        return [
            str(row[0])
            for oid in oids
            for row in connection.execute("SELECT format_type(%s::oid, NULL)", (oid,)).fetchall()
        ]
