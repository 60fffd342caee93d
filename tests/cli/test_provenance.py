"""The caret of a run-time error stands under the whole token."""

from __future__ import annotations

import pytest

from dfc.cli.provenance import render_error


@pytest.mark.parametrize(
    ("sql", "token"),
    [
        ("SELECT $a.x + 1", "$a.x"),
        ("SELECT $a.x? + 1", "$a.x?"),
        ("SELECT $a", "$a"),
        ("SELECT größe FROM t", "größe"),
        ('SELECT "my col" FROM t', '"my col"'),
        ("SELECT t.nope", "t"),
        ("SELECT @ 1", "@"),
    ],
)
def test_caret(sql: str, token: str) -> None:
    text = f"df.step('b', $q${sql}$q$);"
    start = text.index(sql)
    provenance = {"b": {"span": [0, 1], "sql": [[0, len(sql), start, start + len(sql)]]}}
    error = {"step": "b", "sqlstate": "42703", "message": "no", "position": sql.index(token)}
    caret = render_error("f.dfsql", text, provenance, error).splitlines()[3].strip(" |")
    assert caret == "^" * len(token)
