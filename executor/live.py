"""What lasts of an instance, from rows that a client has read: what a worker would begin with. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dfc.executor.answers import carry
from dfc.executor.errors import read_error, read_failure
from dfc.executor.journal import (
    Begun,
    Child,
    Completed,
    Decided,
    Failed,
    Positioned,
    Record,
    Result,
    Retrying,
    Rows,
    Timed,
    Value,
)


def record(row: Sequence[Any]) -> Record:
    """A row of the command line's `export_live.sql`; its columns are those of `df._history`."""
    path, number, kind = row[:3]
    value, error, round, seconds, losses, moment = row[7:13]
    match kind:
        case "decided":
            return Decided(number=number, path=path, value=value)
        case "timer":
            return Timed(path=path, seconds=seconds or 0.0, at=moment or "")
        case "position":
            return Positioned(
                path=path,
                round=round,
                carry=carry(value),
                seconds=seconds or 0.0,
                error=read_error(path, error),
            )
        case "attempt":
            failure = read_failure(path, error)
            return Retrying(
                path=path, attempts=round, losses=losses or 0, seconds=seconds or 0.0, error=failure
            )
        case "begun":
            return Begun(path=path)
        case "child":
            return Child(path=path, instance=moment or "")
        case "failed":
            return Failed(number=number, path=path, error=read_failure(path, error))
        case _:
            return Completed(number=number, path=path, result=_result(row[3:8]))


def _result(parts: Sequence[Any]) -> Result | None:
    row_count, columns, types, cells, value = parts
    if row_count is not None:
        return Rows(columns=tuple(columns), types=tuple(types), cells=tuple(cells), row_count=row_count)
    return None if value is None else Value(json=value)
