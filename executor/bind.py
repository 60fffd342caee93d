"""References become bind parameters: a statement and the results it refers to, in; text with `$n`, out. Pure.

A value keeps the type that its producing statement gave it, because the parameter carries that type's OID.
A row set is built from text arrays and cast column by column, so that it has its types also when empty.
Where PostgreSQL takes no parameters (utility statements), values are quoted literals instead, and names of
objects quoted identifiers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, cast

from dfc.compiler.plan import WITH_EXPRESSIONS, Literal, Parameter, SqlBody, Use, error_source, rows_source
from dfc.executor import spliced
from dfc.executor.journal import Batch, Items, Result, Rows, Value
from dfc.executor.limits import CAST_PARAMETERS_MAX
from dfc.executor.quoting import (
    Number,
    array_literal,
    quote_identifier,
    quote_literal,
    read_json,
    write_json,
)
from dfc.executor.values import (
    BIGINT,
    BOOL,
    JSONB,
    NUMERIC,
    TEXT,
    WRONG_KIND,
    Asker,
    Scalar,
    column_keys,
    elements,
    missing,
    scalar,
)

TEXT_ARRAY: Final = 1009
REGCLASS: Final = 2205
_JSON_OPERATOR: Final = re.compile(r"\s*[-#]>")
_JSON_TYPE: Final = re.compile(r"(?:pg_catalog\.)?jsonb?", re.IGNORECASE)
FIRST_USER_OID: Final = 16384
"""Types from here on may be dropped."""

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
    the statement (df._rows, df._execute), as elements of one array of texts where those are too many, or as
    quoted literals."""

    TYPED = "typed"
    CAST = "cast"
    ELEMENTS = "elements"
    LITERAL = "literal"


def needed_types(body: SqlBody, sources: Mapping[str, Result], mode: Mode) -> set[int]:
    """The OIDs whose names `bind` will ask for."""
    needed: set[int] = set()
    for parameter in body.parameters:
        source = _source_of(sources, parameter)
        whole = parameter.use is Use.ROWS or parameter.use is Use.JSON or isinstance(source, Batch)
        if isinstance(source, Batch):
            source = source.rows
        if isinstance(source, Rows):
            all_named = mode is not Mode.TYPED or whole
            needed.update([oid for oid in source.types if all_named or oid >= FIRST_USER_OID])
    if mode is not Mode.TYPED and body.parameters:
        needed |= {BOOL, BIGINT, TEXT, NUMERIC, JSONB}
    return needed - WITHOUT_INPUT


def types_in(sources: Mapping[str, Result]) -> set[int]:
    """The OIDs of all columns of what rows there are."""
    rows = [source.rows if isinstance(source, Batch) else source for source in sources.values()]
    return {oid for source in rows if isinstance(source, Rows) for oid in source.types}


def _source_of(sources: Mapping[str, Result], parameter: Parameter) -> Result | None:
    """What a reference stands for; of a map its items, where they and not their value are wanted."""
    key = parameter.key
    if parameter.use is Use.ERROR:
        return sources.get(error_source(key))
    items = None if parameter.use is Use.VALUE else sources.get(rows_source(key))
    return sources.get(key) if items is None else items


def bind(
    step: str,
    body: SqlBody,
    sources: Mapping[str, Result],
    type_names: Mapping[int, str],
    mode: Mode = Mode.TYPED,
) -> Bound:
    """Replace the references of `body`, as `_bind` does; where one by one they are too many, as an array."""
    bound = _bind(step, body, sources, type_names, mode)
    if mode is Mode.CAST and len(bound.values) > CAST_PARAMETERS_MAX:
        return _bind(step, body, sources, type_names, Mode.ELEMENTS)
    return bound


def _bind(
    step: str,
    body: SqlBody,
    sources: Mapping[str, Result],
    type_names: Mapping[int, str],
    mode: Mode,
) -> Bound:
    """Replace the references of `body`.

    Args:
        step: the path of the step that refers, for messages.
        sources: results by the `source` of the parameters that want them, and under `error_source(source)`
            the errors (a Value, null when there is none) for those that want a part of one, or where a step
            has failed and the workflow goes on; under `rows_source(source)` the items of a map.
        type_names: quoted, qualified names of the OIDs of `needed_types`; a type that is not there any more
            is missing, and its values go on as text.
        mode: how values get into the statement.

    Raises StepFailed: no rows, NULL, a column or field that is not there, a text that is no name.
    """
    sql = body.sql
    if not body.parameters and not body.literals:
        whole = Piece(0, len(sql), 0, len(sql), True)
        return Bound(text=sql, types=(), values=(), pieces=(whole,))
    writer = _Writer(
        asker=Asker(step, sql),
        sql=sql,
        sources=sources,
        type_names=type_names,
        mode=mode,
        constants=mode is Mode.LITERAL and body.kind not in WITH_EXPRESSIONS,
    )
    parts: list[str] = []
    pieces: list[Piece] = []
    length = done = 0
    for start, end, written in _replaced(body, writer):
        following = sql[end : end + 1]
        if following.isalnum() or following == "_":
            written += " "
        copied = sql[done:start]
        pieces.append(Piece(length, length + len(copied), done, start, True))
        length += len(copied)
        pieces.append(Piece(length, length + len(written), start, end, False))
        length += len(written)
        parts += (copied, written)
        done = end
    rest = sql[done:]
    pieces.append(Piece(length, length + len(rest), done, len(sql), True))
    parts.append(rest)
    return Bound(
        text="".join(parts), types=tuple(writer.types), values=tuple(writer.values), pieces=tuple(pieces)
    )


def _replaced(body: SqlBody, writer: _Writer) -> Iterator[tuple[int, int, str]]:
    """The runs of the statement that something else stands for, in order."""
    if not body.literals:
        for parameter in body.parameters:
            yield parameter.start, parameter.end, writer.write(parameter)
        return
    parameters = iter(body.parameters)
    parameter = next(parameters, None)
    for literal in body.literals:
        while parameter is not None and parameter.start < literal.start:
            yield parameter.start, parameter.end, writer.write(parameter)
            parameter = next(parameters, None)
        inside: list[Parameter] = []
        while parameter is not None and parameter.start < literal.end:
            inside.append(parameter)
            parameter = next(parameters, None)
        yield writer.literal(literal, inside)
    while parameter is not None:
        yield parameter.start, parameter.end, writer.write(parameter)
        parameter = next(parameters, None)


_Key = tuple[str, Use, str | None, bool]


@dataclass(slots=True, kw_only=True)
class _Writer:
    """Writes one reference after the other; equal references share a parameter, so that GROUP BY works.

    `constants`: literals of the statement stay constants.
    """

    asker: Asker
    sql: str
    sources: Mapping[str, Result]
    type_names: Mapping[int, str]
    mode: Mode
    constants: bool
    types: list[int] = field(default_factory=list[int])
    values: list[str | None] = field(default_factory=list[str | None])
    _written: dict[_Key, str] = field(default_factory=dict[_Key, str])

    def write(self, parameter: Parameter) -> str:
        """The SQL text that stands for a reference in code; adds its parameter to `types` and `values`."""
        if parameter.use is Use.ROWS:
            source = self._source(parameter)
            if source is None:
                missing(self.asker, parameter, self._error(parameter))
            written = self._rows(parameter, source)
            return written if parameter.aliased else f"{written} AS {quote_identifier(parameter.name)}"
        if parameter.identifier:
            return spliced.name(self.asker, parameter, self._scalar(parameter))
        return self._value(parameter)

    def literal(self, literal: Literal, inside: Sequence[Parameter]) -> tuple[int, int, str]:
        """What stands for a literal, and for which run of the statement."""
        raw = spliced.Raw.of(self.sql, literal)
        if not inside:
            return literal.start, literal.end, raw.without_references()
        if self.constants:
            texts = [self._scalar(parameter) for parameter in inside]
            return literal.start, literal.end, raw.constant(self.asker, inside, texts)
        parts: list[str] = []
        done = raw.first
        for parameter in inside:
            parts += (raw.part(done, parameter.start), self._text(parameter))
            done = parameter.end
        parts.append(raw.part(done, raw.last))
        joined = " OPERATOR(pg_catalog.||) ".join(filter(None, parts))
        return raw.start, raw.end, raw.typed(joined)

    def _scalar(self, parameter: Parameter) -> Scalar:
        source = self._source(parameter)
        if isinstance(source, Items | Batch) or parameter.use in (Use.ROWS, Use.JSON):
            why = f"PostgreSQL takes only one value here, and step `{parameter.source}` gives many"
            hint = "Have a step in front of it compute the one value, and refer to that step."
            self.asker.fail(parameter, WRONG_KIND, why, hint)
        return scalar(self.asker, parameter, source, self._error(parameter))

    def _source(self, parameter: Parameter) -> Result | None:
        return _source_of(self.sources, parameter)

    def _error(self, parameter: Parameter) -> Value | None:
        """The error of a step that has failed while the workflow goes on."""
        error = self.sources.get(error_source(parameter.key))
        return error if isinstance(error, Value) else None

    def _text(self, parameter: Parameter) -> str:
        """A reference as a part of a text."""
        written = f"{self._value(parameter)}::pg_catalog.text"
        return f"coalesce({written}, '')" if parameter.optional else written

    def _value(self, parameter: Parameter) -> str:
        key = (parameter.key, parameter.use, parameter.column, parameter.optional)
        if key not in self._written:
            source = self._source(parameter)
            if isinstance(source, Items):
                written = self._of_items(parameter, source)
            elif isinstance(source, Batch):
                written = self._of_batch(parameter, source)
            elif parameter.use is Use.JSON:
                if source is None:
                    missing(self.asker, parameter, self._error(parameter))
                written = self._array_of_objects(parameter, source)
            else:
                found = scalar(self.asker, parameter, source, self._error(parameter))
                declared = parameter.type
                written = self._typed(found) if declared is None else self._declared(found, declared)
            self._written[key] = written
        if self._written[key] == "NULL" and _JSON_OPERATOR.match(self.asker.sql or "", parameter.end):
            return "(NULL::pg_catalog.jsonb)"  # without a type PostgreSQL cannot tell which operator is meant
        return self._written[key]

    def _declared(self, found: Scalar, type_name: str) -> str:
        """A field of the input as the type that its definition declares: read from its text."""
        text = found.text
        if found.oid == TEXT and text is not None and _JSON_TYPE.fullmatch(type_name):
            text = write_json(text)
        elif found.oid == JSONB and text is not None and type_name.endswith("]"):
            text = _array_text(read_json(text))
        return f"({self._typed(Scalar(text, TEXT))}::{type_name})"

    def _of_batch(self, parameter: Parameter, source: Batch) -> str:
        """Rows that are one value, an array of objects."""
        if parameter.column is not None:
            why = f"`{parameter.name}` is an array of rows"
            hint = f"Read the rows with `FROM ${parameter.name}.*`."
            self.asker.fail(parameter, WRONG_KIND, why, hint)
        if parameter.use is Use.ROW_COUNT:
            return self._typed(Scalar(str(source.rows.row_count), BIGINT))
        return self._array_of_objects(parameter, source.rows)

    def _array_of_objects(self, parameter: Parameter, source: Rows | Value) -> str:
        if isinstance(source, Value):
            elements(self.asker, parameter, source)
            return self._typed(Scalar(source.json, JSONB))
        rows = self._rows(parameter, source)
        alias = "r"
        while alias in source.columns:
            alias += "_"
        return (
            f"(SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb({alias})), '[]'::pg_catalog.jsonb)"
            f" FROM {rows} AS {alias})"
        )

    def _of_items(self, parameter: Parameter, source: Items) -> str:
        """The result of a map in one value: how many items, or the array of what they gave."""
        if parameter.column is not None:
            why = f"the result of map `{parameter.source}` is an array"
            self.asker.fail(parameter, WRONG_KIND, why, f"Read its items with `FROM ${parameter.name}.*`.")
        of = "pg_catalog.to_jsonb(m)" if parameter.use is Use.JSON else "m.result"
        what = f"coalesce(pg_catalog.jsonb_agg({of} ORDER BY m.item), '[]'::pg_catalog.jsonb)"
        if parameter.use is Use.ROW_COUNT:
            what = "pg_catalog.count(*)"
        return f"(SELECT {what} FROM {self._items(source)} AS m)"

    def _items(self, source: Items) -> str:
        instance, path = (self._typed(Scalar(text, TEXT)) for text in (source.instance, source.path))
        return f"(SELECT item, status, result, error FROM df.map_results({instance}, {path}))"

    def _rows(self, parameter: Parameter, source: Result) -> str:
        match source:
            case Items():
                written = self._items(source)
            case Batch(rows=rows):
                written = self._rows(parameter, rows)
            case Value():
                elements(self.asker, parameter, source)
                array = self._typed(Scalar(source.json, JSONB))
                written = f"(SELECT e.value FROM pg_catalog.jsonb_array_elements({array}) AS e)"
            case Rows(columns=()):
                count = self._typed(Scalar(str(source.row_count), BIGINT))
                written = f"(SELECT FROM pg_catalog.generate_series(1, {count}))"
            case Rows():
                written = self._columns(source)
        return written

    def _columns(self, source: Rows) -> str:
        width = len(source.columns)
        columns: list[str] = []
        arrays: list[str] = []
        for index, (name, oid) in enumerate(zip(column_keys(source.columns), source.types, strict=True)):
            arrays.append(self._array(source.cells[index::width]))
            type_name = self.type_names.get(oid)
            cell = f"u.c{index}" if type_name is None else _cast(f"u.c{index}", oid, type_name)
            columns.append(f"{cell} AS {quote_identifier(name)}")
        names = ", ".join(f"c{index}" for index in range(width))
        unnested = ", ".join(f"pg_catalog.unnest({array})" for array in arrays)
        return f"(SELECT {', '.join(columns)} FROM ROWS FROM ({unnested}) AS u({names}))"

    def _array(self, cells: Sequence[str | None]) -> str:
        if self.mode is Mode.LITERAL:
            return quote_literal(array_literal(cells)) + "::pg_catalog.text[]"
        self.types.append(TEXT_ARRAY)
        self.values.append(array_literal(cells))
        return self._number() + ("" if self.mode is Mode.TYPED else "::pg_catalog.text[]")

    def _number(self) -> str:
        """What stands for the last parameter."""
        number = len(self.types)
        return f"$1[{number}]" if self.mode is Mode.ELEMENTS else f"${number}"

    def _typed(self, value: Scalar) -> str:
        if value.oid is None:
            return "NULL" if value.text is None else quote_literal(value.text)
        type_name = self.type_names.get(value.oid, "pg_catalog.text")
        if self.mode is Mode.LITERAL:
            written = "NULL" if value.text is None else quote_literal(value.text)
            return f"({written}::{type_name})"
        gone = value.oid >= FIRST_USER_OID and value.oid not in self.type_names
        self.types.append(TEXT if gone or value.oid in WITHOUT_INPUT else value.oid)
        self.values.append(value.text)
        number = self._number()
        return number if self.mode is Mode.TYPED else f"({_cast(number, value.oid, type_name)})"


def _array_text(value: object) -> str:
    """A JSON array as the text of an array; any other value as JSON."""
    if not isinstance(value, list):
        return write_json(value)
    return "{" + ",".join(map(_element_text, cast("list[object]", value))) + "}"


def _element_text(value: object) -> str:
    match value:
        case None:
            return "NULL"
        case list():
            return _array_text(cast("list[object]", value))
        case str() if not isinstance(value, Number):
            return array_literal([value])[1:-1]
        case _:
            return array_literal([write_json(value)])[1:-1]


def _cast(text: str, oid: int, type_name: str) -> str:
    """A text as a value of a type, read as the type's input function reads it."""
    # The cast from text to regclass is a function that takes names only; that from bpchar is none.
    return f"{text}::pg_catalog.bpchar::{type_name}" if oid == REGCLASS else f"{text}::{type_name}"
