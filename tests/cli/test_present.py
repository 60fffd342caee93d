"""Results as people and programs see them."""

from __future__ import annotations

import json

import pytest

from dfc.cli import present

RESULT = '{"rows": [{"n": 12345678901234567890.12300, "m": [1.50], "s": "x"}], "row_count": 1}'


def test_numerics_keep_their_digits_in_documents() -> None:
    text = present.document([{"id": "x", "result": present.Verbatim(RESULT), "error": None}])
    assert json.loads(text) == [{"id": "x", "result": json.loads(RESULT), "error": None}]
    assert "12345678901234567890.12300" in text and "1.50" in text


def test_numerics_keep_their_digits_in_tables(capsys: pytest.CaptureFixture[str]) -> None:
    present.result(present.parsed(RESULT))
    shown = capsys.readouterr().out
    assert "12345678901234567890.12300" in shown and "[1.5]" in shown


def test_other_values_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    present.result(present.parsed("[1.5, {}]"))
    assert json.loads(capsys.readouterr().out) == [1.5, {}]
