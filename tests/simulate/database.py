"""The model of the database: what docs/internals.md says of the `df` functions, each one atomic.

Nothing here knows of the network, of workers' code or of time, but for leases, timers and what is parked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from dfc.compiler.plan import CompensateNode, LoopNode, Plan, RetryNode
from dfc.executor.actions import (
    AwaitInstance,
    CallWorkflow,
    EndItem,
    EndMap,
    FetchItems,
    Finish,
    Position,
    RecordAttempt,
    RecordDecision,
    RecordFailure,
    RecordWaited,
    Rider,
    StartTimer,
    StopCall,
    TakeSignal,
)
from dfc.executor.claim import Claim
from dfc.executor.cron import next_ticks
from dfc.executor.failures import AlreadyRecorded, Beaten, FenceLost, StepFailed
from dfc.executor.journal import (
    Begun,
    Child,
    Completed,
    Decided,
    Deferred,
    Failed,
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
from dfc.executor.retry import RECORDED_SECONDS
from tests.simulate.fates import Fates
from tests.simulate.history import Entry, Kind
from tests.simulate.places import Places, nodes_in, where
from tests.simulate.rows import AttemptRow, Instance, ItemRow, LateRow, PositionRow, SignalRow, TimerRow
from tests.simulate.shapes import Broken, assembled, items_of, paths_in, result_of
from tests.simulate.values import text_of

BEAT_SECONDS = 0.3
"""How often a worker says that it lives."""

UNHEARD_SECONDS = 30.0
"""Longer than workers are paused, dead and late together: a signal that came so long ago is known."""

LATE_ROUNDS = 3
"""What was written too late for its round has been forgotten when so many more are over."""


@dataclass(slots=True)
class WorkerRow:
    """A row of df.workers, and whether its session holds its advisory lock.

    `seen`: of each other worker, how often it had beaten, and since which own beat.
    """

    locked: bool = True
    beats: int = 0
    seen: dict[int, tuple[int, int]] = field(default_factory=dict[int, tuple[int, int]])


@dataclass(slots=True, kw_only=True)
class Rules:
    """What the schema guarantees. The mutants of the schema switch one of them off."""

    fence: bool = True
    unique: bool = True
    cancel_wins: bool = True
    first_decision: bool = True
    timers_last: bool = True
    atomic: bool = True
    parked_wake: bool = True
    attempts_last: bool = True
    news_wake: bool = True
    consumed: bool = True
    one_child: bool = True
    set_back: bool = True
    moments: bool = True
    begin_anew: bool = True


class Workflow(Protocol):
    """A defined workflow: its plan, and what is known of its steps."""

    @property
    def plan(self) -> Plan: ...
    @property
    def forced(self) -> Mapping[str, tuple[str, bool]]: ...
    @property
    def doomed(self) -> frozenset[str]: ...


class Database:
    """One database. `elapsed` is the time that has passed; its own clock can be set (`set_clock`).

    `lease_seconds` is how long a silent worker is believed in.
    """

    def __init__(self, elapsed: Callable[[], float], *, lease_seconds: float, rules: Rules) -> None:
        self.elapsed = elapsed
        self.ahead = 0.0
        self.set_forward = 0.0
        self.was_set = False
        self.lease_seconds = lease_seconds
        self.rules = rules
        self.instances: dict[str, Instance] = {}
        self.workers: dict[int, WorkerRow] = {}
        self.journal = 0
        self.transaction = 0
        self.tokens = 0
        self.takeovers = 0
        self.turns: dict[str, tuple[float, float]] = {}
        self.workflows: Mapping[str, Workflow] = {}

    def start(self, id: str, plan: Plan, fates: Fates, input: str | None = None) -> Instance:
        """Insert an instance."""
        instance = self.instances[id] = Instance(id, plan, fates, Places(plan), input=input)
        return instance

    # The clock

    def now(self) -> float:
        """What its clock says."""
        return self.elapsed() + self.ahead

    def set_clock(self, seconds: float) -> None:
        """Set it forward, or back."""
        self.was_set = True
        self.ahead += seconds
        self.set_forward += max(0.0, seconds)

    def set_back(self) -> None:
        """What was parked later than now is due."""
        now = self.now()
        for instance in self.instances.values():
            until = instance.parked_until
            parked = until is not None and not math.isinf(until) and until > now
            if parked and instance.parked_at > now and self.rules.set_back:
                instance.parked_until = now

    def _begin_anew(self, instance: Instance) -> None:
        """Lengths of time that began later than now begin now."""
        now = self.now()
        rows = (*instance.timers.values(), *instance.positions.values(), *instance.attempts.values())
        for row in rows:
            fixed = isinstance(row, TimerRow) and row.fixed
            if row.made > now and not fixed and self.rules.begin_anew:
                row.due, row.made = now + row.due - row.made, now

    # Workers

    def register(self) -> int:
        self.tokens += 1
        worker = self.tokens * 1000 + len(self.workers) + 1
        self.workers[worker] = WorkerRow()
        return worker

    def heartbeat(self, worker: int) -> bool:
        row = self.workers.get(worker)
        if row is None or not row.locked:
            # Its session went with a restart: it notices, and registers anew.
            return False
        row.beats += 1
        for other, theirs in self.workers.items():
            if row.seen.get(other, (-1, 0))[0] != theirs.beats:
                row.seen[other] = (theirs.beats, row.beats)
        return True

    def unregister(self, worker: int) -> None:
        for instance in self.instances.values():
            if instance.worker == worker:
                instance.worker = None
        self.workers.pop(worker, None)

    def _dead(self, worker: int | None, me: int) -> bool:
        row = None if worker is None else self.workers.get(worker)
        if worker is None or row is None or not row.locked:
            return True
        mine = self.workers[me]
        beats, since = mine.seen.get(worker, (-1, 0))
        silent = (mine.beats - since) * BEAT_SECONDS
        return worker != me and beats == row.beats and silent >= self.lease_seconds

    def claim(self, worker: int, limit: int) -> list[tuple[Claim, Plan]]:
        if worker not in self.workers:
            raise FenceLost
        up = [i for i in self.instances.values() if i.status == "running" and self._to_be_taken(i, worker)]
        self.takeovers += len(up[:limit])
        pending = [i for i in self.instances.values() if i.status == "pending" and not self._is_paused(i)]
        claimed = [(self._fence(i, worker), i.plan) for i in (up + pending)[:limit]]
        for other in list(self.workers):
            held = any(i.worker == other for i in self.instances.values() if not i.ended)
            if other != worker and not held and self._dead(other, worker):
                del self.workers[other]
        return claimed

    def _is_paused(self, instance: Instance) -> bool:
        return instance.paused and instance.cancel is None

    def _to_be_taken(self, instance: Instance, me: int) -> bool:
        if self._is_paused(instance):
            return False
        if instance.parked_until is None:
            return self._dead(instance.worker, me)
        if instance.cancel is not None and not instance.cancel_known:
            return True
        if instance.news and instance.listens:
            return True
        return self.rules.parked_wake and instance.parked_until <= self.now()

    def _fence(self, instance: Instance, worker: int) -> Claim:
        resumed = instance.status == "running"
        self.tokens += 1
        instance.status = "running"
        instance.worker = worker
        instance.parked_until = None
        instance.cancel_known = instance.listens = False
        instance.token = self.tokens.to_bytes(16, "big")
        return Claim(
            instance=instance.id,
            token=instance.token,
            submitted_by="somebody",
            database=None,
            search_path="public",
            time_zone="UTC",
            cancel_reason=instance.cancel,
            resumed=resumed,
            input=instance.input,
        )

    # Instances

    def cancel(self, id: str, reason: str) -> bool:
        instance = self.instances[id]
        if instance.ended or instance.cancel is not None:
            return False
        instance.cancel = reason
        return True

    def pause(self, id: str, paused: bool) -> None:
        """Pause an instance, or let it go on: then it is due at once where it was given up for that."""
        instance = self.instances[id]
        instance.paused = paused
        instance.was_held = instance.was_held or paused
        if not paused and instance.parked_until is not None and math.isinf(instance.parked_until):
            instance.parked_until = instance.parked_at = self.now()

    def pauses(self, worker: int) -> list[tuple[str, bool]]:
        """Whether what a worker holds is paused."""
        return [(i.id, i.paused) for i in self.instances.values() if i.worker == worker and not i.ended]

    def cancels(self, worker: int) -> list[tuple[str, str | None]]:
        """Cancel requests for what a worker holds, with their reasons; and news, without."""
        held = [i for i in self.instances.values() if i.worker == worker and not i.ended]
        found: list[tuple[str, str | None]] = [(i.id, i.cancel) for i in held if i.cancel is not None]
        return found + [(i.id, None) for i in held if i.news]

    def begin_again(self, claim: Claim, records: Sequence[str], maps: Sequence[str]) -> None:
        instance = self.check(claim)
        gone = set(records)
        kept = {path for path in instance.items if path in gone and f"{path}/items" not in gone}
        for path in kept:
            instance.records.pop(path, None)
        instance.forget(gone - kept)
        for path in maps:
            for row in instance.items.get(path, ()):
                if row.error is not None:
                    row.ended, row.error = False, None

    def settle(self, claim: Claim, token: bytes) -> None:
        instance = self.instances[claim.instance]
        if instance.token != token:
            self.check(claim)
            instance.token = token

    def check(self, claim: Claim) -> Instance:
        """The instance, if the fence is this claim's."""
        instance = self.instances[claim.instance]
        if self.rules.fence and instance.token != claim.token:
            raise FenceLost
        return instance

    def begin(self) -> None:
        """What is written down from now on belongs to another transaction."""
        self.transaction += 1

    def note(self, instance: Instance, kind: Kind, path: str, **what: Any) -> int:
        """Write down that something happened; its number."""
        self.journal += 1
        if instance.ended and kind != "started":
            instance.after_end.append(path)
        if kind in ("timed", "decided") and instance.is_over(path):
            instance.late[path] = LateRow(instance.token)
        entry = Entry(
            at=self.journal,
            kind=kind,
            path=path,
            transaction=self.transaction,
            time=self.now(),
            forward=self.elapsed() + self.set_forward,
            **what,
        )
        instance.history.add(entry)
        return self.journal

    # What lasts

    def live(self, instance: Instance) -> list[Record]:
        """All that lasts of an instance, with nothing left out."""
        now = self.now()
        found: list[Record] = list(instance.records.values())
        found += [
            Timed(path=path, seconds=row.due - now, at=repr(row.due)) for path, row in instance.timers.items()
        ]
        found += [
            Positioned(
                path=path,
                round=row.round,
                carry=row.carry,
                seconds=max(0.0, row.due - now),
                error=row.error,
            )
            for path, row in instance.positions.items()
        ]
        found += [
            Retrying(
                path=path,
                attempts=row.attempts,
                losses=row.losses,
                seconds=max(0.0, row.due - now),
                error=row.error,
            )
            for path, row in instance.attempts.items()
            if path not in instance.records
        ]
        found += [Begun(path=path) for path in instance.begun if path not in instance.records]
        found += [Child(path=path, instance=id) for path, id in instance.children.items()]
        return found

    def history(self, claim: Claim, kept: frozenset[str]) -> list[Record]:
        instance = self.check(claim)
        self._begin_anew(instance)
        return [as_read(instance, record, kept) for record in self.live(instance)]

    def record_of(self, claim: Claim, path: str) -> Recorded | None:
        found = self.check(claim).records.get(path)
        assert not isinstance(found, Decided), f"`{path}` is no activation"
        return found

    def result_of(self, claim: Claim, shape: Shape) -> Result:
        return result_of(self.check(claim), shape)

    def checkpoint(
        self,
        claim: Claim,
        path: str,
        result: Result,
        *,
        rider: Rider | None = None,
        seen: Mapping[str, Any] | None = None,
    ) -> Answer:
        """The end of the activation's transaction; what comes before it is rolled back when this raises."""
        instance = self.check(claim)
        self._unique(instance, path)
        self.begin()
        match rider:
            case RecordDecision() if rider.path in instance.records and self.rules.first_decision:
                raise Beaten
            case EndItem():
                self._item_open(instance, rider)
            case _:
                pass
        number = self.note(instance, "completed", path, result=result, seen=seen or {})
        event = Completed(number=number, path=path, result=result)
        if rider is None:
            instance.records[path] = event
            return Answer(event=event)
        if isinstance(rider, EndItem):
            return Answer(event=event, item=self._end_item(instance, rider, event))
        instance.records[path] = event
        if isinstance(rider, RecordDecision):
            return Answer(event=event, decided=self._decide(instance, rider))
        return self._ended(instance, event, rider)

    def record_failure(self, claim: Claim, action: RecordFailure) -> Answer:
        instance = self.check(claim)
        self._unique(instance, action.path)
        self.begin()
        number = self.note(instance, "failed", action.path, error=action.error)
        event = Failed(number=number, path=action.path, error=action.error)
        instance.records[action.path] = event
        return Answer(event=event) if action.finish is None else self._ended(instance, event, action.finish)

    def _unique(self, instance: Instance, path: str) -> None:
        if self.rules.unique and path in instance.records:
            raise AlreadyRecorded

    def _ended(self, instance: Instance, event: Recorded, finish: Finish) -> Answer:
        if instance.cancel is not None and finish.status != "cancelled" and self.rules.cancel_wins:
            return Answer(event=event, finished=False, cancel_reason=instance.cancel)
        self._end(instance, finish)
        return Answer(event=event, finished=True)

    def commit(
        self, claim: Claim, steps: Sequence[tuple[str, Rows, Mapping[str, Any]]]
    ) -> tuple[Completed, ...]:
        """The end of a transaction of several steps."""
        instance = self.check(claim)
        for path, _, _ in steps:
            self._unique(instance, path)
        self.begin()
        kept = steps if self.rules.atomic else steps[: max(1, len(steps) - 1)]
        done: list[Completed] = []
        for path, result, seen in kept:
            number = self.note(instance, "completed", path, result=result, seen=seen)
            instance.history.effects[path] += 1
            event = instance.records[path] = Completed(number=number, path=path, result=result)
            done.append(event)
        return tuple(done)

    # Decisions, timers, positions, attempts

    def record_decision(self, claim: Claim, action: RecordDecision) -> Decided:
        self.begin()
        return self._decide(self.check(claim), action)

    def _decide(self, instance: Instance, action: RecordDecision) -> Decided:
        known = instance.records.get(action.path)
        if known is not None and self.rules.first_decision:
            assert isinstance(known, Decided)
            return known
        again = int(known is not None)
        number = self.note(instance, "decided", action.path, text=action.value, number=again)
        decided = Decided(number=number, path=action.path, value=action.value)
        instance.records[action.path] = decided
        return decided

    def record_beginning(self, claim: Claim, path: str) -> Begun:
        instance = self.check(claim)
        self.begin()
        instance.begun[path] = None
        self.note(instance, "begun", path)
        return Begun(path=path)

    def record_attempt(self, claim: Claim, action: RecordAttempt) -> Retrying:
        instance = self.check(claim)
        self.begin()
        self.note(
            instance, "retrying", action.path, number=action.attempts + action.losses, error=action.error
        )
        instance.begun.pop(action.path, None)
        now = self.now()
        row = AttemptRow(action.attempts, action.losses, now + action.seconds, action.error, now)
        instance.attempts[action.path] = row
        if not self.rules.attempts_last:
            del instance.attempts[action.path]
        return Retrying(
            path=action.path,
            attempts=action.attempts,
            losses=action.losses,
            seconds=action.seconds,
            error=action.error,
        )

    def start_timer(self, claim: Claim, action: StartTimer) -> Timed:
        instance = self.check(claim)
        self.begin()
        self._begin_anew(instance)
        if action.path not in instance.timers or not self.rules.timers_last:
            fixed = action.until is not None or action.cron is not None
            instance.timers[action.path] = TimerRow(self._due(action), self.now(), fixed)
            self.note(instance, "timed", action.path)
        due = instance.timers[action.path].due
        return Timed(path=action.path, seconds=due - self.now(), at=repr(due))

    def _due(self, action: StartTimer) -> float:
        """When a timer is over. A moment is written as a number here."""
        if action.until is not None:
            return float(action.until)
        if action.cron is not None:
            now = datetime.fromtimestamp(self.now(), UTC)
            return next_ticks(action.cron, action.time_zone, now, 1)[0].timestamp()
        return self.now() + action.seconds

    def position(self, claim: Claim, action: Position) -> Positioned:
        instance = self.check(claim)
        self.begin()
        before = instance.positions.get(action.path)
        again = before is not None and before.round == action.round
        due = self.now() + action.seconds
        if before is not None and again:
            due = min(due, before.due)
        row = PositionRow(action.round, action.carry, due, action.error, self.now())
        instance.positions[action.path] = row
        self.note(instance, "positioned", action.path, number=action.round, error=action.error)
        instance.forget(action.forget)
        self._bounded(instance, action)
        return Positioned(
            path=action.path,
            round=action.round,
            carry=action.carry,
            seconds=max(0.0, due - self.now()),
            error=action.error,
        )

    def _bounded(self, instance: Instance, action: Position) -> None:
        """Of the rounds before nothing is left but what is carried on, and what undos may want."""
        path = action.path.removesuffix("/round")
        place = instance.places.by_id.get(where(path).node)
        if place is None:
            return  # a path of the conformance suite's own
        node = place.node
        assert isinstance(node, LoopNode | RetryNode)
        if any(isinstance(inner, CompensateNode) for inner in nodes_in(node.body)):
            return
        carried = {part for shape in action.carry.values() for part in paths_in(shape)}
        for left in instance.paths() - carried:
            if not left.startswith(f"{path}[") or int(left[len(path) + 1 :].split("]")[0]) >= action.round:
                continue
            late = instance.late.get(left)
            if late is not None:
                # Whoever takes over does not know of it; who had asked for it learns of it.
                late.left.add(action.round)
                if late.token != instance.token or len(late.left) < LATE_ROUNDS:
                    continue
            raise Broken(f"{instance.id}: `{path}` stands at {action.round}, and `{left}` is still there")

    # Items

    def store_items(
        self,
        claim: Claim,
        path: str,
        values: Sequence[Rows | Value],
        *,
        seen: Mapping[str, Any] | None = None,
    ) -> Answer:
        instance = self.check(claim)
        self._unique(instance, path)
        self.begin()
        first = values[0] if values else None
        columns, types = (first.columns, first.types) if isinstance(first, Rows) else ((), ())
        result = Rows(columns=columns, types=types, cells=(), row_count=len(values))
        number = self.note(instance, "completed", path, result=result, seen=seen or {})
        event = instance.records[path] = Completed(number=number, path=path, result=result)
        rows = [ItemRow(number, value) for number, value in enumerate(values, start=1)]
        instance.items[path.removesuffix("/items")] = rows
        instance.history.items[path.removesuffix("/items")] = values
        return Answer(event=event)

    def fetch_items(self, claim: Claim, action: FetchItems) -> ItemsFetched:
        return items_of(self.check(claim), action)

    def end_item(self, claim: Claim, action: EndItem) -> ItemEnded:
        instance = self.check(claim)
        self.begin()
        return self._end_item(instance, action, None)

    def _item_open(self, instance: Instance, action: EndItem) -> None:
        if self.rules.unique and instance.item(action.path, action.item).ended:
            raise AlreadyRecorded

    def _end_item(self, instance: Instance, action: EndItem, last: Completed | None) -> ItemEnded:
        row = instance.item(action.path, action.item)
        if not row.ended:
            row.ended = True
            row.error = action.error
            if action.shape is not None:
                fresh = {} if last is None else {last.path: last}
                row.result = assembled(instance, action.shape, fresh)
            text = None if action.error is not None else row.text
            self.note(instance, "item", action.path, number=action.item, error=action.error, text=text)
            instance.forget(action.forget)
        return ItemEnded(path=action.path, item=action.item)

    def end_map(self, claim: Claim, action: EndMap) -> Answer:
        instance = self.check(claim)
        rows = instance.items[action.path]
        return self.checkpoint(claim, action.path, instance.map_result(action.path, rows), rider=action.rider)

    # What comes from outside

    def signal(self, id: str, name: str) -> None:
        """Send a signal, to whoever has not ended."""
        instance = self.instances[id]
        if instance.ended:
            return
        number = len(instance.sent) + 1
        instance.sent[number] = name
        instance.signals.append(SignalRow(number, name, self.elapsed()))
        instance.news = True

    def record_waited(self, claim: Claim, action: RecordWaited) -> Answer | Deferred:
        timer = self.check(claim).timers.get(f"{action.path}/timer")
        if timer is not None and timer.fixed and timer.due > self.now() and self.rules.moments:
            return Deferred(path=action.path, seconds=timer.due - self.now())
        value = Value(json=action.value)
        return self.checkpoint(claim, action.path, value, rider=action.rider)

    def _heard(self, claim: Claim) -> tuple[Instance, bool]:
        """The instance, and whether a wake-up was taken away: others of it have to be told, then."""
        instance = self.check(claim)
        news, instance.news = instance.news, False
        return instance, news

    def take_signal(self, claim: Claim, action: TakeSignal) -> Answer | NothingYet:
        instance, news = self._heard(claim)
        for row in instance.signals:
            if row.seen is None:
                row.seen = self.journal
        first = next((row for row in instance.signals if row.name == action.name), None)
        if first is None and not action.expired:
            instance.unheard[action.path] = self.elapsed()
            return NothingYet(path=action.path, others=news)
        self._heard_in_time(instance, action.path, first)
        self._unique(instance, action.path)
        if first is not None and self.rules.consumed:
            instance.signals.remove(first)
        data = None if first is None else first.number
        shown = {"signal_name": action.name, "timed_out": first is None, "data": data}
        return self.checkpoint(claim, action.path, Value(json=json.dumps(shown)), rider=action.rider)

    def _heard_in_time(self, instance: Instance, path: str, signal: SignalRow | None) -> None:
        """Nobody who waits is told of a signal long after it came."""
        if signal is None or instance.was_held or instance.unheard.get(path, math.inf) > signal.sent:
            return
        if self.elapsed() - signal.sent > UNHEARD_SECONDS:
            raise Broken(f"{instance.id}: `{path}` was not told of a signal that had come long before")

    def await_instance(self, claim: Claim, action: AwaitInstance) -> Answer | NothingYet:
        instance, news = self._heard(claim)
        other = self.instances[action.instance]
        instance.awaited[f"{action.path}/awaited"] = other.id
        if not other.ended and not action.expired:
            return NothingYet(path=action.path, others=news)
        shown = {"instance_id": other.id, "status": other.status, "timed_out": not other.ended}
        return self.checkpoint(claim, action.path, Value(json=json.dumps(shown)), rider=action.rider)

    def call(self, claim: Claim, action: CallWorkflow) -> Answer | NothingYet:
        instance, news = self._heard(claim)
        if action.child not in instance.children or not self.rules.one_child:
            made = self.workflows[action.workflow]
            id = f"{instance.id}:{action.child}:{len(self.instances)}"
            fates = replace(instance.fates, seed=f"{instance.fates.seed} {action.child}", forced=made.forced)
            fates = replace(fates, doomed=made.doomed, _known={})
            self.start(id, made.plan, fates)
            if action.child in instance.children:
                raise Broken(f"{instance.id}: `{action.child}` is started once more")
            instance.children[action.child] = id
            instance.called.setdefault(action.path, []).append(id)
        child = self.instances[instance.children[action.child]]
        if child.finish is None:
            return NothingYet(path=action.path, others=news)
        if child.finish.status != "completed":
            error = child.finish.error
            sqlstate = "P0001" if error is None else error.sqlstate
            raise StepFailed(StepError(step=where(action.path).node, message="child", sqlstate=sqlstate))
        assert child.result is not None
        return self.checkpoint(claim, action.path, Value(json=text_of(child.result)), rider=action.rider)

    def stop_call(self, claim: Claim, action: StopCall) -> Recorded | Stopped | NothingYet:
        instance, _ = self._heard(claim)
        number = 0
        while f"{action.path}/child{number + 1}" in instance.children:
            number += 1
        child = self.instances.get(instance.children.get(f"{action.path}/child{number}", ""))
        if child is None:
            return Stopped(path=action.path)
        if child.finish is None:
            self.cancel(child.id, "not wanted any more")
            return NothingYet(path=action.path)
        if child.finish.status != "completed":
            return Stopped(path=action.path)
        known = instance.records.get(action.path)
        if isinstance(known, Completed):
            return known  # its answer was lost
        assert child.result is not None
        return self.checkpoint(claim, action.path, Value(json=text_of(child.result))).event

    # Turns, parking, the end

    def take_turn(self, claim: Claim, path: str, key: str, count: int, seconds: int) -> float:
        instance = self.check(claim)
        self._begin_anew(instance)
        instance.history.begin(path)
        now = self.now()
        if path in instance.timers:
            return max(0.0, instance.timers[path].due - now)
        # The generic cell rate algorithm (ITU-T I.371): `count` at once, then one each `seconds / count`.
        full, made = self.turns.get(key, (now, now))
        full = (now + full - made if made > now else max(full, now)) + seconds / count
        self.turns[key] = full, now
        wait = max(0.0, full - now - seconds)
        if wait >= RECORDED_SECONDS:
            instance.timers[path] = TimerRow(now + wait, now, fixed=False)
            instance.begun.pop(path.rpartition("/turn")[0], None)
        return wait

    def park(self, claim: Claim, parking: Parking) -> None:
        instance = self.check(claim)
        instance.cancel_known = parking.cancel_known
        instance.listens = bool(parking.listening) and self.rules.news_wake
        instance.parked_at = self.now()
        instance.parked_until = self.now() + parking.seconds
        if parking.pausing and not self._is_paused(instance):
            instance.parked_until = self.now()
        instance.worker = None
        instance.token = None

    def finish(self, claim: Claim, finish: Finish) -> None:
        instance = self.check(claim)
        self.begin()
        self._end(instance, finish)

    def _end(self, instance: Instance, finish: Finish) -> None:
        if instance.ended:
            instance.after_end.append(finish.status)
        self.note(instance, "finished", "", text=finish.status)
        instance.status = finish.status
        instance.finish = finish
        instance.token = None
        instance.worker = None
        instance.signals.clear()
        if finish.shape is not None:
            instance.result = assembled(instance, finish.shape)
        for other in self.instances.values():
            if instance.id in (*other.children.values(), *other.awaited.values()):
                other.news = True


def as_read(instance: Instance, record: Record, kept: frozenset[str]) -> Record:
    """A record as somebody reads it who wants the results of some nodes only."""
    if not isinstance(record, Completed):
        return record
    path = record.path
    wanted = instance.places.node(path).id in kept and not instance.fates.large(path)
    return record if wanted else Completed(number=record.number, path=path, result=None)
