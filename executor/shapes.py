"""Shapes as JSON, as `df._result_of` reads them. Pure."""

from __future__ import annotations

from typing import assert_never, cast

from dfc.executor.journal import Batch, Cell, Constant, Loose, Result, Rows, Shape, Value
from dfc.executor.quoting import storable, write_json


def shape_json(shape: Shape) -> str:
    """A shape: a path, an array of shapes, `{"value": ...}`, `{"path": ..., "column": ...}`, or what is in
    no record: `{"type": ..., "cell": ...}`, `{"columns": ..., "types": ..., "cells": ..., "row_count": ...}`.

    Recursion is bounded by the nesting of plans.
    """
    match shape:
        case str():
            return write_json(shape)
        case tuple():
            return f"[{', '.join(map(shape_json, shape))}]"
        case Constant(json=text):
            return f'{{"value": {storable(text)}}}'
        case Cell(path=path, column=column):
            return write_json({"path": path, "column": column})
        case Loose(type=type, cell=cell):
            return write_json({"type": type, "cell": cell})
        case Batch(rows=rows):
            return write_json(
                {
                    "columns": list(rows.columns),
                    "types": list(rows.types),
                    "cells": list(rows.cells),
                    "row_count": rows.row_count,
                }
            )
        case _:
            assert_never(shape)


def read_shape(value: object) -> Shape:
    """The shape that a value of `read_json` says. Raises ValueError for any other value."""
    match value:
        case str():
            return value
        case list():
            return tuple([read_shape(part) for part in cast(list[object], value)])
        case dict():
            fields = cast(dict[str, object], value)
            if "value" in fields:
                return Constant(json=write_json(fields["value"]))
            return read_part(fields)
        case _:
            pass
    raise ValueError(f"{value!r} is no shape")


def read_part(fields: dict[str, object]) -> Cell | Loose | Batch:
    """A shape that is an object and no constant. Raises ValueError where it is none.

    A number is an int, or the text that `read_json` leaves it in (`quoting.Number`).
    """
    match fields:
        case {"path": str(path), "column": (str() | None) as column}:
            return Cell(path=path, column=column)
        case {"type": (int() | str()) as type, "cell": (str() | None) as cell}:
            return Loose(type=int(type), cell=cell)
        case {"columns": list(), "types": list(), "cells": list(), "row_count": (int() | str()) as count}:
            lists = cast(dict[str, list[str]], fields)
            rows = Rows(
                columns=tuple(lists["columns"]),
                types=tuple(map(int, lists["types"])),
                cells=tuple(lists["cells"]),
                row_count=int(count),
            )
            return Batch(rows=rows)
        case _:
            raise ValueError(f"{fields!r} is no shape")


def held(shape: Shape) -> Result | None:
    """The result that a shape holds itself, None where it is in records."""
    match shape:
        case Constant(json=text):
            return Value(json=text)
        case Loose(type=type, cell=cell):
            return Rows(columns=("value",), types=(type,), cells=(cell,), row_count=1)
        case Batch():
            return shape
        case str() | Cell() | tuple():
            return None
        case _:
            assert_never(shape)
