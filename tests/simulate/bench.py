"""The model as a store under test of the conformance suite."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from dfc.compiler.plan import Plan
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
    RunSql,
    StartTimer,
    StopCall,
    StoreItems,
    TakeSignal,
)
from dfc.executor.claim import Claim
from dfc.executor.failures import StepFailed
from dfc.executor.journal import (
    Begun,
    Cell,
    Completed,
    Decided,
    Deferred,
    ItemEnded,
    ItemsFetched,
    NothingYet,
    Positioned,
    Record,
    Recorded,
    Result,
    Retrying,
    Rows,
    Shape,
    StepError,
    Stopped,
    Timed,
    Value,
)
from dfc.executor.ports import Answer, Parking
from tests.conformance_store import BAD, ONE, TWO, Bench, Row
from tests.simulate.database import Database, Rules
from tests.simulate.fates import Fates
from tests.simulate.places import where
from tests.simulate.shapes import assembled, batches, to_store
from tests.simulate.values import Given

_ANSWERS = {ONE: "1", TWO: "2"}
_NULL = Value(json="null")

ARRAY_MAX = 10_000
"""More items than this give their number, not an array (docs/reference/results.md)."""


class _Fates(Fates):
    """Results are brought back, however large."""

    def large(self, path: str) -> bool:
        del path
        return False


class ModelBench:
    """The model's database without the network: every call is served at once, and waiting moves its clock."""

    def __init__(self, rules: Rules) -> None:
        self.now = 0.0
        self.database = Database(lambda: self.now, lease_seconds=1.0, rules=rules)

    @property
    def store(self) -> ModelBench:
        return self

    @property
    def sql(self) -> ModelBench:
        return self

    async def start(self, plan: Plan, given: str | None = None) -> str:
        id = f"i{len(self.database.instances)}"
        self.database.start(id, plan, _Fates(seed=""), given)
        return id

    async def claim(self) -> Claim | None:
        claimed = self.database.claim(self.database.register(), 1)
        return claimed[0][0] if claimed else None

    async def kill(self, claim: Claim) -> None:
        worker = self.database.instances[claim.instance].worker
        if worker is not None:
            self.database.workers[worker].locked = False

    async def cancel(self, instance: str, reason: str) -> None:
        self.database.cancel(instance, reason)

    async def signal(self, instance: str, name: str) -> None:
        self.database.signal(instance, name)

    async def look(self, instance: str) -> Row:
        row = self.database.instances[instance]
        return Row(
            status=row.status,
            result=None if row.result is None else _as_json(row.result),
            error=None if row.finish is None else _error_shown(row.finish),
        )

    # Store

    async def begin_again(self, claim: Claim, records: Sequence[str], maps: Sequence[str]) -> None:
        self.database.begin_again(claim, records, maps)

    async def settle(self, claim: Claim, token: bytes) -> None:
        self.database.settle(claim, token)

    async def history(self, claim: Claim, plan: Plan) -> list[Record]:
        self.database.check(claim)
        kept = {node.id for node in plan.nodes if getattr(node, "used", False)}
        records = self.database.live(self.database.instances[claim.instance])
        return [_read(record, kept) for record in records]

    async def record_of(self, claim: Claim, path: str) -> Recorded | None:
        return self.database.record_of(claim, path)

    async def result_of(self, claim: Claim, shape: Shape) -> Result:
        given = assembled(self.database.check(claim), shape)
        if isinstance(shape, Cell) and shape.column is not None and isinstance(given, Rows):
            return replace(given, columns=(shape.column,))
        return given if isinstance(shape, str) and not isinstance(given, list) else _value(given)

    async def record_failure(self, claim: Claim, action: RecordFailure) -> Answer:
        return self.database.record_failure(claim, action)

    async def record_decision(self, claim: Claim, action: RecordDecision) -> Decided:
        return self.database.record_decision(claim, action)

    async def record_beginning(self, claim: Claim, action: RecordBeginning) -> Begun:
        return self.database.record_beginning(claim, action.path)

    async def record_attempt(self, claim: Claim, action: RecordAttempt) -> Retrying:
        return self.database.record_attempt(claim, action)

    async def start_timer(self, claim: Claim, action: StartTimer) -> Timed:
        return self.database.start_timer(claim, action)

    async def position(self, claim: Claim, action: Position) -> Positioned:
        return self.database.position(claim, action)

    async def store_items(self, claim: Claim, action: StoreItems) -> Answer:
        instance = self.database.check(claim)
        given = to_store(instance, action.source)
        return self.database.store_items(claim, action.path, batches(given, action.batch_size, action.path))

    async def fetch_items(self, claim: Claim, action: FetchItems) -> ItemsFetched:
        return self.database.fetch_items(claim, action)

    async def end_item(self, claim: Claim, action: EndItem) -> ItemEnded:
        return self.database.end_item(claim, action)

    async def end_map(self, claim: Claim, action: EndMap) -> Answer:
        rows = self.database.check(claim).items.get(action.path, [])
        results = [_NULL if row.result is None else row.result for row in rows]
        failed = sum(row.error is not None for row in rows)
        many = Value(json=json.dumps({"count": len(rows), "failed": failed}))
        result = many if len(rows) > ARRAY_MAX else _value(results)
        answer = self.database.checkpoint(claim, action.path, result, rider=action.rider)
        return _brought(answer, action.keep)

    async def take_turn(self, claim: Claim, path: str, key: str, count: int, seconds: int) -> float:
        return self.database.take_turn(claim, path, key, count, seconds)

    async def record_waited(self, claim: Claim, action: RecordWaited) -> Answer | Deferred:
        answer = self.database.record_waited(claim, action)
        return answer if isinstance(answer, Deferred) else _brought(answer, action.keep)

    async def take_signal(self, claim: Claim, action: TakeSignal) -> Answer | NothingYet:
        answer = self.database.take_signal(claim, action)
        return answer if isinstance(answer, NothingYet) else _brought(answer, action.keep)

    async def await_instance(self, claim: Claim, action: AwaitInstance) -> Answer | NothingYet:
        answer = self.database.await_instance(claim, action)
        return answer if isinstance(answer, NothingYet) else _brought(answer, action.keep)

    async def call(self, claim: Claim, action: CallWorkflow) -> Answer | NothingYet:
        answer = self.database.call(claim, action)
        return answer if isinstance(answer, NothingYet) else _brought(answer, action.keep)

    async def stop_call(self, claim: Claim, action: StopCall) -> Recorded | Stopped | NothingYet:
        return self.database.stop_call(claim, action)

    async def park(self, claim: Claim, parking: Parking) -> None:
        self.database.park(claim, parking)

    async def finish(self, claim: Claim, finish: Finish) -> None:
        self.database.finish(claim, finish)

    async def wait(self, seconds: float) -> None:
        self.now += seconds

    # SqlRunner

    async def run(self, claim: Claim, action: RunSql) -> Answer:
        if action.body.sql == BAD:
            raise StepFailed(StepError(step=action.path, message="division by zero", sqlstate="22012"))
        cells = (_ANSWERS[action.body.sql],)
        result = Rows(columns=("answer",), types=(23,), cells=cells, row_count=1)
        return _brought(self.database.checkpoint(claim, action.path, result, rider=action.rider), action.keep)


def _read(record: Record, kept: set[str]) -> Record:
    """A record as somebody reads it who wants the results of some nodes, and how many items there are."""
    if not isinstance(record, Completed) or where(record.path).node in kept:
        return record
    counts = record.path.endswith("/items")
    return replace(record, result=record.result if counts else None)


def _brought(answer: Answer, keep: bool) -> Answer:
    if keep or not isinstance(answer.event, Completed):
        return answer
    return replace(answer, event=replace(answer.event, result=None))


def _value(given: Given) -> Value:
    return Value(json=json.dumps(_as_json(given)))


def _as_json(given: Given) -> Any:
    """A result as a client sees it. All cells are integers."""
    match given:
        case list():
            return [_as_json(part) for part in given]
        case Value(json=text):
            return json.loads(text)
        case Rows(columns=("v",), cells=(cell,)):
            return None if cell is None else int(cell)
        case Rows(columns=columns, cells=cells, row_count=count):
            return {"rows": [{columns[0]: int(cell or 0)} for cell in cells], "row_count": count}


def _error_shown(finish: Finish) -> dict[str, Any] | None:
    error = finish.error or StepError(step="", message=f"Cancelled: {finish.reason}", sqlstate="57014")
    if finish.status == "completed" or (finish.status == "cancelled" and not finish.undo_errors):
        return None
    shown = _step_error_shown(error)
    if finish.undo_errors:
        shown["undo"] = [_step_error_shown(undo) for undo in finish.undo_errors]
    return shown


def _step_error_shown(error: StepError) -> dict[str, Any]:
    shown: dict[str, Any] = {"step": error.step, "message": error.message, "sqlstate": error.sqlstate}
    if error.cause is not None:
        shown["cause"] = _step_error_shown(error.cause)
    return shown


@asynccontextmanager
async def model_bench(rules: Rules | None = None) -> AsyncGenerator[Bench]:
    """A bench over an empty model."""
    yield ModelBench(rules or Rules())
