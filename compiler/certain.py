"""What is wrong with the statements of a file whatever database they meet: nothing but PostgreSQL is known.

`dfc validate` looks, and nobody else: a plan does not depend on it (docs/adr/0042-wrong-whatever-there-is.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from dfc.compiler.ast import Piece, ServerStatement
from dfc.compiler.described import Place, diagnostics
from dfc.compiler.diagnostics import Diagnostic
from dfc.compiler.driver import Compiled, CompiledFile, CompiledStatement
from dfc.compiler.parse import PROBLEMS_MAX
from dfc.compiler.plan import Form, Returns, SqlBody, every_node
from dfc.compiler.plan_made import Made
from dfc.compiler.plan_refusals import Problem
from dfc.compiler.plan_types import body_of
from dfc.compiler.silence import without_silenced
from dfc.compiler.span import Span

_QUERY: Final = re.compile(
    r"(?:\s|--[^\n]*\n|/\*[^*]*\*/)*(?:select|with|insert|update|delete|merge|values|table|\()", re.IGNORECASE
)
_NOTHING: Final = Made()


@dataclass(frozen=True, slots=True)
class _Whole:
    """Where a statement that goes to the server as it stands is."""

    span: Span
    sql: tuple[Piece, ...]


def with_certain(file: CompiledFile) -> CompiledFile:
    """The file with these problems among its others."""
    if _has_other_path(file.source.text):
        return file
    found = list(islice(_problems(file), PROBLEMS_MAX))
    if not found:
        return file
    spans = [
        each.span if isinstance(each, ServerStatement) else each.statement.span for each in file.statements
    ]
    heard = without_silenced(file.source.text, spans, found)
    problems = sorted([*file.problems, *heard], key=lambda problem: problem.span.start)
    return replace(file, problems=tuple(problems))


def _has_other_path(text: str) -> bool:
    """Whether names may mean something else than what PostgreSQL has: where its schema is not the first."""
    lower = text.lower()
    return "search_path" in lower and "pg_catalog" in lower


def _problems(file: CompiledFile) -> Iterator[Diagnostic]:
    for statement in file.statements:
        if isinstance(statement, ServerStatement):
            yield from _of_server(statement)
        else:
            yield from _of_workflow(statement)


def _of_workflow(statement: CompiledStatement) -> Iterator[Diagnostic]:
    yield from _of_plan(statement.compiled)
    if statement.on_failure is not None:
        yield from _of_plan(statement.on_failure.compiled)


def _of_plan(compiled: Compiled) -> Iterator[Diagnostic]:
    plan = compiled.plan or compiled.draft
    if plan is None:
        return
    for node in every_node(plan.nodes):
        body = body_of(node)
        if body is not None:
            yield from _of_body(node.id, body, compiled.provenance)


def _of_server(statement: ServerStatement) -> Iterator[Diagnostic]:
    text, span = statement.text, statement.span
    if _QUERY.match(text) is None:
        return
    body = SqlBody(sql=text, kind="", form=Form.EXECUTE, returns=Returns.ROWS)
    piece = Piece(value_start=0, length=len(text), source_start=span.start, source_end=span.end)
    yield from _of_body("", body, {"": _Whole(span, (piece,))})


def _of_body(node: str, body: SqlBody, places: Mapping[str, Place]) -> Iterator[Diagnostic]:
    # What most commands never need is loaded by the first statement.
    from dfc.compiler.schema.certain import refusal

    problem: Problem | None = refusal(node, body, _NOTHING)
    if problem is not None:
        yield from diagnostics([problem], places)
