"""JSON that keeps every digit of its numbers, and shapes as JSON, as `df._result_of` reads them."""

from __future__ import annotations

import json
from typing import Any, assert_never, cast

from dfc.executor.journal import Cell, Constant, Shape


class Number(str):
    """A number of a JSON text, as it is written."""

    __slots__ = ()


def read(text: str) -> Any:
    """The value of a JSON text. Raises ValueError, RecursionError."""
    return json.loads(text, parse_float=Number, parse_int=Number)


def write(value: Any) -> str:
    """The text of what `read` gives. Recursion is bounded by that of the reader."""
    match value:
        case Number():
            return str(value)
        case dict():
            pairs = cast(dict[str, Any], value).items()
            return f"{{{', '.join(f'{_string(key)}: {write(item)}' for key, item in pairs)}}}"
        case list():
            return f"[{', '.join(map(write, cast(list[Any], value)))}]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def shape_text(shape: Shape) -> str:
    """A shape as JSON. Recursion is bounded by the nesting of plans."""
    match shape:
        case str():
            return _string(shape)
        case tuple():
            return f"[{', '.join(map(shape_text, shape))}]"
        case Constant():
            return f'{{"value": {shape.json}}}'
        case Cell():
            return (
                f'{{"path": {_string(shape.path)}, "column": {json.dumps(shape.column, ensure_ascii=False)}}}'
            )
        case _:
            assert_never(shape)


def read_shape(value: Any) -> Shape:
    """The shape that a value of `read` says. Raises ValueError for any other value."""
    match value:
        case str():
            return value
        case list():
            return tuple([read_shape(part) for part in cast(list[Any], value)])
        case {"value": constant}:
            return Constant(json=write(constant))
        case {"path": str() as path, "column": column}:
            return Cell(path=path, column=column)
        case _:
            raise ValueError(f"{value!r} is no shape")
