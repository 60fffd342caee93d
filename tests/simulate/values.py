"""What nodes give, in the model: results as values that can be compared, and their truth."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any, assert_never, cast

from dfc.compiler.plan import Parameter, Use
from dfc.executor.journal import Batch, Items, Result, Rows, StepError, Value

NONCE = "nonce"
"""A column that differs from one execution to the next; left out where results are compared."""

BOOL, INT, TEXT = 16, 23, 25

Given = Rows | Value | list["Given"]
"""What a node gives: a result, or the array of several."""

NULL = Value(json="null")


class _Missing:
    """The value of what has not run."""

    def __repr__(self) -> str:
        return "missing"


MISSING = _Missing()


def plain(given: Given | Result | _Missing) -> Any:
    """A value in a form that can be compared and written as JSON.

    A single cell is its text, so that it does not matter whether it came as rows or as JSON.
    """
    match given:
        case _Missing():
            return {"missing": True}
        case Value(json=text):
            value = json.loads(text)
            return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
        case Rows(columns=columns, cells=cells, row_count=count):
            width = max(len(columns), 1)
            if width == 1 and columns and len(cells) == 1:
                return cells[0]
            kept = [cell for at, cell in enumerate(cells) if not columns or columns[at % width] != NONCE]
            return {"columns": list(columns), "cells": kept, "count": count}
        case list():
            return [plain(part) for part in given]
        case Batch(rows=rows):
            return plain(rows)
        case Items():
            return {"items": given.path}
        case _:
            assert_never(given)


def text_of(given: Given | Result | _Missing) -> str:
    """`plain` as text."""
    return json.dumps(plain(given), sort_keys=True)


def truth(given: Given) -> bool:
    """Whether a condition with this result holds."""
    match given:
        case list():
            return bool(given)
        case Rows(columns=()):
            return given.row_count != 0
        case Rows():
            return bool(given.cells) and _cell_truth(given.cells[0], given.types[0])
        case Value(json=text):
            return _json_truth(json.loads(text))
        case _:
            assert_never(given)


def _cell_truth(cell: str | None, type: int) -> bool:
    if cell is None:
        return False
    if type == BOOL:
        return cell == "t"
    if type == INT:
        return int(cell) != 0
    return cell.lower() not in ("", "false", "f", "no", "n", "off", "0")


def _json_truth(value: Any) -> bool:
    match value:
        case None:
            return False
        case {"ok": bool(ok), "status": _, "body": _, "headers": _}:
            return ok
        case {"timed_out": bool(timed_out)}:
            return not timed_out
        case str():
            return _cell_truth(value, TEXT)
        case _:
            return bool(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """The error that has to come out; a message of None may be any."""

    step: str
    sqlstate: str
    message: str | None = None
    cause: Trouble | None = None
    final: bool = field(default=False, compare=False)
    """A `finally` has failed."""

    def because(self, cause: Trouble | None) -> Trouble:
        """This one, in the place of another."""
        if self.cause is not None:
            cause = self.cause.because(cause)
        return replace(self, cause=cause)

    def fits(self, error: StepError | None) -> bool:
        """Whether this is it."""
        if error is None or error.step != self.step:
            return False
        if not same_state(error.sqlstate, self.sqlstate):
            return False
        if self.message is not None and self.message != error.message:
            return False
        return self.cause is None or self.cause.fits(error.cause)


def same_state(one: str, other: str) -> bool:
    """Null or missing: of what a failure without consequence has left, both can be said."""
    return one == other or {one, other} == {"P0002", "22004"}


def is_error(parameter: Parameter) -> bool:
    """Whether a reference wants an error, of a step or of a try."""
    return parameter.use is Use.ERROR or parameter.source.endswith("!")


def look(node: str, parameter: Parameter, given: Given | _Missing) -> Given | Trouble:
    """The value of a reference that stands alone."""
    if isinstance(given, _Missing):
        return NULL if parameter.optional else _trouble(node, "P0002")
    if isinstance(given, list):
        return given
    if isinstance(given, Value):
        return _look_json(node, parameter, given)
    if parameter.use is Use.ROW_COUNT or not given.columns:
        return Value(json=str(given.row_count))
    if parameter.use is not Use.VALUE:
        return given
    index = 0 if parameter.column is None else given.columns.index(parameter.column)
    if not given.cells or given.cells[index] is None:
        if parameter.optional:
            return NULL
        return _trouble(node, "22004" if given.cells else "P0002")
    return Rows(columns=("v",), types=(given.types[index],), cells=(given.cells[index],), row_count=1)


def _look_json(node: str, parameter: Parameter, given: Value) -> Given | Trouble:
    value = json.loads(given.json)
    if parameter.column is None:
        return _trouble(node, "22004") if value is None and not parameter.optional else given
    if not isinstance(value, dict):
        return NULL if value is None and parameter.optional else _trouble(node, "42809")
    fields = cast("dict[str, Any]", value)
    if fields.get(parameter.column) is not None:
        return Value(json=json.dumps(fields[parameter.column]))
    if parameter.optional:
        return NULL
    return _trouble(node, "22004" if parameter.column in fields else "42703")


def _trouble(node: str, sqlstate: str) -> Trouble:
    return Trouble(step=node, sqlstate=sqlstate)
