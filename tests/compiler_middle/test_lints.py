"""Lints: which of them speak, that none refuses a workflow, that each can be silenced, and their time."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfc.compiler.check import LAST_RULES, RULES
from dfc.compiler.diagnostics import Severity
from dfc.compiler.driver import CompiledStatement, compile_file
from dfc.compiler.source import Source
from tests.growth import assert_linear

ROOT = Path(__file__).parent.parent.parent
LINTS = frozenset(
    rule.__module__.rpartition(".")[2].partition("_")[0].upper()
    for rule in (*RULES, *LAST_RULES)
    if rule.__module__.rpartition(".")[2].startswith(("df2", "df30", "df31"))
)


def found(text: str) -> list[str]:
    """The codes of a file, without the note on statements that go to the server."""
    return [
        problem.code for problem in compile_file(Source("test", text)).problems if problem.code != "DF240"
    ]


def test_there_are_lints() -> None:
    assert {"DF201", "DF202", "DF206", "DF214", "DF300", "DF310", "DF313"} <= LINTS


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.dfsql")), ids=lambda path: path.stem)
def test_no_example_has_a_warning(path: Path) -> None:
    problems = compile_file(Source(path.name, path.read_text())).problems
    assert [problem for problem in problems if problem.severity is not Severity.NOTE] == []


def code_of(case: Path) -> str:
    """The code that a case of golden/err is about."""
    return case.name.partition("_")[0].upper()


CASES = sorted(case for case in (ROOT / "golden/err").iterdir() if code_of(case) in LINTS)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name)
def test_each_can_be_silenced(path: Path) -> None:
    code = code_of(path)
    text = (path / "workflow.dfsql").read_text()
    statements = compile_file(Source("test", text)).statements
    spans = [each.statement.span if isinstance(each, CompiledStatement) else each.span for each in statements]
    for span in reversed(spans):
        text = f"{text[: span.start]}\n-- dfc: disable={code} because\n{text[span.start :]}"
    assert code not in found(text)


STATEMENTS = st.sampled_from(
    [
        "SELECT 1",
        "SELECT count(*) FROM t",
        "SELECT $item.a FROM t LIMIT 1 FOR UPDATE SKIP LOCKED",
        "UPDATE t SET a = 1",
        "DELETE FROM t WHERE id IN (SELECT id FROM t LIMIT 1)",
        "INSERT INTO t SELECT app.f(1)",
        "CALL p()",
        "VACUUM t",
        "CREATE INDEX CONCURRENTLY i ON t (a)",
        "SET work_mem = 1",
        "SELECT a FROM t WHERE b = {c} AND d = ''{known}''",
    ]
).map(lambda sql: f"'{sql}'")
LEAVES = STATEMENTS | st.sampled_from(
    [
        "df.wait_for_signal('s')",
        "df.sleep(1)",
        "df.http('http://x', 'POST')",
        "df.sql('CALL p()', autocommit => true)",
    ]
)
TREES: st.SearchStrategy[str] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["~>", "&", "|", "|=>"]), inner).map(lambda of: f"({' '.join(of)})"),
        inner.map(lambda body: f"(@> {body})"),
        inner.map(lambda body: f"df.map('SELECT a FROM t', {body})"),
        st.tuples(inner, inner).map(lambda of: f"df.loop({of[0]}, {of[1]})"),
        st.tuples(inner, inner).map(lambda of: f"df.if('SELECT true', {of[0]}, {of[1]})"),
        st.tuples(inner, inner).map(lambda of: f"df.try({of[0]}, {of[1]})"),
        inner.map(lambda body: f"df.timeout({body}, 5)"),
    ),
    max_leaves=8,
)


@given(TREES)
def test_no_lint_is_ever_an_error(tree: str) -> None:
    result = compile_file(Source("test", f"SELECT df.setvar('known', 'x');\n{tree};"))
    [_, statement] = result.statements
    assert isinstance(statement, CompiledStatement)
    for problem in result.problems:
        assert problem.severity is not Severity.ERROR or problem.code not in LINTS
        assert 0 <= problem.span.start <= problem.span.end <= len(result.source.text)
    if all(problem.severity is not Severity.ERROR for problem in result.problems):
        assert statement.wire is not None


@pytest.mark.parametrize(
    ("loop", "codes"),
    [
        ("@> 'DELETE FROM t WHERE a'", ["DF210"]),
        ("@> (df.sleep(1) ~> 'DELETE FROM t WHERE a')", []),
        ("@> df.if('SELECT f()', df.sleep(1), 'DELETE FROM t WHERE a')", []),
        ("@> ('DELETE FROM t WHERE a' ~> @> ('SELECT f()' ~> df.break()))", ["DF210"]),
        ("@> @> df.sleep(1)", []),
        ("@> @> 'SELECT f()'", ["DF210", "DF210"]),
        ("@> ('SELECT f()' & (df.step('w', 'SELECT g()') ~> df.break()))", []),
        ("@> 'SELECT pg_sleep(1)'", []),
        ("@> df.wait_for('SELECT a FROM t')", []),
        ("df.loop('SELECT f()', 'SELECT a FROM t')", []),
        ("@> df.call('other')", []),
    ],
)
def test_loops(loop: str, codes: list[str]) -> None:
    assert [code for code in found(loop + ";") if code == "DF210"] == codes


@pytest.mark.parametrize(
    ("tree", "count"),
    [
        ("'SELECT a FROM t' ~> df.sleep(1)", 1),
        ("'SELECT a FROM t'", 0),
        ("('SELECT a FROM t' & 'SELECT b FROM t') ~> df.sleep(1)", 2),
        ("df.step('x', 'SELECT a FROM t' & 'SELECT b FROM t') ~> 'SELECT $x'", 0),
        ("df.try('SELECT a FROM t', 'SELECT b FROM t', 'SELECT c FROM t')", 1),
        ("df.loop('SELECT a FROM t', 'SELECT b FROM t') ~> df.sleep(1)", 1),
        ("df.loop('SELECT $c?' |=> 'l' ~> 'SELECT a FROM t' |=> 'c', 'SELECT $l')", 0),
        ("df.map('SELECT a FROM t', 'SELECT b FROM t') ~> df.sleep(1)", 0),
        ("df.wait_for('SELECT a FROM t', timeout => 5) ~> df.sleep(1)", 0),
        ("df.step('x', 'SELECT a FROM t', on_error => 'continue') ~> 'SELECT $x.error.message'", 0),
        ("df.if('SELECT a FROM t', 'SELECT 1') ~> df.sleep(1)", 0),
        ("'SELECT a FROM t' ~> 'SELECT $unknown'", 0),
    ],
)
def test_results_that_nobody_uses(tree: str, count: int) -> None:
    assert found(tree + ";").count("DF213") == count


@pytest.mark.parametrize(
    ("statement", "reported"),
    [
        ("CREATE INDEX CONCURRENTLY i ON t (a)", True),
        ("CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)", False),
        ("DROP INDEX CONCURRENTLY i", True),
        ("CREATE DATABASE d", True),
        ("ALTER SYSTEM SET work_mem = 1", False),
        ("REINDEX TABLE CONCURRENTLY t", False),
        ("DROP INDEX i", False),
        ("CALL p()", False),
    ],
)
def test_statements_that_run_twice(statement: str, reported: bool) -> None:
    assert ("DF312" in found(f"'{statement}';")) == reported
    assert "DF312" not in found(f"df.sql('{statement}', delivery => 'at_most_once');")


@pytest.mark.parametrize(
    "made",
    [
        "'UPDATE t SET a = # WHERE id = #'",
        "'UPDATE t SET a# = # WHERE b > #'",
        "'SELECT f#(a) FROM t#'",
        "df.map('SELECT a FROM t', 'UPDATE u SET a = # WHERE b')",
        "(@> ('SELECT a FROM t' ~> df.wait_for_signal('s#') ~> df.break()))",
    ],
)
@pytest.mark.parametrize("joint", [" ~> ", " & "])
def test_time_is_linear(made: str, joint: str) -> None:
    first = itertools.count(0, 10_000)

    def look(times: int) -> None:
        start = next(first)  # no statement twice: analyses are kept
        items = [made.replace("#", str(start + number)) for number in range(times)]
        found(f"df.seq({', '.join(items)});" if joint == " ~> " else f"df.join({', '.join(items)});")

    assert_linear(look, 800, least_seconds=0.01)
