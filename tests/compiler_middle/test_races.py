"""Two places that can run at the same time, or cannot, touch tables in every way: is each conflict told?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dfc.compiler.diagnostics import Severity
from dfc.compiler.driver import compile_file
from dfc.compiler.source import Source

CORPUS = Path(__file__).parent.parent / "corpus"
CODES = ("DF202", "DF206", "DF207")


@dataclass(frozen=True, slots=True)
class Case:
    """A file, what is wanted of it without and with a schema, and the places that are in conflict."""

    number: str
    wanted: str
    name: str
    text: str
    places: tuple[tuple[int, int], ...]


def cases() -> Iterator[Case]:
    """The cases of the corpus."""
    written = (CORPUS / "races.txt").read_text(encoding="utf-8")
    for part in re.split(r"^## ", written, flags=re.MULTILINE)[1:]:
        head, body = part.split("\n", 1)
        number, wanted, name = head.split(" ", 2)
        places: list[tuple[int, int]] = []
        text, start = "", 0
        for piece in re.split("([«»])", body):
            if piece == "«":
                start = len(text)
            elif piece == "»":
                places.append((start, len(text)))
            else:
                text += piece
        yield Case(number, wanted, name, text, tuple(places))


CASES = list(cases())
SCHEMA = (CORPUS / "races_schema.sql").read_text(encoding="utf-8")


@pytest.mark.parametrize("deep", [False, True], ids=["text", "schema"])
@pytest.mark.parametrize("case", CASES, ids=[f"{case.number} {case.name}" for case in CASES])
def test_each_conflict_is_told_with_both_places(case: Case, deep: bool) -> None:
    compiled = compile_file(Source("case.dfsql", case.text), (SCHEMA,) if deep else ())
    assert not [each for each in compiled.problems if each.severity is Severity.ERROR]
    found = [each for each in compiled.problems if each.code in CODES]
    lints = [each for each in found if each.severity is Severity.LINT]
    match case.wanted[deep]:
        case "R":
            spans = [each.span for each in found]
            spans += [note.span for each in found for note in each.notes if note.span is not None]
            for start, end in case.places:
                assert any(start <= span.start and span.end <= end for span in spans), (case.text, found)
            assert lints
        case "N":
            assert found and not lints
        case "C":
            assert not found
        case _:
            pass


def test_the_corpus_is_there() -> None:
    assert len(CASES) >= 120
