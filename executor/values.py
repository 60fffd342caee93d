"""What a reference finds in a result: a value with its type, as text. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final, NamedTuple, NoReturn, cast

from dfc.compiler.plan import Parameter, Use
from dfc.compiler.plan_describe import column_keys as column_keys
from dfc.executor.failures import StepFailed
from dfc.executor.journal import Rows, StepError, Value
from dfc.executor.quoting import Number, read_json, write_json

BOOL: Final = 16
BIGINT: Final = 20
TEXT: Final = 25
NUMERIC: Final = 1700
JSONB: Final = 3802

NO_ROWS: Final = "P0002"
IS_NULL: Final = "22004"
NO_COLUMN: Final = "42703"
WRONG_KIND: Final = "42809"
NOT_TEXT: Final = "22P05"
NOT_A_NAME: Final = "42602"


class Scalar(NamedTuple):
    """A value in the text form of its type; `text` is None for NULL, `oid` where the type is not known."""

    text: str | None
    oid: int | None


NULL: Final = Scalar(None, None)


class Asker(NamedTuple):
    """Who refers: the path of the step, and its statement; None where a reference stands alone."""

    step: str
    sql: str | None = None

    def written(self, parameter: Parameter) -> str:
        """The reference as it is written, without a question mark."""
        if self.sql is not None:
            return self.sql[parameter.start : parameter.end].replace("?", "")
        part = ".row_count" if parameter.use is Use.ROW_COUNT else ""
        return f"${parameter.name}" + (f".{parameter.column}" if parameter.column else part)

    def fail(self, parameter: Parameter, sqlstate: str, why: str, hint: str | None = None) -> NoReturn:
        """The step fails because of a reference. `hint` stands for the one that its SQLSTATE has."""
        written = self.written(parameter)
        if hint is None and sqlstate in (NO_ROWS, IS_NULL) and not parameter.optional:
            hint = f"Write `{written}?` where NULL is a valid value."
        raise StepFailed(
            StepError(
                step=self.step,
                message=f"step `{self.step}` needs `{written}`, but {why}",
                sqlstate=sqlstate,
                hint=hint,
                position=None if self.sql is None else parameter.start,
            )
        )


def scalar(
    asker: Asker, parameter: Parameter, source: Rows | Value | None, error: Value | None = None
) -> Scalar:
    """The one value that a reference wants; None: the source has not run, or has failed with `error`."""
    if parameter.use is Use.ERROR:
        return _error(parameter, source)
    if source is None:
        if not parameter.optional:
            missing(asker, parameter, error)
        return NULL
    if isinstance(source, Value):
        return _json(asker, parameter, source)
    if parameter.use is Use.ROW_COUNT:
        return Scalar(str(source.row_count), BIGINT)
    return _cell(asker, parameter, source)


def missing(asker: Asker, parameter: Parameter, error: Value | None) -> NoReturn:
    """The step fails because what it refers to has not run, or has failed and the workflow goes on."""
    message = _error(parameter, error, "message").text
    if message is None:
        asker.fail(parameter, NO_ROWS, f"step `{parameter.source}` has not run")
    hint = (
        f"Write `${parameter.name}?` for NULL in this case; `${parameter.name}.error.message` is its error."
    )
    asker.fail(parameter, NO_ROWS, f"step `{parameter.source}` has failed: {message}", hint)


def _cell(asker: Asker, parameter: Parameter, source: Rows) -> Scalar:
    if not source.columns:
        if parameter.column is None:
            return Scalar(str(source.row_count), BIGINT)
        hint = (
            f"Write `${parameter.name}.row_count`, or let step `{parameter.source}` return rows (RETURNING)."
        )
        asker.fail(parameter, NO_COLUMN, f"step `{parameter.source}` returns no columns", hint)
    index = 0
    if parameter.column is not None:
        keys = column_keys(source.columns)
        if parameter.column not in keys:
            names = ", ".join(f"`{key}`" for key in keys)
            why = f"step `{parameter.source}` has no column `{parameter.column}`; its columns are {names}"
            asker.fail(parameter, NO_COLUMN, why, _did_you_mean(parameter, keys))
        index = keys.index(parameter.column)
    if not source.cells:
        if not parameter.optional:
            asker.fail(parameter, NO_ROWS, f"step `{parameter.source}` has returned no rows")
        return Scalar(None, source.types[index])
    cell = source.cells[index]
    if cell is None and not parameter.optional:
        column = column_keys(source.columns)[index]
        why = f"`{column}` of the first row of step `{parameter.source}` is NULL"
        asker.fail(parameter, IS_NULL, why)
    return Scalar(cell, source.types[index])


def _json(asker: Asker, parameter: Parameter, source: Value) -> Scalar:
    if parameter.use is Use.ROW_COUNT:
        return Scalar(str(len(elements(asker, parameter, source))), BIGINT)
    if parameter.column is None:
        if source.json == "null":
            return _null(asker, parameter)
        if source.json.lstrip()[:1] in ("{", "[", '"'):
            return Scalar(source.json, JSONB)
        return _field(asker, parameter, _read(asker, parameter, source))
    value = _read(asker, parameter, source)
    if value is None and parameter.optional:
        return NULL
    if not isinstance(value, dict):
        why = f"the result of step `{parameter.source}` is not an object with a field `{parameter.column}`"
        hint = f"Write `${parameter.name}` for all of it, and take it apart in SQL."
        asker.fail(parameter, WRONG_KIND, why, hint)
    fields = cast(dict[str, object], value)
    if parameter.column not in fields:
        if parameter.optional:
            return NULL
        names = ", ".join(f"`{name}`" for name in fields)
        why = f"the result of step `{parameter.source}` has no field `{parameter.column}`; it has {names}"
        asker.fail(parameter, NO_COLUMN, why, _did_you_mean(parameter, list(fields)))
    return _field(asker, parameter, fields[parameter.column])


def _did_you_mean(parameter: Parameter, names: Sequence[str]) -> str:
    assert parameter.column is not None
    near = get_close_matches(parameter.column, names, n=1)
    return f"Did you mean `${parameter.name}.{near[0]}`?" if near else "Write one of those that there are."


def elements(asker: Asker, parameter: Parameter, source: Value) -> list[object]:
    """The elements of a JSON array, where a row set is wanted."""
    value = _read(asker, parameter, source)
    if not isinstance(value, list):
        why = f"the result of step `{parameter.source}` is not a row set"
        hint = f"Rows are what a query or a JSON array gives; write `${parameter.name}` for the value."
        asker.fail(parameter, WRONG_KIND, why, hint)
    return cast(list[object], value)


def _read(asker: Asker, parameter: Parameter, source: Value) -> object:
    try:
        return read_json(source.json)
    except ValueError as error:
        why = f"the result of step `{parameter.source}` cannot be read: {error}"
        asker.fail(parameter, NOT_TEXT, why, f"Write `${parameter.name}`, and take it apart in SQL.")


def _field(asker: Asker, parameter: Parameter, found: object) -> Scalar:
    match found:
        case None:
            return _null(asker, parameter)
        case bool():
            return Scalar("true" if found else "false", BOOL)
        case Number():
            return Scalar(str(found), NUMERIC)
        case str():
            if "\0" in found or any("\ud800" <= character <= "\udfff" for character in found):
                why = f"`{parameter.column}` of step `{parameter.source}` holds what PostgreSQL cannot store"
                hint = f"Write `${parameter.name}` for the whole value, in which such characters are escapes."
                asker.fail(parameter, NOT_TEXT, why, hint)
            return Scalar(found, TEXT)
        case _:
            return Scalar(write_json(found), JSONB)


def _null(asker: Asker, parameter: Parameter) -> Scalar:
    if not parameter.optional:
        what = f"`{parameter.column}` of step" if parameter.column else "the result of step"
        asker.fail(parameter, IS_NULL, f"{what} `{parameter.source}` is null")
    return NULL


def _error(parameter: Parameter, source: Rows | Value | None, name: str | None = None) -> Scalar:
    """A part of a step's error, NULL when it has not failed."""
    value = read_json(source.json) if isinstance(source, Value) else None
    if not isinstance(value, dict):
        return Scalar(None, TEXT)
    name = name or (parameter.column or "message").removeprefix("error.")
    found = cast(dict[str, object], value).get(name)
    if found is None or isinstance(found, str):
        return Scalar(found, TEXT)
    return Scalar(write_json(found), JSONB)
