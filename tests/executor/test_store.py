"""PostgreSQL's store and SQL runner keep to what every store has to do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import psycopg
import pytest

from dfc.compiler.plan import Plan
from dfc.executor.actions import Position, RecordDecision
from dfc.executor.claim import Claim
from dfc.executor.connections import StepConnections
from dfc.executor.control import Control
from dfc.executor.journal import Constant, Positioned, Value
from dfc.executor.runners.sql import PostgresSql
from dfc.executor.store import PostgresStore
from tests.conformance_bench import CHAIN, begin
from tests.conformance_store import CHECKS, Check, Row
from tests.executor.support import seed, until

Connection = psycopg.Connection[tuple[Any, ...]]


class PostgresBench:
    """The suite's bench on a database of its own."""

    def __init__(self, database: str, client: Connection, store: PostgresStore, sql: PostgresSql) -> None:
        self.store = store
        self.sql = sql
        self._database = database
        self._client = client
        self._workers: dict[bytes, tuple[int, Connection]] = {}
        self._idle: list[Connection] = []
        self._sent: dict[str, int] = {}

    async def start(self, plan: Plan, given: str | None = None) -> str:
        wire = seed(self._client, plan)
        row = self._client.execute(
            "INSERT INTO df.instances (expression, input) VALUES (%s, %s) RETURNING id", [wire, given]
        ).fetchone()
        assert row is not None
        return row[0]

    async def claim(self) -> Claim | None:
        connection = psycopg.connect(self._database, autocommit=True)
        row = connection.execute(
            "SELECT df._register_worker('here', 1, 'test', 1, ARRAY[1], 3600, 1)"
        ).fetchone()
        assert row is not None
        found, _ = await self.store.poll(row[0], ["postgres"], claim_max=1, cancels=False)
        if not found:
            self._idle.append(connection)
            return None
        self._workers[found[0].claim.token] = (row[0], connection)
        return found[0].claim

    async def kill(self, claim: Claim) -> None:
        worker, connection = self._workers[claim.token]
        connection.close()
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s"
        until(lambda: self._client.execute(held, [worker]).fetchone() == (0,), "the lock to be free")

    async def cancel(self, instance: str, reason: str) -> None:
        self._client.execute("SELECT df.cancel(%s, %s)", [instance, reason])

    async def signal(self, instance: str, name: str) -> None:
        self._sent[instance] = number = self._sent.get(instance, 0) + 1
        self._client.execute("SELECT df.signal(%s, %s, %s)", [instance, name, str(number)])

    async def look(self, instance: str) -> Row:
        found = self._client.execute(
            "SELECT status, result, error FROM df.instances WHERE id = %s", [instance]
        ).fetchone()
        assert found is not None
        return Row(status=found[0], result=found[1], error=found[2])

    def close(self) -> None:
        for connection in (*self._idle, *(connection for _, connection in self._workers.values())):
            connection.close()


@asynccontextmanager
async def _bench(database: str) -> AsyncGenerator[PostgresBench]:
    control = Control(database, on_lost=lambda _: None)
    with psycopg.connect(database, autocommit=True) as client:
        row = client.execute("SELECT current_database()").fetchone()
        assert row is not None
        steps = StepConnections(database, role="postgres", database=row[0])
        bench = PostgresBench(database, client, PostgresStore(control), PostgresSql(steps))
        try:
            yield bench
        finally:
            bench.close()
            steps.close()
            control.close()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_conformance(check: Check, database: str) -> None:
    asyncio.run(check(partial(_bench, database)))


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        (r'"\u0000"', "\ufffd"),
        (r'"\ud800 \udC00 \uD83d\ude00 \ud83d"', "\ufffd \ufffd \U0001f600 \ufffd"),
        (r'"\\u0000 \\\u0000"', "\\u0000 \\\ufffd"),
        ('"\ud800"', "?"),
        (r'{"a\u0000": 1.50}', {"a\ufffd": 1.5}),
    ],
)
def test_what_postgresql_cannot_store_is_replaced(written: str, stored: object, database: str) -> None:
    async def check() -> None:
        async with _bench(database) as bench:
            claim = await begin(bench)
            found = await bench.store.result_of(claim, Constant(json=written))
            assert isinstance(found, Value)
            assert json.loads(found.json) == stored
            decision = RecordDecision(path="r/decision", value=written)
            assert json.loads((await bench.store.record_decision(claim, decision)).value) == stored
            carry = {"a": Constant(json=written)}
            await bench.store.position(claim, Position(path="l/round", round=2, carry=carry, forget=()))
            positions = [r for r in await bench.store.history(claim, CHAIN) if isinstance(r, Positioned)]
            [kept] = positions[0].carry.values()
            assert isinstance(kept, Constant)
            assert json.loads(kept.json) == stored

    asyncio.run(check())
