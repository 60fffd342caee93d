"""Everything that has happened to an instance, in the order of its happening; only the simulator sees it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from dfc.executor.journal import Result, Rows, StepError, Value
from tests.simulate.places import where

Kind = Literal[
    "started",  # a worker has begun an attempt
    "completed",
    "failed",
    "decided",
    "timed",
    "positioned",
    "retrying",
    "begun",
    "item",
    "finished",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something that happened under a path. Entries of one transaction share its number.

    `time` is what the database's clock said, `forward` by how much it had moved forward since the beginning.
    """

    at: int
    kind: Kind
    path: str
    transaction: int
    time: float
    forward: float
    result: Result | None = None
    error: StepError | None = None
    text: str | None = None
    number: int = 0
    seen: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class History:
    """The entries of one instance."""

    entries: list[Entry] = field(default_factory=list[Entry])
    by_path: dict[str, list[Entry]] = field(default_factory=dict[str, list[Entry]])
    touched: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """Frame and node id of all that is recorded, and of the loops, maps and retries around it."""
    frames: set[str] = field(default_factory=set[str])
    """Rounds, attempts and items of which something is recorded."""
    begun: set[str] = field(default_factory=set[str])
    """Those that somebody has begun."""
    effects: Counter[str] = field(default_factory=Counter[str])
    """How often the statement of an activation has had its effect."""
    sent: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """The requests that have been sent, as they were."""

    items: dict[str, Sequence[Rows | Value]] = field(default_factory=dict[str, "Sequence[Rows | Value]"])
    """The items of each map, by its path."""

    def add(self, entry: Entry) -> None:
        """Write an entry down."""
        self.entries.append(entry)
        known = self.by_path.get(entry.path)
        if known is None:
            self.by_path[entry.path] = [entry]
        else:
            known.append(entry)
        if entry.kind in ("started", "begun", "timed", "decided", "positioned"):
            self.begin(entry.path)
        if entry.kind in ("completed", "failed", "decided", "item"):
            self.touch(entry.path)

    def begin(self, path: str) -> None:
        """Somebody is at work on a path, or waits for a turn to be."""
        frame = ""
        for id, number in where(path).frames:
            frame += f"{id}[{number}]/"
            self.begun.add(frame)

    def touch(self, path: str) -> None:
        """Something has come of the node of a path."""
        at = where(path)
        frame = ""
        for id, number in at.frames:
            self.touched.add((frame, id))
            frame += f"{id}[{number}]/"
            self.frames.add(frame)
        self.touched.add((frame, at.node))

    def all(self, path: str, *kinds: Kind) -> list[Entry]:
        """The entries of these kinds under a path."""
        return [entry for entry in self.by_path.get(path, ()) if entry.kind in kinds]

    def one(self, path: str, *kinds: Kind) -> Entry | None:
        """The first entry of these kinds under a path."""
        return next((entry for entry in self.by_path.get(path, ()) if entry.kind in kinds), None)
