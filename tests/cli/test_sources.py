"""A statement that the compiler lost would simply not be run: the command line notices."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest

from dfc.cli import sources
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


def test_standard_input_has_the_limit_of_files(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.RawIOBase):
        given = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            assert self.given < 2 * sources.FILE_BYTES_MAX + 65536, "it is read without a limit"
            buffer[:] = b" " * len(buffer)
            self.given += len(buffer)
            return len(buffer)

    monkeypatch.setattr(sources, "FILE_BYTES_MAX", 1024 * 1024)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Endless())))
    with pytest.raises(sources.Unreadable) as caught:
        sources.read("-")
    assert "file_bytes_max" in caught.value.rendered()
