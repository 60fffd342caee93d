"""All problems in one run: a faulty part of a workflow hides none of the rest, through either door."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfc.compiler import wire
from dfc.compiler.ast import Hole, ServerStatement, Workflow, placeholder
from dfc.compiler.diagnostics import Severity
from dfc.compiler.driver import CompiledStatement, compile_file, compile_wire
from dfc.compiler.parse import parse_file
from dfc.compiler.source import Source
from dfc.compiler.span import NOWHERE
from tests.compiler_middle.trees import bind, chain, codes, compiled, fan_out, join, sql, step
from tests.depth import depth

Json = dict[str, object]

# A step `{n}` that refers to the one before it by `{b}`, broken in one way each.
BREAKS = {
    "DF156": "df.stepp('{n}', 'SELECT {b}')",
    "DF116": "df.step('{n}', '')",
    "DF112": "df.step('{n}', 'CHECKPOINT')",
    "DF113": "df.step('{n}-', 'SELECT {b}')",
    "DF114": "df.step('{n}', df.http('ftp://example.org'))",
    "DF115": "df.step('{n}', 'SELECT {b}' || df.sql('SELECT 2'))",
    "DF120": "df.step('{n}', 'SELECT {b} FROM')",
    "DF122": "df.step('{n}', 'SELECT {b}; SELECT 2')",
    "DF124": "df.step('{n}', 'COMMIT WORK')",
    "DF155": "df.status(df.step('{n}', 'SELECT {b}'))",
    "DF159": "df.step('{n}', 5)",
    "DF160": "df.step('{n}', bodyy => 'SELECT {b}')",
    "DF161": "df.step('{n}', 'SELECT {b}', body => 'SELECT 2')",
    "DF162": "df.step('{n}')",
    "DF163": "df.step('{n}', 'SELECT {b}', 'SELECT 2')",
    "DF164": "(df.step('{n}', 'SELECT {b}') !> 'SELECT 2')",
    "DF104": "df.step('{n}', 'SELECT $nowhere')",
    "DF105": "df.step('{n}', df.step('first', 'SELECT {b}'))",
    "DF107": "df.step('{n}', 'SELECT $last')",
    "DF180": "df.step('{n}', df.wait_for(df.seq('SELECT {b}', 'SELECT 2')))",
    "DF182": "df.step('{n}', df.wait_for_schedule('0 0 31 2 *'))",
    "DF185": "df.step('{n}', df.wait_for_signal(''))",
}


def problems(text: str) -> list[tuple[str, str]]:
    found = compile_file(Source("test", text)).problems
    return [(p.code, p.message) for p in found if p.severity is Severity.ERROR]


@st.composite
def broken(draw: st.DrawFn) -> tuple[list[str], str]:
    """The codes of different steps' faults, and the workflow."""
    faults = draw(st.lists(st.sampled_from(sorted(BREAKS)), unique=True, min_size=1, max_size=8))
    kinds = draw(st.permutations([*faults, *[""] * draw(st.integers(0, 4))]))
    steps = ["df.step('first', 'SELECT 1')"]
    before = "$first"
    for index, kind in enumerate(kinds):
        name = f"s{index}x"
        form = BREAKS[kind] if kind else "df.step('{n}', 'SELECT {b}')"
        steps.append(form.format(n=name, b=before))
        before = f"${name}"
    steps.append(f"df.step('last', 'SELECT {before}')")
    text = steps[0]
    for written in steps[1:]:
        text = draw(st.sampled_from(["{} ~> {}", "({}) ~> {}", "df.seq({}, {})"])).format(text, written)
    wholes = ["{}", "'SELECT 1' & ({})", "SELECT df.start({}, 'label')"]
    # A df.start with df.status in it is a query, which only the server can compute.
    whole = draw(st.sampled_from(wholes[: 2 if "DF155" in faults else 3]))
    return sorted(faults), whole.format(text)


@settings(deadline=None, max_examples=depth(300))
@given(broken())
def test_each_fault_is_reported_once(case: tuple[list[str], str]) -> None:
    expected, text = case
    assert sorted(code for code, _ in problems(text)) == expected


@pytest.mark.parametrize("code", sorted(BREAKS))
def test_a_fault_alone_is_one_problem(code: str) -> None:
    broken_step = BREAKS[code].format(n="s", b="$first")
    text = f"df.step('first', 'SELECT 1') ~> {broken_step} ~> df.step('last', 'SELECT $s')"
    assert [found for found, _ in problems(text)] == [code]


def marked(body: Json) -> str:
    written = json.dumps(body, separators=(",", ":"))
    return f"/*dfc:1:{len(written)}*/{written}"


# The same for wire text: what df functions never write, or do not look into.
NODES: dict[str, tuple[str, Json]] = {
    "name": ("DF113", {"step": "a b", "body": {"sql": "SELECT 1"}}),
    "binding": ("DF113", {"as": "1x", "body": {"sql": "SELECT 1"}}),
    "reserved": ("DF113", {"as": "item", "body": {"sql": "SELECT 1"}}),
    "empty": ("DF116", {"sql": " "}),
    "piece": ("DF115", {"sql": "SELECT /*dfc:1:"}),
    "shape": ("DF115", {"later": []}),
    "short": ("DF115", {"chain": []}),
    "text": ("DF115", {"sql": 5}),
    "nested": ("DF115", {"join": [{"chain": [{"chain": [{"sql": "SELECT 1"}] * 2}, {"sql": "SELECT 1"}]}]}),
    "sql": ("DF120", {"sql": "SELECT FROM WHERE"}),
    "two": ("DF122", {"sql": "SELECT 1; SELECT 2"}),
    "unknown": ("DF104", {"sql": "SELECT $nowhere"}),
    "again": ("DF105", {"step": "first", "body": {"sql": "SELECT 1"}}),
}


@settings(deadline=None, max_examples=depth(200))
@given(st.lists(st.sampled_from(sorted(NODES)), unique=True, min_size=1), st.sampled_from(["chain", "join"]))
def test_wire_text_reports_each_fault_once(chosen: Sequence[str], group: str) -> None:
    first: Json = {"step": "first", "body": {"sql": "SELECT 1"}}
    result = compile_wire(marked({group: [first, *[NODES[name][1] for name in chosen]]}))
    assert result.plan is None
    assert sorted(p.code for p in result.problems) == sorted(NODES[name][0] for name in chosen)
    assert all(p.span.end <= len(result.source.text) for p in result.problems)


@pytest.mark.parametrize("body", [{}, {"later": 1}, {"join": []}])
def test_wire_text_that_is_nothing_but_a_fault(body: Json) -> None:
    assert [p.code for p in compile_wire(marked(body)).problems] == ["DF115"]


def test_a_tree_with_a_hole_has_neither_plan_nor_wire_text() -> None:
    for tree in (
        Hole(),
        placeholder((sql("SELECT 1"),), NOWHERE),
        chain("SELECT 1", join(Hole(children=(sql("SELECT 1"), sql("SELECT 2"))), "SELECT 3")),
        step("a", bind("b", fan_out(Hole(), Hole()))),
    ):
        result = compiled(tree)
        assert result.plan is None and result.problems == ()
        with pytest.raises(ValueError, match="faulty"):
            wire.write(tree)
    assert codes(chain(Hole(children=(step("a", "SELECT $x"),)), "SELECT $a")) == ["DF104"]


def test_what_is_faulty_is_not_lowered() -> None:
    for text in ("df.step('a-', 'SELECT 1')", "df.http('http://x', timeout_seconds => 0)", "'' & 'SELECT 1'"):
        [parsed] = parse_file(Source("test", text)).statements
        assert isinstance(parsed, Workflow) and parsed.faulty
        [statement] = compile_file(Source("test", text)).statements
        assert isinstance(statement, CompiledStatement)
        assert statement.wire is None and statement.compiled.plan is None
        with pytest.raises(ValueError, match="faulty"):
            wire.write(parsed.body)


def test_names_that_a_faulty_part_may_give() -> None:
    def found(text: str) -> list[str]:
        return [code for code, _ in problems(text)]

    assert found("df.step('my step', 'SELECT 1') ~> 'SELECT $my_step, $my'") == ["DF113"]
    assert found("df.step('my step', 'SELECT 1') ~> 'SELECT $your_step'") == ["DF113", "DF104"]
    assert found("df.step(NULL, 'SELECT 1') ~> 'SELECT $a'") == ["DF116"]
    assert found("'SELECT $a' ~> df.step(NULL, 'SELECT 1')") == ["DF104", "DF116"]
    assert found("df.step('input', 'SELECT 1') ~> 'SELECT $input'") == ["DF113"]
    assert found("df.step('a b', 'SELECT 1') ~> df.step('a b', 'SELECT 1')") == ["DF113", "DF113"]
    assert found("df.stepp('a', 'SELECT 1') ~> df.step('a', 'SELECT 1')") == ["DF156", "DF105"]
    assert found("df.ass('SELECT 1', 'a') ~> 'SELECT $a, $b'") == ["DF156", "DF104"]
    assert found("df.mapp('SELECT 1', 'SELECT $item')") == ["DF156"]


def test_a_document_still_goes_to_the_server() -> None:
    [statement] = compile_file(Source("test", "SELECT df.start('{}'::jsonb, 'label')")).statements
    assert isinstance(statement, ServerStatement)


@pytest.mark.parametrize("joint", [" || ", " !> "])
def test_long_rows_of_faults(joint: str) -> None:
    found = problems(joint.join(["df.sql('INSERT INTO t VALUES (1)')"] * 5_000))
    assert [code for code, _ in found] == ["DF115" if "||" in joint else "DF164"]


def test_many_conflicts_are_counted() -> None:
    tree = join(*["INSERT INTO t VALUES (1)"] * 10_000)
    lints = compiled(tree).problems
    assert len(lints) == 10 and {p.code for p in lints} == {"DF202"}
    assert [n.message for n in lints[-1].notes if n.span is None] == [
        "and 9,989 more with this table, not shown"
    ]
    assert all(n.span is not None for p in lints[:-1] for n in p.notes)
