"""The layers of the house hold, and the check that says so can fail."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CODE = ("compiler", "executor", "grammar", "sql")

VIOLATIONS = (
    ("compiler/plan.py", "import dfc.executor.journal", "The compiler never imports"),
    ("compiler/lower.py", "import psycopg", "The compiler never imports"),
    ("executor/worker.py", "import dfc.compiler.parse", "The executor sees of the compiler only the plan"),
    ("executor/worker.py", "import dfc.cli.errors", "The face composes"),
    ("grammar/lexer.py", "import dfc.compiler.plan", "The face composes"),
    ("executor/decide.py", "import time", "no clock, no chance"),
    ("executor/decide.py", "import random", "no clock, no chance"),
    ("executor/retry.py", "import asyncio", "no clock, no chance"),
    ("compiler/check.py", "import lark", "Only the grammar imports lark"),
    ("compiler/scope.py", "import sqlglot", "Only compiler.sql imports sqlglot"),
    ("compiler/scope.py", "import postgast", "Nobody imports postgast"),
    ("compiler/lower.py", "import networkx", "Only compiler.graph imports networkx"),
    ("executor/store.py", "import rich", "how people are spoken to"),
    ("executor/journal.py", "import dfc.executor.actions", "No circles"),
)
"""A file, the import that must not be in it, and a part of the name of the contract that says so."""


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    # A process of its own in that folder: import-linter finds `dfc` through the search path.
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from importlinter.cli import lint_imports_command as c; c()",
            "--no-cache",
        ],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def _copy(folder: Path) -> Path:
    """The tree as it is laid out, symlinks included."""
    for name in CODE:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "dfc", folder / "dfc", symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_the_contracts_hold(tmp_path: Path) -> None:
    said = _lint(_copy(tmp_path))
    assert said.returncode == 0, said.stdout + said.stderr


def test_the_contracts_can_fail(tmp_path: Path) -> None:
    tree = _copy(tmp_path)
    for file, line, _ in VIOLATIONS:
        path = tree / file
        path.write_text(f"{path.read_text()}\n{line}\n")
    said = _lint(tree)
    assert said.returncode == 1, said.stdout + said.stderr
    broken = [name for name in said.stdout.splitlines() if " BROKEN" in name]
    for _, line, contract in VIOLATIONS:
        assert any(contract in name for name in broken), said.stdout
        # A circle is shown without its lines.
        assert contract == "No circles" or line.removeprefix("import ") in said.stdout, line


def test_every_contract_is_seen_failing() -> None:
    settings: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    names = [contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]]
    untried = [name for name in names if not any(part in name for _, _, part in VIOLATIONS)]
    assert untried == []


def test_only_the_face_prints() -> None:
    """T20 (print) is on everywhere but where people are spoken to."""
    settings: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    ruff = settings["tool"]["ruff"]["lint"]
    assert "T20" in ruff["select"]
    allowed = {pattern for pattern, codes in ruff["per-file-ignores"].items() if "T20" in codes}
    assert not any(pattern.startswith(("compiler", "executor", "grammar")) for pattern in allowed)


def test_code_says_dfc() -> None:
    """Top-level `compiler` and `executor` importable in a checkout are never imported by that name."""
    banned = re.compile(r"^\s*(?:from|import) (?:compiler|executor|grammar)\b.*", re.MULTILINE)
    files = [path for folder in (*CODE, "dfc", "tests", "bench") for path in (ROOT / folder).rglob("*.py")]
    wrong = [
        f"{path}: {found}" for path in files for found in banned.findall(path.read_text(encoding="utf-8"))
    ]
    assert wrong == []
