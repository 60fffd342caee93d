"""What has happened to an instance, in commit order: the only input of the core."""

from __future__ import annotations

from dataclasses import dataclass


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


Result = Rows | Value


@dataclass(frozen=True, slots=True, kw_only=True)
class StepError:
    """Why a step failed. `position` is a code point of the node's SQL, from 0, where PostgreSQL gave one."""

    step: str
    message: str
    sqlstate: str
    detail: str | None = None
    hint: str | None = None
    position: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """An activation's effect and checkpoint have committed. `result` is None where nobody refers to it."""

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
class CancelRequested:
    """Somebody asked for the end of the instance, and that has committed."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempted:
    """An attempt ended without an effect and without a record (transient error, lost connection)."""

    path: str
    error: StepError
    transient: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """The time a retry waited for has come."""

    path: str


Event = Completed | Failed | CancelRequested | Attempted | Due
Recorded = Completed | Failed
