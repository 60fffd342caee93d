"""Golden layouts: a folder of golden/fmt is a case, workflow.dfsql the input, formatted.dfsql its layout.

`pytest tests/compiler/layout/test_golden.py --snapshot-update` writes the layouts. Cases whose names begin
with `sql_` have the SQL of their steps laid out, too.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from dfc.compiler.layout.file import format_file
from dfc.compiler.source import Source
from dfc.compiler.sql.laying import sql_lines

GOLDEN = Path(__file__).parents[3] / "golden" / "fmt"
CASES = sorted(path.name for path in GOLDEN.iterdir())


@pytest.mark.parametrize("scenario", CASES)
def test_layout(scenario: str, request: pytest.FixtureRequest) -> None:
    folder = GOLDEN / scenario
    text = (folder / "workflow.dfsql").read_bytes().decode()
    result = format_file(Source("test", text), sql_lines if scenario.startswith("sql_") else None)
    assert result.text is not None and not result.kept, result.problems
    if request.config.getoption("--snapshot-update"):
        (folder / "formatted.dfsql").write_bytes(result.text.encode())
    assert result.text == (folder / "formatted.dfsql").read_bytes().decode()


def test_each_case_has_its_files_and_no_others() -> None:
    for folder in GOLDEN.iterdir():
        assert {path.name for path in folder.iterdir()} == {"workflow.dfsql", "formatted.dfsql"}, folder
