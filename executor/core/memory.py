"""What somebody who takes over has read, sorted by what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dfc.executor.core.tree import CorruptJournal
from dfc.executor.journal import Begun, Completed, Failed, Record, Retrying


@dataclass(frozen=True, slots=True)
class Memory:
    """What somebody who takes over has read."""

    records: Mapping[str, Record]
    retrying: Mapping[str, Retrying]
    begun: frozenset[str]


def remember(records: list[Record]) -> Memory:
    """Sort what was read by what it is. Raises CorruptJournal for two records under one path."""
    found: dict[str, Record] = {}
    retrying: dict[str, Retrying] = {}
    begun: set[str] = set()
    for record in records:
        match record:
            case Retrying():
                retrying[record.path] = record
            case Begun():
                begun.add(record.path)
            case Completed() | Failed():
                if record.path in found:
                    raise CorruptJournal(f"there are two records of `{record.path}`")
                found[record.path] = record
            case _:
                found[record.path] = record
    return Memory(found, retrying, frozenset(begun))
