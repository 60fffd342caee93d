"""Mistakes that the text alone shows, in statements that are not steps and in steps with variables."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dfc.compiler.diagnostics import Severity
from dfc.compiler.driver import compile_file
from dfc.compiler.source import Source

FUNCTIONS = Path(__file__).parent.parent.parent / "sql" / "functions"


def found(text: str) -> list[tuple[str, str]]:
    """The errors: code and what they point at."""
    problems = compile_file(Source("w.dfsql", text)).problems
    return [
        (problem.code, text[problem.span.start : problem.span.end])
        for problem in problems
        if problem.severity is Severity.ERROR
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CREATE TABEL t (a int);", [("DF120", "TABEL")]),
        ("INSERT INTO t VALUES (1,,2);", [("DF120", ",")]),
        ("SELECT df.start('SELECT 1') );", [("DF101", ")")]),
        ("SELECT df.strat('SELECT 1');", [("DF156", "df.strat")]),
        ("SELECT df.defien('w', 'SELECT 1');", [("DF156", "df.defien")]),
        ("SELECT df.start 'SELECT 1';", [("DF101", "'SELECT 1'")]),
        ("df.step 'a', 'SELECT 1');", [("DF101", "'a'")]),
        ("SELECT df.start(df.step 'a', 'SELECT 1'));", [("DF101", "'a'")]),
        ("df.step('a', 'PREPARE p AS SELECT * FROM t WHERE a $1');", [("DF120", "$1")]),
    ],
)
def test_mistakes_outside_of_steps(text: str, expected: list[tuple[str, str]]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "SELECT df.start('SELECT 1') AS id;",
        "SELECT df.start(q) FROM (VALUES ('SELECT 1')) AS v(q);",
        "SELECT df.unschedule('x');",
        "SELECT df.status('x');",
        "CREATE RULE r AS ON DELETE TO t DO ALSO (DELETE FROM u; NOTIFY x);",
        "CREATE FUNCTION f(x int) RETURNS int BEGIN ATOMIC SELECT 1; SELECT x; END;",
        "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS $$ SELECT $1; $$;",
        "/* one /* in */ another */ CREATE TABLE t (a text DEFAULT 'x' -- y\n 'z');",
        "SELECT 1 \\gset",
    ],
)
def test_none_where_there_is_none(text: str) -> None:
    assert [code for code, _ in found(text) if code != "DF151"] == []


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELCT {x}", ["SELCT"]),
        ("SELECT 1, FROM t WHERE {x}", ["FROM"]),
        ("SELECT '{a}'::text[] FROM FROM t", ["FROM"]),
        ("SELECT {x} FROM FROM t", []),
        ("SELECT a{x} FROM FROM t", []),
        ("SELECT a FROM{x}", []),
        ("SELECT '{x} FROM t", []),
    ],
)
def test_variables_mend_what_stands_behind_them_only(sql: str, expected: list[str]) -> None:
    """PostgreSQL's parser stops at the first token that cannot go on, whatever comes behind it."""
    assert [shown for _, shown in found(f"df.step('a', $q${sql}$q$);")] == expected


def test_no_function_of_ours_is_taken_for_a_misspelt_one() -> None:
    names = {
        name
        for path in FUNCTIONS.rglob("*.sql")
        for name in re.findall(r"FUNCTION\s+df\.(\w+)\s*\(", path.read_text(encoding="utf-8"))
    }
    assert {"status", "unschedule"} <= names
    for name in sorted(names - {"start", "define", "schedule", "setvar"}):
        assert "DF156" not in [code for code, _ in found(f"SELECT df.{name}('x');")], name
