"""A step's statement and its checkpoint become the one statement that is sent. Pure.

All four compositions answer with one row: journal number, `finished`, `cancel_reason`, and then, for counts,
the number of rows, for rows that are to be kept, cells, number and types.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, assert_never

from dfc.executor.actions import EndItem, Finish, RecordDecision, Rider
from dfc.executor.bind import TEXT_ARRAY, WITHOUT_INPUT, Bound
from dfc.executor.errors import error_object
from dfc.executor.journal import Batch, Items, Result, Rows, Shape, Value
from dfc.executor.limits import RESULT_ROWS_MAX
from dfc.executor.queries import fill, query
from dfc.executor.quoting import array_literal, quote_identifier, quote_literal, storable
from dfc.executor.shapes import shape_json
from dfc.executor.values import BIGINT, TEXT

DF: Final = "df"
MARKERS: Final = "df_markers"
"""The schema of what a step needs, in the database of the workflows and in others."""

BYTEA: Final = 17
INTEGER: Final = 23
JSON: Final = 114
VOID: Final = 2278
RECORD: Final = 2249

_RECORD: Final = {"token": BYTEA, "instance": TEXT, "path": TEXT, "rider": JSON}
"""The parameters of the checkpoint itself, behind those of the statement, with their types."""

_ITEMS: Final = {
    "token": BYTEA,
    "instance": TEXT,
    "path": TEXT,
    "batch_size": INTEGER,
    "block_rows": INTEGER,
    "block_bytes": INTEGER,
}
"""The same for the items of a map."""

_CAST_IS_OUTPUT: Final = frozenset(
    {17, 19, 20, 21, 23, 25, 26, 114, 700, 701, 1043, 1082, 1083, 1114, 1184, 1186, 1266, 1700, 2950, 3802}
)
"""Types whose cast to text is their output function. It is not for bool, bpchar and inet, and a user may have
made another cast for a type of their own."""

WITHIN: Final = '{"within": true}'
"""The rider of a checkpoint in a transaction of several: the fence is locked at its end (df.commit_steps)."""


@dataclass(frozen=True, slots=True)
class Description:
    """The columns of a statement and their type OIDs (of a domain its base type)."""

    columns: tuple[str, ...]
    types: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Composed:
    """A statement to send. `types` are the parameters' OIDs; `start` is where the step's own text begins, or
    None where it travels as a parameter."""

    text: str
    types: tuple[int, ...]
    start: int | None


def compose_rows(bound: Bound, described: Description, *, keep: bool, schema: str = DF) -> Composed:
    """`WITH step AS (<statement>)` for a statement with rows."""
    unique = len(set(described.columns)) == len(described.columns)
    names = described.columns if unique else tuple(f"c{i}" for i in range(len(described.columns)))
    columns = [f"s.{quote_identifier(name)}" for name in names]
    typeof = ", ".join(f"pg_catalog.pg_typeof({column})::pg_catalog.oid" for column in columns)
    return _with(
        "step_rows",
        bound,
        bound.text,
        {
            "aliases": "" if unique else f"({', '.join(names)})",
            "kept": _KEPT if keep else "",
            "cells": _cells(columns, described.types),
            "nulls": ", ".join(["NULL"] * len(columns)),
            "typeof": f"ARRAY[{typeof}]::pg_catalog.oid[]" if columns else _oids(()),
            **_described(described),
        },
        schema=schema,
    )


def compose_count(bound: Bound, *, returning: bool, schema: str = DF) -> Composed:
    """`WITH step AS (<statement>)` for a statement that only counts; `returning` adds what gives it rows."""
    statement = f"{bound.text}\nRETURNING 1" if returning else bound.text
    return _with("step_count", bound, statement, {}, schema=schema)


def compose_query(
    described: Description, type_names: Mapping[int, str], *, keep: bool, schema: str = DF
) -> Composed:
    """The same over df._rows; the statement and its values are parameters."""
    columns = [f"s.{name}" for name in _numbered(described)]
    return _called(
        "step_query",
        {
            "definitions": _definitions(described, type_names),
            "kept": _KEPT if keep else "",
            "cells": _cells(columns, described.types),
            **_described(described),
        },
        schema=schema,
    )


def compose_execute(*, schema: str = DF) -> Composed:
    """df._execute for a statement without rows; the statement and its values are parameters."""
    return _called("step_execute", {}, schema=schema)


def compose_checkpoint() -> Composed:
    """The checkpoint alone, of a statement that has run; its result is in the first four parameters."""
    result = {"count": BIGINT, "columns": TEXT_ARRAY, "types": TEXT_ARRAY, "cells": TEXT_ARRAY}
    places = {name: f"${number}" for number, name in enumerate(result, 1)}
    places["types"] += "::pg_catalog.oid[]"
    text = fill(query("step_checkpoint"), {**places, **_own(len(result), _RECORD)})
    return Composed(text, (*result.values(), *_RECORD.values()), None)


def compose_items_rows(bound: Bound, described: Description) -> Composed:
    """`WITH step AS (<statement>)` for the statement of a map, whose rows become items."""
    names = _numbered(described)
    columns = [f"s.{name}" for name in names]
    typeof = ", ".join(f"pg_catalog.pg_typeof({column})::pg_catalog.oid" for column in columns)
    return _with(
        "step_items_rows",
        bound,
        bound.text,
        {
            "aliases": f"({', '.join(names)})" if names else "",
            **_row(columns, described.types),
            "nulls": ", ".join(["NULL"] * len(columns)),
            "typeof": f"ARRAY[{typeof}]::pg_catalog.oid[]" if columns else _oids(()),
            **_described(described),
        },
        _ITEMS,
    )


def compose_items_query(described: Description, type_names: Mapping[int, str]) -> Composed:
    """The same over df._rows; the statement and its values are parameters."""
    columns = [f"s.{name}" for name in _numbered(described)]
    return _called(
        "step_items_query",
        {
            "definitions": _definitions(described, type_names),
            **_row(columns, described.types),
            **_described(described),
        },
        _ITEMS,
    )


def items_source(source: Result | Shape) -> tuple[str | None, ...]:
    """A result as df._store_items takes it: a shape, or number, columns, types, cells, or a value."""
    match source:
        case Rows(columns=columns, types=types, cells=cells, row_count=row_count):
            return (
                None,
                str(row_count),
                array_literal(columns),
                array_literal([str(oid) for oid in types]),
                array_literal(cells),
                None,
            )
        case Value(json=value):
            return (None, None, None, None, None, value)
        case Batch(rows=rows):
            return items_source(rows)
        case Items(path=path):
            return (shape_json(path), None, None, None, None, None)
        case _:
            return (shape_json(source), None, None, None, None, None)


def rider_json(rider: Rider) -> str:
    """What a checkpoint carries along, as df.checkpoint takes it."""
    match rider:
        case Finish():
            return finish_json(rider)
        case RecordDecision(path=path, value=value):
            return _object({"decide": _object({"path": json_text(path), "value": storable(value)})})
        case EndItem(path=path, item=item, shape=shape, error=error, forget=forget):
            ended = {"path": json_text(path), "item": str(item), "forget": json_text(forget)}
            if shape is not None:
                ended["shape"] = shape_json(shape)
            if error is not None:
                ended["error"] = json_text(error_object(error))
            return _object({"item": _object(ended)})
        case _:
            assert_never(rider)


def finish_json(finish: Finish) -> str:
    """The end of an instance, as df.checkpoint, df._record and df._finish take it."""
    ending = {
        "status": json_text(finish.status),
        "shape": "null" if finish.shape is None else shape_json(finish.shape),
        "error": "null" if finish.error is None else json_text(error_object(finish.error)),
        "reason": json_text(finish.reason),
    }
    if finish.undo_errors:
        ending["undo_errors"] = json_text([error_object(error) for error in finish.undo_errors])
    return _object(ending)


def carry_json(carry: Mapping[str, Shape]) -> str:
    """Shapes by node id."""
    return "{" + ", ".join(f"{json_text(id)}: {shape_json(shape)}" for id, shape in carry.items()) + "}"


def _object(members: Mapping[str, str]) -> str:
    """An object of members that are JSON texts already: numbers keep their digits."""
    return "{" + ", ".join(f'"{name}": {text}' for name, text in members.items()) + "}"


def json_text(value: object) -> str:
    """JSON that PostgreSQL can store: NUL becomes U+FFFD, a lone surrogate a question mark."""
    return storable(json.dumps(value, ensure_ascii=False))


_KEPT: Final = ", pg_catalog.to_json(r.cells), r.n, pg_catalog.to_json(t.types)"


def _with(
    name: str,
    bound: Bound,
    statement: str,
    pieces: dict[str, str],
    own: Mapping[str, int] = _RECORD,
    *,
    schema: str = DF,
) -> Composed:
    marker = "\x00"
    text = fill(_template(name, schema), {"statement": marker, **pieces, **_own(len(bound.types), own)})
    start = text.index(marker)
    return Composed(text[:start] + statement + text[start + 1 :], (*bound.types, *own.values()), start)


def _called(
    name: str, pieces: dict[str, str], own: Mapping[str, int] = _RECORD, *, schema: str = DF
) -> Composed:
    text = fill(_template(name, schema), {"query": "$1", "values": "$2", **pieces, **_own(2, own)})
    return Composed(text, (TEXT, TEXT_ARRAY, *own.values()), None)


@cache
def _template(name: str, schema: str) -> str:
    """A query over the functions of schema df, or over those that other databases have in their place."""
    return query(name).replace("df.", f"{schema}.")


def _own(before: int, own: Mapping[str, int]) -> dict[str, str]:
    return {name: f"${before + 1 + index}" for index, name in enumerate(own)}


def _numbered(described: Description) -> list[str]:
    return [f"c{index}" for index in range(len(described.columns))]


def _definitions(described: Description, type_names: Mapping[int, str]) -> str:
    return ", ".join(
        f"{name} {type_names.get(oid, 'pg_catalog.record')}"
        for name, oid in zip(_numbered(described), described.types, strict=True)
    )


def _described(described: Description) -> dict[str, str]:
    return {
        "columns": quote_literal(array_literal(described.columns)) + "::pg_catalog.text[]",
        "types": _oids(described.types),
        "limit": str(RESULT_ROWS_MAX + 1),
    }


def _oids(oids: tuple[int, ...]) -> str:
    return "'{" + ",".join(map(str, oids)) + "}'::pg_catalog.oid[]"


def _cells(columns: list[str], types: tuple[int, ...]) -> str:
    """The cells row by row, flat, in the text form that PostgreSQL's output functions give."""
    match [_output(column, oid) for column, oid in zip(columns, types, strict=True)]:
        case []:
            return "'{}'::pg_catalog.text[]"
        case [text]:
            return f"pg_catalog.array_agg({text})"
        case texts:
            rows = f"pg_catalog.array_agg(ARRAY[{', '.join(texts)}])"
            return f"ARRAY(SELECT pg_catalog.unnest({rows}))"


def _row(columns: list[str], types: tuple[int, ...]) -> dict[str, str]:
    """The cells of one row, and those of a block of rows, flat."""
    if not columns:
        return {"row": "'{}'::pg_catalog.text[]", "cells": "'{}'::pg_catalog.text[]"}
    texts = [_output(column, oid) for column, oid in zip(columns, types, strict=True)]
    return {
        "row": f"ARRAY[{', '.join(texts)}]::pg_catalog.text[]",
        "cells": "ARRAY(SELECT pg_catalog.unnest(pg_catalog.array_agg(s.cells ORDER BY s.n)))",
    }


def _output(column: str, oid: int) -> str:
    if oid == VOID:
        return "NULL::pg_catalog.text"
    if oid == 16:
        return f"CASE WHEN {column} THEN 't' WHEN NOT {column} THEN 'f' END::pg_catalog.text"
    if oid in _CAST_IS_OUTPUT:
        return f"{column}::pg_catalog.text"
    # concat uses the output function. Also a composite IS DISTINCT FROM NULL unless it is NULL itself.
    return f"CASE WHEN {column} IS DISTINCT FROM NULL THEN pg_catalog.concat({column}) END"


def needs_with(described: Description) -> bool:
    """Whether df._rows cannot declare the columns: none at all, or of a pseudo-type other than record."""
    return not described.columns or any(oid in WITHOUT_INPUT and oid != RECORD for oid in described.types)
