"""What a reference stands for: the values of nodes, looked up from a scope outwards."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, assert_never, cast

from dfc.compiler.plan import INPUT, MapNode, Parameter, SqlBody, Use, error_source
from dfc.executor.actions import Sources
from dfc.executor.core.tree import Given, Scope, State
from dfc.executor.journal import (
    NOTHING,
    Cell,
    Constant,
    Items,
    Result,
    Rows,
    Shape,
    StepError,
    Value,
)
from dfc.executor.quoting import read_json, write_json
from dfc.executor.values import IS_NULL, NO_COLUMN, NO_ROWS, WRONG_KIND, column_keys


class Unreadable(Exception):
    """A reference that has to have a value has none; `error` says why."""

    def __init__(self, error: StepError) -> None:
        super().__init__(error.message)
        self.error = error


def look_up(state: State, scope: Scope, parameter: Parameter) -> Given | None:
    """What the source of a reference has given, as it is seen from a scope; None where it has not run.

    In each scope what ran there comes first, then what a loop carries on from its last round. Of several,
    the one that ran last counts: of a loop that has ended, what its last round has given; else the one that
    is written later.
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
    """Whether something is of the last round of a loop that has only carried the other on."""
    for (loop, last), (other_loop, other_last) in zip(given.rounds, other.rounds, strict=False):
        if loop != other_loop:
            return False
        if last != other_last:
            return last
    return False


def sources_of(state: State, scope: Scope, body: SqlBody) -> Sources:
    """What the references of a statement stand for, by source: results, or where they are."""
    found: dict[str, Result | Shape] = {}
    for parameter in body.parameters:
        given = look_up(state, scope, parameter)
        if parameter.use is Use.ERROR:
            key = error_source(parameter.key)
            outside = look_up(state, scope, replace(parameter, source=key, otherwise=()))
            if outside is not None and outside.result is not None:
                found[key] = outside.result
            else:
                error = None if given is None else given.error
                found[key] = Value(json="null" if error is None else error_json(error))
        elif given is not None and given.error is None and not isinstance(found.get(parameter.key), Items):
            found[parameter.key] = wanted(parameter, given)
    return found


def wanted(parameter: Parameter, given: Given) -> Result | Shape:
    """Of a map the items where a reference wants them as rows; the other ones make do with them."""
    if isinstance(given.result, Items) and parameter.use not in (Use.ROWS, Use.JSON):
        return given.shape
    return given.shape if given.result is None else given.result


def map_given(state: State, path: str, node: MapNode) -> Given:
    """What a map gives: rows are read where its items are stored, anything else is its record's value."""
    return Given(path, Items(instance=state.instance, path=path) if node.used else None)


def error_json(error: StepError) -> str:
    """An error as `$error` shows it."""
    fields: dict[str, object] = {
        "message": error.message,
        "sqlstate": error.sqlstate,
        "step": error.step,
        "detail": error.detail,
        "hint": error.hint,
        "cause": None if error.cause is None else json.loads(error_json(error.cause)),
    }
    return json.dumps(fields, ensure_ascii=False)


def value_of(step: str, parameter: Parameter, given: Given | None) -> Given:
    """The value of a reference that stands alone. Its result must be at hand. Raises Unreadable."""
    if parameter.use is Use.ERROR:
        error = None if given is None else given.error
        text = "null" if error is None else error_json(error)
        return _field(step, parameter, text, (parameter.column or "").removeprefix("error."))
    if given is None or given.error is not None:
        if parameter.optional:
            return Given(NOTHING, Value(json="null"))
        raise _missing(step, parameter, NO_ROWS, f"step `{parameter.source}` has no result")
    result = given.result
    match result:
        case None | Items():
            return Given(given.shape, result)
        case Rows() if parameter.use is Use.ROW_COUNT or not result.columns:
            return _constant(str(result.row_count))
        case Rows() if parameter.use is Use.VALUE:
            return _cell(step, parameter, given.shape, result)
        case Value() if parameter.use is Use.VALUE and parameter.column is not None:
            return _field(step, parameter, result.json, parameter.column)
        case Value() if parameter.use is Use.ROW_COUNT:
            raise _missing(
                step, parameter, WRONG_KIND, f"the result of step `{parameter.source}` has no rows"
            )
        case Value() if result.json == "null" and not parameter.optional:
            raise _missing(step, parameter, IS_NULL, f"the result of step `{parameter.source}` is null")
        case Rows() | Value():
            return Given(given.shape if given.shape != NOTHING else _shape(result), result)
        case _:
            assert_never(result)


def needs_result(given: Given | None) -> bool:
    """Whether a value that is not at hand has to be brought back before it can be looked at."""
    return given is not None and given.error is None and given.result is None


def _shape(result: Rows | Value) -> Shape:
    """A shape for a value that no record holds (the input, the row of an item)."""
    return Constant(json=result.json) if isinstance(result, Value) else NOTHING


def _constant(text: str) -> Given:
    return Given(Constant(json=text), Value(json=text))


def _cell(step: str, parameter: Parameter, shape: Shape, rows: Rows) -> Given:
    index = 0
    if parameter.column is not None:
        keys = column_keys(rows.columns)
        if parameter.column not in keys:
            names = ", ".join(f"`{key}`" for key in keys)
            why = f"step `{parameter.source}` has no column `{parameter.column}`; its columns are {names}"
            raise _missing(step, parameter, NO_COLUMN, why)
        index = keys.index(parameter.column)
    if not rows.cells or rows.cells[index] is None:
        if parameter.optional:
            return Given(NOTHING, Value(json="null"))
        if not rows.cells:
            why = f"step `{parameter.source}` has returned no rows"
            raise _missing(step, parameter, NO_ROWS, why)
        why = f"`{column_keys(rows.columns)[index]}` of the first row of step `{parameter.source}` is NULL"
        raise _missing(step, parameter, IS_NULL, why)
    one = Rows(
        columns=(rows.columns[index],), types=(rows.types[index],), cells=(rows.cells[index],), row_count=1
    )
    if isinstance(shape, str):
        return Given(Cell(path=shape, column=column_keys(rows.columns)[index]), one)
    return Given(Constant(json=json.dumps(rows.cells[index], ensure_ascii=False)), one)


def _field(step: str, parameter: Parameter, text: str, name: str) -> Given:
    value: Any = read_json(text)
    if not isinstance(value, dict):
        if value is None and (parameter.optional or parameter.use is Use.ERROR):
            return Given(NOTHING, Value(json="null"))
        why = f"the result of step `{parameter.source}` is not an object with a field `{name}`"
        raise _missing(step, parameter, WRONG_KIND, why)
    fields = cast(dict[str, Any], value)
    found = fields.get(name)
    if found is None:
        if parameter.optional or parameter.use is Use.ERROR:
            return Given(NOTHING, Value(json="null"))
        if name in fields:
            raise _missing(step, parameter, IS_NULL, f"`{name}` of step `{parameter.source}` is null")
        names = ", ".join(f"`{field}`" for field in fields)
        why = f"the result of step `{parameter.source}` has no field `{name}`; it has {names}"
        raise _missing(step, parameter, NO_COLUMN, why)
    return _constant(write_json(found))


def _missing(step: str, parameter: Parameter, sqlstate: str, why: str) -> Unreadable:
    written = f"${parameter.name}" + (f".{parameter.column}" if parameter.column else "")
    hint = f"Write `{written}?` where NULL is a valid value." if sqlstate in (NO_ROWS, IS_NULL) else None
    return Unreadable(
        StepError(
            step=step, message=f"step `{step}` needs `{written}`, but {why}", sqlstate=sqlstate, hint=hint
        )
    )
