"""The bench of the conformance suite: a store under test with one empty database, and what the checks share.

The checks use three statements only, which a model has to know: ONE, TWO (one row, `answer`, an integer) and
BAD (fails with 22012).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import pytest

from dfc.compiler.plan import Form, Parameter, Plan, Returns, SqlBody, SqlNode, Use
from dfc.executor.actions import (
    AwaitInstance,
    CallWorkflow,
    EndItem,
    EndMap,
    FetchItems,
    Finish,
    Position,
    RecordAttempt,
    RecordBeginning,
    RecordDecision,
    RecordFailure,
    RecordWaited,
    Rider,
    RunSql,
    StartTimer,
    StopCall,
    StoreItems,
    TakeSignal,
)
from dfc.executor.claim import Claim
from dfc.executor.failures import FenceLost
from dfc.executor.journal import (
    Completed,
    Decided,
    Failed,
    ItemsFetched,
    Record,
    Result,
    Rows,
    Shape,
    StepError,
    Value,
)
from dfc.executor.ports import Answer, Parking, Store

ONE = "SELECT 1 AS answer"
TWO = "SELECT 2 AS answer"
BAD = "SELECT 1 / 0 AS answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An instance as a client sees it. `result` is parsed JSON; `error` has `message` and `sqlstate`."""

    status: str
    result: Any
    error: dict[str, Any] | None


class Runs(Protocol):
    """What the checks want of a SqlRunner."""

    async def run(self, claim: Claim, action: RunSql) -> Answer: ...


class Bench(Protocol):
    """A store under test, with what the checks need around it."""

    @property
    def store(self) -> Store: ...

    @property
    def sql(self) -> Runs: ...

    async def start(self, plan: Plan, given: str | None = None) -> str:
        """Start an instance of the plan, with an input (JSON text); its id.

        The plan counts as stored already.
        """
        ...

    async def claim(self) -> Claim | None:
        """Claim one instance, as a worker of its own each time; None when there is nothing to be claimed."""
        ...

    async def kill(self, claim: Claim) -> None:
        """The worker that made this claim is dead, and that is known."""
        ...

    async def cancel(self, instance: str, reason: str) -> None:
        """Somebody requests the end of the instance."""
        ...

    async def signal(self, instance: str, name: str) -> None:
        """Somebody sends a signal, with its number (from 1) among those sent to the instance as its data."""
        ...

    async def look(self, instance: str) -> Row:
        """The instance as a client sees it."""
        ...


MakeBench = Callable[[], AbstractAsyncContextManager[Bench]]
Check = Callable[[MakeBench], Coroutine[Any, Any, None]]
_R = TypeVar("_R", bound=Record)


def body_of(sql: str) -> SqlBody:
    return SqlBody(sql=sql, kind="select", form=Form.WITH, returns=Returns.ROWS)


def plan_of(*steps: tuple[str, str]) -> Plan:
    nodes: list[SqlNode] = []
    for name, sql in steps:
        after = (nodes[-1].id,) if nodes else ()
        nodes.append(SqlNode(id=name, after=after, body=body_of(sql)))
    return Plan(nodes=tuple(nodes), result=nodes[-1].id)


def used(plan: Plan) -> Plan:
    """The same plan with a last step that refers to the first, so that its result has to be brought back."""
    first = plan.nodes[0]
    assert isinstance(first, SqlNode)
    first = replace(first, used=True)
    text = "SELECT $a"
    parameter = Parameter(name="a", source=first.id, use=Use.VALUE, start=7, end=9)
    body = replace(body_of(text), parameters=(parameter,))
    last = SqlNode(id="last", after=(plan.nodes[-1].id,), body=body)
    return Plan(nodes=(first, *plan.nodes[1:], last), result="last")


CHAIN = plan_of(("a", ONE), ("b", TWO))


def run(path: str, sql: str = ONE, rider: Rider | None = None, *, keep: bool = False) -> RunSql:
    return RunSql(path=path, body=body_of(sql), sources={}, rider=rider, keep=keep)


def error_of(path: str, cause: StepError | None = None) -> StepError:
    return StepError(
        step=path, message="no luck", sqlstate="22012", detail="a detail", hint="a hint", cause=cause
    )


def failure_of(path: str, finish: Finish | None = None) -> RecordFailure:
    return RecordFailure(path=path, error=error_of(path), finish=finish)


def cells_of(result: object) -> tuple[tuple[str, ...], tuple[str | None, ...], int]:
    assert isinstance(result, Rows)
    return result.columns, result.cells, result.row_count


def one(number: int) -> tuple[tuple[str, ...], tuple[str | None, ...], int]:
    """What `cells_of` gives for ONE and TWO."""
    return ("answer",), (str(number),), 1


def shown(number: int) -> dict[str, object]:
    """The result of ONE and TWO as it is shown."""
    return {"rows": [{"answer": number}], "row_count": 1}


def json_of(result: object) -> Any:
    assert isinstance(result, Value)
    return json.loads(result.json)


async def begin(bench: Bench, plan: Plan = CHAIN) -> Claim:
    """Start an instance and claim it."""
    await bench.start(plan)
    return await claimed(bench)


async def claimed(bench: Bench) -> Claim:
    claim = await bench.claim()
    assert claim is not None, "there is something to be claimed"
    return claim


async def lasting(bench: Bench, claim: Claim, kind: type[_R], plan: Plan = CHAIN) -> dict[str, _R]:
    """The records of one kind, by path."""
    found = [record for record in await bench.store.history(claim, plan) if isinstance(record, kind)]
    assert len({record.path for record in found}) == len(found)
    return {record.path: record for record in found}


async def recorded(bench: Bench, claim: Claim, plan: Plan = CHAIN) -> list[Completed | Failed]:
    """Completions and failures, in the order of their numbers."""
    found = [r for r in await bench.store.history(claim, plan) if isinstance(r, Completed | Failed)]
    assert len({record.number for record in found}) == len(found)
    return sorted(found, key=lambda record: record.number)


async def paths(bench: Bench, claim: Claim) -> list[str]:
    """Everything that lasts, by path."""
    return sorted(record.path for record in await bench.store.history(claim, CHAIN))


def decision(path: str, value: str) -> RecordDecision:
    return RecordDecision(path=path, value=value)


def attempt(path: str, attempts: int, seconds: float, losses: int = 0) -> RecordAttempt:
    error = error_of(path, error_of("x"))
    return RecordAttempt(path=path, attempts=attempts, losses=losses, seconds=seconds, error=error)


def position(
    path: str, round: int, carry: Mapping[str, Shape], *forget: str, seconds: float = 0.0
) -> Position:
    error = error_of(path) if seconds else None
    return Position(path=path, round=round, carry=carry, forget=forget, seconds=seconds, error=error)


def items_of(source: Result | Shape, batch_size: int = 1, path: str = "m") -> StoreItems:
    return StoreItems(path=f"{path}/items", source=source, batch_size=batch_size)


def end_item(item: int, shape: Shape | None, *forget: str, error: StepError | None = None) -> EndItem:
    return EndItem(path="m", item=item, shape=shape, error=error, forget=forget)


async def fetch(
    bench: Bench, claim: Claim, after: int = 0, limit: int = 100, *, ended: bool = False
) -> ItemsFetched:
    return await bench.store.fetch_items(claim, FetchItems(path="m", after=after, limit=limit, ended=ended))


def near(seconds: float, expected: float) -> bool:
    """Whether so many seconds are left, but for those that the test has taken."""
    return expected - 5 < seconds <= expected + 1e-6


async def everything_is_lost(bench: Bench, claim: Claim) -> None:
    """Nothing can be done any more under this claim."""
    store = bench.store
    calls = (
        store.history(claim, CHAIN),
        store.record_of(claim, "a"),
        store.result_of(claim, "a"),
        store.record_failure(claim, failure_of("b")),
        store.record_decision(claim, decision("r/decision", "1")),
        store.record_beginning(claim, RecordBeginning(path="b")),
        store.record_attempt(claim, attempt("b", 1, 1.0)),
        store.start_timer(claim, StartTimer(path="t/timer", seconds=1.0)),
        store.position(claim, position("l/round", 1, {}, "a", "r/decision", "m")),
        store.store_items(claim, items_of(Value(json="[]"), path="other")),
        store.fetch_items(claim, FetchItems(path="m", after=0, limit=1)),
        store.end_item(claim, end_item(1, "a", "a")),
        store.end_map(claim, EndMap(path="m", keep=True, rider=None)),
        store.take_turn(claim, "b/turn1", "key", 1, 60),
        store.park(claim, Parking(seconds=0.0, waiting_for="nothing", cancel_known=False)),
        store.record_waited(claim, RecordWaited(path="w", value="1", keep=True, rider=None)),
        store.take_signal(claim, TakeSignal(path="w", name="x", expired=True, keep=True, rider=None)),
        store.await_instance(
            claim, AwaitInstance(path="w", instance=claim.instance, expired=True, keep=True, rider=None)
        ),
        store.call(
            claim, CallWorkflow(path="w", child="w/child1", workflow="x", input=None, keep=True, rider=None)
        ),
        store.stop_call(claim, StopCall(path="w")),
        store.settle(claim, bytes(15) + b"x"),
        store.finish(claim, Finish(status="completed", shape="a")),
    )
    try:
        for call in calls:
            with pytest.raises(FenceLost):
                await call
    finally:
        for call in calls:
            call.close()
    for rider in (
        None,
        Finish(status="completed", shape="b"),
        decision("r/decision", "1"),
        EndItem(path="m", item=1, shape="m[1]/b", error=None, forget=("m[1]/a",)),
    ):
        with pytest.raises(FenceLost):
            await bench.sql.run(claim, run("m[1]/b", TWO, rider))


def decided(found: Decided) -> tuple[str, object]:
    return found.path, json.loads(found.value)
