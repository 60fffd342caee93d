"""What stands behind the nodes of a drawing."""

from __future__ import annotations

from dfc.cli.marks import marks
from dfc.compiler.driver import CompiledStatement, compile_file
from dfc.compiler.plan import Plan
from dfc.compiler.plan_print import plan_text
from dfc.compiler.source import Source


def plan_of(text: str) -> Plan:
    [statement] = compile_file(Source("test", text)).statements
    assert isinstance(statement, CompiledStatement) and statement.compiled.plan is not None
    return statement.compiled.plan


def drawn(plan: Plan, *paths: str, failed: tuple[str, ...] = ()) -> list[str]:
    """The marks of the nodes that have one, as `id mark`, when these checkpoints are there."""
    steps = {path: {"kind": "failed" if path in failed else "completed"} for path in (*paths, *failed)}
    mark = marks(plan, steps, is_running=True)
    text = plan_text(plan, lambda node: f"#{node.id} {mark(node)}" if mark(node) else "")
    return [line.partition("#")[2] for line in text.split("\n") if "#" in line]


def test_a_group() -> None:
    plan = plan_of(
        "df.step('a', 'SELECT 1') ~> (df.step('b', 'SELECT 2') & df.step('c', 'SELECT 3')) ~> 'SELECT 4';"
    )
    assert drawn(plan) == ["a …"]
    assert drawn(plan, "a") == ["a ✓", "b …", "c …"]
    assert drawn(plan, "a", "b", failed=("c",)) == ["a ✓", "b ✓", "c ✗"]
    assert drawn(plan, "a", "b", "c") == ["a ✓", "b ✓", "c ✓", "sql_5 …"]


def test_structures() -> None:
    plan = plan_of("""
        df.step('poll', @> (df.step('f', 'SELECT 1') ~> ('$f' ?> df.step('w', 'SELECT 2') !> df.break())))
        ~> df.step('m', df.map('SELECT 1', df.step('i', 'SELECT $item')))
        ~> df.try(df.step('t', 'SELECT 1'), df.step('c', 'SELECT 2'))
        ~> df.step('h', df.http('https://example.org'));""")
    assert drawn(plan) == ["f …"]
    assert drawn(plan, "poll[1]/f") == ["f ✓"]
    assert drawn(plan, "poll[1]/f", "poll[1]/w", "poll[2]/f") == ["f ✓", "w ✓"]
    assert drawn(plan, "poll[3]/f", "m/items") == ["f ✓", "i …"]
    assert drawn(plan, "poll[3]/f", "m/items", "m[7]/i") == ["f ✓", "i ✓"]
    assert drawn(plan, "poll[3]/f", "m") == ["f ✓", "m ✓", "t …"]
    assert drawn(plan, "m", "c", failed=("t",)) == ["m ✓", "t ✗", "c ✓"]
    assert drawn(plan, "m", "t", "h/response") == ["m ✓", "t ✓", "h ✓"]
