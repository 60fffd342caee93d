"""The front agrees with a real PostgreSQL: literals, jsonb, and the wire text of whole expressions."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from dfc.compiler import wire
from dfc.compiler.ast import Expression
from dfc.compiler.json_text import JsonFault, read_json, write_jsonb
from dfc.compiler.parse import parse_expression
from dfc.compiler.printer import print_expression
from dfc.compiler.source import Source
from dfc.compiler.strings import StringFault, string_value
from dfc.grammar.lexer import STRINGS, Kind, scan
from tests.compiler.front.trees import trees
from tests.depth import depth

Connection = psycopg.Connection[tuple[object, ...]]
relaxed = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=depth(200)
)


@pytest.fixture(scope="module")
def connection(shared_database: str) -> Iterator[Connection]:
    with psycopg.connect(shared_database, autocommit=True) as opened:
        yield opened


def answer(connection: Connection, query: str, *parameters: str) -> str | None:
    """The one text that a query gives; None when PostgreSQL refuses it."""
    try:
        row = connection.execute(sql.SQL(query), parameters or None).fetchone()  # type: ignore[arg-type]
    except psycopg.Error:
        return None
    return None if row is None else str(row[0])


ESCAPES = (
    r"' '' a é \ \\ \n \x41 \101 \u0041 \u00 \ud83d\ude00 \U0001F600 \xc3\xa9 \xff \' $ $$ \8 \0 \+000041 \e9"
)
PARTS = [*ESCAPES.split(), " ", "  ", "'\n'", " -- c\n'", "\n", "\\v\\b\\f", "\\0041"]


@relaxed
@given(st.sampled_from(["'", "E'", "U&'", "N'"]), st.lists(st.sampled_from(PARTS), max_size=6))
def test_literals_have_the_value_that_postgresql_gives_them(
    connection: Connection, opening: str, parts: list[str]
) -> None:
    text = f"{opening}{''.join(parts)}'"
    lexemes = list(scan(text))
    if any(lexeme.kind is Kind.COMMENT for lexeme in lexemes):
        return
    ours = None
    if len(lexemes) == 1 and lexemes[0].kind in STRINGS:
        try:
            ours, _ = string_value(text, lexemes[0])
        except StringFault:
            ours = None
    if ours is not None and opening == "N'":
        ours = ours.rstrip(" ")  # the value is of type `character` (test_doors.py has it as a step)
    assert ours == answer(connection, f"SELECT {text}::text")


NUMBERS = "1 -0 0.0 -0.00 1e5 1E-5 1.50e1 100e-2 0e3 12.3400 5e-324 01 +1 .5 1. 1e131071 1e131072 1e-16383"
TEXTS = r'"a" "\u00e9" "\ud83d\ude00" "\ud83d" "\u0000" "\u001f\u007f" "\/" "é" "\q"'
OTHERS = "1e-16384 0e-16384 true false null nul NaN"
scalars = st.sampled_from(" ".join((NUMBERS, TEXTS, OTHERS)).split())
keys = st.sampled_from(['"a"', '"b"', '"aa"', '"é"', '"zz"', '""', "a", '"\\u0061"'])
documents: st.SearchStrategy[str] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[ {','.join(items)}]"),
        st.lists(st.tuples(keys, inner), max_size=4).map(
            lambda pairs: f"{{{', '.join(f'{key} : {item}' for key, item in pairs)}}}"
        ),
    ),
    max_leaves=6,
)


@relaxed
@given(documents)
def test_jsonb_is_written_as_postgresql_writes_it(connection: Connection, document: str) -> None:
    try:
        ours = write_jsonb(read_json(document))
    except JsonFault:
        ours = None
    assert ours == answer(connection, "SELECT %s::jsonb::text", document)


@relaxed
@given(trees)
def test_both_doors_give_the_same_wire_text(connection: Connection, tree: Expression) -> None:
    """The printed expression, run as SQL by the operators and functions of schema df."""
    assert answer(connection, f"SELECT df._wire(df._node({print_expression(tree)}))") == wire.write(tree)


OPERANDS = st.sampled_from(
    [
        "'SELECT 1'",
        "$$SELECT 2$$",
        "df.sql('x')",
        "df.step('a', 'SELECT ''1''')",
        "('SELECT 1' |=> 'SELECT 2')",
        "('SELECT 1' ~> 'SELECT 2')",
        "df.parallel('SELECT 1')",
        "df.seq('SELECT 1')",
        "'name'",
        "('na' || 'me')",
        "df.join('SELECT 1', 'SELECT 2', 'SELECT 3')",
        "' '",
        "NULL::text",
        "df.as('SELECT 1', 'input')",
        "@> 'SELECT 1'",
        "@> @> df.sql('x')",
        "@> 'name'",
        "(@> ('SELECT 1' ~> df.break()))",
        "('SELECT true' ?> 'SELECT 1')",
        "df.if('SELECT true', 'SELECT 1')",
        "('SELECT true' ?> 'SELECT 1' !> 'SELECT 2')",
        "df.join(ARRAY['SELECT 1', 'SELECT 2'], on_failure => 'cancel')",
        "df.parallel(ARRAY['SELECT 1'], on_failure => 'cancel')",
        "df.race('SELECT 1')",
        "'$name'",
    ]
)
OPERATORS = st.sampled_from(["~>", "|=>", "&", "|", "?>", "!>", "?>", "!>", "||"])


@relaxed
@given(OPERANDS, st.lists(st.tuples(OPERATORS, OPERANDS), max_size=5))
def test_both_doors_group_and_refuse_alike(
    connection: Connection, first: str, rest: list[tuple[str, str]]
) -> None:
    text = first + "".join(f" {operator} {operand}" for operator, operand in rest)
    parsed = parse_expression(Source("test", text))
    ours = None if parsed.tree is None else wire.write(parsed.tree)
    theirs = answer(connection, f"SELECT df._wire(df._node({text}))")
    assert ours == theirs, text
