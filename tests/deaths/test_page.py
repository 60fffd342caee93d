"""docs/reference/deaths.md has a row for each death, which names the tests that do it; and these exist."""

from __future__ import annotations

import re
from pathlib import Path

from tests.deaths.deaths import DEATHS

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "reference" / "deaths.md"


def test_page_and_tests_have_the_same_rows() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("## How each is survived")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (?!what dies|---)(.*?) \| .* \| (.*?) \|$", table, re.MULTILINE)
    found = {when: tuple(re.findall(r"`(?:\w+::)?(\w+)`", tests)) for when, tests in rows}
    named = {when: tuple(each.partition("::")[2] for each in tests) for when, tests in DEATHS.items()}
    assert found == named


def test_each_test_exists() -> None:
    for path, _, name in (test.partition("::") for tests in DEATHS.values() for test in tests):
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{name}"
