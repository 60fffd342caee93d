"""Writes docs/reference/functions.md: each function of df, where it is described, and a test that calls it.

`python -m tests.e2e.functions` writes it anew.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.e2e.reference import DOCS, FOLDER, WORKERS, documented

PAGE = FOLDER / "functions.md"
ROOT = DOCS.parent
FOLDERS = ("tests/sql", "tests/e2e", "tests/executor", "tests/cli", "golden/dialect", "golden/ok")
"""Where things are run, the most telling first."""
OWN = {"tests/e2e/functions.py", "tests/e2e/reference.py"}
HEAD = f"""# All functions

[Reference](../reference.md) · where each function is described, and the first test that calls it.
This page is written by `python -m tests.e2e.functions`.

Functions whose names begin with `_`, and {", ".join(f"`{name}`" for name in sorted(WORKERS))},
are called by workers and by other functions, never by people.

| function | in | called by |
|---|---|---|
"""


def callers() -> dict[str, str]:
    """Each function that is called by a test or a golden case, with the first file that does."""
    found: dict[str, str] = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            name = path.relative_to(ROOT).as_posix()
            if path.suffix in {".py", ".dfsql", ".sql"} and name not in OWN:
                for function in re.findall(r"\bdf\.(\w+)\(", path.read_text(encoding="utf-8")):
                    found.setdefault(function, name)
    return found


def rows() -> dict[str, tuple[Path, str | None]]:
    """The page of each function, and who calls it."""
    found = callers()
    return {name: (page, found.get(name)) for name, page in sorted(documented().items())}


def page() -> str:
    """The page as it is."""
    return PAGE.read_text(encoding="utf-8")


def written() -> str:
    """The page as it should be."""
    lines = [
        f"| [df.{name}]({page.name}#{_anchor(page, name)}) | {page.stem} | `{caller or ''}` |"
        for name, (page, caller) in rows().items()
    ]
    return HEAD + "\n".join(lines) + "\n"


def _anchor(page: Path, name: str) -> str:
    """The anchor of the heading that names it; several functions may share one."""
    for heading in re.findall(r"^### (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE):
        if re.search(rf"df\.{name}(,|$)", heading):
            return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
    raise AssertionError(name)


if __name__ == "__main__":
    PAGE.write_text(written(), encoding="utf-8")
