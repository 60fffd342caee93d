"""What is wrong with the statements of a file whatever database they meet: nothing but PostgreSQL is known.

`dfc validate` looks, and nobody else: a plan does not depend on it (ADR 0042).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from dfc.compiler.ast import Piece, ServerStatement
from dfc.compiler.certain_statement import refusal
from dfc.compiler.described import diagnostics
from dfc.compiler.diagnostics import Diagnostic
from dfc.compiler.driver import Compiled, CompiledFile, CompiledStatement
from dfc.compiler.parse import PROBLEMS_MAX
from dfc.compiler.plan import (
    AtomicNode,
    CallNode,
    Form,
    HttpNode,
    MapNode,
    Node,
    OnError,
    Plan,
    Returns,
    SqlBody,
    SqlNode,
    TryNode,
    Use,
    blocks_of,
    every_node,
)
from dfc.compiler.plan_describe import NO_SUCH_RESULT, Answer, Refused, Statement
from dfc.compiler.plan_made import Made
from dfc.compiler.plan_refusals import Problem, problem_of
from dfc.compiler.plan_types import body_of, flow, parameters_of
from dfc.compiler.silence import without_silenced
from dfc.compiler.span import Span
from dfc.compiler.sql.written import Written

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
    if any(each.use is Use.ROWS for node in every_node(plan.nodes) for each in parameters_of(node)):
        # Which columns the rows of a step have is known where its statement says so.
        found = [each for each in flow(plan, _Certain(), _NOTHING).problems if each.code != NO_SUCH_RESULT]
        found = [each for each in found if each.severity == "error"]
    else:
        bodies = [(node.id, body) for node in every_node(plan.nodes) if (body := body_of(node)) is not None]
        answers = [(node, body.sql, refusal(Statement(node=node, body=body))) for node, body in bodies]
        found = [each for answer in answers if (each := _problem(*answer)) is not None]
    if found:
        caught = _caught(plan)
        lints = [replace(each, severity="warning") if each.node in caught else each for each in found]
        yield from diagnostics(lints, compiled.provenance)


class _Certain:
    """What is refused for certain, and the columns that are plain."""

    def __init__(self) -> None:
        self._written = Written()

    def describe(self, statement: Statement) -> Answer:
        """What the statement gives, or why it is refused."""
        return refusal(statement) or self._written.describe(statement)


def _problem(node: str, sql: str, refused: Refused | None) -> Problem | None:
    found = None if refused is None else problem_of(node, sql, refused, _NOTHING)
    # Of a literal with a `{name}` in it there is a note, which says nothing new here.
    return found if found is not None and found.severity == "error" else None


def _caught(plan: Plan) -> frozenset[str]:
    """The nodes whose failure does not end the workflow: who wants a step to fail may write one that does."""
    found: set[str] = set()
    todo = [(node, False) for node in plan.nodes]
    while todo:
        node, inside = todo.pop()
        if inside or _goes_on(node):
            found.add(node.id)
        for role, block in blocks_of(node):
            tried = isinstance(node, TryNode) and role == "body"
            todo += [(each, tried or node.id in found) for each in block.nodes]
    return frozenset(found)


def _goes_on(node: Node) -> bool:
    match node:
        case SqlNode() | HttpNode() | AtomicNode() | CallNode():
            return node.policy.on_error is OnError.CONTINUE
        case MapNode():
            return node.on_error is OnError.CONTINUE
        case _:
            return False


def _of_server(statement: ServerStatement) -> Iterator[Diagnostic]:
    text, span = statement.text, statement.span
    if _QUERY.match(text) is None:
        return
    body = SqlBody(sql=text, kind="", form=Form.EXECUTE, returns=Returns.ROWS)
    piece = Piece(value_start=0, length=len(text), source_start=span.start, source_end=span.end)
    problem = _problem("", text, refusal(Statement(node="", body=body)))
    if problem is not None:
        yield from diagnostics([problem], {"": _Whole(span, (piece,))})
