"""What a reference stands for: the values of nodes, looked up from a scope outwards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from dfc.compiler.plan import INPUT, MapNode, Parameter, Use, ValueNode, error_source, rows_source
from dfc.executor.actions import Sources
from dfc.executor.core.tree import Given, Scope, State
from dfc.executor.errors import error_json
from dfc.executor.journal import (
    NOTHING,
    Batch,
    Cell,
    Constant,
    Items,
    Loose,
    Result,
    Rows,
    Shape,
    Value,
)
from dfc.executor.quoting import write_json
from dfc.executor.values import TEXT, Asker, Scalar, column_keys, scalar


def look_up(state: State, scope: Scope, parameter: Parameter) -> Given | None:
    """What the source of a reference has given, as it is seen from a scope; None where it has not run.

    In each scope what ran there comes first, then what a loop carries on. Of several, the one that ran last
    counts: in the later round of a loop around both, else the one that is written later.
    """
    if parameter.source == INPUT:
        return None if state.input is None else Given(NOTHING, state.input)
    here: Scope | None = scope
    while here is not None:
        for values in (here.values, here.carry):
            # What a transaction of several steps was given from outside stands under the key.
            best: Given | None = None
            for source in (parameter.key, parameter.source, *parameter.otherwise):
                found = values.get(source)
                if found is not None and (best is None or _is_newer(found, best)):
                    best = found
            if best is not None:
                return best
        here = here.parent
    return None


def _is_newer(given: Given, other: Given) -> bool:
    """Whether of two results of the same loop this one came later."""
    if given.round is None or other.round is None:
        return False
    (loop, place), (other_loop, other_place) = given.round, other.round
    return loop == other_loop and place > other_place


def sources_of(state: State, scope: Scope, parameters: Iterable[Parameter]) -> Sources:
    """What references stand for, by source: results, or where they are.

    What wants the items of a map as rows has them under `rows_source`, beside the map's value.
    """
    found: dict[str, Result | Shape] = {}
    for parameter in parameters:
        if parameter.use is Use.ERROR:
            found[error_source(parameter.key)] = error_of(state, scope, parameter)
            continue
        given = _items_of(state, scope, parameter)
        if given is not None and given.result is not None:
            found[rows_source(parameter.key)] = given.result
            continue
        given = look_up(state, scope, parameter)
        if given is None:
            continue
        if given.error is not None:
            found[error_source(parameter.key)] = Value(json=error_json(given.error))
        elif isinstance(given.result, Items) or given.result is None:
            found[parameter.key] = given.shape
        else:
            found[parameter.key] = given.result
    return found


def _items_of(state: State, scope: Scope, parameter: Parameter) -> Given | None:
    """The items of a map, where a reference wants them and not their value."""
    if parameter.use is Use.VALUE:
        return None
    outside = replace(parameter, source=rows_source(parameter.key), otherwise=())
    given = look_up(state, scope, outside) or look_up(state, scope, parameter)
    return given if given is not None and isinstance(given.result, Items) else None


def error_of(state: State, scope: Scope, parameter: Parameter) -> Value:
    """The error of a step that may fail, null where it has not."""
    outside = look_up(state, scope, replace(parameter, source=error_source(parameter.key), otherwise=()))
    if outside is not None and isinstance(outside.result, Value):
        return outside.result
    given = look_up(state, scope, parameter)
    return Value(json="null" if given is None or given.error is None else error_json(given.error))


def map_given(state: State, path: str, node: MapNode) -> Given:
    """What a map gives: rows are read where its items are stored, anything else is its record's value."""
    return Given(path, Items(instance=state.instance, path=path) if node.used else None)


def lone_value(state: State, scope: Scope, node: ValueNode) -> Given | None:
    """What a reference that stands alone gives; None where its result has to be brought back first.

    Raises StepFailed where it has to have a value and has none.
    """
    parameter = node.parameter
    asker = Asker(node.id)
    if parameter.use is Use.ERROR:
        return _of_scalar(NOTHING, parameter, scalar(asker, parameter, error_of(state, scope, parameter)))
    given = look_up(state, scope, parameter)
    whole = parameter.column is None and parameter.use in (Use.VALUE, Use.JSON)
    if given is None or given.error is not None:
        error = None if given is None or given.error is None else Value(json=error_json(given.error))
        return _of_scalar(NOTHING, parameter, scalar(asker, parameter, None, error))
    if isinstance(given.result, Items) and not whole:
        return None
    if given.result is None and (node.id in state.kept or isinstance(given.shape, str) or not whole):
        return None
    return value_of(node, given)


def value_of(node: ValueNode, given: Given) -> Given:
    """The value of a reference that stands alone, whose result is at hand or not needed.

    Raises StepFailed where it has to have a value and has none.
    """
    parameter, result, shape = node.parameter, given.result, given.shape
    match result:
        case None | Items() | Batch():
            return Given(shape if shape != NOTHING or result is None else _shape_of(result), result)
        case Rows() if parameter.use is Use.JSON:
            batch = Batch(rows=result)
            return Given(batch, batch)
        case Value() if parameter.column is None and parameter.use is not Use.ROW_COUNT:
            scalar(Asker(node.id), parameter, result)
            return Given(shape if shape != NOTHING else Constant(json=result.json), result)
        case Rows() | Value():
            return _of_scalar(shape, parameter, scalar(Asker(node.id), parameter, result), result)
        case _:
            assert_never(result)


def _shape_of(result: Items | Batch) -> Shape:
    return result.path if isinstance(result, Items) else result


def _of_scalar(shape: Shape, parameter: Parameter, value: Scalar, source: Result | None = None) -> Given:
    """One value as a result: a cell keeps its type, anything else is JSON."""
    if value.text is None:
        return Given(NOTHING, Value(json="null"))
    if isinstance(source, Rows) and source.columns and parameter.use is not Use.ROW_COUNT:
        assert value.oid is not None
        keys = column_keys(source.columns)
        name = parameter.column or keys[0]
        one = Rows(
            columns=(source.columns[keys.index(name)],), types=(value.oid,), cells=(value.text,), row_count=1
        )
        if isinstance(shape, str):
            return Given(Cell(path=shape, column=name), one)
        return Given(Loose(type=value.oid, cell=value.text), one)
    text = write_json(value.text) if value.oid == TEXT else value.text
    return Given(Constant(json=text), Value(json=text))
