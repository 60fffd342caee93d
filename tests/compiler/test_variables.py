"""Variables in an expression: which texts they go into, and how."""

from __future__ import annotations

import json

import pytest

from dfc.compiler import wire
from dfc.compiler.driver import CompiledStatement, compile_file, compile_wire
from dfc.compiler.plan import HttpNode, Request, SqlNode
from dfc.compiler.source import Source
from dfc.compiler.variables import spliced, template_texts

VALUES = {"a": "1", "b": "{a}", "c": 'it\'s "$x" \\ é', "h": "http://x", "sys_label": ""}


def marked(body: object) -> str:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return f"/*dfc:1:{len(text)}*/{text}"


def after(body: object) -> object:
    """The JSON of an expression with the values in it."""
    tree = spliced(wire.decode(marked(body)), VALUES)
    return json.loads(wire.write(tree).partition("*/")[2])


def request(**changed: object) -> dict[str, object]:
    plain = {"url": "http://x", "method": "POST", "body": None, "headers": None, "timeout_seconds": 30}
    return {"http": {**plain, **changed}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("SELECT {a}", "SELECT 1"),
        ("{a}{a} {b}", "11 {a}"),
        ("{a{a}}", "{a1}"),
        ("{{a}}", "{1}"),
        ("SELECT '{c}'", "SELECT 'it's \"$x\" \\ é'"),
        ("x{sys_label}y", "xy"),
        ("{A} {d} { a } {a {} {1a} {a-b} {a.b}", "{A} {d} { a } {a {} {1a} {a-b} {a.b}"),
        ("SELECT '{\"a\": {a}}'", "SELECT '{\"a\": 1}'"),
    ],
)
def test_one_pass_from_left_to_right(text: str, value: str) -> None:
    assert after({"sql": text}) == {"sql": value}


def test_every_text_of_a_request() -> None:
    given = request(url="{h}/{a}", body="{c}", headers={"X": "{a}", "{a}": "{d}"})
    got = request(url="http://x/1", body=VALUES["c"], headers={"X": "1", "{a}": "{d}"})
    assert after(given) == got
    part = {"name": "{a}", "data_b64": "{a}", "filename": "{a}", "content_type": "{a}"}
    parts: dict[str, object] = {"url": "{h}", "method": "POST", "parts": [part]}
    rest: dict[str, object] = {"headers": None, "timeout_seconds": 30}
    done = {**part, "name": "1", "data_b64": "1", "filename": "1"}
    assert after({"multipart": {**parts, **rest}}) == {
        "multipart": {"url": "http://x", "method": "POST", "parts": [done], **rest}
    }


def test_every_place_of_an_expression() -> None:
    step = {"sql": "SELECT {a}"}
    policy = {"max_attempts": 2, "rate_limit": "1/day", "rate_key": "{a}"}
    body = {
        "chain": [
            {
                "step": "s",
                "body": {"if": step, "then": step, "else": {"race": [step, step]}},
                "policy": policy,
            },
            {"loop": {"chain": [step, {"break": "{a}"}]}, "while": step, "compensate": "all"},
            {
                "map": step,
                "body": {"try": step, "catch": step, "finally": step},
                "name": "item",
                "max_parallel": 16,
                "batch_size": 1,
                "on_error": "fail",
            },
            {"timeout": {"retry": step, "policy": {"max_attempts": 2}}, "duration": [0, 0, 1], "else": step},
            {"compensate": {"atomic": step}, "undo": step},
            {"join": [{"as": "x", "body": step}, {"if_rows": "x", "then": step}], "on_failure": "cancel"},
            {"parallel": [step, {**step, "policy": policy}]},
        ]
    }
    text = json.dumps(body)
    assert after(body) == json.loads(text.replace("SELECT {a}", "SELECT 1"))
    assert len(list(template_texts(wire.decode(marked(body))))) == text.count("SELECT {a}")


def test_nesting_costs_no_stack() -> None:
    body = "SELECT {a}"
    deep = '{"loop":' * 5000 + json.dumps({"sql": body}) + "}" * 5000
    tree = spliced(wire.decode(f"/*dfc:1:{len(deep)}*/{deep}"), VALUES)
    assert wire.write(tree).count("SELECT 1") == 1


def test_what_a_value_brings_along_is_compiled() -> None:
    chain = {"chain": [{"step": "x", "body": {"sql": "SELECT 1 AS n"}}, {"sql": "{step}"}]}
    compiled = compile_wire(marked(chain), {"step": "SELECT $x.n + 1"})
    assert compiled.plan is not None
    node = compiled.plan.nodes[1]
    assert isinstance(node, SqlNode) and node.body.parameters[0].column == "n"
    for value, code in (
        ("SELECT $y", "DF104"),
        ("SELECT 1; SELECT 2", "DF122"),
        ("", "DF116"),
        ("SELECT {step}", "DF120"),
    ):
        compiled = compile_wire(marked(chain), {"step": value})
        assert [problem.code for problem in compiled.problems] == [code], value
        assert compiled.source.text.count("SELECT 1 AS n") == 1
    compiled = compile_wire(marked({"sql": "{step}"}), {"step": "CHECKPOINT"})
    assert "DF112" not in {problem.code for problem in compiled.problems}
    compiled = compile_wire(marked(request(url="{h}")), VALUES)
    assert compiled.plan is not None and isinstance(node := compiled.plan.nodes[0], HttpNode)
    assert isinstance(node.request, Request) and node.request.url == "http://x"


def problems_of(text: str) -> tuple[list[str], list[tuple[bool, bool]]]:
    """The codes, and of each workflow whether it has a wire text and a plan."""
    compiled = compile_file(Source("test", text))
    workflows = [each for each in compiled.statements if isinstance(each, CompiledStatement)]
    codes = [problem.code for problem in compiled.problems if problem.code not in ("DF201", "DF240")]
    return codes, [(each.wire is not None, each.compiled.plan is not None) for each in workflows]


@pytest.mark.parametrize(
    ("text", "codes", "made"),
    [
        ("'SELECT ''{a}''' ~> 'SELECT 1'", [], (True, True)),
        ("'SELECT * FROM {a}' ~> '{b}'", ["DF211", "DF211"], (True, False)),
        ("'SELECT * FROM {a}' ~> 'SELEC 1'", ["DF211", "DF120"], (False, False)),
        ("'SELECT * FROM {a}' ~> 'SELECT $nobody'", ["DF211", "DF104"], (False, False)),
        ("df.step('a', 'SELECT * FROM {a}') ~> df.step('a', 'SELECT 1')", ["DF211", "DF105"], (False, False)),
        ("df.step('s', 'SELECT n FROM {a}') ~> 'SELECT $s.n'", ["DF211"], (True, False)),
        ("'SELECT { a }'", ["DF120"], (False, False)),
        ("'SELECT 1 {a}' ~> ''", ["DF211", "DF116"], (False, False)),
        ("df.http('{base}/x', body => '{b}')", ["DF313"], (True, True)),
        ("df.loop('SELECT {a}', 'SELECT {b} > 1')", ["DF211", "DF211"], (True, False)),
    ],
)
def test_templates_of_a_file(text: str, codes: list[str], made: tuple[bool, bool]) -> None:
    assert problems_of(text + ";") == (codes, [made])
