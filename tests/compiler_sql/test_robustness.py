"""No text makes the analysis raise, hang or crash; errors point at the token that PostgreSQL stops at."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dfc.compiler.ast import Piece, Text
from dfc.compiler.diagnostics import has_errors
from dfc.compiler.span import Span
from dfc.compiler.sql import Analysis, analyse
from tests.depth import depth

_SHIFT = 7


def _analyse(value: str) -> Analysis:
    piece = Piece(value_start=0, length=len(value), source_start=_SHIFT, source_end=_SHIFT + len(value))
    return analyse(Text(value=value, span=Span(0, len(value) + 2 * _SHIFT), pieces=(piece,) if value else ()))


_WORDS = (
    "SELECT FROM WHERE a é 1 'x' ( ) [ ] , ; . :: * + - || AND NOT CASE WHEN END JOIN ON UNION WITH AS VALUES"
    " INSERT INTO UPDATE SET DELETE RETURNING $x $x.* $x.y? $1 'a$x' '$$x' E'\\$x' interval date U&'$x'"
    " UESCAPE '!' VACUUM COMMENT IS \"q\" E'\\' E'\\n' $$z$$ $a$ /* */ -- \n"
    " TABLE DO LATERAL df.http( df . http CREATE FUNCTION COPY STDIN ROLE RESET BEGIN REINDEX CONCURRENTLY"
    " CLUSTER \\d DISTINCT INTO FOR 😀 ' \" \0 \ud800 \x01 EXPLAIN SUBSCRIPTION ALTER GRANT"
    " SEARCH CYCLE USING IS"
)
_FRAGMENTS = _WORDS.split(" ")


@settings(max_examples=depth(400), deadline=None)
@given(
    st.one_of(
        st.text(st.characters(), max_size=60),
        st.lists(st.sampled_from(_FRAGMENTS), max_size=25).map(" ".join),
    )
)
def test_never_raises(value: str) -> None:
    found = _analyse(value)
    assert found.kind or found.problems
    for problem in found.problems:
        assert 0 <= problem.span.start <= problem.span.end <= len(value) + 2 * _SHIFT
        assert problem.message and problem.code
    for reference in (*found.references, *found.fixed):
        assert found.sql[reference.start] == "$"
        span = found.text.locate(reference.start, reference.end)
        written = value[span.start - _SHIFT : span.end - _SHIFT]
        assert written == found.sql[reference.start : reference.end]
    if not has_errors(found.problems):
        _ = found.reads
        again = _analyse(found.sql)
        assert (again.sql, again.kind, again.form, again.problems) == (found.sql, found.kind, found.form, ())


_EXPRESSIONS = st.sampled_from(
    (
        "$a",
        "$step.column?",
        "$größe",
        "1",
        "'é'",
        "'it''s -- no'",
        "a.b",
        "f($x, 2)",
        "($y)",
        "$z[1]",
        "count(*)",
        "E'\\u00e9'",
    )
)
_GAPS = st.sampled_from((" ", "\n", " /* é */ ", " -- 😀\n", "\t"))


@settings(max_examples=depth(200), deadline=None)
@given(st.lists(st.tuples(_EXPRESSIONS, _GAPS), min_size=1, max_size=6), st.integers(0, 5), _GAPS)
def test_errors_point_at_the_token(parts: list[tuple[str, str]], broken: int, gap: str) -> None:
    assume(broken < len(parts))
    value = "SELECT" + gap
    place = -1
    for number, (expression, space) in enumerate(parts):
        value += ("," if number else "") + space + expression + space
        if number == broken:
            value += "AS x" + space
            place = len(value)
            value += "~)" + space
    problems = _analyse(value + "FROM $rows.*").problems
    assert [problem.code for problem in problems] == ["DF120"]
    assert (problems[0].span.start - _SHIFT, problems[0].span.end - _SHIFT) == (place, place + 1)


_CHILD = """
import random, sys, time
from dfc.compiler.ast import Text
from dfc.compiler.sql import analyse

words = sys.argv[1].split(" ")
shapes = [
    lambda n: "SELECT " + "+".join(["1"] * n),
    lambda n: "SELECT " + " || ".join(["a"] * n),
    lambda n: "SELECT " + " AND b OR ".join(["a"] * n),
    lambda n: "SELECT " + "(" * n + "1" + ")" * n,
    lambda n: "SELECT " + "NOT " * n + "true",
    lambda n: "SELECT " + "CASE WHEN a THEN " * n + "1" + " END" * n,
    lambda n: "SELECT " + "f(" * n + "1" + ")" * n,
    lambda n: "VALUES " + ",".join(["(1, 'x')"] * n),
    lambda n: " UNION ALL ".join(["SELECT 1"] * n),
    lambda n: "SELECT 1 FROM a " + "JOIN b ON true " * n,
    lambda n: "SELECT 1 FROM a " + "JOIN b " * n + "ON true " * n,
    lambda n: "SELECT 1 FROM " + "(" * n + "a" + " CROSS JOIN b)" * n,
    lambda n: "SELECT * FROM " + "(SELECT * FROM " * n + "a" + ") x" * n,
    lambda n: "SELECT " + "(SELECT " * n + "1" + ")" * n,
    lambda n: "WITH x AS (" * n + "SELECT 1" + ") SELECT 1" * n,
    lambda n: "SELECT 1" + "::int" * n,
    lambda n: "SELECT a" + "[1]" * n,
    lambda n: "SELECT " + "/*" * n + "*/" * n + "1",
    lambda n: "SELECT " + "/*" * n,
    lambda n: "SELECT 1" + ";" * n + "SELECT 2",
    lambda n: "SELECT $x.* " * n,
    lambda n: "SELECT " + "df.http(" * n + ")" * n,
    lambda n: "SELECT " + "$1," * n + "1",
    lambda n: "SELECT 'a'" + "--\\n'b'" * n,
]
def inputs():
    for shape in shapes:
        for size in (100, int(sys.argv[3])):
            yield shape(size)
    source = random.Random(int(sys.argv[2]))
    for _ in range(int(sys.argv[4])):
        unit = " ".join(source.choice(words) for _ in range(source.randint(1, 6)))
        start = source.choice(["", "SELECT ", "SELECT * FROM ", "INSERT INTO t VALUES ", "WITH x AS ("])
        yield start + (unit + source.choice(["", " "])) * source.choice([5, 5_000])

for value in inputs():
    began = time.process_time()
    found = analyse(Text(value=value[:900_000]))
    found.reads
    spent = time.process_time() - began
    if spent > 30:
        print("SLOW", spent, value[:80].encode())
print("end")
"""


@pytest.mark.parametrize(
    ("seed", "size", "more"), [(1, 2_000, 4), pytest.param(2, 15_000, 12, marks=pytest.mark.long)]
)
def test_nothing_crashes(seed: int, size: int, more: int) -> None:
    """In a process of its own: a crash of libpg_query or of sqlglot would take the tests with it."""
    words = [word for word in _FRAGMENTS if word.isprintable()]
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, " ".join(words), str(seed), str(size), str(more)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (child.returncode, child.stdout) == (0, "end\n"), child.stderr[-2_000:]
