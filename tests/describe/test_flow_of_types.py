"""Results flow through every construct: what is wrong is found where it stands, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.corpus.marked import FOLDER, Case, cases

CASES = cases("types.txt")
SCHEMA = FOLDER / "types_schema.sql"
DEPTHS: Mapping[str, Sequence[str]] = {
    "text": (),
    "schema": ("--schema", str(SCHEMA)),
    "exact": ("--schema", str(SCHEMA), "--exact"),
}
FOUND_BY = {"o": 0, "w": 0, "s": 1, "W": 1, "x": 2}
Found = Mapping[str, Sequence[Mapping[str, Any]]]


@pytest.fixture(scope="module", params=list(DEPTHS))
def depth(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Found]:
    """The number of the depth, and what `dfc validate` says of each case there."""
    folder = tmp_path_factory.mktemp("types")
    for case in CASES:
        (folder / f"{case.number}.dfsql").write_text(case.text, encoding="utf-8")
    command = [sys.executable, "-m", "dfc", "validate", str(folder), "--format", "json"]
    command += DEPTHS[request.param]
    answer = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), check=False)
    found: dict[str, list[Mapping[str, Any]]] = {}
    for one in json.loads(answer.stdout):
        found.setdefault(Path(one["file"]).stem, []).append(one)
    return list(DEPTHS).index(request.param), found


@pytest.mark.parametrize("case", CASES, ids=[f"{case.number} {case.name}" for case in CASES])
def test_what_does_not_fit_is_found_at_its_place(case: Case, depth: tuple[int, Found]) -> None:
    number, found = depth
    said = [
        one
        for one in found.get(case.number, ())
        if one["severity"] == "error" or (one["severity"] == "warning" and one["code"].startswith("DF4"))
    ]
    if case.wanted == "v":
        assert not said
        return
    if not said and number < FOUND_BY[case.wanted]:
        return
    assert [tuple(one["span"]) for one in said] == list(case.places)
    assert {one["severity"] for one in said} == {"warning" if case.wanted in "wW" else "error"}


def test_the_corpus_is_there() -> None:
    assert len(CASES) >= 220
