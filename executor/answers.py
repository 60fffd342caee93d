"""What PostgreSQL answers about an instance, as the core reads it: records, results, shapes.

`compose` writes what is read here.
"""

from __future__ import annotations

import json
from typing import Final

from dfc.executor.actions import EndItem, RecordDecision, Rider
from dfc.executor.errors import read_error, read_failure
from dfc.executor.journal import (
    Begun,
    Child,
    Completed,
    Constant,
    Decided,
    Failed,
    Item,
    ItemEnded,
    ItemsFetched,
    Positioned,
    Record,
    Recorded,
    Result,
    Retrying,
    Rows,
    Shape,
    Timed,
    Value,
)
from dfc.executor.ports import Answer
from dfc.executor.session import Answered
from dfc.executor.shapes import read_part

_DECODER: Final = json.JSONDecoder()
_BLANK: Final = " \t\r\n"


def record(answer: Answered, row: int) -> Record:
    """A row of `queries/history.sql`."""
    path = text(answer, row, 0)
    match text(answer, row, 2):
        case "decided":
            return Decided(number=integer(answer, row, 1), path=path, value=text(answer, row, 7))
        case "timer":
            return Timed(path=path, seconds=number(answer, row, 10), at=text(answer, row, 12))
        case "position":
            return Positioned(
                path=path,
                round=integer(answer, row, 9),
                carry=carry(text(answer, row, 7)),
                seconds=number(answer, row, 10),
                error=read_error(path, answer.text(row, 8)),
            )
        case "attempt":
            return Retrying(
                path=path,
                attempts=integer(answer, row, 9),
                losses=integer(answer, row, 11),
                seconds=number(answer, row, 10),
                error=read_failure(path, answer.text(row, 8)),
            )
        case "begun":
            return Begun(path=path)
        case "child":
            return Child(path=path, instance=text(answer, row, 12))
        case _:
            return recorded(answer, row)


def recorded(answer: Answered, row: int) -> Recorded:
    """A row of `queries/record_of.sql`, or one of `queries/history.sql` that is a completion or a failure."""
    path = text(answer, row, 0)
    journal = integer(answer, row, 1)
    if text(answer, row, 2) == "failed":
        return Failed(number=journal, path=path, error=read_failure(path, answer.text(row, 8)))
    return Completed(number=journal, path=path, result=result(answer, row, 3))


def result(answer: Answered, row: int, first: int) -> Result | None:
    """Number, columns, types, cells, value in five columns from `first` on; None where all are null."""
    if answer.raw(row, first) is not None:
        return Rows(
            columns=columns(answer, row, first + 1),
            types=types(answer, row, first + 2),
            cells=cells(answer, row, first + 3),
            row_count=integer(answer, row, first),
        )
    value = answer.text(row, first + 4)
    return None if value is None else Value(json=value)


def items(path: str, answer: Answered) -> ItemsFetched:
    """The rows of `queries/fetch_items.sql`."""
    names, oids = columns(answer, 0, 2), types(answer, 0, 3)
    found: list[Item] = []
    for row in range(1, len(answer)):
        value = answer.text(row, 5)
        found.append(
            Item(
                number=integer(answer, row, 0),
                value=Rows(
                    columns=names,
                    types=oids,
                    cells=cells(answer, row, 4),
                    row_count=integer(answer, row, 1),
                )
                if value is None
                else Value(json=value),
            )
        )
    return ItemsFetched(
        path=path,
        items=tuple(found),
        first_error=read_error(path, answer.text(0, 5)),
        first_failed=int(answer.text(0, 0) or 0),
    )


def answered(event: Recorded, answer: Answered, rider: Rider | None) -> Answer:
    """What became of a record (journal number, finished, cancel reason in front) and of what it carried."""
    decided: Decided | None = None
    item: ItemEnded | None = None
    match rider:
        case RecordDecision(path=path, value=value):
            decided = Decided(number=event.number, path=path, value=value)
        case EndItem(path=path, item=ended):
            item = ItemEnded(path=path, item=ended)
        case _:
            pass
    return Answer(
        event=event,
        finished=answer.raw(0, 1) == b"t",
        cancel_reason=answer.text(0, 2),
        decided=decided,
        item=item,
    )


def items_stored(path: str, answer: Answered) -> Answer:
    """The answer to the storing of items: how many there are."""
    result = Rows(
        columns=columns(answer, 0, 2), types=types(answer, 0, 3), cells=(), row_count=integer(answer, 0, 1)
    )
    return Answer(event=Completed(number=integer(answer, 0, 0), path=path, result=result))


# Shapes. A constant is given back as it was written, digit by digit: so its text is cut out, not read.


def carry(written: str) -> dict[str, Shape]:
    """Shapes by node id."""
    found: dict[str, Shape] = {}
    at = _skip(written, 0, "{")
    while written[at] != "}":
        name, at = _DECODER.raw_decode(written, at)
        found[name], at = _shape(written, _skip(written, at, ":"))
        at = _skip(written, at, ",")
    return found


def _shape(written: str, at: int) -> tuple[Shape, int]:
    match written[at]:
        case "[":
            parts: list[Shape] = []
            at = _skip(written, at, "[")
            while written[at] != "]":
                part, at = _shape(written, at)
                parts.append(part)
                at = _skip(written, at, ",")
            return tuple(parts), at + 1
        case "{":
            value, end = _DECODER.raw_decode(written, at)
            if "value" not in value:
                return read_part(value), end
            _, at = _DECODER.raw_decode(written, _skip(written, at, "{"))
            at = _skip(written, at, ":")
            _, last = _DECODER.raw_decode(written, at)
            return Constant(json=written[at:last]), end
        case _:
            return _DECODER.raw_decode(written, at)


def _skip(written: str, at: int, mark: str) -> int:
    """The next place behind blanks and, where it is there, a mark."""
    while written[at] in _BLANK:
        at += 1
    if written[at] == mark:
        at += 1
        while written[at] in _BLANK:
            at += 1
    return at


# Columns


def text(answer: Answered, row: int, column: int) -> str:
    """A text, empty for null."""
    return answer.text(row, column) or ""


def integer(answer: Answered, row: int, column: int) -> int:
    """A whole number, 0 for null."""
    return int(answer.raw(row, column) or 0)


def number(answer: Answered, row: int, column: int) -> float:
    """A number, 0 for null."""
    return float(answer.raw(row, column) or 0)


def blob(answer: Answered, row: int, column: int) -> bytes:
    """Bytes."""
    return bytes.fromhex(text(answer, row, column)[2:])


def columns(answer: Answered, row: int, column: int) -> tuple[str, ...]:
    """An array of texts, as JSON."""
    return tuple(json.loads(answer.raw(row, column) or b"[]"))


def types(answer: Answered, row: int, column: int) -> tuple[int, ...]:
    """An array of OIDs, as JSON."""
    return tuple(int(oid) for oid in json.loads(answer.raw(row, column) or b"[]"))


def cells(answer: Answered, row: int, column: int) -> tuple[str | None, ...]:
    """An array of texts and nulls, as JSON."""
    return tuple(json.loads(answer.raw(row, column) or b"[]"))
