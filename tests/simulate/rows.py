"""The rows of an instance in the model of the database."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dfc.compiler.plan import Plan
from dfc.executor.actions import Finish
from dfc.executor.journal import Completed, Decided, Failed, Rows, Shape, StepError, Value
from tests.simulate.fates import Fates
from tests.simulate.history import History
from tests.simulate.places import Places, where
from tests.simulate.values import Given, text_of


@dataclass(slots=True)
class ItemRow:
    """An item of a map, with its outcome when it has ended."""

    number: int
    value: Rows | Value
    ended: bool = False
    result: Given | None = None
    error: StepError | None = None

    @property
    def text(self) -> str | None:
        """Its result in a form that can be compared."""
        return None if self.result is None else text_of(self.result)


@dataclass(slots=True)
class PositionRow:
    """Where a loop or retry stands."""

    round: int
    carry: Mapping[str, Shape]
    due: float
    error: StepError | None
    made: float = -math.inf


@dataclass(slots=True)
class TimerRow:
    """A timer: a length of time from `made`, or a moment that was given (`fixed`)."""

    due: float
    made: float
    fixed: bool


@dataclass(slots=True)
class AttemptRow:
    """How many attempts of an activation have ended without effect, and how many were lost."""

    attempts: int
    losses: int
    due: float
    error: StepError
    made: float = -math.inf


@dataclass(slots=True)
class SignalRow:
    """A signal; `seen` is the number of the first look at which it was there, `sent` when it came."""

    number: int
    name: str
    sent: float
    seen: int | None = None


@dataclass(slots=True)
class LateRow:
    """A row written when its round or item was over: who had asked for it, and which rounds have left it."""

    token: bytes | None
    left: set[int] = field(default_factory=set[int])


@dataclass(slots=True)
class Instance:
    """A row of df.instances with its fence, its request, and all that lasts of it."""

    id: str
    plan: Plan
    fates: Fates
    places: Places
    input: str | None = None
    status: str = "pending"
    token: bytes | None = None
    worker: int | None = None
    parked_until: float | None = None
    parked_at: float = -math.inf
    cancel_known: bool = False
    cancel: str | None = None
    paused: bool = False
    news: bool = False
    listens: bool = False
    finish: Finish | None = None
    result: Given | None = None

    records: dict[str, Completed | Failed | Decided] = field(
        default_factory=dict[str, Completed | Failed | Decided]
    )
    timers: dict[str, TimerRow] = field(default_factory=dict[str, "TimerRow"])
    positions: dict[str, PositionRow] = field(default_factory=dict[str, PositionRow])
    attempts: dict[str, AttemptRow] = field(default_factory=dict[str, AttemptRow])
    begun: dict[str, None] = field(default_factory=dict[str, None])
    items: dict[str, list[ItemRow]] = field(default_factory=dict[str, list[ItemRow]])
    signals: list[SignalRow] = field(default_factory=list[SignalRow])
    children: dict[str, str] = field(default_factory=dict[str, str])
    awaited: dict[str, str] = field(default_factory=dict[str, str])

    # What only the simulator sees
    was_held: bool = False
    unheard: dict[str, float] = field(default_factory=dict[str, float])
    """When each wait for a signal asked last, and there was none."""
    history: History = field(default_factory=History)
    late: dict[str, LateRow] = field(default_factory=dict[str, LateRow])
    """Rows that were written when their round or item was over: they had been under way."""
    executions: dict[str, int] = field(default_factory=dict[str, int])
    sent: dict[int, str] = field(default_factory=dict[int, str])
    """The names of all signals that were sent to it, by number."""
    called: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """The instances that each call has started."""
    after_end: list[str] = field(default_factory=list[str])

    @property
    def ended(self) -> bool:
        return self.finish is not None

    def item(self, path: str, number: int) -> ItemRow:
        """An item of the map at a path."""
        return self.items[path][number - 1]

    def forget(self, paths: Iterable[str]) -> None:
        """Delete all rows under these paths.

        The items of a map go with its record, or, where it has none, with that of their number.
        """
        paths = list(paths)
        for path in paths:
            for rows in self._rows:
                rows.pop(path, None)
        for path in paths:
            map = path.removesuffix("/items")
            if map not in self.records:
                self.items.pop(map, None)

    def map_result(self, path: str, rows: Sequence[ItemRow]) -> Value:
        """What a map gives: the array of its items' results, or their numbers where that is too large."""
        if self.fates.large(path):
            failed = sum(row.error is not None for row in rows)
            return Value(json=json.dumps({"count": len(rows), "failed": failed}))
        return Value(json=json.dumps([_shown(row) for row in rows]))

    def is_over(self, path: str) -> bool:
        """Whether a path is in a round before the one where its loop stands, or in an item that has ended."""
        frame = ""
        for id, number in where(path).frames:
            items = self.items.get(frame + id, [])
            if f"{frame}{id}" in self.records or (0 < number <= len(items) and items[number - 1].ended):
                return True
            row = self.positions.get(f"{frame}{id}/round")
            if row is not None and number < row.round:
                return True
            frame += f"{id}[{number}]/"
        return False

    def paths(self) -> set[str]:
        """The paths of all rows."""
        found: set[str] = set()
        for rows in self._rows:
            found |= rows.keys()
        return found

    @property
    def _rows(self) -> tuple[dict[str, Any], ...]:
        return (
            self.records,
            self.timers,
            self.positions,
            self.attempts,
            self.begun,
            self.items,
            self.children,
            self.awaited,
        )


def _shown(row: ItemRow) -> Any:
    return None if row.text is None else json.loads(row.text)
