"""Whether a result is true: the first column of the first row, or the JSON value (docs/reference/results.md,
Truth).
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, Final, assert_never, cast

from dfc.executor.core.tree import Given
from dfc.executor.journal import Batch, Constant, Items, Loose, Result, Rows, Shape, Value

_BOOL: Final = 16
_NUMBERS: Final = frozenset({20, 21, 23, 26, 700, 701, 790, 1700})
_JSON: Final = frozenset({114, 3802})
# What can be written `{}` without being an array: name, text, xml, unknown, char, varchar, the multiranges.
# Of types that are not built in (arrays of enums, say) the core knows no more than the OID: such are arrays.
_NO_ARRAYS: Final = frozenset({19, 25, 142, 705, 1042, 1043, 4451, 4532, 4533, 4534, 4535, 4536})
_EMPTY_ARRAY: Final = "{}"
_FALSE_WORDS: Final = frozenset({"", "false", "f", "no", "n", "off"})
_ZERO: Final = re.compile(r"[+-]?(?:0+(?:\.0*)?|\.0+)(?:[eE][+-]?[0-9]+)?")


def truth(result: Result) -> bool:
    """The truth of a result. A statement that gives no rows is as true as the number of rows it affected."""
    match result:
        case Rows(columns=()):
            return result.row_count != 0
        case Rows():
            return bool(result.cells) and _cell(result.cells[0], result.types[0])
        case Value():
            return _json(_read(result.json))
        case Items():
            raise AssertionError("of a map its value counts")
        case Batch(rows=rows):
            return rows.row_count > 0
        case _:
            assert_never(result)


def truth_of(given: Given) -> bool | None:
    """The truth of what a node has given; None where its result has to be brought back first."""
    if given.result is None or isinstance(given.result, Items):
        return truth_of_shape(given.shape)
    return truth(given.result)


def truth_of_shape(shape: Shape) -> bool | None:
    """The truth of a result that is not at hand, where its shape shows it; None where it does not."""
    match shape:
        case Constant():
            return _json(_read(shape.json))
        case tuple():
            return bool(shape)
        case Loose(type=type, cell=cell):
            return _cell(cell, type)
        case Batch():
            return truth(shape)
        case _:
            return None


def _cell(cell: str | None, type: int) -> bool:
    if cell is None:
        return False
    if type == _BOOL:
        return cell in ("t", "true")
    if type in _NUMBERS:
        return _ZERO.fullmatch(cell) is None
    if type in _JSON:
        return _json(_read(cell))
    if cell == _EMPTY_ARRAY and type not in _NO_ARRAYS:
        return False
    return _text(cell)


def _text(text: str) -> bool:
    word = text.strip().lower()
    return word not in _FALSE_WORDS and _ZERO.fullmatch(word) is None


def _json(value: Any) -> bool:
    match value:
        case None:
            return False
        case bool():
            return value
        case int() | float() | Decimal():
            return value != 0
        case str():
            return _text(value)
        case dict():
            return _object(cast(dict[str, Any], value))
        case _:
            return len(value) > 0


def _object(value: dict[str, Any]) -> bool:
    """An answer to a request is as true as its `ok`, a wait that can time out is false when it has."""
    if isinstance(value.get("ok"), bool) and {"status", "body", "headers"} <= value.keys():
        return bool(value["ok"])
    if isinstance(value.get("timed_out"), bool):
        return not value["timed_out"]
    return len(value) > 0


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        # jsonb holds numbers and depths that Python's reader refuses; such a value is not empty.
        return True
