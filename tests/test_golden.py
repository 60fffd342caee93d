"""Golden cases: a folder of golden/ is a case, its workflow.dfsql the input, the other files what comes out.

A new case is a new folder; `pytest tests/test_golden.py --snapshot-update` writes its other files.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.data import SnapshotCollections
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from syrupy.location import PyTestLocation

from dfc.compiler.diagnostics import Severity, has_errors
from dfc.compiler.driver import Compiled, CompiledFile, CompiledStatement, compile_file, compile_wire
from dfc.compiler.plan import SqlNode, every_node
from dfc.compiler.plan_json import canonical, from_json, to_json
from dfc.compiler.plan_print import plan_text
from dfc.compiler.render import render
from dfc.compiler.source import Source

GOLDEN = Path(__file__).parent.parent / "golden"
OK = sorted(path.name for path in (GOLDEN / "ok").iterdir())
ERR = sorted(path.name for path in (GOLDEN / "err").iterdir())
INPUT = "workflow.dfsql"


class GoldenFile(SingleFileSnapshotExtension):
    """A snapshot whose index is its path under golden/. A test below says which files a case has."""

    _write_mode = WriteMode.TEXT
    file_extension = ""

    @classmethod
    def get_location(cls, *, test_location: PyTestLocation, index: int | str) -> str:
        return str(GOLDEN / str(index))

    @classmethod
    def matches_test_location(cls, *, test_location: PyTestLocation, snapshot_location: str) -> bool:
        return True

    def discover_snapshots(
        self, *, test_location: PyTestLocation, ignore_extensions: list[str] | None = None
    ) -> SnapshotCollections:
        return SnapshotCollections()


@pytest.fixture
def golden(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """The snapshots of golden/: `value == golden(name="ok/chain/plan.txt")`."""
    return snapshot.use_extension(GoldenFile)


def compiled(folder: Path) -> CompiledFile:
    text = (folder / INPUT).read_bytes().decode()
    return compile_file(Source(INPUT, text))


def check_origins(result: Compiled) -> None:
    """Every node has a place in the source; what stands there in one run is the node's SQL."""
    assert result.plan is not None
    nodes = list(every_node(result.plan.nodes))
    assert result.provenance.keys() == {node.id for node in nodes}
    for node in nodes:
        origin = result.provenance[node.id]
        assert result.source.text[origin.span.start : origin.span.end].strip()
        body = node.body if isinstance(node, SqlNode) else None
        for piece in origin.sql if body is not None else ():
            if piece.source_end - piece.source_start == piece.length > 1:
                written = result.source.text[piece.source_start : piece.source_end]
                assert body is not None
                assert body.sql[piece.value_start : piece.value_start + piece.length] == written


@pytest.mark.parametrize("scenario", OK)
def test_what_compiles(scenario: str, golden: SnapshotAssertion) -> None:
    result = compiled(GOLDEN / "ok" / scenario)
    assert not has_errors(result.problems), render(result.problems, result.source)
    plans: list[object] = []
    drawings: list[str] = []
    for statement in result.statements:
        if isinstance(statement, CompiledStatement):
            plan = statement.compiled.plan
            assert plan is not None and statement.wire is not None
            plans.append(to_json(plan))
            drawings.append(plan_text(plan) + "\n")
            assert from_json(to_json(plan)) == plan
            check_origins(statement.compiled)
            other_door = compile_wire(statement.wire)
            assert other_door.plan is not None, render(other_door.problems, other_door.source)
            assert canonical(other_door.plan) == canonical(plan)
            check_origins(other_door)
    written = json.dumps(plans, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    assert written == golden(name=f"ok/{scenario}/plan.json")
    assert "\n".join(drawings) == golden(name=f"ok/{scenario}/plan.txt")


@pytest.mark.parametrize("scenario", ERR)
def test_what_is_reported(scenario: str, golden: SnapshotAssertion) -> None:
    result = compiled(GOLDEN / "err" / scenario)
    code = scenario.partition("_")[0].upper()
    assert code in {problem.code for problem in result.problems}
    for problem in result.problems:
        assert 0 <= problem.span.start <= problem.span.end <= len(result.source.text)
        assert problem.message and not problem.message.endswith(".")
        assert problem.help or problem.severity is Severity.NOTE, problem
    assert render(result.problems, result.source) == golden(name=f"err/{scenario}/diagnostics.txt")


def test_each_case_has_its_files_and_no_others() -> None:
    expected = {"ok": {INPUT, "plan.json", "plan.txt"}, "err": {INPUT, "diagnostics.txt"}}
    for kind, files in expected.items():
        for folder in (GOLDEN / kind).iterdir():
            assert {path.name for path in folder.iterdir()} == files, folder


def test_names_of_cases() -> None:
    assert all(re.fullmatch(r"df\d{3}_[a-z0-9_]+", name) for name in ERR)
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in OK)
