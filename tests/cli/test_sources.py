"""A statement that the compiler lost would simply not be run: the command line notices."""

from __future__ import annotations

import pytest

from dfc.cli.sources import Compiled, Server, left_out


def compilation(text: str, *spans: tuple[int, int]) -> Compiled:
    statements = tuple(Server(span=span, text=text[slice(*span)]) for span in spans)
    return Compiled(name="x", text=text, statements=statements, problems=(), rendered="")


@pytest.mark.parametrize(
    ("text", "spans", "where"),
    [
        ("SELECT 1; SELECT 2;", [(0, 8), (10, 18)], None),
        ("SELECT 1; SELECT 2;", [(0, 8)], 10),
        ("SELECT 1; SELECT 2;", [(10, 18)], 0),
        ("/* /* */ */ -- x\n;;", [], None),
        ("-- x\nlost", [], 5),
    ],
)
def test_text_in_no_statement_is_found(text: str, spans: list[tuple[int, int]], where: int | None) -> None:
    assert left_out(compilation(text, *spans)) == where
