"""The commands of the README are the ones that CI runs, and what it names exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from dfc.cli.app import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """The lines of all shell blocks, without comments."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    return [line.split("  #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


def test_ci_runs_the_test_command_word_for_word() -> None:
    assert "pip install '.[test]' && pytest -n auto" in commands()
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "pip install --quiet '.[test]' && pytest -n auto" in script


def test_every_dfc_command_and_file_exists() -> None:
    seen = 0
    for line in commands():
        for part in line.split("&&"):
            words = shlex.split(part)
            if words[0] != "dfc":
                continue
            seen += 1
            assert words[1] in COMMANDS, line
            for word in words[2:]:
                if word.startswith("examples/") and not word.endswith(".dfc"):
                    assert (ROOT / word).exists(), line
    assert seen >= 8


def test_links_lead_somewhere() -> None:
    for page in (
        "README.md",
        "CONTRIBUTING.md",
        *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
    ):
        text = (ROOT / page).read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
            assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"
