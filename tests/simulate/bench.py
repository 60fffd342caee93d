"""The model as a store under test of the conformance suite."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

from dfc.compiler.plan import Plan
from dfc.executor.actions import Finish, RecordFailure, RunSql
from dfc.executor.journal import Recorded, Rows, StepError
from dfc.executor.ports import Answer, Claim, StepFailed
from tests.conformance_store import BAD, ONE, TWO, Bench, Row
from tests.simulate.database import Database, Instance, Rules

_ANSWERS = {ONE: "1", TWO: "2"}


class ModelBench:
    """The model's database without the network: every call is served at once."""

    def __init__(self, rules: Rules) -> None:
        self.database = Database(lambda: 0.0, lease_seconds=1.0, rules=rules)

    @property
    def store(self) -> ModelBench:
        return self

    @property
    def sql(self) -> ModelBench:
        return self

    async def start(self, plan: Plan) -> str:
        instance = Instance(f"i{len(self.database.instances)}", plan, {})
        self.database.instances[instance.id] = instance
        return instance.id

    async def claim(self) -> Claim:
        [(claim, _)] = self.database.claim(self.database.register(), 1)
        return claim

    async def kill(self, claim: Claim) -> None:
        worker = self.database.instances[claim.instance].worker
        assert worker is not None
        self.database.workers[worker].locked = False

    async def cancel(self, instance: str, reason: str) -> None:
        self.database.cancel(instance, reason)

    async def look(self, instance: str) -> Row:
        row = self.database.instances[instance]
        error = row.finish.error if row.finish is not None else None
        shown = None if error is None else {"message": error.message, "sqlstate": error.sqlstate}
        return Row(status=row.status, result=_as_json(row.result), error=shown)

    # Store and SqlRunner

    async def history(self, claim: Claim, plan: Plan) -> list[Recorded]:
        return self.database.history(claim)

    async def record_of(self, claim: Claim, path: str) -> Recorded | None:
        return self.database.record_of(claim, path)

    async def record_failure(self, claim: Claim, action: RecordFailure) -> Answer:
        return self.database.record_failure(claim, action)

    async def finish(self, claim: Claim, finish: Finish) -> None:
        self.database.finish(claim, finish)

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(0)

    async def run(self, claim: Claim, action: RunSql) -> Answer:
        if action.body.sql == BAD:
            raise StepFailed(StepError(step=action.path, message="division by zero", sqlstate="22012"))
        cells = (_ANSWERS[action.body.sql],)
        result = Rows(columns=("answer",), types=(23,), cells=cells, row_count=1)
        return self.database.checkpoint(claim, action, result)


def _as_json(result: Any) -> Any:
    """The model keeps results rendered; a client sees rows."""
    if isinstance(result, list):
        return [_as_json(part) for part in cast("list[Any]", result)]
    if result is None:
        return None
    columns, cells, count = json.loads(result)
    return {"rows": [{columns[0]: int(cell)} for cell in cells], "row_count": count}


@asynccontextmanager
async def model_bench(rules: Rules | None = None) -> AsyncGenerator[Bench]:
    """A bench over an empty model."""
    yield ModelBench(rules or Rules())
