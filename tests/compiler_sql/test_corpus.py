"""No false alarms: the statement forms of PostgreSQL's documentation, each as the step of a workflow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.errors import SyntaxError as SqlSyntaxError

from dfc.compiler.diagnostics import Severity
from dfc.compiler.driver import CompiledFile, CompiledStatement, compile_file
from dfc.compiler.plan import SqlNode
from dfc.compiler.render import render
from dfc.compiler.source import Source
from tests.corpus import SCHEMA, CorpusStatement, statements
from tests.postgres import Server

ROOT = Path(__file__).parent.parent.parent
STATEMENTS_MIN = 600

Connection = psycopg.Connection[tuple[object, ...]]


def _errors(compiled: CompiledFile) -> str:
    wrong = [problem for problem in compiled.problems if problem.severity is Severity.ERROR]
    return render(wrong, compiled.source)


def test_there_are_many() -> None:
    assert len(set(statements())) == len(statements()) >= STATEMENTS_MIN


def test_none_is_refused() -> None:
    """In one file, so that none hides what stands behind it; nearly all are sent as they are written."""
    text = "".join(statement.workflow for statement in statements())
    compiled = compile_file(Source("corpus.dfsql", text))
    assert _errors(compiled) == ""
    sent: list[str] = []
    for statement in compiled.statements:
        assert isinstance(statement, CompiledStatement) and statement.compiled.plan is not None
        sent += [node.body.sql for node in statement.compiled.plan.nodes if isinstance(node, SqlNode)]
    assert len(sent) == len(statements())
    unchanged = sum(sql == statement.sql for sql, statement in zip(sent, statements(), strict=True))
    assert unchanged >= 0.98 * len(sent)


@pytest.mark.parametrize("folder", ["golden/ok", "golden/dialect", "examples"])
def test_neither_is_another_valid_workflow(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.dfsql"))
    assert files
    for path in files:
        end = path.parent / "end.json"
        failed = json.loads(end.read_bytes()).get("error", "") if end.exists() else ""
        plan = path.parent / "plan.txt"
        refused = plan.exists() and "error[" in plan.read_text(encoding="utf-8")
        if refused or failed.startswith(("DF", "42")):
            continue  # a case of what is refused, by the compiler or by PostgreSQL
        assert _errors(compile_file(Source(path.name, path.read_text(encoding="utf-8")))) == "", path


@pytest.fixture(scope="module")
def documented(server: Server) -> Iterator[Connection]:
    """A database with what the statements refer to."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS corpus WITH (FORCE)")
        connection.execute("CREATE DATABASE corpus TEMPLATE template0")
    with psycopg.connect(server.url("corpus"), autocommit=True) as connection:
        connection.execute(SCHEMA.read_bytes())
        yield connection
        connection.execute("DROP OWNED BY miriam, admins")
        connection.execute("DROP ROLE miriam, admins")


def _sqlstate(connection: Connection, statement: CorpusStatement) -> tuple[str | None, str]:
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(statement.sql.encode())
    except psycopg.Error as fault:
        return fault.sqlstate, str(fault)
    finally:
        connection.execute("DISCARD ALL")
    return None, ""


def test_postgresql_takes_them_all(documented: Connection) -> None:
    """So that the corpus itself cannot be wrong."""
    if documented.info.server_version < 180_000:
        pytest.skip("newer than this server")
    for statement in statements():
        assert statement.sqlstate != SqlSyntaxError.sqlstate, statement
        state, message = _sqlstate(documented, statement)
        assert state == statement.sqlstate, (statement.sql, message)
