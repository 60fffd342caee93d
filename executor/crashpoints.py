"""Where a worker may be killed to see what comes of it: right behind everything that has committed.

The driver says what it has made last, before it does anything else. `dfc crashtest` listens; otherwise nobody
does, and the driver asks once an action whether somebody is there. What is in here only names things: who
listens decides whether the process dies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from dfc.compiler.plan import Form
from dfc.executor.actions import (
    Action,
    AwaitInstance,
    CallWorkflow,
    EndItem,
    EndMap,
    Finish,
    Position,
    RecordAttempt,
    RecordBeginning,
    RecordDecision,
    RecordFailure,
    RecordWaited,
    RunAtomic,
    RunItems,
    RunSql,
    SendHttp,
    StartTimer,
    StopCall,
    StoreItems,
    TakeSignal,
)
from dfc.executor.journal import AtomicDone, Attempted, Deferred, Event, NothingYet, Stopped
from dfc.executor.paths import item

Nature = Literal["transaction", "outside", "request", "record"]
"""How an effect and its record belong together: one transaction; a statement outside of one, or a request,
whose record follows; a record without an effect of the user's."""

_WORDS: Final[dict[type[object], str]] = {
    RunSql: "step",
    RunAtomic: "transaction of steps",
    RunItems: "items",
    StoreItems: "items",
    SendHttp: "response",
    RecordFailure: "failure",
    RecordDecision: "decision",
    RecordBeginning: "beginning",
    RecordAttempt: "attempt",
    StartTimer: "timer",
    RecordWaited: "end of a wait",
    TakeSignal: "signal",
    AwaitInstance: "end of another workflow",
    CallWorkflow: "call",
    StopCall: "stop of a call",
    Position: "position",
    EndItem: "end of an item",
    EndMap: "end of a map",
    Finish: "end of the workflow",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Something that has committed.

    `number` tells those of one path apart: the attempt, the round. `held` is the path under which the record
    of a step is written, so that its transaction can be held at its commit; None where it is no step.
    `failing`: what is held there is the record of an attempt that has failed, and is made again.
    """

    what: str
    path: str
    number: int = 0
    nature: Nature = "record"
    held: str | None = None
    failing: bool = False


class Crashpoints(Protocol):
    """Who wants to know what a worker has made last. Called between a commit and whatever follows it."""

    def passed(self, instance: str, point: Point) -> None:
        """Something of the instance has committed. Need not return."""
        ...

    def ended(self, instance: str) -> None:
        """What was passed last has committed the end of the instance, too. Need not return."""
        ...


CLAIMED: Final = Point(what="claim", path="")
PARKED: Final = Point(what="parking", path="")
ENDED: Final = Point(what=_WORDS[Finish], path="")


def nature_of(action: Action) -> Nature | None:
    """How the effect of a step and its record belong together; None where it is none that could be apart."""
    match action:
        case RunSql(body=body):
            return "outside" if body.form is Form.AUTOCOMMIT else "transaction"
        case SendHttp():
            return "request"
        case _:
            return None


def point_of(action: Action, events: Sequence[Event], failed: Nature | None = None) -> Point | None:
    """What an action that was answered by these events has committed; None where that is nothing.

    `failed` is the nature of the step whose failure it records.
    """
    what = _WORDS.get(type(action))
    if what is None or (events and all(_leaves_nothing(action, event) for event in events)):
        return None
    match action:
        case RunSql(path=path, rider=rider):
            held = item(rider.path, rider.item) if isinstance(rider, EndItem) else path
            return Point(what=what, path=path, nature=nature_of(action) or "record", held=held)
        case RunItems(path=path):
            return Point(what=what, path=path, nature="transaction", held=path)
        case RunAtomic(path=path):
            done = next((event for event in events if isinstance(event, AtomicDone)), None)
            held = done.records[-1].path if done is not None and done.records else None
            return Point(what=what, path=path, nature="transaction", held=held)
        case SendHttp(path=path, rider=rider):
            held = item(rider.path, rider.item) if isinstance(rider, EndItem) else path
            return Point(what=what, path=path, nature="request", held=held)
        case RecordFailure(path=path) if failed in ("outside", "request"):
            return Point(what=what, path=path, nature=failed, held=path)
        case RecordAttempt(path=path, attempts=number) if failed in ("outside", "request"):
            return Point(what=what, path=path, number=number, nature=failed, held=path, failing=True)
        case Position(path=path, round=number) | RecordAttempt(path=path, attempts=number):
            return Point(what=what, path=path, number=number)
        case EndItem(path=path, item=number):
            return Point(what=what, path=path, number=number)
        case Finish():
            return ENDED
        case _:
            return Point(what=what, path=action.path)


def _leaves_nothing(action: Action, event: Event) -> bool:
    """Whether an event says that nothing was written; a call that has begun has started its workflow."""
    if isinstance(event, NothingYet) and isinstance(action, CallWorkflow):
        return False
    return isinstance(event, Attempted | NothingYet | Deferred | Stopped)
