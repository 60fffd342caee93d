"""What `dfc validate` says of the statements of a file without knowing any database."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfc.compiler import certain_statement
from dfc.compiler.answer import answer_file
from dfc.compiler.certain import with_certain
from dfc.compiler.driver import CompiledFile, CompiledStatement, compile_file
from dfc.compiler.source import Source

ROOT = Path(__file__).parents[2]
GROUPED = "SELECT a, count(*) FROM t"


def looked_at(text: str) -> CompiledFile:
    """The file with what is found."""
    return with_certain(compile_file(Source("x.dfsql", text)))


def said(text: str) -> list[tuple[str, str, str]]:
    """Codes, severities, and what stands above the carets."""
    found = looked_at(text).problems
    return [
        (each.code, each.severity.value, text[each.span.start : each.span.end])
        for each in found
        if each.severity.value != "note"
    ]


@pytest.mark.parametrize(
    ("text", "code", "under"),
    [
        ("df.step('a', 'SELECT a, count(*) FROM t');", "DF405", "a"),
        ("'SELECT 1' ~> df.step('b', $$SELECT ''::uuid$$);", "DF404", "''"),
        ("df.step('a', 'SELECT o.x FROM orders') ~> 'SELECT $a.x';", "DF401", "o"),
        ("df.step('a', 'INSERT INTO t (c) VALUES (\"x\")');", "DF402", '"x"'),
        ("df.map('SELECT a, count(*) FROM t', 'SELECT $item.a');", "DF405", "a"),
        ("SELECT df.start(df.step('a', 'SELECT ''abc''::int'), 'x');", "DF404", "''abc''"),
        ("SELECT df.define('d', 'SELECT 1', on_failure => 'SELECT 1 WHERE 1');", "DF404", "1"),
        ("INSERT INTO t (a, b) VALUES (1);\ndf.step('a', 'SELECT 1');", "DF405", "b"),
        ("-- the first\nSELECT 'x'::date;\n'SELECT 1';", "DF404", "'x'"),
        ("df.step('a', 'SELECT id FROM t') ~> 'SELECT idd FROM $a.*';", "DF402", "idd"),
        ("df.step('m', df.map('SELECT 1', 'SELECT 1')) ~> 'SELECT outcome FROM $m.*';", "DF402", "outcome"),
        ("df.step('a', E'SELECT \\'ä\\', a /* b */ FROM t HAVING true');", "DF405", "a"),
        ("df.step('a', 'SELECT 1 AS n') ~> 'SELECT $a.n, b FROM t LIMIT c';", "DF405", "c"),
        ("@> ('SELECT a, count(*) FROM t' ~> df.sleep('1 s') ~> df.break());", "DF405", "a"),
    ],
)  # fmt: skip
def test_it_is_said_at_its_token(text: str, code: str, under: str) -> None:
    found = [each for each in said(text) if each[0].startswith("DF40")]
    assert [(each[0], each[2]) for each in found] == [(code, under)]
    assert all(each[1] == "error" for each in found)


@pytest.mark.parametrize(
    "text",
    [
        "df.try('SELECT ''x''::int', 'SELECT 1');",
        "df.try('SELECT 1' ~> df.map('SELECT 1 AS v', 'SELECT ''x''::int'), 'SELECT 1');",
        "df.map('SELECT id FROM t', 'SELECT ''x''::int', on_error => 'continue');",
        "df.step('a', 'SELECT ''x''::int', on_error => 'continue');",
    ],
)
def test_who_catches_a_failure_may_want_it(text: str) -> None:
    assert ("DF404", "warning", "''x''") in said(text)


def test_what_somebody_may_have_made_is_a_warning() -> None:
    text = "df.step('a', 'SELECT b, sum(c) FROM t WHERE b == 1');"
    assert said(text) == [("DF404", "warning", "==")]
    assert said("df.step('a', 'SELECT b, sum(c) FROM t');") == [("DF405", "warning", "b")]
    assert said(f"-- dfc: disable=DF404 ours\n{text}") == []
    makes = "CREATE FUNCTION sum(tree) RETURNS int LANGUAGE sql AS 'SELECT 1';\n"
    assert said(makes + text) == []


def test_what_catches_may_not_fail_itself() -> None:
    assert ("DF404", "error", "''x''") in said("df.try('SELECT 1/0', 'SELECT ''x''::int');")


@pytest.mark.parametrize(
    "text",
    [
        "df.step('a', 'SELECT ''{n}''::int');",
        "SET search_path = app, pg_catalog;\ndf.step('a', 'SELECT a, count(*) FROM t');",
        "df.step('a', 'SELECT ''x''::date', settings => '{\"search_path\": \"app, pg_catalog\"}');",
        "df.step('a', 'SELECT * FROM t') ~> 'SELECT idd FROM $a.*';",
        "df.step('a', 'DELETE FROM t') ~> 'SELECT $a.row_count WHERE $a.row_count > 1';",
        "SELECT df.define('d', 'SELECT $input.n', params => '{\"n\": \"mine\"}');",
    ],
)
def test_of_what_may_be_right_nothing_is_said(text: str) -> None:
    assert [each for each in said(text) if each[0].startswith("DF40")] == []


def test_plans_do_not_depend_on_it() -> None:
    """The two doors have one compiler: what is stored and runs is not looked at like this."""
    text = f"df.step('a', '{GROUPED}');\n"
    plain = compile_file(Source("x.dfsql", text))
    assert plain.problems == ()
    [before], [after] = plain.statements, looked_at(text).statements
    assert isinstance(before, CompiledStatement) and isinstance(after, CompiledStatement)
    assert before.compiled.plan is not None
    assert after.wire == before.wire
    assert after.compiled.plan == before.compiled.plan
    assert answer_file(Source("x.dfsql", text))["diagnostics"] == []
    assert answer_file(Source("x.dfsql", text), closely=True)["diagnostics"] != []


def test_what_is_remembered_is_what_is_in_order() -> None:
    """Statements that differ in numbers are looked at once, but never taken for one another's mistakes."""
    right = "SELECT x1.a, 5 FROM t1 x1 JOIN t2 x2 ON x1.a = x2.a"
    wrong = "SELECT x1.a, 5 FROM t1 x1 JOIN t2 x1 ON x1.a = x1.a"
    assert said(f"df.step('s', '{right}');") == []
    assert [each[0] for each in said(f"df.step('s', '{wrong}');")] == ["DF405"]
    assert [each[0] for each in said(f"df.step('s', '{wrong}');")] == ["DF405"]
    assert said("df.step('s', 'SELECT a FROM t ORDER BY 1');") == []
    assert [each[0] for each in said("df.step('s', 'SELECT a FROM t ORDER BY 2');")] == ["DF405"]


def test_numbers_alone_cost_nothing() -> None:
    before = len(certain_statement.remembered)
    for number in range(100, 150):
        looked_at(f"df.step('s', 'INSERT INTO t_{number} SELECT {number} FROM u_{number}');")
    assert len(certain_statement.remembered) <= before + 1


@pytest.mark.parametrize("folder", ["golden/ok", "examples"])
def test_valid_workflows_pass(folder: str) -> None:
    for path in sorted((ROOT / folder).rglob("*.dfsql")):
        text = path.read_text(encoding="utf-8")
        found = [each for each in said(text) if each[0] in ("DF401", "DF402", "DF403", "DF404", "DF405")]
        assert found == [], path


def test_a_huge_statement_is_not_looked_at() -> None:
    text = "df.step('s', 'INSERT INTO t (a) VALUES (1, ''{}'')');"
    assert [each[0] for each in said(text.format("x"))] == ["DF405"]
    assert said(text.format("x" * certain_statement.LOOKED_AT_MAX)) == []
