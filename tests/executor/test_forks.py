"""Instances that are forked from others, with a real worker: what came before is taken over, not redone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.executor import operating
from tests.executor.operating import Connection, comes_to, ledger, start
from tests.executor.support import WorkerProcess, ended
from tests.sql.worker import value


@pytest.fixture(scope="module")
def shared(shared_database: str) -> Iterator[Connection]:
    with psycopg.connect(shared_database, autocommit=True) as connection:
        operating.prepare(connection)
        with WorkerProcess(shared_database) as worker:
            worker.registered()
            yield connection


@pytest.fixture
def session(shared: Connection) -> Connection:
    operating.mend(shared)
    shared.execute("TRUNCATE ledger")
    return shared


def step(name: str) -> str:
    """A step that writes its name."""
    return f"df.step('{name}', $$SELECT wrote('{name}') AS one, '{name}' AS name$$)"


def fork(session: Connection, instance: str, part: str, arguments: str = "") -> str:
    return str(value(session, f"SELECT df.fork_instance(%s, %s{arguments})", instance, part))


def done(session: Connection, instance: str) -> dict[str, Any]:
    row = comes_to(session, instance, "completed", "failed")
    assert row["status"] == "completed", row["error"]
    return row


CASES: dict[str, tuple[str, list[str]]] = {
    "chain": (f"{step('a')} ~> {step('b')} ~> {step('x')} ~> {step('c')}", ["x", "c"]),
    "first": (f"{step('x')} ~> {step('a')}", ["x", "a"]),
    "join": (f"df.join({step('a')}, {step('b')}) ~> {step('x')}", ["x"]),
    "beside": (f"{step('a')} ~> df.join({step('x')}, {step('b')}) ~> {step('c')}", ["x", "b", "c"]),
    "if": (f"df.if('SELECT true', {step('a')}, {step('b')}) ~> {step('x')}", ["x"]),
    "loop": (f"df.loop({step('a')}, 'SELECT count(*) % 20 <> 0 FROM ledger') ~> {step('x')}", ["x"]),
    "try": (f"df.try(df.sql('SELECT 1/0') ~> {step('a')}, {step('b')}, {step('f')}) ~> {step('x')}", ["x"]),
    "race": (f"df.race(df.sql('SELECT 1/0'), {step('a')}) ~> {step('x')}", ["x"]),
    "timeout": (f"df.timeout({step('a')}, 60) ~> {step('x')}", ["x"]),
    "retry": (f"df.retry({step('a')}, 3) ~> {step('x')}", ["x"]),
    "compensate": (f"df.compensate({step('a')}, {step('u')}) ~> {step('x')}", ["x"]),
    "atomic": (f"df.atomic({step('a')} ~> {step('b')}) ~> {step('x')}", ["x"]),
    "waits": (f"df.sleep(0) ~> {step('a')} ~> df.wait_for('SELECT true') ~> {step('x')}", ["x"]),
    "values": (
        f"{step('a')} |=> 'v' ~> df.step('x', $$SELECT wrote('x ' || $a.name || $v.name)$$)",
        ["x aa"],
    ),
    "map": (
        "df.step('m', df.map('SELECT n FROM generate_series(1, 5) n', $$SELECT wrote('i' || $item.n) AS n$$))"
        " ~> df.step('x', $$SELECT wrote('x ' || count(*)) FROM $m.*$$)",
        ["x 5"],
    ),
}
"""The workflow, which is forked from `x`; what the fork writes."""


@pytest.mark.parametrize("name", CASES)
def test_it_begins_with_the_step(session: Connection, name: str) -> None:
    expression, after = CASES[name]
    instance = start(session, expression)
    before_row = done(session, instance)
    before = ledger(session)
    forked = fork(session, instance, "x")
    row = done(session, forked)
    assert sorted(ledger(session)[len(before) :]) == sorted(after)
    assert row["plan_hash"] == before_row["plan_hash"]
    assert (row["forked_from"], row["fork_step"]) == (instance, "x")


def test_it_takes_all_over_but_label_and_keys(session: Connection) -> None:
    session.execute("SELECT df.setvar('shade', 'blue')")
    arguments = ", label => 'nightly', input => '{\"n\": 7}', priority => 3, idempotency_key => 'once'"
    instance = start(
        session,
        f"{step('a')} ~> df.step('x', $$SELECT '{{shade}}' AS shade, $input.n AS n$$)",
        arguments + ", timeout => 3600",
    )
    done(session, instance)
    session.execute("SELECT df.setvar('shade', 'red')")
    row = done(session, fork(session, instance, "x"))
    assert (row["label"], row["priority"], row["idempotency_key"]) == ("nightly (fork)", 3, None)
    assert row["result"] == {"rows": [{"shade": "blue", "n": 7}], "row_count": 1}
    assert done(session, fork(session, instance, "x", ", label => 'other'"))["label"] == "other"
    assert ledger(session) == ["a"]


@pytest.mark.parametrize("how", ["failed", "cancelled", "running", "compensated"])
def test_of_whatever_status(session: Connection, how: str) -> None:
    operating.break_step(session, *(["bad"] if how in ("failed", "compensated") else []))
    first = f"df.compensate({step('a')}, {step('u')})" if how == "compensated" else step("a")
    last = step("bad") if how in ("failed", "compensated") else "df.step('bad', df.sleep(3600))"
    instance = start(session, f"{first} ~> {last} ~> {step('c')}")
    if how in ("failed", "compensated"):
        comes_to(session, instance, how)
    else:
        comes_to(session, instance, "running")
        while ledger(session) != ["a"]:
            pass
        if how == "cancelled":
            session.execute("SELECT df.cancel(%s)", [instance])
            comes_to(session, instance, "cancelled")
    for part, why in (("c", '"bad" comes before it'), ("nothing", "has no step")):
        with pytest.raises(psycopg.Error, match=why) as refused:
            fork(session, instance, part)
        assert refused.value.diag.message_hint
    operating.mend(session)
    if how == "compensated":
        with pytest.raises(psycopg.Error, match="and is undone"):
            fork(session, instance, "bad")
        return
    forked = fork(session, instance, "bad")
    if how == "failed":
        done(session, forked)
        assert ledger(session) == ["a", "bad", "c"]
    else:
        comes_to(session, forked, "running")
        for one in (instance, forked):
            session.execute("SELECT df.cancel(%s)", [one])
            ended(session, one)
        assert ledger(session) == ["a"]


def test_what_is_inside_is_refused(session: Connection) -> None:
    instance = start(
        session, f"{step('a')} ~> df.step('l', df.loop({step('in')}, 'SELECT false')) ~> {step('c')}"
    )
    done(session, instance)
    with pytest.raises(psycopg.Error, match='step "in" is inside of "l"') as refused:
        fork(session, instance, "in")
    assert "'l')" in str(refused.value.diag.message_hint)
