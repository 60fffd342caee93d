"""The lexer agrees with PostgreSQL's own, knows references, and stays linear."""

from __future__ import annotations

from collections import deque

import postgast
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dfc.grammar.lexer import FAULTS, Kind, Lexeme, Reference, reference_of, scan
from tests.growth import assert_linear


def shown(text: str) -> list[tuple[Kind, str]]:
    return [(lexeme.kind, text[lexeme.start : lexeme.end]) for lexeme in scan(text)]


def postgres_spans(text: str) -> list[tuple[int, int]] | None:
    """Token boundaries in code points as libpg_query sees them; None when it refuses the text."""
    try:
        tokens = postgast.scan(text).tokens
    except postgast.PgQueryError:
        return None
    position = 0
    points = {0: 0}
    for index, character in enumerate(text):
        position += len(character.encode())
        points[position] = index + 1
    spans: list[tuple[int, int]] = []
    glue = False
    for token in tokens:
        start, end = points[token.start], points[token.end]
        if glue:  # PostgreSQL hands N'...' on as NCHAR and a string
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
        glue = text[start:end] in ("n", "N") and text[end : end + 1] == "'"
    return spans


WORDS = "select x a_b t_$day é größe ñ_1 E e N n U u B X x1 $1 $23"
NUMBERS = "1 10 1_000 0x1F 0b101 0o17 1e5 1E-3 .5 5. 1.5 1.e5 1..2 1__0 1_ 0x 1e 1e+ 12ab 0x1G"
LITERALS = "'a' '' 'a''b' E'a\\'b' E'\\\\' U&'x\\0041' N'n' B'101' X'1F' ' $$a$$ $t$a$$b$t$ $é$x$é$ $t$"
OTHERS = '"q" "a""b" U&"u" ( ) [ ] , ; : :: := . .. => { } /*c*/ /*/**/*/'
OPERATORS = "+ - * / % < > = <= >= <> != ~> |=> & | ?> !> @> || -> ->> @- =- +-+ ?- <--"
FRAGMENTS = st.one_of(
    st.sampled_from(" ".join((WORDS, NUMBERS, LITERALS, OTHERS, OPERATORS)).split()),
    st.sampled_from(["'a'\n'b'", "'a' 'b'", "E'a'\n'\\''", "--c\r\n", "/* open", "\t", "\v", "\f"]),
    st.text("'\"$-/*+|~>a1_.:=\n ", max_size=6),
)


def continues_behind_a_comment(text: str, lexeme: Lexeme) -> bool:
    """libpg_query takes comments for tokens, so that there, unlike in PostgreSQL, a literal ends at one."""
    strings = (Kind.STRING, Kind.ESCAPE_STRING, Kind.UNICODE_STRING, Kind.BIT_STRING)
    return lexeme.kind in strings and "--" in text[lexeme.start : lexeme.end]


def is_junk_behind_a_parameter(text: str, lexeme: Lexeme) -> bool:
    """libpg_query takes `$1and` for two tokens, for the sake of pg_stat_statements; PostgreSQL refuses it."""
    return lexeme.kind is Kind.BAD_NUMBER and text[lexeme.start] == "$"


@given(st.lists(st.tuples(FRAGMENTS, st.sampled_from(["", " ", "\n"])), max_size=12))
@example([("$1", ""), ("select", "")])
@example([("E'a'\n'\\''", ""), ("'", "")])
@example([("1_000", ""), ("$1", "")])
@example([("1.e5", ""), ("$1", "")])
@example([("1e+5", ""), ("$1", "")])
def test_boundaries_are_those_of_postgresql(parts: list[tuple[str, str]]) -> None:
    text = "".join(fragment + gap for fragment, gap in parts)
    ours = list(scan(text))
    ours_alone = (Kind.REFERENCE, Kind.BACKSLASH)
    if any(lexeme.kind in ours_alone or continues_behind_a_comment(text, lexeme) for lexeme in ours):
        return
    if any(is_junk_behind_a_parameter(text, lexeme) for lexeme in ours):
        return
    theirs = postgres_spans(text)
    faults = [lexeme for lexeme in ours if lexeme.kind in FAULTS and lexeme.kind is not Kind.OTHER]
    # PostgreSQL's lexer refuses an empty name; ours leaves that to who uses the name.
    faults += [lexeme for lexeme in ours if text[lexeme.start : lexeme.end].lower() in ('""', 'u&""')]
    assert (theirs is None) == bool(faults), (text, ours)
    if theirs is not None:
        assert [(lexeme.start, lexeme.end) for lexeme in ours] == theirs, text


@given(st.text("'\"$-/*+|~>aE1_.:=?\\\n\0 é", max_size=30))
def test_every_character_is_in_a_lexeme_or_white_space(text: str) -> None:
    position = 0
    for lexeme in scan(text):
        assert text[position : lexeme.start].strip(" \t\n\r\f\v") == ""
        assert lexeme.end > lexeme.start
        position = lexeme.end
    assert text[position:].strip(" \t\n\r\f\v") == ""


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("$x?>5", ["$x?", ">", "5"]),
        ("$x>5", ["$x", ">", "5"]),
        ("$rows.*", ["$rows.*"]),
        ("$rows.*)", ["$rows.*", ")"]),
        ("$x.total+1", ["$x.total", "+", "1"]),
        ("$x.total?::int", ["$x.total?", "::", "int"]),
        ("$x.row_count", ["$x.row_count"]),
        ("$x.", ["$x", "."]),
        ("$x..5", ["$x", "..", "5"]),
        ("$x.5", ["$x", ".5"]),
        ("$x . y", ["$x", ".", "y"]),
        ("$größe", ["$größe"]),
        ("a$x", ["a$x"]),
        ("1$x", ["1", "$x"]),
        ("$1$x", ["$1", "$x"]),
        ("$x-$y", ["$x", "-", "$y"]),
        ("$x?.*", ["$x?.*"]),
        ("$x??", ["$x?", "?"]),
    ],
)
def test_references(text: str, pieces: list[str]) -> None:
    assert [part for _, part in shown(text)] == pieces
    assert all((kind is Kind.REFERENCE) == (part[0] == "$" and part != "$1") for kind, part in shown(text))


@pytest.mark.parametrize(
    ("text", "name", "column", "rows", "optional"),
    [
        ("$x", "x", None, False, False),
        ("$x?", "x", None, False, True),
        ("$x.c", "x", "c", False, False),
        ("$x.c?", "x", "c", False, True),
        ("$x.*", "x", None, True, False),
        ("$x?.*", "x", None, True, True),
        ("$x.*?", "x", None, True, True),
        ("$x.row_count", "x", "row_count", False, False),
    ],
)
def test_parts_of_a_reference(text: str, name: str, column: str | None, rows: bool, optional: bool) -> None:
    assert reference_of(text) == Reference(name=name, column=column, rows=rows, optional=optional)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("'abc", Kind.UNTERMINATED_STRING),
        ("E'abc\\'", Kind.UNTERMINATED_STRING),
        ("U&'abc", Kind.UNTERMINATED_STRING),
        ("$$abc", Kind.UNTERMINATED_DOLLAR),
        ("$tag$abc$$ $ta$", Kind.UNTERMINATED_DOLLAR),
        ('"abc', Kind.UNTERMINATED_IDENT),
        ("/* a /* b */", Kind.UNTERMINATED_COMMENT),
        ("\0", Kind.NUL),
        ("12ab", Kind.BAD_NUMBER),
        ("$1a", Kind.BAD_NUMBER),
        ("$", Kind.OTHER),
    ],
)
def test_faults(text: str, kind: Kind) -> None:
    assert list(scan(text)) == [Lexeme(kind, 0, len(text))]


def test_a_part_of_a_text_is_scanned_as_if_it_stood_alone() -> None:
    text = "'abc' ; 'def'"
    assert [(lexeme.start, lexeme.end) for lexeme in scan(text, 6, 11)] == [(6, 7), (8, 11)]
    assert [lexeme.kind for lexeme in scan(text, 6, 11)] == [Kind.PUNCTUATION, Kind.UNTERMINATED_STRING]


HOSTILE = [
    "+-",
    "-+",
    "'",
    "$a$b",
    "/*",
    "'a'\n",
    "'a' ",
    "--\n",
    "E'\\",
    "1_",
    "1e",
    "$x?",
    '"',
    "U&'",
    "\\",
    "\0",
    "a.",
    "/*/",
    "@-",
]


@pytest.mark.parametrize("unit", HOSTILE, ids=repr)
def test_time_is_linear(unit: str) -> None:
    assert_linear(lambda count: deque(scan(unit * count), maxlen=0), 40_000)
