"""Results that nobody has computed, of the types that a run will have, for statements to be bound. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from dfc.compiler.plan import Parameter, SqlBody, Use, error_source
from dfc.compiler.plan_describe import NULL, UNKNOWN, Column, Shape, rows_of, type_of
from dfc.executor.journal import Result, Rows, Value

ANY: Final = 0
"""In place of a type's OID: PostgreSQL finds out, from what stands around the parameter."""

TypeOf = Callable[[str], int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeUp:
    """A statement each of whose references has a source of its own, and these sources.

    `unsure` are the references whose type is not known, as they are written.
    """

    body: SqlBody
    sources: Mapping[str, Result]
    unsure: tuple[str, ...]


def types_needed(body: SqlBody, shapes: Mapping[str, Shape]) -> set[str]:
    """The names of the types that `make_up` will ask for."""
    needed: set[str] = set()
    for parameter in body.parameters:
        shape = shapes.get(parameter.key, UNKNOWN)
        if parameter.use is Use.ROWS:
            needed.update(column.type for column in rows_of(shape) or () if column.type is not None)
        elif parameter.type is not None:
            # It is sent as a text, with a cast.
            needed.add("text")
        else:
            found = type_of(parameter, shape)
            needed.update(() if found is None else (found,))
    return needed


def make_up(
    body: SqlBody, shapes: Mapping[str, Shape], type_oid: TypeOf, unknown: int = ANY
) -> MadeUp | None:
    """The statement with made-up sources; None where a row set has columns that nobody knows.

    `unknown` stands for the type of what is not known.
    """
    sources: dict[str, Result] = {}
    parameters: list[Parameter] = []
    unsure: list[str] = []
    for parameter in body.parameters:
        shape = shapes.get(parameter.key, UNKNOWN)
        # References of the same meaning share a parameter when they are bound, and have to share a source.
        source = f"{parameter.use.value} {parameter.column} {parameter.key}"
        made = _made(parameter, shape, type_oid, unknown)
        if made is None:
            return None
        result, known = made
        if parameter.use is Use.ERROR:
            sources[error_source(source)] = result
        else:
            sources[source] = result
        if not known:
            unsure.append(body.sql[parameter.start : parameter.end])
        lone = parameter.use is Use.VALUE
        parameters.append(
            replace(
                parameter,
                source=source,
                otherwise=(),
                column=None if lone else parameter.column,
                optional=True,
            )
        )
    return MadeUp(
        body=replace(body, parameters=tuple(parameters)), sources=sources, unsure=tuple(dict.fromkeys(unsure))
    )


def _made(parameter: Parameter, shape: Shape, type_oid: TypeOf, unknown: int) -> tuple[Result, bool] | None:
    """A result for a reference, and whether its types are known."""
    match parameter.use:
        case Use.ERROR:
            return Value(json="null"), True
        case Use.ROW_COUNT:
            return Rows(columns=(), types=(), cells=(), row_count=0), True
        case Use.JSON:
            return Value(json="[]"), True
        case Use.ROWS:
            columns = rows_of(shape)
            return None if columns is None else _rows(columns, type_oid, unknown)
        case Use.VALUE if shape == NULL and parameter.optional:
            return Value(json="null"), True
        case Use.VALUE:
            if parameter.type is not None:
                return _rows((Column("value", "text"),), type_oid, unknown)
            return _rows((Column("value", type_of(parameter, shape)),), type_oid, unknown)


def _rows(columns: tuple[Column, ...], type_oid: TypeOf, unknown: int) -> tuple[Rows, bool]:
    oids = [None if column.type is None else type_oid(column.type) for column in columns]
    rows = Rows(
        columns=tuple([column.name for column in columns]),
        types=tuple([unknown if oid is None else oid for oid in oids]),
        cells=(),
        row_count=0,
    )
    return rows, None not in oids
