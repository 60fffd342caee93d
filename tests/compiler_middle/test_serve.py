"""The compiler process: its protocol, and what it does with input that is none."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import Any

import pytest

from dfc.compiler import answer
from dfc.compiler.plan_json import from_json, plan_hash

WIRE = '/*dfc:1:18*/{"sql":"SELECT 1"}'


def answers(*requests: object) -> list[dict[str, Any]]:
    """What the real process says to these lines."""
    lines = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in requests]
    done = subprocess.run(
        [sys.executable, "-m", "dfc.compiler.serve"],
        input=b"\n".join([*lines, b""]),
        capture_output=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_both_requests_in_order() -> None:
    text = "CREATE TABLE t ();\nSELECT df.start(df.step('a', 'SELECT 1') ~> 'SELECT $a', 'one');"
    wire, file = answers(
        {"id": 1, "do": "compile_wire", "wire": WIRE},
        {"id": 2, "do": "compile_file", "name": "f.dfsql", "text": text},
    )
    assert wire.keys() == {"id", "plan", "hash", "diagnostics", "rendered"}
    assert wire["id"] == 1 and wire["diagnostics"] == [] and wire["rendered"] == ""
    assert plan_hash(from_json(wire["plan"])) == wire["hash"]
    assert file.keys() == {"id", "statements", "diagnostics", "rendered"}
    created, started = file["statements"]
    assert created == {"kind": "server", "span": [0, 17], "text": "CREATE TABLE t ()"}
    assert started.keys() == {
        "kind",
        "span",
        "submit",
        "label",
        "options",
        "wire",
        "plan",
        "hash",
        "drawing",
        "provenance",
    }
    assert started["kind"] == "workflow" and started["label"] == "one"
    assert started["drawing"] == "SQL a: SELECT 1\n→ SQL sql_2: SELECT $a"
    assert [text[a:b] for a, b in [place["span"] for place in started["provenance"].values()]] == [
        "'SELECT 1'",
        "'SELECT $a'",
    ]
    assert started["provenance"]["a"]["sql"] == [[0, 8, text.index("SELECT 1"), text.index("') ~>")]]
    [again] = answers({"id": 3, "do": "compile_wire", "wire": started["wire"]})
    assert again["plan"] == started["plan"] and again["hash"] == started["hash"]


def test_problems_have_places() -> None:
    [answer] = answers({"id": "x", "do": "compile_file", "name": "f", "text": "'SELECT $a';\n'SELEC 1'"})
    assert answer["id"] == "x"
    assert [statement["plan"] for statement in answer["statements"]] == [None, None]
    first, second = answer["diagnostics"]
    assert first == {
        "code": "DF104",
        "severity": "error",
        "message": "no step before this one is named `a`",
        "span": [8, 10],
        "line": 1,
        "column": 9,
        "end_line": 1,
        "end_column": 11,
        "label": "unknown name",
        "notes": [],
        "help": "name a step before this one: `|=> 'a'`",
        "fix": None,
    }
    assert second["line"] == 2
    start = answer["diagnostics"][1]["span"][0]
    assert second["fix"] == {"safe": True, "edits": [{"span": [start, start + 5], "text": "SELECT"}]}
    assert "--> f:1:9" in answer["rendered"]


HOSTILE = [
    b"",
    b"   ",
    b"x",
    b"\xff\xfe",
    b"[]",
    b"null",
    b"1",
    b"{}",
    b'{"id":5}',
    b'{"id":5,"do":"drop"}',
    b'{"id":5,"do":"compile_wire"}',
    b'{"id":5,"do":"compile_wire","wire":1}',
    b'{"id":5,"do":"compile_file","name":null,"text":"x"}',
    b'{"id":5,"do":"compile_wire","wire":"SELECT 1","variables":null}',
    b'{"id":5,"do":"compile_wire","wire":"SELECT 1","variables":["a"]}',
    b'{"id":5,"do":"compile_wire","wire":"SELECT 1","variables":{"a":1}}',
    b"[" * 100_000,
    b'{"id":5,"do":"compile_wire","wire":"' + b"(" * 100_000 + b'"}',
    json.dumps({"id": 5, "do": "compile_wire", "wire": ""}).encode(),
    json.dumps({"id": 5, "do": "compile_wire", "wire": "SELECT '\ud800'"}).encode(),
    json.dumps({"id": 5, "do": "compile_wire", "wire": "\0"}).encode(),
    json.dumps({"id": 5, "do": "compile_wire", "wire": '/*dfc:1:5*/{"sql":"SELECT 1"}'}).encode(),
    json.dumps({"id": 5, "do": "compile_wire", "wire": '/*dfc:9:18*/{"sql":"SELECT 1"}'}).encode(),
    json.dumps({"id": 5, "do": "compile_wire", "wire": '/*dfc:1:12*/{"chain":[]}'}).encode(),
    json.dumps({"id": 5, "do": "compile_wire", "wire": '/*dfc:1:11*/{"join":[]}'}).encode(),
    json.dumps({"id": 5, "do": "compile_file", "name": "\ud800", "text": "'\ud800'"}).encode(),
    json.dumps({"id": 5, "do": "compile_file", "name": "f", "text": "\0" * 100}).encode(),
]


def test_nothing_kills_it() -> None:
    spoken = [line for line in HOSTILE if line.strip()]
    found = answers(*HOSTILE, {"id": 6, "do": "compile_wire", "wire": WIRE})
    assert len(found) == len(spoken) + 1
    for line, said in zip(spoken, found, strict=False):
        assert said["diagnostics"], line
        assert all(problem["severity"] == "error" for problem in said["diagnostics"]), line
        assert said["rendered"], line
        assert said.get("plan") is None, line
    assert found[-1]["id"] == 6 and found[-1]["plan"] is not None


def test_a_wire_text_without_marker_is_a_sql_step() -> None:
    [answer] = answers({"id": 1, "do": "compile_wire", "wire": "SELECT 1"})
    assert answer["diagnostics"] or answer["plan"]["nodes"][0]["body"]["sql"] == "SELECT 1"


def test_a_reference_that_is_a_whole_step_is_its_value_through_either_door() -> None:
    body = '{"chain":[{"as":"a","body":{"sql":"SELECT 1"}},{"sql":"$a"}]}'
    text = "'SELECT 1' |=> 'a' ~> '$a'"
    by_wire, by_file = answers(
        {"id": 1, "do": "compile_wire", "wire": f"/*dfc:1:{len(body)}*/{body}"},
        {"id": 2, "do": "compile_file", "name": "f", "text": text},
    )
    assert by_wire["diagnostics"] == by_file["diagnostics"] == []
    assert by_wire["plan"] == by_file["statements"][0]["plan"]
    assert by_wire["plan"]["nodes"][1]["kind"] == "value"


def test_a_fault_of_the_compiler_is_a_diagnostic(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(text: str, variables: object) -> object:
        raise KeyError("lost")

    monkeypatch.setattr(answer, "compile_wire", broken)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    said: Any = answer.respond(b'{"id":1,"do":"compile_wire","wire":"x"}')
    assert said["id"] == 1 and said["plan"] is None and said["hash"] is None
    assert [problem["code"] for problem in said["diagnostics"]] == ["DF590"]
    assert "KeyError: 'lost'" in said["rendered"]


def test_the_end_of_input_is_the_end() -> None:
    assert answers() == []
