"""The view df.nodes: one row a node, and how it stands."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator

import pytest

from dfc.compiler.plan import (
    INPUT,
    ArmsMode,
    ArmsNode,
    Block,
    BreakNode,
    CallNode,
    ConstantNode,
    Duration,
    Form,
    HttpNode,
    IfNode,
    InstanceNode,
    JoinNode,
    LoopNode,
    MapNode,
    Node,
    Parameter,
    Plan,
    Request,
    Returns,
    ScheduleNode,
    SignalNode,
    SleepNode,
    SqlBody,
    SqlNode,
    TimeoutNode,
    TryNode,
    UntilNode,
    Use,
    ValueNode,
)
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
    assert states() == "completed running running running pending"
    checkpoint(session, token, instance, "left")
    assert states() == "completed completed running running pending"
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
    row = session.execute("SELECT status, error, result FROM df.nodes WHERE id = 'last'").fetchall()
    assert row == [("failed", "division by zero", "division by zero")]


def step(id: str, *after: str) -> SqlNode:
    return SqlNode(id=id, after=after, body=body(f"SELECT '{id}'"))


def block(*nodes: Node) -> Block:
    return Block(nodes=nodes, result=nodes[-1].id)


VALUE = Parameter(name="input", source=INPUT, use=Use.VALUE, start=0, end=6)
STRUCTURED = Plan(
    nodes=(
        LoopNode(
            id="poll",
            after=(),
            body=block(
                step("fetch"),
                IfNode(
                    id="more",
                    after=("fetch",),
                    condition=block(ValueNode(id="ok", after=(), parameter=VALUE)),
                    then=block(step("work")),
                    otherwise=block(BreakNode(id="stop", after=(), loop="poll", value="5")),
                ),
            ),
        ),
        ArmsNode(
            id="either",
            after=("poll",),
            arms=(block(step("one")), block(step("two"), step("three", "two"))),
            mode=ArmsMode.RACE,
        ),
        MapNode(id="docs", after=("either",), items=VALUE, body=block(step("embed"))),
        TryNode(id="try", after=("docs",), body=block(step("risky")), catch=block(step("amends"))),
    ),
    result="try",
)


def test_nodes_of_blocks(session: Connection) -> None:
    def states(*ids: str) -> str:
        rows = session.execute(
            "SELECT id, status FROM df.nodes WHERE instance_id = %s", [instance]
        ).fetchall()
        known = {str(id): str(status) for id, status in rows}
        return " ".join(known[id][0] for id in ids)

    instance = submit(session)
    [(_, token, _)] = claim(session, register(session))
    plan = json.dumps(to_json(STRUCTURED))
    session.execute("SELECT df._store_plan(%s, %s, 1, %s, 'h')", [instance, token, plan])
    rows = session.execute(
        "SELECT id, node_type, parent, part, left_node, right_node, query FROM df.nodes ORDER BY number"
    ).fetchall()
    assert rows == [
        ("poll", "LOOP", None, None, "more", None, None),
        ("fetch", "SQL", "poll", "body", None, None, "SELECT 'fetch'"),
        ("more", "IF", "poll", "body", "work", "stop", '{"condition_node": "ok"}'),
        ("ok", "VALUE", "more", "condition", None, None, "$input"),
        ("work", "SQL", "more", "then", None, None, "SELECT 'work'"),
        ("stop", "BREAK", "more", "else", None, None, '{"break_value": "5"}'),
        ("either", "RACE", None, None, "one", "three", None),
        ("one", "SQL", "either", "branch 1", None, None, "SELECT 'one'"),
        ("two", "SQL", "either", "branch 2", None, None, "SELECT 'two'"),
        ("three", "SQL", "either", "branch 2", "two", None, "SELECT 'three'"),
        ("docs", "MAP", None, None, "embed", None, "$input"),
        ("embed", "SQL", "docs", "body", None, None, "SELECT 'embed'"),
        ("try", "TRY", None, None, "risky", "amends", None),
        ("risky", "SQL", "try", "body", None, None, "SELECT 'risky'"),
        ("amends", "SQL", "try", "catch", None, None, "SELECT 'amends'"),
    ]
    assert states("poll", "fetch", "more", "either", "one") == "r r p p p"
    checkpoint(session, token, instance, "poll[1]/fetch", cells=["1"])
    assert states("poll", "fetch", "more", "ok", "work", "stop") == "r c r r p p"
    checkpoint(session, token, instance, "poll[1]/work")
    checkpoint(session, token, instance, "poll[2]/fetch", cells=["2"])
    assert states("poll", "fetch", "more", "ok", "work", "stop") == "r c c c c p"
    shown = session.execute(
        "SELECT status_details ->> 'path', result #>> '{rows,0,answer}' FROM df.nodes WHERE id = 'fetch'"
    ).fetchall()
    assert shown == [("poll[2]/fetch", "2")]
    checkpoint(session, token, instance, "two")
    assert states("poll", "either", "one", "two", "three", "docs") == "c r r c r p"
    checkpoint(session, token, instance, "docs[1]/embed")
    assert states("either", "docs", "embed", "try") == "c r c p"
    checkpoint(session, token, instance, "docs")
    assert states("docs", "try", "risky", "amends") == "c r r p"
    failure = '{"message": "no", "sqlstate": "22012"}'
    session.execute(
        "SELECT df._record(%s, %s, 'risky', 'failed', NULL, %s, NULL)", [token, instance, failure]
    )
    assert states("docs", "try", "risky", "amends") == "c r f p"
    # What stands in something that has come to its end without it.
    assert states("either", "one", "stop") == "c s s"
    checkpoint(session, token, instance, "amends")
    assert states("docs", "try", "risky", "amends") == "c c f c"
    end = '{"status": "completed", "shape": "amends"}'
    session.execute("SELECT df._finish(%s, %s, %s)", [token, instance, end])
    assert states("poll", "either", "docs", "try") == "c c c c"


MINUTE = Duration(microseconds=60_000_000)
WAITS = Plan(
    nodes=(
        SleepNode(id="sleep", after=(), duration=Duration(days=1, microseconds=1_500_000)),
        SleepNode(id="nap", after=("sleep",), duration=body("SELECT '1 s'::interval")),
        UntilNode(id="until", after=("nap",), at="2030-01-31 12:00"),
        ScheduleNode(id="tick", after=("until",), cron="*/5 * * * *", time_zone="Europe/Vienna"),
        SignalNode(id="go", after=("tick",), name="go", timeout=MINUTE),
        SignalNode(id="stop", after=("go",), name="stop"),
        CallNode(id="call", after=("stop",), workflow="child", input='{"a": 1}'),
        InstanceNode(id="other", after=("call",), instance="0190", timeout=MINUTE),
        TimeoutNode(
            id="ready",
            after=("other",),
            duration=MINUTE,
            body=block(LoopNode(id="ready_polls", after=(), body=block(step("ask")), every=MINUTE)),
            otherwise=block(ConstantNode(id="late", after=(), value='{"timed_out": true}')),
        ),
        ArmsNode(
            id="three",
            after=("ready",),
            arms=(block(step("first")), block(step("second")), block(step("third"))),
            mode=ArmsMode.RACE,
        ),
        HttpNode(
            id="post",
            after=("three",),
            request=Request(
                url="http://x", method="POST", body="b", headers=(("A", "1"),), timeout_seconds=3
            ),
        ),
    ),
    result="post",
)


def test_nodes_of_what_waits(session: Connection) -> None:
    instance, token, states = begun(session, WAITS)
    rows = session.execute(
        "SELECT id, node_type, query FROM df.nodes WHERE parent IS NULL OR id IN ('ready_polls', 'late')"
        " ORDER BY number"
    ).fetchall()
    assert rows == [
        ("sleep", "SLEEP", "86401.5"),
        ("nap", "SLEEP", "SELECT '1 s'::interval"),
        ("until", "WAIT_UNTIL", "2030-01-31 12:00"),
        ("tick", "WAIT_SCHEDULE", '{"cron_expr": "*/5 * * * *", "time_zone": "Europe/Vienna"}'),
        ("go", "SIGNAL", '{"signal_name": "go", "timeout_seconds": 60}'),
        ("stop", "SIGNAL", '{"signal_name": "stop", "timeout_seconds": null}'),
        ("call", "CALL", '{"input": {"a": 1}, "workflow": "child"}'),
        ("other", "WAIT_INSTANCE", '{"instance_id": "0190", "timeout_seconds": 60}'),
        ("ready", "TIMEOUT", '{"timeout_seconds": 60}'),
        ("ready_polls", "WAIT_FOR", '{"every_seconds": 60}'),
        ("late", "CONSTANT", '{"timed_out": true}'),
        ("three", "RACE", '{"extra_nodes": ["third"]}'),
        (
            "post",
            "HTTP",
            '{"url": "http://x", "body": "b", "method": "POST", "headers": {"A": "1"}, "timeout_seconds": 3}',
        ),
    ]
    assert states("sleep", "nap", "ready") == "running pending pending"
    record = "SELECT df._record(%s, %s, %s, 'completed', %s, NULL, NULL)"
    for path in ("sleep", "nap", "until", "tick", "go", "stop", "call", "other"):
        session.execute(record, [token, instance, path, '{"slept": true}'])
    # What it waits for was computed; it has not come.
    session.execute(record, [token, instance, "nap/request", "1"])
    assert states("sleep", "nap", "other", "ready", "ready_polls", "ask", "late") == (
        "completed completed completed running running running pending"
    )
    decision = "SELECT df._record_decision(%s, %s, 'ready/decision', %s)"
    session.execute(decision, [token, instance, '{"timed_out": true}'])
    assert states("ready", "late", "three") == "completed completed running"


def test_many_nodes(session: Connection) -> None:
    instance = submit(session)
    [(_, token, _)] = claim(session, register(session))
    nodes: list[Node] = [step("s0")]
    for number in range(1, 3_000):
        nodes.append(step(f"s{number}", nodes[-1].id))
    plan = json.dumps(to_json(Plan(nodes=tuple(nodes), result="s2999")))
    session.execute("SELECT df._store_plan(%s, %s, 1, %s, 'h')", [instance, token, plan])
    for number in range(5):
        checkpoint(session, token, instance, f"s{number}")
    rows = session.execute("SELECT status, count(*) FROM df.nodes GROUP BY status ORDER BY status").fetchall()
    assert rows == [("completed", 5), ("pending", 2_994), ("running", 1)]


def test_many_blocks_take_no_longer_than_they_are_many(session: Connection) -> None:
    def seconds(copies: int) -> float:
        text = json.dumps(to_json(STRUCTURED))
        for node in re.findall(r'"id": "(\w+)"', text):
            text = text.replace(f'"{node}"', f'"{node}_#"')
        plan = json.loads(text)
        nodes = json.dumps(plan["nodes"])
        plan["nodes"] = [
            node for number in range(copies) for node in json.loads(nodes.replace("_#", f"_{number}"))
        ]
        look = "SELECT count(*) FROM df._plan_nodes('nobody', %s, 'running')"
        best = float("inf")
        for _ in range(2):
            began = time.perf_counter()
            row = session.execute(look, [json.dumps(plan)]).fetchone()
            best = min(best, time.perf_counter() - began)
            assert row == (15 * copies,)
        return best

    assert seconds(40) < 20 * seconds(1)


def begun(session: Connection, plan: Plan) -> tuple[str, bytes, Callable[..., str]]:
    """A claimed instance with this plan; how its nodes stand."""
    # One expression has one plan.
    wire = json.dumps({"sql": f"SELECT '{plan.result}'"}, separators=(",", ":"))
    instance = submit(session, f"/*dfc:1:{len(wire)}*/{wire}")
    [(_, token, _)] = claim(session, register(session))
    text = json.dumps(to_json(plan))
    session.execute("SELECT df._store_plan(%s, %s, 1, %s, 'h')", [instance, token, text])

    def states(*ids: str) -> str:
        rows = session.execute("SELECT id, status FROM df.nodes WHERE instance_id = %s", [instance])
        known = {str(id): str(status) for id, status in rows.fetchall()}
        return " ".join(known[id] for id in ids)

    return instance, token, states


END = "SELECT df._finish(%s, %s, %s)"


def test_nodes_of_what_was_cancelled(session: Connection) -> None:
    instance, token, states = begun(session, PLAN)
    checkpoint(session, token, instance, "load")
    checkpoint(session, token, instance, "left")
    session.execute(END, [token, instance, '{"status": "cancelled", "reason": "enough"}'])
    assert states("load", "left", "right", "join1", "last") == (
        "completed completed cancelled cancelled skipped"
    )
    # Cancelled inside of a loop, in its second round.
    instance, token, states = begun(session, STRUCTURED)
    checkpoint(session, token, instance, "poll[1]/fetch")
    checkpoint(session, token, instance, "poll[1]/work")
    session.execute(END, [token, instance, '{"status": "cancelled"}'])
    assert states("poll", "fetch", "stop", "either", "one") == "cancelled completed skipped skipped skipped"


def test_nodes_of_what_failed_and_of_what_was_not_needed(session: Connection) -> None:
    instance, token, states = begun(session, PLAN)
    failure = '{"message": "no", "sqlstate": "22012"}'
    end = json.dumps({"status": "failed", "error": json.loads(failure)})
    session.execute(RECORD, [token, instance, "load", "failed", None, failure, end])
    assert states("load", "left", "right", "join1", "last") == "failed skipped skipped skipped skipped"
    # The arm that lost was stopped; a catch, a branch and the body of a map over nothing never ran.
    instance, token, states = begun(session, STRUCTURED)
    for path in ("poll[1]/fetch", "two", "three", "docs", "risky"):
        checkpoint(session, token, instance, path)
    session.execute(END, [token, instance, '{"status": "completed", "shape": "risky"}'])
    assert states("either", "one", "three") == "completed cancelled completed"
    assert states("work", "embed", "risky", "amends") == "skipped skipped completed skipped"


def test_nodes_as_pg_durable_shows_them(session: Connection) -> None:
    instance, token, _ = begun(session, STRUCTURED)
    for path in ("poll[1]/fetch", "two", "three", "docs"):
        checkpoint(session, token, instance, path)
    failure = '{"message": "no", "sqlstate": "22012"}'
    session.execute(RECORD, [token, instance, "risky", "failed", None, failure, None])
    session.execute(END, [token, instance, '{"status": "cancelled"}'])
    query = (
        "SELECT node_id, status, inferred_status, inferred_status_from_ancestor_id, result,"
        " status_details::jsonb ->> 'path' FROM df.instance_nodes(%s)"
    )
    rows = {str(row[0]): row[1:] for row in session.execute(query, [instance]).fetchall()}
    assert list(rows)[:3] == ["poll", "fetch", "more"]
    done = '{"rows": [{"answer": 42}], "row_count": 1}'
    assert rows["three"] == ("completed", "completed", None, done, "three")
    assert rows["risky"] == ("failed", "failed", None, '"no"', "risky")
    assert rows["amends"] == ("pending", "skipped", "try", None, None)
    assert rows["one"] == ("running", "skipped", "either", None, None)
    assert rows["work"] == ("pending", "skipped", "more", None, None)
    query = "SELECT execution_id, node_id, status FROM df.instance_nodes(%s, 5) LIMIT 1"
    assert session.execute(query, [instance]).fetchall() == [(1, "poll", "completed")]


RECORD = "SELECT df._record(%s, %s, %s, %s, %s, %s, %s)"
ATTEMPT = "SELECT df._record_attempt(%s, %s, %s, 2, 0, 60, %s)"
ATTEMPTS = "SELECT status, attempts, last_error ->> 'message', next_attempt_at > now() FROM df."


def test_attempts_of_what_has_come_to_its_end(session: Connection) -> None:
    """Who looks sees that a step was tried again; only one that waits looks like one that waits."""

    def shown(path: str) -> tuple[object, object]:
        id = path.split("/")[0]
        return (
            session.execute(ATTEMPTS.encode() + b"attempts WHERE path = %s", [path]).fetchone(),
            session.execute(ATTEMPTS.encode() + b"nodes WHERE id = %s", [id]).fetchone(),
        )

    instance, token, _ = begun(session, PLAN)
    error = '{"message": "again", "sqlstate": "40001"}'
    session.execute(ATTEMPT, [token, instance, "load", error])
    waiting = (2, "again", True)
    assert shown("load") == (("waiting", *waiting), ("running", *waiting))
    checkpoint(session, token, instance, "load")
    done = ("completed", 2, "again", None)
    assert shown("load") == (done, done)
    for path in ("left", "right/response"):
        session.execute(ATTEMPT, [token, instance, path, error])
    session.execute(RECORD, [token, instance, "left", "failed", None, error, None])
    failed = ("failed", 2, "again", None)
    assert shown("left") == (failed, failed)
    assert shown("right/response") == (("waiting", *waiting), ("running", *waiting))
    session.execute(END, [token, instance, '{"status": "cancelled"}'])
    assert shown("right/response") == (("stopped", 2, "again", None), ("cancelled", 2, "again", None))
    assert session.execute(ATTEMPTS.encode() + b"nodes WHERE id = 'last'").fetchone() == (
        "skipped",
        None,
        None,
        None,
    )


def test_attempts_in_rounds(session: Connection) -> None:
    """The last round has its record; one that waits counts more than the record of the round before."""
    instance, token, _ = begun(session, STRUCTURED)
    error = '{"message": "again", "sqlstate": "40001"}'
    look = "SELECT attempts FROM df.nodes WHERE id = 'fetch'"
    session.execute(ATTEMPT, [token, instance, "poll[1]/fetch", error])
    checkpoint(session, token, instance, "poll[1]/fetch")
    assert session.execute(look).fetchone() == (2,)
    checkpoint(session, token, instance, "poll[2]/fetch")
    assert session.execute(look).fetchone() == (None,)
    session.execute(ATTEMPT, [token, instance, "poll[3]/fetch", error])
    assert session.execute(look).fetchone() == (2,)


def test_looking_at_nodes_is_not_compiled(session: Connection) -> None:
    """Where a server has JIT, a plan that is estimated above `jit_above_cost` takes seconds to compile."""
    instance, _, _ = begun(session, STRUCTURED)
    look = "EXPLAIN (FORMAT JSON) SELECT * FROM df.nodes WHERE instance_id = %s"
    [[plan]] = session.execute(look, [instance]).fetchall()
    [[limit]] = session.execute("SELECT current_setting('jit_above_cost')::float8").fetchall()
    assert isinstance(plan, list) and isinstance(limit, float)
    assert plan[0]["Plan"]["Total Cost"] < limit
