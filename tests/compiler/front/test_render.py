"""Messages as people see them."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from dfc.compiler.diagnostics import Note, error, lint
from dfc.compiler.render import LINE_COLUMNS_MAX, render, to_json
from dfc.compiler.source import Source
from dfc.compiler.span import Span


def test_the_format_of_the_style_guide() -> None:
    text = "one\n  ~> 'SELECT $batch'\n"
    problem = error(
        "DF104",
        "`$batch` is unknown",
        Span(text.index("$batch"), text.index("$batch") + 6),
        label="no step has this name",
        notes=(Note(message="declared here", span=Span(0, 3)), Note(message="steps run in order")),
        help="name a step",
    )
    assert render([problem], Source("nightly.dfsql", text)) == (
        "error[DF104]: `$batch` is unknown\n"
        "  --> nightly.dfsql:2:14\n"
        " 2 |   ~> 'SELECT $batch'\n"
        "   |              ^^^^^^ no step has this name\n"
        "   :: nightly.dfsql:1:1\n"
        " 1 | one\n"
        "   | ^^^ declared here\n"
        "   = note: steps run in order\n"
        "   = help: name a step\n"
    )


def carets(text: str, start: int, end: int) -> list[str]:
    shown = render([error("DF101", "m", Span(start, end))], Source("f", text)).splitlines()
    return shown[2:]


def test_carets_stand_under_tabs_and_wide_characters() -> None:
    line, marks = carets("\t漢x y", 2, 3)
    assert line == " 1 |     漢x y"
    assert marks == "   |       ^"
    line, marks = carets("e\u0301x", 2, 3)
    assert marks == "   |  ^"


@pytest.mark.parametrize(
    "before",
    [
        "\t\tx\t",
        "日本語",
        "e\u0301\u0302 กำ ที่",
        "\u1112\u1161\u11ab 각",
        "\U0001f44d\U0001f3fd \u2764\ufe0f \U0001f468\u200d\U0001f469 \U0001f1e9\U0001f1ea \ufe0f\u263a",
        "a\u0085b\u2028c\u2029d\x0be\x0cf\x1b[31m\x7f",
        "שלום \u202e \u200b\u00ad",
        "\t" * 5_000,
        "日" * 5_000,
        "e" + "\u0301" * 5_000,
        "x" * 5_000,
    ],
)
def test_carets_stand_under_the_token(before: str) -> None:
    """Measured by rich, which says how wide terminals show what."""
    text = f"{before} token 日本\u0301\t{before}"
    line, marks = carets(text, len(before) + 1, len(before) + 6)
    assert marks.count("^") == len("token")
    at, column = 0, marks.index("^")
    while cell_len(line[:at]) < column:
        at += 1
    assert line[at : at + 5] == "token"
    assert len(line.splitlines()) == 1 and "\x1b" not in line
    assert cell_len(line) < 2 * LINE_COLUMNS_MAX and len(line) < 3_000


def test_a_long_line_is_cut_around_the_caret() -> None:
    text = "a" * 50_000 + "X" + "b" * 50_000
    line, marks = carets(text, 50_000, 50_001)
    assert len(line) < 140
    assert line[marks.index("^")] == "X"
    line, marks = carets("a" * 50_000, 0, 50_000)
    assert len(line) < 140 and marks.count("^") <= 120


def test_spans_over_lines_at_the_end_and_outside() -> None:
    assert carets("ab\ncd\nef", 1, 7) == [" 1 | ab", "   |  ^ to line 3"]
    assert carets("ab", 2, 2) == [" 1 | ab", "   |   ^"]
    assert carets("", 0, 0) == [" 1 |", "   | ^"]
    assert carets("ab\r\ncd", 2, 3) == [" 1 | ab", "   |   ^"]
    assert carets("ab\n", 3, 3) == [" 2 |", "   | ^"]
    assert carets("ab", 90, 99) == [" 1 | ab", "   |   ^"]


def test_problems_are_in_the_order_of_the_source() -> None:
    source = Source("f", "abc")
    shown = render([lint("DF201", "second", Span(2, 3)), error("DF101", "first", Span(0, 1))], source)
    assert shown.index("first") < shown.index("second")
    assert "warning[DF201]: second" in shown
    assert render([], source) == ""


def test_control_characters_of_hostile_texts_do_not_reach_the_terminal() -> None:
    text = "\x1b[31mred\x9b \u202e"
    shown = render([error("DF101", text, Span(0, 1), label=text, help=text)], Source("a\x1bb", text))
    assert not {"\x1b", "\x9b", "\u202e"} & set(shown)
    coloured = render([error("DF101", text, Span(0, 1))], Source("f", text), color=True)
    assert coloured.startswith("\x1b[1;31merror[DF101]")


def test_json_has_lines_and_columns() -> None:
    source = Source("f", "ab\ncd")
    problem = error(
        "DF101", "m", Span(1, 5), label="l", notes=(Note(message="n", span=Span(0, 1)),), help="h"
    )
    assert to_json(problem, source) == {
        "code": "DF101",
        "severity": "error",
        "message": "m",
        "span": [1, 5],
        "line": 1,
        "column": 2,
        "end_line": 2,
        "end_column": 3,
        "label": "l",
        "notes": [{"message": "n", "span": [0, 1]}],
        "help": "h",
        "fix": None,
    }
