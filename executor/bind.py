"""References become bind parameters: a statement and the results it refers to, in; text with `$n`, out. Pure.

A value keeps the type that its producing statement gave it, because the parameter carries that type's OID.
A row set is built from text arrays and cast column by column, so that it has its types also when empty.
Where PostgreSQL takes no parameters (utility statements), values are quoted literals instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Final, NoReturn, cast

from dfc.compiler.plan import Parameter, SqlBody, Use
from dfc.executor.journal import Result, Rows, StepError, Value
from dfc.executor.ports import StepFailed

BOOL: Final = 16
BIGINT: Final = 20
TEXT: Final = 25
TEXT_ARRAY: Final = 1009
NUMERIC: Final = 1700
JSONB: Final = 3802

NO_ROWS: Final = "P0002"
IS_NULL: Final = "22004"
NO_COLUMN: Final = "42703"
WRONG_KIND: Final = "42809"
NOT_TEXT: Final = "22P05"

WITHOUT_INPUT: Final = frozenset(
    {194, 705, 2249, 2287, 2275, 2276, 2277, 2278, 2279, 2280, 2281, 2283, 2776, 3361, 3402, 3500, 3831, 3838}
    | {5017, 32, 4600, 4601}
)
"""Types that no text can be cast to: pseudo-types (`record`, `void`, `unknown`, `anyarray`, ...) and the
planner's internal ones. A value of such a type goes on as text."""


@dataclass(frozen=True, slots=True)
class Piece:
    """`bound[start:end]` stands for `sql[source_start:source_end]`; a `copied` piece has the same text."""

    start: int
    end: int
    source_start: int
    source_end: int
    copied: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A statement with its parameters filled in. `types` are OIDs, one for each of `values`."""

    text: str
    types: tuple[int, ...]
    values: tuple[str | None, ...]
    pieces: tuple[Piece, ...]

    def source_position(self, position: int) -> int | None:
        """The code point of the node's SQL behind a code point of `text`, both from 0; None outside of it."""
        for piece in self.pieces:
            if piece.start <= position < piece.end or position == piece.end == len(self.text):
                return piece.source_start + (position - piece.start if piece.copied else 0)
        return None


class Mode(Enum):
    """How values get into the statement: as parameters with their types, as text parameters that are cast in
    the statement (df._rows, df._execute), or as quoted literals."""

    TYPED = "typed"
    CAST = "cast"
    LITERAL = "literal"


def needed_types(body: SqlBody, sources: Mapping[str, Result], mode: Mode) -> set[int]:
    """The OIDs whose names `bind` will ask for."""
    needed: set[int] = set()
    for parameter in body.parameters:
        source = sources.get(parameter.key)
        if isinstance(source, Rows) and (mode is not Mode.TYPED or parameter.use is Use.ROWS):
            needed.update(source.types)
    if mode is not Mode.TYPED and body.parameters:
        needed |= {BOOL, BIGINT, TEXT, NUMERIC, JSONB}
    return needed - WITHOUT_INPUT


def bind(
    step: str,
    body: SqlBody,
    sources: Mapping[str, Result],
    type_names: Mapping[int, str],
    mode: Mode = Mode.TYPED,
) -> Bound:
    """Replace the references of `body`.

    Args:
        step: the path of the step that refers, for messages.
        sources: results by node id.
        type_names: quoted, qualified names of the OIDs of `needed_types`; a type that is not there any more
            is missing, and its values go on as text.
        mode: how values get into the statement.

    Raises StepFailed: no rows, NULL, a column or field that is not there.
    """
    if not body.parameters:
        whole = Piece(0, len(body.sql), 0, len(body.sql), True)
        return Bound(text=body.sql, types=(), values=(), pieces=(whole,))
    writer = _Writer(step=step, type_names=type_names, mode=mode)
    parts: list[str] = []
    pieces: list[Piece] = []
    length = done = 0
    for parameter in body.parameters:
        written = writer.write(parameter, sources.get(parameter.key))
        following = body.sql[parameter.end : parameter.end + 1]
        if following.isalnum() or following == "_":
            written += " "
        copied = body.sql[done : parameter.start]
        pieces.append(Piece(length, length + len(copied), done, parameter.start, True))
        length += len(copied)
        pieces.append(Piece(length, length + len(written), parameter.start, parameter.end, False))
        length += len(written)
        parts += (copied, written)
        done = parameter.end
    rest = body.sql[done:]
    pieces.append(Piece(length, length + len(rest), done, len(body.sql), True))
    parts.append(rest)
    return Bound(
        text="".join(parts), types=tuple(writer.types), values=tuple(writer.values), pieces=tuple(pieces)
    )


def column_keys(columns: Sequence[str]) -> tuple[str, ...]:
    """Names that are unique: a repeated one gets `_2`, `_3`, as results are shown (df._result_json)."""
    keys: list[str] = []
    for column in columns:
        key, suffix = column, 1
        while key in keys or (suffix > 1 and key in columns):
            suffix += 1
            key = f"{column}_{suffix}"
        keys.append(key)
    return tuple(keys)


def quote_literal(value: str) -> str:
    """A string literal with this value, whatever standard_conforming_strings is."""
    quoted = value.replace("'", "''")
    return " E'" + quoted.replace("\\", "\\\\") + "'" if "\\" in quoted else "'" + quoted + "'"


def quote_identifier(name: str) -> str:
    """A delimited identifier."""
    return '"' + name.replace('"', '""') + '"'


def array_literal(values: Sequence[str | None]) -> str:
    """The text form of a one-dimensional array."""
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: str | None) -> str:
    if value is None:
        return "NULL"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass(slots=True, kw_only=True)
class _Writer:
    """Writes one reference after the other; equal references share a parameter, so that GROUP BY works."""

    step: str
    type_names: Mapping[int, str]
    mode: Mode
    types: list[int] = field(default_factory=list[int])
    values: list[str | None] = field(default_factory=list[str | None])
    _written: dict[tuple[str, Use, str | None, bool, bool], str] = field(
        default_factory=dict[tuple[str, Use, str | None, bool, bool], str]
    )

    def write(self, parameter: Parameter, source: Result | None) -> str:
        """The SQL text that stands for a reference whose name has `source`; adds its parameter to `types` and
        `values` unless an equal reference has one. None: the source has not run.
        """
        key = (parameter.key, parameter.use, parameter.column, parameter.optional, parameter.aliased)
        if parameter.use is Use.ROWS:
            return self._rows(parameter, source)
        if key not in self._written:
            self._written[key] = self._value(parameter, source)
        return self._written[key]

    def _value(self, parameter: Parameter, source: Result | None) -> str:
        match source:
            case None:
                return self._absent(parameter, None)
            case Rows() if parameter.use is Use.ROW_COUNT:
                return self._typed(str(source.row_count), BIGINT)
            case Rows():
                return self._cell(parameter, source)
            case Value():
                return self._json(parameter, source)

    def _absent(self, parameter: Parameter, oid: int | None) -> str:
        """A result that is not there: NULL with `?`, otherwise the step fails."""
        if not parameter.optional:
            self._fail(parameter, NO_ROWS, f"step `{parameter.source}` has returned no rows")
        return "NULL" if oid is None else self._typed(None, oid)

    def _cell(self, parameter: Parameter, source: Rows) -> str:
        if not source.columns:
            if parameter.column is None:
                return self._typed(str(source.row_count), BIGINT)
            self._fail(parameter, NO_COLUMN, f"step `{parameter.source}` returns no columns")
        index = 0 if parameter.column is None else self._column(parameter, source)
        if not source.cells:
            return self._absent(parameter, source.types[index])
        cell = source.cells[index]
        if cell is None and not parameter.optional:
            column = column_keys(source.columns)[index]
            self._fail(
                parameter, IS_NULL, f"`{column}` of the first row of step `{parameter.source}` is NULL"
            )
        return self._typed(cell, source.types[index])

    def _column(self, parameter: Parameter, source: Rows) -> int:
        keys = column_keys(source.columns)
        if parameter.column not in keys:
            names = ", ".join(f"`{key}`" for key in keys)
            self._fail(
                parameter,
                NO_COLUMN,
                f"step `{parameter.source}` has no column `{parameter.column}`; its columns are {names}",
            )
        return keys.index(parameter.column)

    def _json(self, parameter: Parameter, source: Value) -> str:
        if parameter.use is Use.ROW_COUNT and parameter.column is None:
            self._fail(parameter, WRONG_KIND, f"the result of step `{parameter.source}` is not a row set")
        if parameter.column is None:
            if source.json == "null":
                return self._null(parameter)
            return self._typed(source.json, JSONB)
        # Decimal keeps every digit; as floats, numbers beyond 2^53 would change on the way.
        value: object = json.loads(source.json, parse_float=Decimal, parse_int=Decimal)
        if not isinstance(value, dict):
            self._fail(
                parameter,
                WRONG_KIND,
                f"the result of step `{parameter.source}` is not an object with a field `{parameter.column}`",
            )
        fields = cast(dict[str, object], value)
        if parameter.column not in fields:
            if parameter.optional:
                return "NULL"
            names = ", ".join(f"`{name}`" for name in fields)
            self._fail(
                parameter,
                NO_COLUMN,
                f"the result of step `{parameter.source}` has no field `{parameter.column}`; it has {names}",
            )
        return self._field(parameter, parameter.column, fields[parameter.column], source)

    def _field(self, parameter: Parameter, name: str, found: object, source: Value) -> str:
        match found:
            case None:
                return self._null(parameter)
            case bool():
                return self._typed("true" if found else "false", BOOL)
            case Decimal():
                return self._typed(str(found), NUMERIC)
            case str():
                if "\0" in found or any("\ud800" <= character <= "\udfff" for character in found):
                    self._fail(
                        parameter,
                        NOT_TEXT,
                        f"`{name}` of step `{parameter.source}` holds what PostgreSQL cannot store",
                    )
                return self._typed(found, TEXT)
            case _:
                return (
                    f"({self._typed(source.json, JSONB)} OPERATOR(pg_catalog.->) "
                    f"{quote_literal(name)}::pg_catalog.text)"
                )

    def _null(self, parameter: Parameter) -> str:
        if not parameter.optional:
            what = f"`{parameter.column}` of step" if parameter.column else "the result of step"
            self._fail(parameter, IS_NULL, f"{what} `{parameter.source}` is null")
        return "NULL"

    def _rows(self, parameter: Parameter, source: Result | None) -> str:
        if not isinstance(source, Rows) or not source.columns:
            self._fail(parameter, WRONG_KIND, f"the result of step `{parameter.source}` is not a row set")
        width = len(source.columns)
        columns: list[str] = []
        arrays: list[str] = []
        for index, (name, oid) in enumerate(zip(column_keys(source.columns), source.types, strict=True)):
            arrays.append(self._array(source.cells[index::width]))
            type_name = self.type_names.get(oid)
            cell = f"u.c{index}" if type_name is None else f"u.c{index}::{type_name}"
            columns.append(f"{cell} AS {quote_identifier(name)}")
        names = ", ".join(f"c{index}" for index in range(width))
        unnested = ", ".join(f"pg_catalog.unnest({array})" for array in arrays)
        written = f"(SELECT {', '.join(columns)} FROM ROWS FROM ({unnested}) AS u({names}))"
        return written if parameter.aliased else f"{written} AS {quote_identifier(parameter.name)}"

    def _array(self, cells: Sequence[str | None]) -> str:
        if self.mode is Mode.LITERAL:
            return quote_literal(array_literal(cells)) + "::pg_catalog.text[]"
        self.types.append(TEXT_ARRAY)
        self.values.append(array_literal(cells))
        return f"${len(self.types)}" + ("::pg_catalog.text[]" if self.mode is Mode.CAST else "")

    def _typed(self, value: str | None, oid: int) -> str:
        type_name = self.type_names.get(oid, "pg_catalog.text")
        if self.mode is Mode.LITERAL:
            written = "NULL" if value is None else quote_literal(value)
            return f"{written}::{type_name}"
        self.types.append(TEXT if oid in WITHOUT_INPUT else oid)
        self.values.append(value)
        return f"${len(self.types)}" + (f"::{type_name}" if self.mode is Mode.CAST else "")

    def _fail(self, parameter: Parameter, sqlstate: str, why: str) -> NoReturn:
        written = f"${parameter.name}" + (f".{parameter.column}" if parameter.column else "")
        if parameter.use is Use.ROW_COUNT:
            written += ".row_count"
        if parameter.use is Use.ROWS:
            written += ".*"
        hint = None
        if sqlstate in (NO_ROWS, IS_NULL):
            hint = f"Write `{written}?` where NULL is a valid value."
        raise StepFailed(
            StepError(
                step=self.step,
                message=f"step `{self.step}` needs `{written}`, but {why}",
                sqlstate=sqlstate,
                hint=hint,
                position=parameter.start,
            )
        )
