"""Definitions through both doors: the same expression, declared inputs included, and the same plan."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dfc.compiler.driver import CompiledStatement, compile_file, compile_wire
from dfc.compiler.plan_json import canonical
from dfc.compiler.source import Source
from tests.sql.worker import Connection, connect, value


@pytest.fixture(scope="module")
def connection(shared_database: str) -> Iterator[Connection]:
    with connect(shared_database) as opened:
        yield opened


@pytest.mark.parametrize(
    "params",
    [
        '{"day": "date"}',
        '{"n": {"type": "integer", "default": 5}, "day": {"required": false, "type": " date "}}',
        '{"amount": "numeric(10,2)", "tags": {"type": "text[]", "default": ["a", "b"]}, "day": "date"}',
        '{"day": {"type": "timestamp with time zone", "default": null, "required": true}}',
        '{"day": "pg_catalog.\\"char\\""}',
    ],
)
def test_a_definition_is_the_same_through_both_doors(connection: Connection, params: str) -> None:
    text = f"SELECT df.define('w', 'SELECT $input.day' ~> df.sleep('1 s'), params => '{params}')"
    [statement] = compile_file(Source("test", text)).statements
    assert isinstance(statement, CompiledStatement) and statement.compiled.plan is not None
    connection.execute(text.encode())
    stored = value(connection, "SELECT expression FROM df.definitions ORDER BY id DESC LIMIT 1")
    assert stored == statement.wire
    theirs = compile_wire(str(stored))
    assert theirs.plan is not None and canonical(theirs.plan) == canonical(statement.compiled.plan)
    # What a session stores is looked at once more when an instance of it starts.
    assert value(connection, "SELECT df._check_expression(%s)", str(stored)) == ""
