"""Looking at instances: df.list_instances and its kin, and the whole API as pg_durable has it (api.txt)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.depth import depth
from tests.postgres import Server
from tests.sql.worker import Connection, claim, connect, refusal, register, value

OPERATORS = ("as_op", "if_then_op", "if_else_op", "loop_prefix_op")
"""Functions behind operators: nobody names their arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    name: str
    type: str
    default: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    name: str
    arguments: tuple[Argument, ...]
    result: str


def arguments(written: str, separator: str) -> tuple[Argument, ...]:
    found: list[Argument] = []
    for part in re.split(r", (?=\w+ )", written) if written else []:
        declared, _, default = part.removeprefix("VARIADIC ").partition(separator)
        name, _, type = declared.partition(" ")
        given = re.sub(r"::[a-z ]+$", "", default.strip()) or None
        found.append(Argument(name=name.strip('"'), type=type, default=given))
    return tuple(found)


def wanted() -> list[Signature]:
    text = (Path(__file__).parent / "api.txt").read_text()
    found: list[Signature] = []
    for line in text.splitlines():
        if not line.startswith("#"):
            call, _, result = line.partition(" -> ")
            name, _, rest = call.partition("(")
            found.append(
                Signature(name=name, arguments=arguments(rest.removesuffix(")"), " = "), result=result)
            )
    return found


@pytest.fixture
def session(database: str) -> Iterator[Connection]:
    with connect(database) as connection:
        yield connection


def meets(ours: Signature, theirs: Signature) -> bool:
    """Whether a call of theirs is a call of ours, with the same meaning of each argument."""
    if ours.result != theirs.result or len(ours.arguments) < len(theirs.arguments):
        return False
    for mine, their in zip(ours.arguments, theirs.arguments, strict=False):
        given = their.type.split("|")[-1]
        named = mine.name == their.name or theirs.name in OPERATORS
        if not named or mine.type != given or (their.default != mine.default and their.default is not None):
            return False
    return all(more.default is not None for more in ours.arguments[len(theirs.arguments) :])


def test_every_function_of_pg_durable_is_there(session: Connection) -> None:
    rows = session.execute(
        "SELECT p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid)"
        " FROM pg_proc p WHERE p.pronamespace = 'df'::regnamespace AND p.prokind = 'f'"
    ).fetchall()
    ours = [
        Signature(name=str(name), arguments=arguments(str(taken), " DEFAULT "), result=str(result))
        for name, taken, result in rows
    ]
    missing = [
        theirs
        for theirs in wanted()
        if not any(each.name == theirs.name and meets(each, theirs) for each in ours)
    ]
    assert missing == []


BASIC = ["instance_id", "label", "function_name", "status", "execution_count", "output"]


def start(session: Connection, workflow: str = "SELECT 42", label: str | None = None) -> str:
    return str(value(session, "SELECT df.start(%s, %s)", workflow, label))


def finish(session: Connection, worker: int, outcome: Mapping[str, object]) -> str:
    """Claims what is pending and ends it."""
    [(instance, token, _)] = claim(session, worker)
    session.execute("SELECT df._finish(%s, %s, %s)", [token, instance, json.dumps(outcome)])
    return instance


def rows(session: Connection, query: str, *parameters: object) -> list[dict[str, object]]:
    cursor = session.execute(query.encode(), parameters or None)
    assert cursor.description is not None
    names = [column.name for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


COMPLETED = {"status": "completed", "shape": {"value": {"a b": ["x  y", 1, None]}}}
FAILED = {"status": "failed", "error": {"message": "division by zero", "sqlstate": "22012"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Some:
    """One instance of each kind."""

    completed: str
    failed: str
    compensated: str
    cancelled: str
    asked: str
    running: str
    pending: str


@pytest.fixture
def some(session: Connection) -> Some:
    worker = register(session)
    ended: list[str] = []
    for outcome in (COMPLETED, FAILED, {**FAILED, "status": "compensated"}, {"status": "cancelled"}):
        start(session, label=str(outcome["status"]))
        ended.append(finish(session, worker, outcome))
    asked = start(session)
    claim(session, worker)
    session.execute("SELECT df.cancel(%s)", [asked])
    running = start(session)
    claim(session, worker)
    return Some(
        completed=ended[0],
        failed=ended[1],
        compensated=ended[2],
        cancelled=ended[3],
        asked=asked,
        running=running,
        pending=start(session),
    )


def test_list(session: Connection, some: Some) -> None:
    found = rows(session, "SELECT * FROM df.list_instances()")
    assert list(found[0]) == BASIC
    assert [(row["instance_id"], row["status"]) for row in found] == [
        (some.pending, "pending"),
        (some.running, "running"),
        (some.asked, "cancelled"),
        (some.cancelled, "cancelled"),
        (some.compensated, "compensated"),
        (some.failed, "failed"),
        (some.completed, "completed"),
    ]
    assert [row["output"] for row in found] == [
        None,
        None,
        None,
        "Cancelled: Cancelled by user",
        "division by zero",
        "division by zero",
        '{"a b":["x  y",1,null]}',
    ]
    assert {row["execution_count"] for row in found} == {1}
    assert {row["function_name"] for row in found} == {"pg_durable::orchestration::execute-function-graph"}
    assert [row["instance_id"] for row in rows(session, "SELECT * FROM df.list_instances(NULL, 2)")] == [
        some.pending,
        some.running,
    ]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("pending", ["pending"]),
        ("running", ["running"]),
        ("completed", ["completed"]),
        ("failed", ["failed"]),
        ("compensated", ["compensated"]),
        ("cancelled", ["asked", "cancelled"]),
        ("nonsense", []),
    ],
)
def test_list_by_status(session: Connection, some: Some, status: str, expected: list[str]) -> None:
    found = rows(session, "SELECT * FROM df.list_instances(status_filter => %s)", status)
    assert [row["instance_id"] for row in found] == [getattr(some, name) for name in expected]
    assert {row["status"] for row in found} <= {status}
    paged = rows(session, "SELECT * FROM df.list_instances(%s, 10, NULL)", status)
    assert [row["instance_id"] for row in paged] == [row["instance_id"] for row in found]
    one = rows(session, "SELECT * FROM df.list_instances(%s, 1, NULL)", status)
    assert [row["instance_id"] for row in one] == [row["instance_id"] for row in found[:1]]
    assert [row["next_cursor"] is None for row in one] == [len(found) == 1] * len(one)


def test_pages(session: Connection) -> None:
    labels = ["nightly" if number % 3 else None for number in range(10)]
    ids = [start(session, label=label) for label in labels]
    for label in (None, "nightly"):
        expected = [id for id, each in zip(ids, labels, strict=True) if label is None or each == label][::-1]
        for size in (1, 3, len(expected), 100):
            seen: list[object] = []
            cursor: object = None
            while True:
                page = rows(session, "SELECT * FROM df.list_instances(NULL, %s, %s, %s)", size, label, cursor)
                assert list(page[0]) == [*BASIC, "created_at", "completed_at", "next_cursor"]
                assert len({row["next_cursor"] for row in page}) == 1
                assert len(page) <= size
                seen += [row["instance_id"] for row in page]
                cursor = page[0]["next_cursor"]
                if cursor is None:
                    break
            assert seen == expected
    assert rows(session, "SELECT * FROM df.list_instances(NULL, 5, 'other')") == []


def test_times_of_pages(session: Connection, some: Some) -> None:
    found = rows(session, "SELECT * FROM df.list_instances(NULL, 10, NULL)")
    assert [row["instance_id"] for row in found if row["completed_at"] is not None] == [some.completed]
    created = [row["created_at"] for row in found]
    assert created == sorted(created, reverse=True)  # type: ignore[type-var]


@pytest.mark.parametrize("count", [0, -1, 1001])
def test_limit(session: Connection, count: int) -> None:
    for call in ("df.list_instances(NULL, %s)", "df.list_instances(NULL, %s, NULL)"):
        with pytest.raises(psycopg.Error) as caught:
            session.execute(f"SELECT * FROM {call}".encode(), [count])
        said = caught.value.diag
        assert said.sqlstate == "22023"
        assert said.message_detail and said.message_hint
        if count < 1:
            assert said.message_primary == "limit_count must be at least 1"
        else:
            assert said.message_primary == "df.list_instances: limit_count (1001) exceeds the limit (1000)"


def hexed(text: str) -> str:
    return text.encode().hex()


TIME = "2026-01-01T00:00:00.000000+00"


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "zz",
        "abc",
        hexed("v1"),
        hexed(f"v2|{TIME}|0190"),
        hexed("v1|yesterday|0190"),
        hexed(f"v1|{TIME}|"),
        hexed(f"v1|{TIME}|0190|0190"),
        hexed(f"v1|{TIME}|' OR true"),
        "ff00ff",
        hexed(f"v1|{TIME}|" + "0" * 300),
    ],
)
def test_bad_cursors(session: Connection, cursor: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        session.execute("SELECT * FROM df.list_instances(NULL, 10, NULL, %s)", [cursor])
    said = caught.value.diag
    assert (said.sqlstate, said.message_primary) == ("22023", "df.list_instances: invalid after_cursor")
    assert said.message_detail and said.message_hint


def test_info(session: Connection, some: Some) -> None:
    [info] = rows(session, "SELECT * FROM df.instance_info(%s)", some.failed)
    assert info == {
        "instance_id": some.failed,
        "label": "failed",
        "function_name": "pg_durable::orchestration::execute-function-graph",
        "function_version": None,
        "current_execution_id": 1,
        "status": "failed",
        "output": "division by zero",
        "unread_signals": 0,
    }
    assert value(session, "SELECT status FROM df.instance_info(%s)", some.asked) == "cancelled"
    session.execute("SELECT df.signal(%s, 'go'), df.signal(%s, 'go')", [some.running, some.running])
    assert value(session, "SELECT unread_signals FROM df.instance_info(%s)", some.running) == 2
    assert rows(session, "SELECT * FROM df.instance_info('none')") == []


def test_executions(session: Connection, some: Some) -> None:
    def executions(instance: str, *more: object) -> list[tuple[object, ...]]:
        marks = ", %s" * len(more)
        query = f"SELECT * FROM df.instance_executions(%s{marks})"
        found = rows(session, query, instance, *more)
        return [(row["execution_id"], row["status"], row["event_count"], row["output"]) for row in found]

    assert executions(some.completed) == [(1, "Completed", 0, '{"a b":["x  y",1,null]}')]
    assert executions(some.failed) == [(1, "Failed", 0, "division by zero")]
    assert executions(some.cancelled) == [(1, "Failed", 0, "Cancelled: Cancelled by user")]
    assert executions(some.running) == [(1, "Running", 0, None)]
    assert executions("none") == []
    duration = value(session, "SELECT duration_ms FROM df.instance_executions(%s)", some.completed)
    assert isinstance(duration, int) and duration >= 0
    assert executions(some.completed, 20_000) == executions(some.completed)
    assert refusal(session, "SELECT * FROM df.instance_executions('x', 0)") == "22023"


def test_rounds_are_executions(session: Connection) -> None:
    instance = str(value(session, "SELECT df.start(df.loop(df.step('poll', 'SELECT true'), 'SELECT $poll'))"))
    session.execute("UPDATE df.instances SET plan = %s, plan_hash = 'h'", ['{"nodes": [{"id": "loop_1"}]}'])
    insert = (
        "INSERT INTO df.checkpoints (instance_id, path, journal, kind, value) VALUES (%s, %s, %s, %s, %s)"
    )
    for journal, path in enumerate(("loop_1[9]/poll", "loop_1[10]/poll", "loop_10[77]/poll"), start=1):
        session.execute(insert, [instance, path, journal, "completed", "1"])
    assert value(session, "SELECT execution_count FROM df.list_instances()") == 10
    assert value(session, "SELECT current_execution_id FROM df.instance_info(%s)", instance) == 10
    query = "SELECT execution_id, status, event_count FROM df.instance_executions(%s, 3)"
    found = session.execute(query, [instance]).fetchall()
    assert found == [(10, "Running", 3), (9, "ContinuedAsNew", 0), (8, "ContinuedAsNew", 0)]
    mark = (
        "INSERT INTO df.marks (instance_id, path, kind, round, value) VALUES (%s, %s, 'position', 24, '{}')"
    )
    session.execute(mark, [instance, "loop_1/round"])
    assert value(session, "SELECT execution_count FROM df.list_instances()") == 24


TEXTS = st.text() | st.sampled_from(['"', "\\", ' \\" ', " a  b "])
DOCUMENTS = st.recursive(
    st.none() | st.integers() | TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)
)


@given(DOCUMENTS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=depth(50))
def test_output_is_compact(session: Connection, document: object) -> None:
    compact = json.dumps(document, separators=(",", ":"))
    for written in (json.dumps(document), json.dumps(document, indent="\t")):
        assert value(session, "SELECT df._compact(%s)", written) == compact


def test_null_gives_nothing(session: Connection) -> None:
    for call in (
        "df.instance_info(NULL)",
        "df.instance_executions(NULL)",
        "df.instance_executions('x', NULL)",
        "df.instance_nodes(NULL)",
        "df.instance_nodes(NULL, 1)",
    ):
        assert rows(session, f"SELECT * FROM {call}") == []
    for call in (
        "status(NULL)",
        "result(NULL)",
        "explain(NULL)",
        "await_instance(NULL)",
        "await_instance('x', NULL)",
    ):
        assert value(session, f"SELECT df.{call}") is None


def test_metrics(session: Connection, some: Some) -> None:
    [counted] = rows(session, "SELECT * FROM df.metrics()")
    assert counted == {
        "total_instances": 7,
        "running_instances": 3,
        "completed_instances": 1,
        "failed_instances": 3,
        "total_executions": 7,
        "total_events": 0,
    }
    assert some.pending


def test_shims(session: Connection) -> None:
    assert value(session, "SELECT df.run('x')") == "Triggered run for instance: x"
    assert value(session, "SELECT df.run()") == "Triggered run for all pending instances"
    assert value(session, "SELECT df.duroxide_schema()") == "df"
    assert value(session, "SELECT df.target_database()") == session.info.dbname


def test_everybody_sees_their_own(
    server: Server, database: str, session: Connection, roles: Callable[..., str]
) -> None:
    name = session.info.dbname
    anna, bert = roles("anna"), roles("bert")
    with connect(server.url(name, anna)) as hers, connect(server.url(name, bert)) as his:
        session.execute("SELECT df.grant_usage(%s), df.grant_usage(%s, with_grant => true)", [anna, bert])
        mine, theirs = start(hers), start(his)
        claim(session, register(session))
        for status in (None, "running"):
            query = "SELECT instance_id FROM df.list_instances(%s)"
            assert value(hers, query, status) == mine
            assert value(his, query, status) == theirs
            assert len(rows(session, query, status)) == 2
        assert value(hers, "SELECT array_agg(instance_id) FROM df.claimed") == [mine]
        for call in ("instance_info", "instance_executions", "instance_nodes"):
            assert rows(hers, f"SELECT * FROM df.{call}(%s)", theirs) == []
        cursor = value(session, "SELECT next_cursor FROM df.list_instances(NULL, 1, NULL)")
        assert value(hers, "SELECT instance_id FROM df.list_instances(NULL, 1, NULL, %s)", cursor) == mine
        assert refusal(hers, "SELECT * FROM df.metrics()") == "42501"
        assert value(his, "SELECT total_instances FROM df.metrics()") == 2
        assert refusal(hers, "SELECT FROM df.fences") == "42501"


MANY = """
    ALTER TABLE df.instances DISABLE TRIGGER before_instance;
    INSERT INTO df.instances (id, label, status, submitted_by, expression, expression_hash, result, error,
                              started_at, completed_at)
    SELECT lpad(to_hex(1700000000000 + n), 12, '0') || '-7000-8000-000000000000', 'job ' || n,
           CASE WHEN n % 5000 = 0 THEN 'failed' ELSE 'completed' END, 'postgres', '{}', sha256('x'),
           CASE WHEN n % 5000 = 0 THEN NULL ELSE '1'::json END,
           CASE WHEN n % 5000 = 0 THEN '{"message": "no"}'::json END, now(), now()
    FROM generate_series(1, 20000) n;
    ALTER TABLE df.instances ENABLE TRIGGER before_instance;
    ANALYZE df.instances
"""
SCANS = "SELECT coalesce(sum(idx_scan), 0)::int FROM pg_stat_user_indexes WHERE indexrelname = %s"
WHOLE = "SELECT seq_scan::int FROM pg_stat_user_tables WHERE relid = 'df.instances'::regclass"


def test_many_that_have_ended_are_found_by_an_index(
    server: Server, session: Connection, roles: Callable[..., str]
) -> None:
    session.execute(MANY.encode())
    anna = roles("anna")
    session.execute("SELECT df.grant_usage(%s)", [anna])
    mine = start(session)
    session.execute("SELECT df.pause_instance(%s)", [mine])
    claim(session, register(session))
    start(session)
    with connect(server.url(session.info.dbname, anna)) as hers:
        start(hers)
        for who, call, index in (
            (session, "df.list_instances()", "instances_pkey"),
            (session, "df.list_instances('failed')", "instances_errors"),
            (session, "df.list_instances(NULL, 10, 'job 7')", "instances_label"),
            (session, "df.list_instances('pending')", "instances_due"),
            (session, "df.list_instances('pending')", "instances_keyed"),
            (session, "df.list_instances('paused')", "instances_paused"),
            (hers, "df.list_instances()", "instances_submitter"),
            (hers, "df.list_instances('pending')", "instances_pending"),
        ):
            who.execute("SELECT pg_stat_force_next_flush()")
            before, whole = value(session, SCANS, index), value(session, WHOLE)
            assert rows(who, f"SELECT * FROM {call}")
            who.execute("SELECT pg_stat_force_next_flush()")
            after = value(session, SCANS, index)
            assert isinstance(before, int) and isinstance(after, int)
            assert after > before, call
            assert value(session, WHOLE) == whole, call
