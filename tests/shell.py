"""A shell without a world: performs the core's actions in memory, in any order, and can be taken over."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import assert_never

from dfc.compiler.plan import Plan, SqlBody
from dfc.executor.actions import (
    Action,
    AwaitInstance,
    CallWorkflow,
    EndItem,
    EndMap,
    FetchItems,
    Finish,
    Interrupt,
    Listen,
    Position,
    ReadResult,
    RecordAttempt,
    RecordBeginning,
    RecordDecision,
    RecordFailure,
    RecordWaited,
    RunAtomic,
    RunItems,
    RunSql,
    SendHttp,
    Sources,
    StartTimer,
    StopCall,
    StoreItems,
    TakeSignal,
    Wait,
    key_of,
)
from dfc.executor.decide import State, begin, begin_atomic, pending, step, view
from dfc.executor.journal import (
    AtomicDone,
    Attempted,
    Batch,
    Begun,
    Called,
    CancelRequested,
    Completed,
    Constant,
    Decided,
    Due,
    Event,
    Failed,
    Item,
    ItemEnded,
    Items,
    ItemsFetched,
    NothingYet,
    Positioned,
    Record,
    Result,
    ResultRead,
    Retrying,
    Rows,
    Shape,
    StepError,
    Stopped,
    Timed,
    Value,
)

Outcome = Rows | Value | str
"""What an attempt comes to: a result, or the SQLSTATE of its error."""


def one(value: str, type: int = 25) -> Rows:
    """One row with one column."""
    return Rows(columns=("v",), types=(type,), cells=(value,), row_count=1)


@dataclass(slots=True)
class Shell:
    """Runs one instance. `outcomes` are by path, or by node id: one an attempt, the last one for ever."""

    plan: Plan
    outcomes: Mapping[str, Outcome | list[Outcome]] = field(
        default_factory=dict[str, "Outcome | list[Outcome]"]
    )
    random: Random = field(default_factory=lambda: Random(0))
    input: str | None = None
    records: dict[str, Record] = field(default_factory=dict[str, Record])
    attempts: dict[str, Record] = field(default_factory=dict[str, Record])
    items: dict[str, dict[int, tuple[Item, StepError | str | None]]] = field(
        default_factory=dict[str, "dict[int, tuple[Item, StepError | str | None]]"]
    )
    log: list[str] = field(default_factory=list[str])
    """The paths of the statements and requests that have had their effect, in the order of commits."""
    runs: dict[str, int] = field(default_factory=dict[str, int])
    open: dict[str, Action] = field(default_factory=dict[str, Action])
    finish: Finish | None = None
    cancelled: str | None = None
    number: int = 0
    sources: dict[str, Sources] = field(default_factory=dict[str, Sources])
    state: State | None = None
    stopping: dict[str, Action] = field(default_factory=dict[str, Action])
    listening: set[str] = field(default_factory=set[str])
    signals: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    waits: dict[str, float] = field(default_factory=dict[str, float])
    on_step: Callable[[Shell], None] | None = None
    check: bool = True

    def start(self) -> None:
        """Begin, or take over."""
        lasting = [*self.records.values(), *self.attempts.values()]
        self.state = begin(self.plan, lasting, instance="i", cancel_reason=self.cancelled, input=self.input)
        self.open.clear()
        self.listening.clear()
        self.take(pending(self.state))

    def take(self, actions: tuple[Action, ...]) -> None:
        """Accept what the core wants."""
        for action in actions:
            match action:
                case Finish():
                    self.finish = action
                case Interrupt(path=path):
                    before = self.open.get(path)
                    if path in self.listening:
                        self.listening.discard(path)
                    elif isinstance(before, Wait):
                        del self.open[path]
                    else:
                        assert before is not None, f"nothing runs at {path}"
                        self.open[path] = action
                        self.stopping[path] = before
                case Listen(path=path):
                    self.listening.add(path)
                case _:
                    key = key_of(action)
                    self.listening.discard(key)
                    assert key not in self.open, f"{key} is asked for twice"
                    self.open[key] = action

    def feed(self, *events: Event) -> None:
        """Tell the core."""
        assert self.state is not None
        for event in events:
            if self.finish is None:
                self.take(step(self.state, event))

    def cancel(self, reason: str = "enough") -> None:
        """Ask for the end."""
        self.cancelled = self.cancelled or reason
        self.feed(CancelRequested(reason=reason))

    def run(self, *, limit: int = 10_000) -> Finish:
        """Run to the end, in an order by chance."""
        if self.state is None:
            self.start()
        for _ in range(limit):
            if self.finish is not None:
                return self.finish
            assert self.open, "nothing is left to do"
            self.do(self.random.choice(sorted(self.open)))
            if self.check and self.finish is None:
                self.check_fold()
            if self.on_step is not None:
                self.on_step(self)
        raise AssertionError("no end")

    def check_fold(self) -> None:
        """The state from the records that last is the state from all events.

        While something is being stopped or decided it is not: who takes over does not know of it.
        """
        assert self.state is not None
        passing = Interrupt | RecordDecision | RecordFailure
        if any(isinstance(action, passing) for action in self.open.values()):
            return
        lasting = [*self.records.values(), *self.attempts.values()]
        again = begin(self.plan, lasting, instance="i", cancel_reason=self.cancelled, input=self.input)
        here, there = view(self.state), view(again)
        assert here == there, (set(here.items()) ^ set(there.items()), sorted(self.records))

    def crash(self) -> None:
        """Forget what only this process knows, and take over."""
        if self.finish is None:
            self.start()

    # Actions

    def do(self, path: str) -> None:
        """Perform one thing and tell the core."""
        action = self.open.pop(path)
        match action:
            case RunSql():
                self.feed(*self.sql(action))
            case SendHttp():
                self.feed(self.attempt(action.path, action.path, action.attempt))
            case RunAtomic():
                self.feed(self.atomic(action))
            case RunItems() | StoreItems():
                self.feed(self.fill(action))
            case Interrupt():
                self.feed(*self.interrupted(path, self.stopping.pop(path)))
            case Wait(seconds=seconds):
                self.waits[path] = seconds
                self.over(path)
                self.feed(Due(path=path))
            case RecordFailure(error=error):
                self.attempts.pop(path, None)
                self.feed(self.keep(Failed(number=self.next(), path=path, error=error)))
            case RecordDecision(value=value):
                found = self.records.get(path)
                self.feed(found or self.keep(Decided(number=self.next(), path=path, value=value)))
            case RecordBeginning():
                self.attempts[path] = Begun(path=path)
                self.feed(self.attempts[path])
            case RecordAttempt(attempts=attempts, losses=losses, seconds=seconds, error=error):
                noted = Retrying(path=path, attempts=attempts, losses=losses, seconds=seconds, error=error)
                self.attempts[path] = noted
                self.feed(noted)
            case StartTimer(seconds=seconds):
                found = self.records.get(path)
                self.feed(found or self.keep(Timed(path=path, seconds=seconds)))
            case Position():
                self.feed(self.position(action))
            case FetchItems():
                self.feed(self.fetch(action))
            case EndItem():
                self.feed(self.end_item(action))
            case EndMap():
                self.feed(self.end_map(action))
            case ReadResult(shape=shape):
                self.feed(ResultRead(path=path, result=self.result(shape)))
            case RecordWaited(value=value):
                self.feed(self.completed(path, value))
            case TakeSignal():
                self.feed(self.take_signal(action))
            case AwaitInstance() | CallWorkflow() | StopCall() | Listen():
                raise AssertionError(f"there are no other instances here: {action}")
            case Finish():
                raise AssertionError("the end is no job")
            case _:
                assert_never(action)

    def completed(self, path: str, value: str) -> Record:
        return self.keep(Completed(number=self.next(), path=path, result=Value(json=value)))

    def take_signal(self, action: TakeSignal) -> Event:
        sent = self.signals.get(action.name, [])
        if not sent and not action.expired:
            return NothingYet(path=action.path)
        data = sent.pop(0) if sent else None
        shown = {"signal_name": action.name, "timed_out": data is None, "data": data}
        return self.completed(action.path, json.dumps(shown))

    def send(self, name: str, data: int) -> None:
        """Send a signal."""
        self.signals.setdefault(name, []).append(data)
        self.feed(Called())

    def over(self, path: str) -> None:
        """A time that was recorded has passed."""
        for kept in (self.records, self.attempts):
            match kept.get(path):
                case Positioned() | Timed() | Retrying() as record:
                    kept[path] = replace(record, seconds=0.0)
                case _:
                    pass

    def next(self) -> int:
        self.number += 1
        return self.number

    def keep(self, record: Record) -> Record:
        self.records[record.path] = record
        return record

    def outcome(self, path: str, attempt: int) -> Outcome:
        bare = path.rsplit("]/", 1)[-1]
        for key in (path, bare, bare.split("/")[0]):
            if key in self.outcomes:
                found = self.outcomes[key]
                if isinstance(found, list):
                    return found[min(attempt, len(found)) - 1]
                return found
        return one(path)

    def attempt(self, path: str, key: str, attempt: int, *, record: bool = True) -> Event:
        self.runs[path] = self.runs.get(path, 0) + 1
        came = self.outcome(key, self.runs[path])
        if isinstance(came, str):
            error = StepError(step=path, message=f"{path} fails", sqlstate=came)
            return Attempted(path=path, error=error, transient=came[:2] in ("40", "08"))
        self.log.append(path)
        done = Completed(number=self.next(), path=path, result=came)
        self.attempts.pop(path, None)
        if record:
            self.keep(done)
        return done

    def sql(self, action: RunSql) -> list[Event]:
        self.sources[action.path] = action.sources
        match action.rider:
            case EndItem() as rider:
                event = self.attempt(action.path, action.path, action.attempt, record=False)
                if not isinstance(event, Completed):
                    return [event]
                return [event, self.end_item(rider)]
            case RecordDecision() as rider:
                if rider.path in self.records:
                    return [self.records[rider.path], Stopped(path=action.path)]
                event = self.attempt(action.path, action.path, action.attempt)
                if not isinstance(event, Completed):
                    return [event]
                decided = Decided(number=event.number, path=rider.path, value=rider.value)
                return [self.keep(decided), event]
            case Finish() as finish:
                event = self.attempt(action.path, action.path, action.attempt)
                if isinstance(event, Attempted):
                    return [event]
                if self.cancelled is not None:
                    return [CancelRequested(reason=self.cancelled), event]
                self.finish = finish
                return []
            case None:
                return [self.attempt(action.path, action.path, action.attempt)]
            case _:
                assert_never(action.rider)

    def atomic(self, action: RunAtomic) -> Event:
        state = begin_atomic(action, {k: self.result(v) for k, v in action.sources.items()})
        todo = list(pending(state))
        done: list[Completed] = []
        while todo:
            wanted = todo.pop(0)
            if isinstance(wanted, Finish):
                if wanted.error is not None:
                    return Attempted(path=action.path, error=wanted.error, transient=False)
                break
            assert isinstance(wanted, RunSql)
            self.runs[wanted.path] = self.runs.get(wanted.path, 0) + 1
            came = self.outcome(wanted.path, self.runs[wanted.path])
            if isinstance(came, str):
                error = StepError(step=wanted.path, message="no", sqlstate=came)
                return Attempted(path=action.path, error=error, transient=came[:2] == "40")
            done.append(Completed(number=self.next(), path=wanted.path, result=came))
            todo += step(state, done[-1])
        for record in done:
            self.log.append(record.path)
            self.keep(record)
        return AtomicDone(path=action.path, records=tuple(done))

    def result(self, shape: Result | Shape) -> Result:
        match shape:
            case Rows() | Value() | Items() | Batch():
                return shape
            case Constant(json=text):
                return Value(json=text)
            case str():
                record = self.records[shape]
                assert isinstance(record, Completed) and record.result is not None
                return record.result
            case _:
                return Value(json=repr(shape))

    def interrupted(self, path: str, action: Action) -> list[Event]:
        """By chance it had committed all the same."""
        if self.random.random() < 0.3:
            came: list[Event] = []
            if isinstance(action, RunSql):
                came = self.sql(action)
            elif isinstance(action, SendHttp):
                came = [self.attempt(path, path, action.attempt)]
            if any(isinstance(event, Completed) for event in came) or self.finish is not None:
                return came
        return [Stopped(path=path)]

    def position(self, action: Position) -> Event:
        for path in action.forget:
            self.records.pop(path, None)
            self.attempts.pop(path, None)
            self.items.pop(path, None)
        return self.keep(
            Positioned(
                path=action.path,
                round=action.round,
                carry=action.carry,
                seconds=action.seconds,
                error=action.error,
            )
        )

    # Maps

    def fill(self, action: RunItems | StoreItems) -> Event:
        assert action.path.endswith("/items")
        path = action.path.removesuffix("/items")
        if isinstance(action, RunItems):
            assert isinstance(action.body, SqlBody)
            rows = self.outcome(action.path, 1)
        else:
            rows = self.result(action.source)
        assert isinstance(rows, Rows)
        items = [Item(number=n, value=one(cell or "", 25)) for n, cell in enumerate(rows.cells, start=1)]
        self.items[path] = {item.number: (item, None) for item in items}
        count = Rows(columns=rows.columns, types=rows.types, cells=(), row_count=len(items))
        return self.keep(Completed(number=self.next(), path=action.path, result=count))

    def fetch(self, action: FetchItems) -> Event:
        path = action.path
        found = [
            item
            for item, ended in self.items[path].values()
            if item.number > action.after and (ended is None or action.ended)
        ]
        failed = {n: ended for n, (_, ended) in self.items[path].items() if isinstance(ended, StepError)}
        first = min(failed, default=0)
        return ItemsFetched(
            path=path, items=tuple(found[: action.limit]), first_error=failed.get(first), first_failed=first
        )

    def end_item(self, action: EndItem) -> Event:
        item, _ = self.items[action.path][action.item]
        self.items[action.path][action.item] = (item, action.error or "completed")
        for path in action.forget:
            self.records.pop(path, None)
        return ItemEnded(path=action.path, item=action.item)

    def end_map(self, action: EndMap) -> Event:
        value = Value(json=str(len(self.items[action.path])))
        return self.keep(Completed(number=self.next(), path=action.path, result=value))
