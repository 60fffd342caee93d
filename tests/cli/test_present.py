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
    assert "12345678901234567890.12300" in shown and "[1.50]" in shown


def test_numerics_deep_inside_keep_their_digits(capsys: pytest.CaptureFixture[str]) -> None:
    inner = '{"a": [0.10000000000000000000001, {"b": 1.20}], "c": 0.0000000001000, "d": -7.0}'
    whole = "1" + "0" * 5000
    steps = present.parsed(f'[{{"path": "a", "seconds": 0.0000010, "of": {inner}, "n": {whole}}}]')
    for text in (present.document({"steps": steps}), present.document({"steps": steps}, None)):
        assert "0.10000000000000000000001" in text and "1.20" in text and "-7.0" in text
        assert "0.0000000001000" in text and "0.0000010" in text and whole in text
        assert present.parsed(text) == {"steps": steps}
    present.result(present.parsed(f'{{"rows": [{{"j": {inner}}}], "row_count": 1}}'))
    assert inner in capsys.readouterr().out
    present.result(present.parsed(inner))
    assert "0.10000000000000000000001" in capsys.readouterr().out


def test_other_values_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    present.result(present.parsed("[1.5, {}]"))
    assert json.loads(capsys.readouterr().out) == [1.5, {}]
