"""Describes statements from DDL, without a server: an implementation of `plan_describe.Describer`.

It refuses only what PostgreSQL refuses for certain, given that the schema is all there is.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from dfc.compiler.plan_describe import (
    NULL,
    UNKNOWN,
    Answer,
    Count,
    Described,
    Refused,
    Rows,
    Shape,
    Statement,
    Unsaid,
    column_keys,
    rows_of,
    type_of,
)
from dfc.compiler.plan_describe import Column as ResultColumn
from dfc.compiler.plan_names import name_of
from dfc.compiler.plan_statement import Literal, Parameter, Returns, SqlBody, Use
from dfc.compiler.schema import types
from dfc.compiler.schema.catalog import NOT_KNOWN, Catalog, Column, Typed
from dfc.compiler.schema.reader import with_statements
from dfc.compiler.schema.scope import Output, Refusal, Written
from dfc.compiler.schema.statements import Statements
from dfc.compiler.sql.native import Fault
from dfc.compiler.sql.tokens import split_comments
from dfc.compiler.sql.trees import tree_of, unwrapped
from dfc.grammar.lexer import Kind, Lexeme

_UNEVEN: Final = re.compile(r"--|/\*|\$[0-9]")
"""Without these there are neither comments nor positional parameters."""
NOT_FORESEEN: Final = "the statement has a form that is not known here"
_ROWS: Final = "_df_rows_"


@dataclass(frozen=True, slots=True)
class _Run:
    """`text[start:end]` stands for `sql[origin:origin_end]`; a `copied` one has the same text."""

    start: int
    end: int
    origin: int
    origin_end: int
    copied: bool


@dataclass(frozen=True, slots=True)
class _Filled:
    """A statement with `$1`, `$2`, ... and names of row sets in place of its references."""

    text: str
    runs: tuple[_Run, ...]
    parameters: tuple[Typed, ...]
    rows: Mapping[str, Output]

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Offsets of the text as offsets of the body's SQL."""
        first = self._run(start)
        last = self._run(max(start, end - 1))
        begin = first.origin + (start - first.start if first.copied else 0)
        finish = last.origin + end - last.start if last.copied else last.origin_end
        return begin, finish

    def _run(self, offset: int) -> _Run:
        return self.runs[bisect_right(self.runs, offset, key=lambda run: run.start) - 1]


class SchemaDescriber:
    """Describes against a catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._with: dict[tuple[str, ...], SchemaDescriber | None] = {}

    def describe(self, statement: Statement) -> Answer:
        """What the statement gives. Never raises for bad text."""
        body = statement.body
        later = self._later(statement.made) if statement.made else None
        if later is not None:
            answer = later.describe(replace(statement, made=()))
            return replace(answer, with_made=True) if isinstance(answer, Refused) else answer
        if statement.database is not None:
            return None
        code, comments = split_comments(body.sql) if _UNEVEN.search(body.sql) else ([], [])
        named = any(parameter.identifier for parameter in body.parameters)
        if named or any(each.kind is Kind.PARAM for each in code):
            # Which object a value names is not known before it runs.
            return None
        try:
            filled = self._filled(body, statement.sources, comments)
        except Refusal as refusal:
            return refusal.refused
        tree = tree_of(filled.text)
        if tree is None:
            return Unsaid(why="the statement is too long or nests too deeply")
        if isinstance(tree, Fault):
            return None
        written = Written(filled.text, filled.origin)
        path = _path(statement.settings)
        try:
            kind, fields = unwrapped(tree)
            analysis = Statements(self._catalog, written, filled.parameters, filled.rows, path)
            output = analysis.analyse(kind, fields)
        except Refusal as refusal:
            return replace(refusal.refused, makers=self._catalog.dynamic())
        except RecursionError:
            return Unsaid(why="the statement nests too deeply")
        except (AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError):
            # A tree that nobody here has thought of. The statement may be legal, so that it passes.
            return Unsaid(why=NOT_FORESEEN)
        shape = self._shape(body, output)
        return None if shape is UNKNOWN else Described(shape)

    def _later(self, made: tuple[str, ...]) -> SchemaDescriber | None:
        """Who knows what these statements have made, too; None where they cannot be read."""
        if made not in self._with:
            catalog = with_statements(self._catalog, made)
            self._with[made] = None if catalog is None else SchemaDescriber(catalog)
        return self._with[made]

    def _shape(self, body: SqlBody, output: Output | None) -> Shape:
        if body.returns is Returns.COUNT:
            # A procedure may have a row of results: what its OUT parameters are is not read.
            return UNKNOWN if body.kind == "call" else Count()
        if output is None:
            return UNKNOWN
        if output.open:
            return Rows(None)
        return Rows(tuple(self._named(output.columns)))

    def _named(self, columns: list[Column]) -> list[ResultColumn]:
        """The columns under the names that the stored result gives them."""
        names = column_keys([column.name for column in columns])
        return [ResultColumn(name, self._sent(column)) for name, column in zip(names, columns, strict=True)]

    def _sent(self, column: Column) -> str | None:
        unknown = column.type.name == "unknown"
        return types.shown(
            Typed("text") if unknown else types.sent(column.type, self._catalog), self._catalog
        )

    def _filled(self, body: SqlBody, sources: Mapping[str, Shape], comments: list[Lexeme]) -> _Filled:
        parameters: list[Typed] = []
        rows: dict[str, Output] = {}
        swaps: list[tuple[int, int, str]] = [
            (each.start, each.end, " " * (each.end - each.start)) for each in comments
        ]
        for literal in body.literals:
            start, written = _literal(body.sql, literal)
            parameters.append(NOT_KNOWN)
            swaps.append((start, literal.end, written.format(f"${len(parameters)}")))
        inside = [(each.start, each.end) for each in body.literals]
        for parameter in body.parameters:
            place = bisect_right(inside, parameter.start, key=lambda span: span[0]) - 1
            if place >= 0 and parameter.start < inside[place][1]:
                continue
            shape = sources.get(parameter.key, UNKNOWN)
            if parameter.use is Use.ROWS:
                name = f"{_ROWS}{len(rows)}"
                rows[name] = self._rows(shape)
                alias = "" if parameter.aliased else f"AS {types.quoted(parameter.name)} "
                text = f" {name} {alias}"
            elif (
                shape == NULL and parameter.optional and parameter.use is Use.VALUE and parameter.type is None
            ):
                text = " NULL "
            else:
                parameters.append(self._value(parameter, shape))
                text = f" ${len(parameters)} "
            swaps.append((parameter.start, parameter.end, text))
        return _swapped(body.sql, sorted(swaps), tuple(parameters), rows)

    def _value(self, parameter: Parameter, shape: Shape) -> Typed:
        if parameter.type is not None and (name := types.absent(parameter.type, self._catalog)) is not None:
            raise Refusal(
                Refused(
                    message=f'type "{name}" does not exist',
                    sqlstate="42704",
                    start=parameter.start,
                    end=parameter.end,
                    help=f"give `{parameter.name}.{parameter.column}` a type that is there, in `params`",
                    name=name,
                )
            )
        return types.of_text(type_of(parameter, shape), self._catalog)

    def _rows(self, shape: Shape) -> Output:
        columns = rows_of(shape)
        if columns is None:
            return Output([], open=True)
        return Output([Column(each.name, types.of_text(each.type, self._catalog)) for each in columns])


def _literal(sql: str, literal: Literal) -> tuple[int, str]:
    """Where what stands for a literal begins, and its text with a place for the parameter."""
    if literal.type_start is None or literal.type_start >= literal.start:
        return literal.start, " {} "
    named = sql[literal.type_start : literal.start].strip().replace("{", "").replace("}", "")
    return literal.type_start, f" CAST({{}} AS {named}) "


def _swapped(
    sql: str, swaps: list[tuple[int, int, str]], parameters: tuple[Typed, ...], rows: Mapping[str, Output]
) -> _Filled:
    parts: list[str] = []
    runs: list[_Run] = []
    length = done = 0
    for start, end, text in swaps:
        if start < done:
            continue
        for part, origin, origin_end, copied in (
            (sql[done:start], done, start, True),
            (text, start, end, False),
        ):
            if part:
                parts.append(part)
                runs.append(_Run(length, length + len(part), origin, origin_end, copied))
                length += len(part)
        done = end
    rest = sql[done:]
    parts.append(rest)
    runs.append(_Run(length, length + len(rest), done, len(sql), True))
    return _Filled("".join(parts), tuple(runs), parameters, rows)


def _path(settings: tuple[tuple[str, str], ...]) -> tuple[str, ...] | None:
    """The search path that a step sets for itself."""
    for name, value in settings:
        if name.lower() == "search_path":
            parts = [each.strip() for each in value.split(",")]
            return tuple([name_of(part.strip("'")) for part in parts])
    return None
