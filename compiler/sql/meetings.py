"""Whether two uses of a table at the same time meet, and how: what is certain from their texts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from dfc.compiler.sql.domains import Domain, apart
from dfc.compiler.sql.uses import Effect, Use

_NAMES: Final = re.compile(r"\w+")
_ADDING: Final = frozenset({Effect.INSERT})


class Meeting(Enum):
    """How two uses meet. ROWS_ADDED: both insert, which matters for a unique key alone; COLUMNS: both update
    columns that the other one neither sets nor reads; ORDER: which is first makes a difference.
    """

    ROWS_ADDED = auto()
    COLUMNS = auto()
    ORDER = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A use in a unit. `claims`: the statement takes only rows that nobody else has locked."""

    unit: int
    use: Use
    claims: bool = False


def meeting(first: Access, second: Access) -> Meeting | None:
    """How two accesses of the same table meet; None where they certainly do not, or as they should."""
    one, other = first.use, second.use
    if not (one.writes or other.writes) or (first.claims and second.claims) or _are_apart(one, other):
        return None
    if one.effect in _ADDING and other.effect in _ADDING:
        return Meeting.ROWS_ADDED
    if one.writes and other.writes:
        mixed = one.effect is not Effect.UPDATE or other.effect is not Effect.UPDATE
        if mixed or _touch(one.changed, other.changed):
            return Meeting.ORDER
        crossed = _touch(one.changed, other.read) or _touch(one.read, other.changed)
        return Meeting.ORDER if crossed else Meeting.COLUMNS
    writer, reader = (one, other) if one.writes else (other, one)
    if writer.effect is Effect.UPDATE and not _touch(writer.changed, reader.read):
        return None
    return Meeting.ORDER


def _touch(first: frozenset[str] | None, second: frozenset[str] | None) -> bool:
    return first is None or second is None or not first.isdisjoint(second)


def _are_apart(one: Use, other: Use) -> bool:
    """Whether both are about other rows: a column has other values in each.

    Two rows that are inserted meet in a unique key, whatever stands in their other columns.
    """
    theirs = settled(other)
    mine = settled(one)
    common = [(domain, theirs[column]) for column, domain in mine.items() if column in theirs]
    if one.effect in _ADDING and other.effect in _ADDING:
        return bool(common) and all(apart(*each) for each in common)
    return any(apart(*each) for each in common)


def settled(use: Use) -> dict[str, Domain]:
    """What is known of columns, or of what is computed from some, in all rows of a use, before and after."""
    return {column: domain for column, domain in use.rows if not _changes(use, column)}


def _changes(use: Use, column: str) -> bool:
    if use.effect is Effect.UPDATE:
        return use.changed is None or not use.changed.isdisjoint({column, *_NAMES.findall(column)})
    return use.effect in (Effect.UPSERT, Effect.MERGE, Effect.DEFINE)
