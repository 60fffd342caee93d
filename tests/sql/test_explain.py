"""df.explain: workflows and instances as drawings, the same as compiler/drawing.py makes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from dfc.compiler import wire
from dfc.compiler.ast import Expression
from dfc.compiler.drawing import drawing, padded
from dfc.compiler.driver import compile_wire
from dfc.compiler.parse import parse_expression
from dfc.compiler.plan import Plan, every_node
from dfc.compiler.plan_json import to_json
from dfc.compiler.source import Source
from tests.compiler.front.trees import trees
from tests.postgres import Server
from tests.sql.worker import Connection, checkpoint, claim, connect, register, value


@pytest.fixture
def session(shared_database: str) -> Iterator[Connection]:
    with connect(shared_database) as connection:
        yield connection


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(trees)
def test_both_draw_the_same(session: Connection, tree: Expression) -> None:
    text = wire.write(tree)
    assert value(session, "SELECT df.explain(%s)", text) == padded(drawing(tree))


def drawn() -> list[tuple[str, str]]:
    """Texts of workflows with their drawings."""
    _, *blocks = (Path(__file__).parent / "drawn.txt").read_text().strip("\n").split("\n\n")
    return list(zip(blocks[::2], blocks[1::2], strict=True))


def trimmed(text: object) -> str:
    """A drawing without the blanks behind its lines: all are four longer than the longest."""
    lines = str(text).split("\n")
    assert {len(line) for line in lines} == {max(len(line.rstrip()) for line in lines) + 4}
    return "\n".join([line.rstrip() for line in lines])


@pytest.mark.parametrize(("text", "expected"), drawn())
def test_drawings(session: Connection, text: str, expected: str) -> None:
    assert trimmed(value(session, "SELECT df.explain(%s)", text)) == expected
    built = str(value(session, f"SELECT {text}"))
    assert trimmed(value(session, "SELECT df.explain(%s)", built)) == expected
    assert "\n".join(drawing(wire.decode(built))) == expected
    parsed = parse_expression(Source("test", text))
    assert parsed.tree is not None and "\n".join(drawing(parsed.tree)) == expected


# How what is not wire text is taken.

UNKNOWN = "Cannot explain input: not an expression, instance id, SQL statement, name or text of a workflow."


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("SELECT 1", "SQL: SELECT 1"),
        (" with x as (select 1) select 2 ", "SQL: with x as (select 1) select 2"),
        ("SELECT a @> b FROM t", "SQL: SELECT a @> b FROM t"),
        ("VACUUM", "SQL: VACUUM"),
        ("'SELECT 1'", "SQL: SELECT 1"),
        ("df.sql('CHECKPOINT') -- a note", "SQL: CHECKPOINT"),
        ("select df.start(df.break('x'), label => 'l');", "BREAK 'x'"),
        ("'SELECT 1' & 'x'", 'Failed to evaluate expression: the text "x" is one word, not a step'),
        ("df.nope(1)", "Failed to evaluate expression: function df.nope(integer) does not exist"),
        ("df.getvar('none')", "Expression returned NULL"),
        (
            "a few words",
            UNKNOWN,
        ),
        (
            "",
            UNKNOWN,
        ),
        ("/*dfc:1:2*/{}x", "Cannot explain input: text was joined to an expression"),
        ("/*dfc:1:1*/x", "Cannot explain input: invalid input syntax for type json"),
        (
            '/*dfc:1:10*/{"nope":1}',
            "Cannot explain input: it has a node that no df function makes, or more than 256 levels.",
        ),
        (
            '/*dfc:1:12*/{"chain":[]}',
            "Cannot explain input: it has a node that no df function makes, or more than 256 levels.",
        ),
        ("deadbeef", "Instance 'deadbeef' not found"),
        ("01923456-7890-7abc-8def-0123456789ab", "Instance '01923456-7890-7abc-8def-0123456789ab' not found"),
    ],
)
def test_inputs(session: Connection, text: str, drawn: str) -> None:
    assert str(value(session, "SELECT df.explain(%s)", text)).split("\n")[0].rstrip() == drawn


def test_definitions(session: Connection) -> None:
    with session.transaction(force_rollback=True):
        session.execute(
            "SELECT df.define('nightly', 'SELECT 1' ~> 'SELECT $input.day', params => '{\"day\": \"date\"}')"
        )
        drawn = "SQL: SELECT 1\n→ SQL: SELECT $input.day"
        assert trimmed(value(session, "SELECT df.explain('nightly')")) == drawn
        text = "df.define('other', 'SELECT 1' ~> 'SELECT $input.day')"
        assert trimmed(value(session, "SELECT df.explain(%s)", text)) == drawn
        assert value(session, "SELECT count(*) FROM df.definitions") == 1


def test_a_text_leaves_nothing_behind(session: Connection) -> None:
    drawn = value(session, "SELECT df.explain($$ df.start('SELECT 1' ~> 'SELECT 2') $$)")
    assert trimmed(drawn) == "SQL: SELECT 1\n→ SQL: SELECT 2"
    value(session, "SELECT df.explain($$ df.setvar('x', '1') $$)")
    assert value(session, "SELECT count(*) FROM df.instances") == 0
    assert value(session, "SELECT count(*) FROM df.vars") == 0


def test_long_and_deep(session: Connection) -> None:
    chain = str(
        value(session, "SELECT df.seq(VARIADIC array_agg('SELECT ' || n)) FROM generate_series(1, 10000) n")
    )
    session.execute("SET statement_timeout = '20s'")
    assert str(value(session, "SELECT df.explain(%s)", chain)).count("\n") == 9999
    for levels in (255, 2000, 20_000):
        body = '{"loop":' * levels + '{"sql":"SELECT 1"}' + "}" * levels
        drawn = value(session, "SELECT df.explain(%s)", f"/*dfc:1:{len(body)}*/{body}")
        if levels == 255:
            assert str(drawn).count("\n") == 2 * levels
        else:
            assert str(drawn).startswith("Cannot explain input: ")
    session.execute("RESET statement_timeout")


# Instances.

LIVE = """df.step('load', 'SELECT 1') |=> 'x'
~> (df.step('wait', 'SELECT 2' ~> 'SELECT 3') & ('SELECT 4' | ('SELECT 5' | df.step('slow', 'SELECT 6'))))
~> df.if_rows('x', df.step('sql_9', 'SELECT 7'), 'SELECT 8') ~> 'SELECT 9'"""


def plan_of(expression: str) -> Plan:
    plan = compile_wire(expression).plan
    assert plan is not None
    return plan


@pytest.fixture
def own(database: str) -> Iterator[Connection]:
    with connect(database) as connection:
        yield connection


def begun(session: Connection, workflow: str, label: str | None = None) -> tuple[str, bytes]:
    """An instance that a worker has taken, with its plan."""
    instance = str(value(session, f"SELECT df.start({workflow}, %s)", label))
    [(_, token, _)] = claim(session, register(session))
    expression = str(value(session, "SELECT expression FROM df.instances WHERE id = %s", instance))
    plan = json.dumps(to_json(plan_of(expression)))
    session.execute("SELECT df._store_plan(%s, %s, 1, %s, 'h')", [instance, token, plan])
    return instance, token


def test_an_instance(own: Connection) -> None:
    instance, token = begun(own, LIVE, "the label")

    def shown() -> str:
        return trimmed(value(own, "SELECT df.explain(%s)", instance))

    assert (
        shown()
        == f"""Instance: {instance} (the label)
Status:   ⏳ Running

SQL load: SELECT 1 |=> 'x' ⏳
→ JOIN (2) ○
    ║ branch 1:
      ├─STEP wait ○
          ▸ body:
            └─SQL: SELECT 2 ○
            → SQL: SELECT 3 ○
    ║ branch 2:
      └─RACE (3) ○
          ║ branch 1:
            ├─SQL: SELECT 4 ○
          ║ branch 2:
            ├─SQL: SELECT 5 ○
          ║ branch 3:
            └─SQL slow: SELECT 6 ○
→ IF ○
    ? condition:
      └─ROWS $x ○
    ✓ then:
      └─SQL sql_9: SELECT 7 ○
    ✗ else:
      └─SQL: SELECT 8 ○
→ SQL: SELECT 9 ○"""
    )
    ids = [
        node.id for node in every_node(plan_of(str(value(own, "SELECT expression FROM df.instances"))).nodes)
    ]
    assert ids == ["load", "sql_2", "wait", "race_7", "sql_4", "sql_5", "slow", "join_8", "if_12", "value_9", "sql_9", "sql_11", "sql_13"]  # fmt: skip # noqa: E501
    for path in ("load", "sql_2", "wait", "sql_5", "race_7"):
        checkpoint(own, token, instance, path)
    failure = '{"message": "division by zero", "sqlstate": "22012"}'
    own.execute("SELECT df._record(%s, %s, 'sql_9', 'failed', NULL, %s, NULL)", [token, instance, failure])
    marks = [line[-1] for line in shown().split("\n")[3:] if not line.endswith(":")]
    assert "".join(marks) == "✓✓✓✓✓✓⊘✓⊘⏳✓✗○○"
    finish = json.dumps({"status": "failed", "error": json.loads(failure)})
    own.execute("SELECT df._finish(%s, %s, %s)", [token, instance, finish])
    lines = shown().split("\n")
    assert lines[1:4] == ["Status:   ✗ Failed", "Output:   division by zero", ""]
    marks = [line[-1] for line in lines[4:] if not line.endswith(":")]
    assert "".join(marks) == "✓✓✓✓✓✓⊘✓⊘✗✓✗⊘⊘"


def test_a_query_that_is_asked_for_a_limited_time(own: Connection) -> None:
    """There are three nodes of it in the plan: the numbers of those behind it show whether they count."""
    instance, token = begun(own, "df.wait_for('SELECT false', timeout => 5) ~> 'SELECT 1' ~> 'SELECT 2'")
    record = "SELECT df._record(%s, %s, %s, 'completed', '1', NULL, NULL)"
    for node in ("wait_for_4", "sql_5"):
        own.execute(record, [token, instance, node])
    shown = trimmed(value(own, "SELECT df.explain(%s)", instance)).split("\n")
    assert shown[3:] == [
        "WAIT_FOR (every 10s, at most 5s) ✓",
        "    ? until:",
        "      └─SQL: SELECT false ⊘",
        "→ SQL: SELECT 1 ✓",
        "→ SQL: SELECT 2 ⏳",
    ]


def test_short_ids(own: Connection) -> None:
    first = str(value(own, "SELECT df.start('SELECT 1')"))
    assert trimmed(value(own, "SELECT df.explain(left(%s, 8))", first)) == (
        f"Instance: {first}\nStatus:   ○ Pending\n\nSQL: SELECT 1 ○"
    )
    own.execute("SELECT df.start('SELECT 2')")
    said = str(value(own, "SELECT df.explain(left(%s, 8))", first))
    assert said.startswith(f"Instance '{first[:8]}' not found") and "2 ids begin so" in said
    assert str(value(own, "SELECT df.explain(%s)", first)).startswith(f"Instance: {first}")


def test_an_outcome_is_cut(own: Connection) -> None:
    instance, token = begun(own, "df.sql('SELECT 1')")
    finish = json.dumps({"status": "completed", "shape": {"value": "é" * 70}}, ensure_ascii=False)
    own.execute("SELECT df._finish(%s, %s, %s)", [token, instance, finish])
    lines = trimmed(value(own, "SELECT df.explain(%s)", instance)).split("\n")
    assert lines[1:3] == ["Status:   ✓ Completed", 'Output:   "' + "é" * 56 + "..."]


def test_others_are_not_shown(server: Server, own: Connection, roles: Callable[..., str]) -> None:
    anna = roles("anna")
    own.execute("SELECT df.grant_usage(%s)", [anna])
    theirs = str(value(own, "SELECT df.start('SELECT 1')"))
    with connect(server.url(own.info.dbname, anna)) as hers:
        assert value(hers, "SELECT df.explain(%s)", theirs) == f"Instance '{theirs}' not found"
        mine = str(value(hers, "SELECT df.start('SELECT 1')"))
        assert "Pending" in str(value(hers, "SELECT df.explain(%s)", mine))
        assert trimmed(value(hers, "SELECT df.explain($$'SELECT 1' ~> 'SELECT 2'$$)")).count("\n") == 1
