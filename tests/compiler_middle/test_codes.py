"""The sets that have to be equal: codes in the sources, rule files, pages, golden cases."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
CODE = re.compile(r"\bDF\d{3}\b")

# Codes that no workflow.dfsql can produce, and where each is tested instead.
NOT_FROM_A_FILE = {
    "DF129": "a string cannot hold such a character without the file holding it (tests/compiler_sql)",
    "DF401": "is said by validate alone (tests/compiler/test_certain.py, tests/cli/test_validate_depths.py)",
    "DF402": "is said by validate alone",
    "DF403": "is said by validate alone",
    "DF404": "is said by validate alone",
    "DF405": "is said by validate alone",
    "DF410": "needs a schema",
    "DF512": "needs a file of 20,000 steps (test_workflow.py)",
    "DF513": "needs a statement of two million tokens (tests/compiler)",
    "DF515": "needs a statement of a megabyte (tests/compiler_sql)",
    "DF516": "needs a statement of 10,000 open brackets (tests/compiler_sql)",
    "DF590": "is a fault of the compiler itself (test_serve.py)",
}


def codes_in(*folders: str) -> set[str]:
    found: set[str] = set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".sql") and "__pycache__" not in path.parts:
                found |= set(CODE.findall(path.read_text()))
    return found


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    pages = {path.stem for path in (ROOT / "docs/errors").glob("DF*.md")}
    assert codes_in("compiler", "executor", "sql", "dfc/cli") == pages


def test_pages_say_what_and_how() -> None:
    for page in (ROOT / "docs/errors").glob("DF*.md"):
        title, _, rest = page.read_text().partition("\n")
        assert re.fullmatch(rf"# {page.stem}: .+[^.]", title), page
        assert "```" in rest, page


def test_every_code_of_the_compiler_has_a_golden_case() -> None:
    cases = {path.name.partition("_")[0].upper() for path in (ROOT / "golden/err").iterdir()}
    assert codes_in("compiler") - NOT_FROM_A_FILE.keys() == cases - NOT_FROM_A_FILE.keys()


def test_every_rule_is_named_after_its_code_and_in_the_tuple() -> None:
    from dfc.compiler.check import LAST_RULES, RULES, SIZE_RULES

    files = {path.stem for path in (ROOT / "compiler/rules").glob("df*.py")}
    rules = {rule.__module__.rpartition(".")[2] for rule in (*RULES, *LAST_RULES, *SIZE_RULES)}
    assert rules == files
    assert len(RULES) + len(LAST_RULES) + len(SIZE_RULES) == len(files)
    for name in files:
        code, _, words = name.partition("_")
        text = (ROOT / f"compiler/rules/{name}.py").read_text()
        assert set(CODE.findall(text)) == {code.upper()}, name
        assert f"def {words}(" in text, name
