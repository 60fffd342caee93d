"""The pages of docs/errors: what each shows gives its code, and what it advises does not."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import dfc
from dfc.cli.reading_schema import Schema
from dfc.cli.reports.pages import codes, is_code, near_codes, page
from dfc.cli.sources import Unreadable, compiled, decode
from dfc.compiler.answer import answer_file
from dfc.compiler.diagnostics import has_errors
from dfc.compiler.driver import compile_file
from dfc.compiler.render import render
from dfc.compiler.source import Source

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted((ROOT / "docs/errors").glob("DF*.md"))
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# What the compiler alone does not say, and the test that has the code.
TESTED_IN = {
    "DF158": "tests/cli/test_bad_input.py",
    "DF320": "tests/executor/test_http_secrets.py",
    "DF332": "tests/executor/test_databases.py",
    "DF501": "tests/executor/test_sql_runner.py",
    "DF502": "tests/executor/test_http.py",
    "DF510": "tests/executor/test_http.py",
    "DF513": "tests/e2e/test_reference.py",  # two million tokens: 15 seconds
    "DF514": "tests/sql/test_builders.py",
    "DF517": "tests/executor/test_http.py",
    "DF518": "tests/executor/test_http.py",
    "DF519": "tests/test_core_structures.py",
    "DF590": "tests/compiler_middle/test_serve.py",
    "DF591": "tests/sweep/test_suspects.py",
}
# Of these the example is a workflow that compiles, and fails when it runs.
RUNS = {"DF320", "DF332", "DF501", "DF502", "DF510", "DF517", "DF518", "DF519"}
WITH_A_SCHEMA = re.compile(r"DF4\d\d")


def blocks(path: Path) -> list[tuple[str, str]]:
    return _BLOCK.findall(path.read_text(encoding="utf-8"))


def title_of(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("\n")[0].partition(": ")[2]


def written(kind: str, text: str) -> bytes:
    """The file that a block stands for."""
    if kind == "sql":
        return text.encode()
    command = [sys.executable, "-I", "-X", "utf8", "-c", text]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


def found(data: bytes) -> set[str]:
    """The codes that a file gives."""
    try:
        text = decode("example.dfsql", data)
    except Unreadable as error:
        return {error.diagnostic.code}
    return {problem.code for problem in compile_file(Source("example.dfsql", text)).problems}


def found_with_its_schema(text: str) -> set[str]:
    """The codes that a file gives against the DDL in it, as with `--schema`."""
    answer: dict[str, Any] = json.loads(json.dumps(answer_file(Source("example.dfsql", text))))
    offline = compiled("example.dfsql", text, answer["statements"], answer["diagnostics"], answer["rendered"])
    return {problem.code for problem in Schema([]).deepen(offline).problems}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_first_example_gives_the_code(path: Path) -> None:
    code = path.stem
    kind, text = blocks(path)[0]
    if code in TESTED_IN:
        assert code in (ROOT / TESTED_IN[code]).read_text(encoding="utf-8")
        if code in RUNS:
            result = compile_file(Source("example.dfsql", text))
            assert result.statements and not has_errors(result.problems), render(
                result.problems, result.source
            )
    elif WITH_A_SCHEMA.fullmatch(code) is None:
        assert code in found(written(kind, text))
    else:
        assert code in found_with_its_schema(text)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_second_example_is_right(path: Path) -> None:
    for _, text in [block for block in blocks(path)[1:] if block[0] == "sql"]:
        result = compile_file(Source("example.dfsql", text))
        assert not has_errors(result.problems), render(result.problems, result.source)
        assert path.stem not in {problem.code for problem in result.problems}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_says_what_shows_it_and_says_what_to_do(path: Path) -> None:
    title, _, rest = path.read_text(encoding="utf-8").partition("\n")
    assert re.fullmatch(rf"# {path.stem}: .+[^.]", title)
    assert {kind for kind, _ in blocks(path)} <= {"sql", "python", "sh", "text"}
    before, *parts = re.split(r"^```\w*$", rest, flags=re.MULTILINE)
    assert len(before.split()) >= 5, "what is wrong, and why that matters"
    assert len(parts) >= 2 and len(parts[1].split()) >= 2, "what to do"


def test_the_index_has_each_page_with_its_title() -> None:
    index = (ROOT / "docs/errors/README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| \[(DF\d+)\]\(DF\d+\.md\) \| (.*) \|$", index, re.MULTILINE))
    assert rows == {path.stem: title_of(path) for path in PAGES} and list(rows) == sorted(rows)


def test_the_package_has_the_pages() -> None:
    folder = Path(dfc.__file__).parent / "errors"
    assert sorted(path.name for path in folder.glob("DF*.md")) == [path.name for path in PAGES]
    assert codes() == [path.stem for path in PAGES]


def test_a_page_is_found_by_its_code() -> None:
    shown = page("df203")
    assert shown is not None and shown.code == "DF203" and shown.title == "nearly a name, in a literal"
    assert shown.summary.startswith("In a literal, or a text of a request, ")
    assert page("DF999") is None and page("../DF203") is None
    assert "DF203" in near_codes("DF2033") and is_code("Df1") and not is_code("a.dfsql")
