"""What holds for every layout: it says the same, keeps the comments, and is its own layout."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dfc.compiler.diagnostics import has_errors
from dfc.compiler.driver import CompiledStatement, compile_file
from dfc.compiler.layout.document import WIDTH
from dfc.compiler.layout.file import format_file
from dfc.compiler.parse import parse_file
from dfc.compiler.plan import SqlBody, every_node
from dfc.compiler.plan_json import canonical
from dfc.compiler.printer import print_expression
from dfc.compiler.source import Source
from dfc.compiler.sql.laying import sql_lines
from dfc.grammar.lexer import Kind, scan
from tests.compiler.front.trees import trees
from tests.depth import depth

ROOT = Path(__file__).parents[3]
PLACES = ("golden/ok/*/workflow.dfsql", "golden/dialect/*/workflow.dfsql", "examples/*.dfsql")
FILES = sorted(file for place in PLACES for file in ROOT.glob(place))


def laid_out(text: str) -> str:
    """The layout of a text, whose laws are checked."""
    result = format_file(Source("test", text))
    assert result.text is not None, result.problems
    assert not result.kept
    again = format_file(Source("test", result.text))
    assert again.text == result.text
    assert comments(result.text) == comments(text)
    return result.text


def comments(text: str) -> list[str]:
    found = (text[each.start : each.end] for each in scan(text) if each.kind is Kind.COMMENT)
    return [each.rstrip(" \t\f\v") if each.startswith("--") else each for each in found]


def meanings(text: str) -> list[object]:
    """What the workflows of a text mean, without places; what goes to the server as it stands."""
    found: list[object] = []
    for statement in parse_file(Source("test", text)).statements:
        body = getattr(statement, "body", None)
        found.append(getattr(statement, "text", None) if body is None else (body, statement.__class__))
    return found


def plans(text: str) -> list[str]:
    compiled = compile_file(Source("test", text))
    workflows = [each for each in compiled.statements if isinstance(each, CompiledStatement)]
    return [canonical(each.compiled.plan) if each.compiled.plan else str(each.wire) for each in workflows]


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_files(file: Path) -> None:
    text = file.read_bytes().decode()
    if has_errors(parse_file(Source("test", text)).problems):
        assert format_file(Source("test", text)).text is None
        return
    laid = laid_out(text)
    assert plans(laid) == plans(text)
    assert meanings(laid) == meanings(text)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_files_with_their_sql(file: Path) -> None:
    """White space between tokens is all that changes in a plan; comments and literals stay."""
    text = file.read_bytes().decode()
    result = format_file(Source("test", text), sql_lines)
    if result.text is None:
        return
    assert not result.kept
    assert format_file(Source("test", result.text), sql_lines).text == result.text
    before, after = statements(text), statements(result.text)
    assert [tokens(sql) for sql in after] == [tokens(sql) for sql in before]


@pytest.mark.parametrize("step", ["'SELECT '", "' TABLE '", "$$ SELECT $$", "df.sql('SELECT ')"])
def test_a_statement_of_one_word_stays_a_statement(step: str) -> None:
    """Without the blank a step would be one bare word, which is refused."""
    text = f"SELECT df.start({step} ~> 'SELECT 1');\n"
    result = format_file(Source("test", text), sql_lines)
    assert result.text is not None
    assert not result.kept
    assert not has_errors(parse_file(Source("test", result.text)).problems)


def statements(text: str) -> list[str]:
    """All SQL of the plans of a file."""
    found: list[str] = []
    for each in compile_file(Source("test", text)).statements:
        if isinstance(each, CompiledStatement) and each.compiled.plan is not None:
            for node in every_node(each.compiled.plan.nodes):
                values = [getattr(node, field.name) for field in fields(node)]
                found += [value.sql for value in values if isinstance(value, SqlBody)]
    return found


def tokens(sql: str) -> list[str]:
    return [sql[each.start : each.end] for each in scan(sql)]


FEW = settings(max_examples=depth(40))
"""Each of these texts is compiled eight times."""
GAPS = st.sampled_from(
    [
        *(" ", "\n", "\n\n\n", "\r\n", "\t"),
        *(" -- one\n", "--\n", "\n-- own (\n", "\n\n-- below\n\n", "/**/-- both\n"),
        *("/* two */", " /* /* nested */ */ ", "\n/* of\n lines */\n", "\n/* line */ ", "/* end */\n"),
    ]
)


@st.composite
def scattered(draw: st.DrawFn, texts: st.SearchStrategy[str], often: bool) -> str:
    """A text with other white space, and comments, between its tokens."""
    text = draw(texts)
    gaps = GAPS if often else st.one_of(*[st.just(" ")] * 12, GAPS)
    return "".join(piece + draw(gaps) for piece in pieces(text))


def pieces(text: str) -> Iterator[str]:
    for lexeme in scan(text):
        if lexeme.kind is not Kind.COMMENT:
            yield text[lexeme.start : lexeme.end]


printed = trees.map(print_expression)


def check(text: str) -> None:
    before = meanings(text)
    assert before
    assert meanings(laid_out(text)) == before


@FEW
@given(scattered(printed, often=False), st.booleans())
def test_trees(text: str, called: bool) -> None:
    check(f"SELECT df.start({text}, 'label');" if called else text)


@FEW
@given(scattered(printed, often=True), st.booleans())
def test_comments_everywhere(text: str, called: bool) -> None:
    check(f"SELECT -- x\n df.start({text}, 'label') -- end\n ; /* behind */ -- too\n" if called else text)


OPERATORS = st.sampled_from(["~>", "~>", "&", "|", "|=>", "?>", "|=> 'name' ~>", "OPERATOR(df.~>)"])


@st.composite
def rows(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    """Operators in a row, parentheses here and there."""
    operand = st.tuples(st.sampled_from(["", "", "", "@> ", "@> @> "]), inner).map("".join)
    text = draw(operand)
    for _ in range(draw(st.integers(1, 6))):
        operator = draw(OPERATORS)
        text = f"{text} {operator} {draw(operand)}"
        if operator == "?>" and draw(st.booleans()):
            text = f"{text} !> {draw(operand)}"
    if draw(st.booleans()):
        text = f"{text} |=> 'last'"
    return f"({text})" if draw(st.booleans()) else text


mixtures = st.recursive(
    st.sampled_from(
        ["'SELECT 1'", "$$ SELECT\n 2 $$", "('SELECT ' || '3')", "(('SELECT 4'))", "df.sleep(- - 5)"]
    ),
    lambda inner: (
        rows(inner)
        | rows(inner).map(lambda row: f"({row})")
        | rows(inner).map(lambda row: f"DF.STEP ( name := 'n', body => ({row}), max_attempts := 3)")
        | st.lists(rows(inner), min_size=2, max_size=4).map(lambda each: f"df.join({', '.join(each)})")
    ),
    max_leaves=12,
)


@FEW
@given(scattered(rows(mixtures), often=False))
@example("'SELECT 1' ~> 'SELECT 2' & 'SELECT 3' |=> 'a'")
def test_mixtures(text: str) -> None:
    if has_errors(parse_file(Source("test", text)).problems):
        assert format_file(Source("test", text)).text is None
        return
    check(text)
    laid = format_file(Source("test", text)).text
    assert laid is not None
    assert all(statement.mixed == () for statement in parse_file(Source("test", laid)).statements)  # type: ignore


@FEW
@given(
    st.lists(scattered(printed, often=False) | st.just("CREATE  TABLE x  (a int)"), min_size=1, max_size=4),
    GAPS,
    GAPS,
)
def test_files_of_several(texts: list[str], before: str, behind: str) -> None:
    check(before + "".join(f"{text};{behind}" for text in texts))


@given(st.text("'$()[]@>~|=&?!-+,.:; \n\rdfstep/*x1", max_size=40))
def test_any_text(text: str) -> None:
    result = format_file(Source("test", text))
    if result.text is not None:
        laid_out(text)


def test_lines_are_no_longer_than_they_have_to_be() -> None:
    for file in FILES:
        before = file.read_bytes().decode()
        after = format_file(Source("test", before)).text or ""
        for line in set(after.splitlines()) - set(before.splitlines()):
            assert len(line) <= WIDTH or re.match(r"\s*(\S+ |\w+ => )?('|\$)", line), line
