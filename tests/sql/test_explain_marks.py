"""Each mark of a drawing is that of the node of the plan that its line is about, in any workflow."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfc.compiler.driver import compile_wire
from dfc.compiler.plan import SqlNode, every_node
from dfc.compiler.plan_json import to_json
from tests.depth import depth
from tests.sql.worker import Connection, claim, connect, register, value


@pytest.fixture
def session(database: str) -> Iterator[Connection]:
    with connect(database) as connection:
        yield connection


class Workflow:
    """The text of a random workflow in which every statement is another one."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.numbers = itertools.count(1)
        self.text = f"('SELECT 0' |=> 'x') ~> {self.part(4)}"

    def part(self, depth: int, *, undo: bool = True) -> str:
        kind = self.random.randrange(20 if depth else 5)
        number = next(self.numbers)
        inner = [self.part(depth - 1, undo=undo) for _ in range(3)] if kind >= 5 else []
        match kind:
            case 0 | 1:
                return f"'SELECT {number}'"
            case 2:
                return f"df.step('s{number}', 'SELECT {number}')"
            case 3:
                return f"df.step('sql_{number}', df.sleep({number}))"
            case 4:
                return f"df.wait_for('SELECT {number}'{self.random.choice(['', ', timeout => 5'])})"
            case 5 | 6 | 7:
                return f"({' ~> '.join(inner)})"
            case 8 | 9:
                return f"df.step('s{number}', {inner[0]} ~> {inner[1]})"
            case 10:
                return f"df.step('a{number}', df.step('b{number}', {inner[0]} ~> {inner[1]}) |=> 'c')"
            case 11:
                return f"df.join({', '.join(inner)})"
            case 12:
                return f"df.parallel(ARRAY[{', '.join(inner)}], on_failure => 'cancel')"
            case 13:
                return f"({inner[0]} | ({inner[1]} | {inner[2]}))"
            case 14:
                return f"df.if({', '.join(inner)})"
            case 15:
                return f"df.if_rows('x', {inner[0]}, {inner[1]})"
            case 16:
                return f"df.loop({inner[0]}, {inner[1]})"
            case 17:
                return f"df.try({', '.join(inner)})"
            case 18:
                return f"df.timeout({inner[0]}, 5, {inner[1]})"
            case _:
                return f"df.map('SELECT 1 AS n', df.retry({inner[0]}, 3))"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=depth(15))
@given(st.integers(0, 2**32))
def test_marks(session: Connection, seed: int) -> None:
    random = Random(seed)
    workflow = Workflow(random)
    session.execute("DELETE FROM df.instances")
    session.execute("DELETE FROM df.plans")
    instance = str(value(session, f"SELECT df.start({workflow.text})"))
    worker = register(session)
    [(_, token, _)] = claim(session, worker)
    expression = str(value(session, "SELECT expression FROM df.instances WHERE id = %s", instance))
    plan = compile_wire(expression).plan
    assert plan is not None, workflow.text
    document = json.dumps(to_json(plan))
    session.execute("SELECT df._store_plan(%s, %s, 1, %s, 'h')", [instance, token, document])
    statements = [node for node in every_node(plan.nodes) if isinstance(node, SqlNode)]
    failed = random.choice(statements)
    record = "SELECT df._record(%s, %s, %s, 'failed', NULL, '{\"message\": \"no\"}', NULL)"
    session.execute(record, [token, instance, failed.id])
    drawn = str(value(session, "SELECT df.explain(%s)", instance)).split("\n")
    marked = [line.rstrip() for line in drawn if line.rstrip().endswith("✗") and "SQL" in line]
    assert len(marked) == 1, workflow.text
    # What is asked for a result's name may stand behind.
    assert f"{failed.body.sql} " in marked[0], (workflow.text, failed.id, marked)
    session.execute("SELECT df._finish(%s, %s, %s)", [token, instance, '{"status": "failed"}'])
