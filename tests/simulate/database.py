"""The model of the database: what docs/internals.md says of the `df` functions, each one atomic.

Nothing here knows of the network, of workers' code or of time, but for the leases.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from dfc.compiler.plan import Plan
from dfc.executor.actions import Finish, RecordFailure, RunSql, SendHttp
from dfc.executor.journal import Completed, Failed, Recorded, Result, Shape, StepError
from dfc.executor.ports import AlreadyRecorded, Answer, Claim, FenceLost
from tests.simulate.interpret import render
from tests.simulate.plans import Fate


@dataclass(slots=True)
class Instance:
    """A row of df.instances with its fence, checkpoints and request."""

    id: str
    plan: Plan
    fates: Mapping[str, Fate]
    status: str = "pending"
    token: bytes | None = None
    worker: int | None = None
    records: dict[str, Recorded] = field(default_factory=dict[str, Recorded])
    cancel: str | None = None
    finish: Finish | None = None
    result: Any = None

    # What only the simulator sees
    effects: Counter[str] = field(default_factory=Counter[str])
    executions: Counter[str] = field(default_factory=Counter[str])
    after_end: list[str] = field(default_factory=list[str])
    sent: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    @property
    def ended(self) -> bool:
        return self.finish is not None


@dataclass(slots=True)
class WorkerRow:
    """A row of df.workers, and whether its session holds its advisory lock."""

    heartbeat_at: float
    locked: bool = True


@dataclass(slots=True, kw_only=True)
class Rules:
    """What the schema guarantees. The mutants of the schema switch one of them off."""

    fence: bool = True
    unique: bool = True
    cancel_wins: bool = True


class Database:
    """One database. `now` is its clock; `lease_seconds` how long a silent worker is believed in."""

    def __init__(self, now: Callable[[], float], *, lease_seconds: float, rules: Rules) -> None:
        self.now = now
        self.lease_seconds = lease_seconds
        self.rules = rules
        self.instances: dict[str, Instance] = {}
        self.workers: dict[int, WorkerRow] = {}
        self.journal = 0
        self.tokens = 0
        self.takeovers = 0
        self.recorded_at_claim: dict[bytes, frozenset[str]] = {}

    # Workers

    def register(self) -> int:
        worker = len(self.workers) + 1
        while worker in self.workers:
            worker += 1
        self.tokens += 1
        worker = self.tokens * 1000 + worker
        self.workers[worker] = WorkerRow(self.now())
        return worker

    def heartbeat(self, worker: int) -> bool:
        row = self.workers.get(worker)
        if row is None or not row.locked:
            # Its session went with a restart: it notices, and registers anew.
            return False
        row.heartbeat_at = self.now()
        return True

    def unregister(self, worker: int) -> None:
        for instance in self.instances.values():
            if instance.worker == worker:
                instance.worker = None
        self.workers.pop(worker, None)

    def _dead(self, worker: int | None) -> bool:
        row = None if worker is None else self.workers.get(worker)
        return row is None or not row.locked or row.heartbeat_at + self.lease_seconds < self.now()

    def claim(self, worker: int, limit: int) -> list[tuple[Claim, Plan]]:
        if worker not in self.workers:
            raise FenceLost
        up = [i for i in self.instances.values() if i.status == "running" and self._dead(i.worker)]
        self.takeovers += len(up[:limit])
        pending = [i for i in self.instances.values() if i.status == "pending"]
        claimed = [(self._fence(i, worker), i.plan) for i in (up + pending)[:limit]]
        for other in list(self.workers):
            held = any(i.worker == other for i in self.instances.values() if not i.ended)
            if other != worker and not held and self._dead(other):
                del self.workers[other]
        return claimed

    def _fence(self, instance: Instance, worker: int) -> Claim:
        resumed = instance.status == "running"
        self.tokens += 1
        instance.status = "running"
        instance.worker = worker
        instance.token = self.tokens.to_bytes(16, "big")
        self.recorded_at_claim[instance.token] = frozenset(instance.records)
        return Claim(
            instance=instance.id,
            token=instance.token,
            submitted_by="somebody",
            database=None,
            search_path="public",
            time_zone="UTC",
            cancel_reason=instance.cancel,
            resumed=resumed,
        )

    # Instances

    def cancel(self, id: str, reason: str) -> bool:
        instance = self.instances[id]
        if instance.ended or instance.cancel is not None:
            return False
        instance.cancel = reason
        return True

    def cancels(self, worker: int) -> list[tuple[str, str]]:
        held = (i for i in self.instances.values() if i.worker == worker and not i.ended)
        return [(i.id, i.cancel) for i in held if i.cancel is not None]

    def check(self, claim: Claim) -> Instance:
        """The instance, if the fence is this claim's."""
        instance = self.instances[claim.instance]
        if self.rules.fence and instance.token != claim.token:
            raise FenceLost
        return instance

    def history(self, claim: Claim) -> list[Recorded]:
        return list(self.check(claim).records.values())

    def record_of(self, claim: Claim, path: str) -> Recorded | None:
        return self.check(claim).records.get(path)

    def checkpoint(self, claim: Claim, action: RunSql | SendHttp, result: Result) -> Answer:
        """The end of the activation's transaction; what comes before it is rolled back when this raises."""
        brought = result if action.keep else None
        return self._insert(claim, action.path, result, None, brought, cast("Finish | None", action.rider))

    def record_failure(self, claim: Claim, action: RecordFailure) -> Answer:
        return self._insert(claim, action.path, None, action.error, None, action.finish)

    def _insert(
        self,
        claim: Claim,
        path: str,
        result: Result | None,
        error: StepError | None,
        brought: Result | None,
        finish: Finish | None,
    ) -> Answer:
        instance = self.check(claim)
        if self.rules.unique and path in instance.records:
            raise AlreadyRecorded
        if instance.ended:
            instance.after_end.append(path)
        self.journal += 1
        if error is not None:
            record: Recorded = Failed(number=self.journal, path=path, error=error)
            event: Recorded = record
        else:
            record = Completed(number=self.journal, path=path, result=result)
            event = Completed(number=self.journal, path=path, result=brought)
        instance.records[path] = record
        if finish is None:
            return Answer(event=event)
        if instance.cancel is not None and self.rules.cancel_wins:
            return Answer(event=event, finished=False, cancel_reason=instance.cancel)
        self._end(instance, finish)
        return Answer(event=event, finished=True)

    def finish(self, claim: Claim, finish: Finish) -> None:
        self._end(self.check(claim), finish)

    def _end(self, instance: Instance, finish: Finish) -> None:
        if instance.ended:
            instance.after_end.append(finish.status)
        instance.status = finish.status
        instance.finish = finish
        instance.token = None
        instance.worker = None
        if finish.shape is not None:
            instance.result = self._assemble(instance, finish.shape)

    def _assemble(self, instance: Instance, shape: Shape) -> Any:
        if isinstance(shape, tuple):
            return [self._assemble(instance, part) for part in shape]
        record = instance.records[shape]
        assert isinstance(record, Completed) and record.result is not None, f"`{shape}` has no result"
        return render(record.result)
