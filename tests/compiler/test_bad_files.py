"""Bad files: an error or a right answer, never a traceback, never work that grows faster than the file."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.fuzz.inputs import text_of
from bench.fuzz.look import look
from bench.fuzz.shapes import SHAPES
from dfc.compiler.answer import answer_file
from dfc.compiler.diagnostics import lint
from dfc.compiler.driver import compile_file
from dfc.compiler.parse import PROBLEMS_MAX
from dfc.compiler.silence import SAME_CODE_MAX, without_silenced
from dfc.compiler.source import Source
from dfc.compiler.span import Span
from dfc.compiler.statements import split
from tests.depth import depth
from tests.growth import assert_linear

SIZE = 600
PROBLEM = lint("DF208", "a lint", Span(0, 0))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_bad_shape_has_an_answer(shape: str) -> None:
    look(SHAPES[shape](SIZE).encode())


@settings(max_examples=depth(200))
@given(st.integers(min_value=0, max_value=1 << 32))
def test_what_nobody_would_write_has_an_answer(number: int) -> None:
    """`python -m bench.fuzz` goes on with this."""
    look(text_of(number))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_another_encoding_is_an_error(encoding: str) -> None:
    assert not look("df.step('größe', 'SELECT 1');".encode(encoding))


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_endings_and_a_byte_order_mark_change_nothing(ending: str, mark: bytes) -> None:
    text = "-- a comment\ndf.step('a', 'SELECT 1') -- another\n  ~> 'SELECT\n $a';\n"
    if ending != "\r":
        assert look(mark + text.replace("\n", ending).encode())
    else:
        look(mark + text.replace("\n", ending).encode())


def test_big_files_of_one_line() -> None:
    for text in ("(" * 20_000, "x" * 500_000, "'SELECT ''" + "x" * 500_000):
        diagnostics = answer_file(Source("big.dfsql", text))["diagnostics"]
        assert isinstance(diagnostics, list) and diagnostics


def test_brackets_that_are_too_deep_are_not_kept() -> None:
    """All that follow would be a gigabyte in a file of 10 MB."""
    for text in ("(" * 5_000, "df.seq(" * 5_000, "SELECT df.start(" + "(" * 5_000):
        (statement,) = split(text)
        assert statement.too_deep is not None and len(statement.opened) < 300
    two = list(split("(" * 300 + "'SELECT 1'" + ")" * 300 + "; 'SELECT 2';"))
    assert [each.too_deep is None for each in two] == [False, True]


def test_nobody_reads_on_behind_a_thousand_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfc.compiler.driver.PROBLEMS_MAX", 5)
    problems = compile_file(Source("w.dfsql", "'SELCT 1'; " * 9)).problems
    assert [problem.code for problem in problems] == ["DF120"] * 5 + ["DF101"]


def test_nor_parses_what_nobody_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are many; what stands beside its workflows is known all the same, also from behind."""
    monkeypatch.setattr("dfc.compiler.driver.PROBLEMS_MAX", 5)
    monkeypatch.setattr("dfc.compiler.driver.AT_ONCE_STATEMENTS_MAX", 2)
    compiled = compile_file(Source("w.dfsql", "'SELCT 1'; " * 9 + "'SELECT 1' ~> ~>;"))
    assert [problem.code for problem in compiled.problems] == ["DF120"] * 5 + ["DF101"]
    assert len(compiled.statements) == 5
    text = "'SELECT {a}' ~> 'SELECT {a} FROM FROM'; CREATE TABLE t (); SELECT df.setvar('a', '1');"
    streamed = compile_file(Source("w.dfsql", text))
    monkeypatch.setattr("dfc.compiler.driver.AT_ONCE_STATEMENTS_MAX", 1_000)
    assert compile_file(Source("w.dfsql", text)) == streamed


def test_who_has_a_thousand_server_statements_is_told_once_a_thousand_times() -> None:
    compiled = compile_file(Source("dump.dfsql", "SELECT 1;" * (PROBLEMS_MAX + 5)))
    assert len(compiled.statements) == PROBLEMS_MAX + 5
    assert len(compiled.problems) == PROBLEMS_MAX


def test_of_a_lint_a_thousand_are_shown() -> None:
    text = "SELECT df.start('DELETE FROM t');\n" * 3_000 + "'SELEC 1';"
    *shown, last, error = compile_file(Source("test", text)).problems
    assert [each.code for each in shown] == ["DF208"] * SAME_CODE_MAX
    assert (last.code, last.severity) == ("DF208", shown[0].severity)
    assert last.message == "DF208 from here on 2000 times more in this file, which are not shown"
    assert last.fix is None and last.span.start == text.index("DELETE", shown[-1].span.end)
    assert error.code == "DF120"
    some = compile_file(Source("test", "'DELETE FROM t';\n" * (SAME_CODE_MAX + 1))).problems
    assert len({each.message for each in some}) == 1 and len(some) == SAME_CODE_MAX + 1


def test_many_are_silenced_in_time_that_grows_with_them() -> None:
    def work(count: int) -> None:
        text = "-- dfc: disable=DF208 known\n'SELECT 1';\n" * count
        spans = [Span(start, start + 11) for start in range(28, len(text), 40)]
        lints = [replace(PROBLEM, span=span) for span in spans]
        assert without_silenced(text, spans, lints) == ()
        assert without_silenced(text, spans, [replace(each, code="DF213") for each in lints[:9]])

    assert_linear(work, 16_000)


def test_what_is_only_checked_has_no_plans() -> None:
    text = "CREATE TABLE t (a int);\nSELECT df.start('DELETE FROM t', 'x');"
    full, brief = answer_file(Source("test", text)), answer_file(Source("test", text), brief=True)
    assert brief["diagnostics"] == full["diagnostics"] and "rendered" not in brief
    [created, started] = cast("list[dict[str, object]]", brief["statements"])
    assert created == cast("list[object]", full["statements"])[0]
    assert started == {"kind": "workflow", "span": [24, len(text) - 1], "submit": "start", "label": "x"}
