"""Shapes as JSON, as `df._result_of` reads them. Pure."""

from __future__ import annotations

from typing import assert_never, cast

from dfc.executor.journal import Cell, Constant, Shape
from dfc.executor.quoting import storable, write_json


def shape_json(shape: Shape) -> str:
    """A shape: a path, an array of shapes, `{"value": ...}`, or `{"path": ..., "column": ...}`.

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
            path, column = fields.get("path"), fields.get("column")
            if isinstance(path, str) and (column is None or isinstance(column, str)):
                return Cell(path=path, column=column)
        case _:
            pass
    raise ValueError(f"{value!r} is no shape")
