"""The view df.nodes: one row a node, and how it stands."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from dfc.compiler.plan import Form, HttpNode, JoinNode, Plan, Request, Returns, SqlBody, SqlNode
from dfc.compiler.plan_json import to_json
from tests.sql.worker import Connection, checkpoint, claim, connect, register, submit


@pytest.fixture
def session(database: str) -> Iterator[Connection]:
    with connect(database) as connection:
        yield connection


def body(sql: str) -> SqlBody:
    return SqlBody(sql=sql, kind="select", form=Form.WITH, returns=Returns.ROWS)


PLAN = Plan(
    nodes=(
        SqlNode(id="load", after=(), body=body("SELECT 1"), bindings=("x",)),
        SqlNode(id="left", after=("load",), body=body("SELECT 2")),
        HttpNode(
            id="right",
            after=("load",),
            request=Request(url="http://x", method="GET", body=None, headers=(), timeout_seconds=3),
        ),
        JoinNode(id="join1", after=("left", "right")),
        SqlNode(id="last", after=("join1",), body=body("SELECT 3")),
    ),
    result="last",
)


def test_states(session: Connection) -> None:
    def states() -> str:
        rows = session.execute("SELECT status FROM df.nodes ORDER BY number").fetchall()
        return " ".join(str(status) for (status,) in rows)

    instance = submit(session)
    assert states() == ""
    [(_, token, _)] = claim(session, register(session))
    session.execute("SELECT df._store_plan(%s, %s, 1, %s, 'h')", [instance, token, json.dumps(to_json(PLAN))])
    assert states() == "running pending pending pending pending"
    checkpoint(session, token, instance, "load")
    assert states() == "completed running running pending pending"
    checkpoint(session, token, instance, "left")
    assert states() == "completed completed running pending pending"
    record = "SELECT df._record(%s, %s, 'right/response', %s, %s, %s, NULL)"
    session.execute(record, [token, instance, "completed", '{"status": 200}', None])
    assert states() == "completed completed completed completed running"
    row = session.execute(
        "SELECT node_type, query, result_name, left_node, right_node, result, error FROM df.nodes"
        " ORDER BY number"
    ).fetchall()
    assert row[0] == ("SQL", "SELECT 1", "x", None, None, {"rows": [{"answer": 42}], "row_count": 1}, None)
    assert (row[2][0], row[2][5]) == ("HTTP", {"status": 200})
    assert row[3] == ("JOIN", None, None, "left", "right", None, None)
    failure = '{"message": "division by zero", "sqlstate": "22012"}'
    session.execute("SELECT df._record(%s, %s, 'last', 'failed', NULL, %s, NULL)", [token, instance, failure])
    row = session.execute("SELECT status, error FROM df.nodes WHERE id = 'last'").fetchall()
    assert row == [("failed", "division by zero")]
