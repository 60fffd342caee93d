"""Two places that can run at the same time, or cannot, touch tables in every way: is each conflict told?"""

from __future__ import annotations

import pytest

from dfc.compiler.diagnostics import Severity
from dfc.compiler.driver import compile_file
from dfc.compiler.source import Source
from tests.corpus.marked import FOLDER, Case, cases

CODES = ("DF202", "DF206", "DF207")


CASES = cases("races.txt")
SCHEMA = (FOLDER / "races_schema.sql").read_text(encoding="utf-8")


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
