"""Shapes and sources of the model: where a result is, turned into the result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from dfc.executor.actions import FetchItems
from dfc.executor.failures import StepFailed
from dfc.executor.journal import (
    Batch,
    Cell,
    Completed,
    Constant,
    Item,
    Items,
    ItemsFetched,
    Loose,
    Result,
    Rows,
    Shape,
    StepError,
    Value,
)
from tests.simulate.places import where
from tests.simulate.rows import Instance
from tests.simulate.values import INT, Given, text_of


class Broken(AssertionError):
    """An invariant does not hold."""


NONE: Mapping[str, Completed] = {}


def assembled(instance: Instance, shape: Shape, fresh: Mapping[str, Completed] = NONE) -> Given:
    """The result that a shape describes. `fresh`: records that are being written."""
    match shape:
        case Constant(json=text):
            return Value(json=text)
        case Cell(path=path, column=column):
            rows = _record(instance, path, fresh)
            assert isinstance(rows, Rows), f"`{path}` of {instance.id} is not rows"
            index = 0 if column is None else rows.columns.index(column)
            cell = rows.cells[index]
            return Rows(columns=("v",), types=(rows.types[index],), cells=(cell,), row_count=1)
        case Loose(type=type, cell=cell):
            return Rows(columns=("v",), types=(type,), cells=(cell,), row_count=1)
        case Batch(rows=rows):
            return rows
        case str():
            return _record(instance, shape, fresh)
        case tuple():
            return [assembled(instance, part, fresh) for part in shape]


def _record(instance: Instance, path: str, fresh: Mapping[str, Completed]) -> Rows | Value:
    record = fresh.get(path) or instance.records.get(path)
    if not isinstance(record, Completed):
        raise Broken(f"{instance.id}: a result of `{path}` is wanted, and there is {record}")
    assert record.result is not None
    assert not isinstance(record.result, Items | Batch)
    return record.result


def result_of(instance: Instance, shape: Shape) -> Result:
    """The result that a shape describes, as a result. The first cell, without a name, is a value."""
    if isinstance(shape, Cell) and shape.column is None:
        return _value_of(instance, shape)
    given = assembled(instance, shape)
    return Value(json=text_of(given)) if isinstance(given, list) else given


def paths_in(shape: Shape) -> list[str]:
    """The paths of the records that a shape is made of."""
    match shape:
        case str():
            return [shape]
        case Cell(path=path):
            return [path]
        case tuple():
            return [path for part in shape for path in paths_in(part)]
        case Constant() | Loose() | Batch():
            return []


def resolved(instance: Instance, source: Result | Shape, fresh: Mapping[str, Completed] = NONE) -> Given:
    """What a source of a statement stands for."""
    match source:
        case Rows() | Value():
            return source
        case Items(path=path):
            return instance.map_result(path, instance.items[path])
        case _:
            return assembled(instance, source, fresh)


def to_store(instance: Instance, source: Result | Shape) -> Given:
    """What is to become items. A cell is a value, and no row."""
    return _value_of(instance, source) if isinstance(source, Cell) else resolved(instance, source)


def _value_of(instance: Instance, source: Cell) -> Value:
    rows = _record(instance, source.path, NONE)
    if not isinstance(rows, Rows) or source.column not in (None, *rows.columns):
        raise no_array(source.path)
    index = 0 if source.column is None else rows.columns.index(source.column)
    cell = rows.cells[index]
    return Value(json=cell if cell is not None and rows.types[index] == INT else json.dumps(cell))


def no_array(path: str) -> StepFailed:
    """The failure of a map that is given neither rows nor an array."""
    return StepFailed(StepError(step=where(path).node, message="not an array", sqlstate="22023"))


def items_of(instance: Instance, action: FetchItems) -> ItemsFetched:
    """The next items of a map."""
    rows = instance.items[action.path]
    wanted = [row for row in rows if row.number > action.after and (action.ended or not row.ended)]
    failed = next((row for row in rows if row.error is not None), None)
    return ItemsFetched(
        path=action.path,
        items=tuple([Item(number=row.number, value=row.value) for row in wanted[: action.limit]]),
        first_error=None if failed is None else failed.error,
        first_failed=0 if failed is None else failed.number,
    )


def batches(source: Given, size: int, path: str) -> list[Rows | Value]:
    """The items that a result makes."""
    if isinstance(source, Rows) and source.columns:
        width = len(source.columns)
        step = width * size
        return [
            Rows(
                columns=source.columns,
                types=source.types,
                cells=source.cells[at : at + step],
                row_count=len(source.cells[at : at + step]) // width,
            )
            for at in range(0, len(source.cells), step)
        ]
    elements = json.loads(text_of(source))
    if not isinstance(elements, list):
        raise no_array(path)
    parts = cast("list[Any]", elements)
    if size == 1:
        return [Value(json=json.dumps(part)) for part in parts]
    return [Value(json=json.dumps(parts[at : at + size])) for at in range(0, len(parts), size)]
