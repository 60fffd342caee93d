"""What has happened to an instance: the only input of the core.

Of the records that last, only the set counts and not their order: what depends on the order (who won a race,
whether a time limit or the work came first) is a record of its own, a decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The result of a SQL step as it is stored: text values, row by row, under ordered columns.

    `types` are type OIDs. `cells` has `len(columns)` values a row; NULL is None. `row_count` is the number
    of rows returned, or affected where the statement returns none (then `columns` is empty).
    """

    columns: tuple[str, ...]
    types: tuple[int, ...]
    cells: tuple[str | None, ...]
    row_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """The result of a step that is not SQL, as JSON text."""

    json: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """The result of a map, whose items are read where they are stored."""

    instance: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Several rows of a map's item as one value, the JSON array of its rows; no record holds them.

    It is a result and a shape: the server writes the array, since it knows how to write the types.
    """

    rows: Rows


Result = Rows | Value | Items | Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """A part of a result that is not in any record, as JSON text."""

    json: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A part of a result that is one cell of the first row of the record under `path`.

    `column` is None for the first one, as a JSON value; the cell of a named one keeps its type.
    """

    path: str
    column: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loose:
    """A cell of a row that no record holds (an item of a map): its text, and the OID of its type."""

    type: int
    cell: str | None


Shape = str | Constant | Cell | Loose | Batch | tuple["Shape", ...]
"""Where a result comes from: the path of a record, one of the above, or the array of several."""

NOTHING = Constant(json="null")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepError:
    """Why a step failed. `position` is a code point of the node's SQL, from 0, where PostgreSQL gave one.

    `cause` is the error that this one took the place of (in a catch or finally). `undone`: on its way out,
    undo steps have run. `final`: a `finally` has failed. The core alone knows these two.
    """

    step: str
    message: str
    sqlstate: str
    detail: str | None = None
    hint: str | None = None
    position: int | None = None
    cause: StepError | None = None
    undone: bool = field(default=False, compare=False)
    final: bool = field(default=False, compare=False)


# What lasts


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """An activation's effect and checkpoint have committed.

    `result` is None where it was not brought back.
    """

    number: int
    path: str
    result: Result | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """An activation has failed for good, and this is recorded."""

    number: int
    path: str
    error: StepError


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A decision, as JSON text: the first that anybody recorded under this path."""

    number: int
    path: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A timer that runs since it was recorded; `seconds` are left now, 0 or less when it is over.

    `at` is the moment as PostgreSQL writes it.
    """

    path: str
    seconds: float
    at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A call has started an instance."""

    path: str
    instance: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Positioned:
    """A loop or retry stands at `round`; the rounds before are forgotten but for `carry`.

    `carry` says, by node id, where the values come from that a node had at the end of the round before. After
    a failed attempt `seconds` are left until the next one, and `error` is why.
    """

    path: str
    round: int
    carry: Mapping[str, Shape] = field(default_factory=dict[str, Shape])
    seconds: float = 0.0
    error: StepError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrying:
    """`attempts` of an activation have ended without effect; `seconds` are left until the next one.

    Of `losses` further ones nothing is known.
    """

    path: str
    attempts: int
    seconds: float
    error: StepError
    losses: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """An attempt of an activation that may happen at most once has begun, and nothing more is known of it."""

    path: str


Record = Completed | Failed | Decided | Timed | Positioned | Retrying | Begun | Child
"""What somebody who takes over reads."""

Recorded = Completed | Failed

# What is only for who drives the instance now


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested:
    """Somebody asked for the end of the instance, and that has committed."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempted:
    """An attempt ended without an effect and without a record.

    `transient`: it may be repeated (bad luck, lost connection). `retry_after_seconds`: how long the other
    side asked to wait, where it did.
    """

    path: str
    error: StepError
    transient: bool
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """The time that was waited for under this path has come."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    """What was asked for comes later, in `seconds`, and that is recorded.

    The turn of an attempt under its rate limit; or the end of a wait for a moment, in front of which the
    clock has been set back.
    """

    path: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """What was interrupted has come to its end, and has left no record."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """Something has come for the instance from outside: a signal, the end of another instance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingYet:
    """What was asked for from outside has not come.

    `others`: something else has, and who asked for it before has to ask again.
    """

    path: str
    others: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NoTime:
    """There is no moment that a timer could wait for."""

    path: str
    error: StepError


@dataclass(frozen=True, slots=True, kw_only=True)
class AtomicDone:
    """A transaction of several steps has committed: all their records."""

    path: str
    records: tuple[Completed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An item of a map: its number (from 1), and its row, rows or JSON value."""

    number: int
    value: Rows | Value


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsFetched:
    """The next items of the map at `path` that have not ended, in order; fewer than asked for are the last.

    `first_error` is that of the first item, in order, that has failed so far, `first_failed` its number.
    """

    path: str
    items: tuple[Item, ...]
    first_error: StepError | None = None
    first_failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRead:
    """The result that was asked for under this path."""

    path: str
    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemEnded:
    """An item of the map at `path` has its outcome in its row; its records are gone."""

    path: str
    item: int


Event = (
    Record
    | CancelRequested
    | Attempted
    | Deferred
    | Due
    | Stopped
    | Called
    | NothingYet
    | NoTime
    | AtomicDone
    | ItemsFetched
    | ItemEnded
    | ResultRead
)
