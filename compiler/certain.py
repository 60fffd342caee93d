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
from dfc.compiler.certain_statement import Refusal, refusal
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
from dfc.compiler.plan_describe import NO_SUCH_RESULT, Answer, Statement
from dfc.compiler.plan_made import Made
from dfc.compiler.plan_refusals import Problem, problem_of
from dfc.compiler.plan_types import body_of, flow, parameters_of
from dfc.compiler.silence import without_silenced
from dfc.compiler.span import Span
from dfc.compiler.sql.written import Written

_QUERY: Final = re.compile(
    r"(?:\s|--[^\n]*\n|/\*[^*]*\*/)*(?:select|with|insert|update|delete|merge|values|table|\()", re.IGNORECASE
)
_MAKES: Final = re.compile(
    r"\bcreate\s+(?:or\s+replace\s+)?(?:function|aggregate|operator|extension)\b", re.IGNORECASE
)
_UNLESS: Final = "PostgreSQL refuses this, unless you have made a function or operator for it"
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
    makes = _MAKES.search(file.source.text) is not None
    # Who makes functions and operators knows what they are.
    sure = (each for each in _problems(file) if not makes or each.label != _UNLESS)
    found = list(islice(sure, PROBLEMS_MAX))
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
        asked = _Asked()
        problems = flow(plan, asked, _NOTHING).problems
        of_statements = [each for each in problems if each.code != NO_SUCH_RESULT]
        found = [_said(each, asked.refused.get(each.node)) for each in of_statements]
    else:
        bodies = [(node.id, body) for node in every_node(plan.nodes) if (body := body_of(node)) is not None]
        found = [_problem(Statement(node=node, body=body)) for node, body in bodies]
    lints = [each for each in found if each is not None]
    if lints:
        caught = _caught(plan)
        lints = [replace(each, severity="warning") if each.node in caught else each for each in lints]
        yield from diagnostics(lints, compiled.provenance)


class _Asked:
    """The describer of what is refused, and of the columns that are plain. `refused` is by node."""

    def __init__(self) -> None:
        self._written = Written()
        self.refused: dict[str, Refusal] = {}

    def describe(self, statement: Statement) -> Answer:
        """What the statement gives, or why it is refused."""
        found = refusal(statement)
        if found is None:
            self.refused.pop(statement.node, None)
            return self._written.describe(statement)
        self.refused[statement.node] = found
        return found.refused


def _problem(statement: Statement) -> Problem | None:
    found = refusal(statement)
    if found is None:
        return None
    problem = problem_of(statement.node, statement.body.sql, found.refused, _NOTHING)
    return None if problem is None else _said(problem, found)


def _said(problem: Problem, refused: Refusal | None) -> Problem | None:
    """An error, or a warning where somebody may have made what makes it right.

    Of a literal with a `{name}` in it there is a note, which says nothing new here.
    """
    if problem.severity != "error" or refused is None:
        return None
    if refused.certain:
        return problem
    return replace(problem, severity="warning", label=_UNLESS)


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
    problem = _problem(Statement(node="", body=body))
    if problem is not None:
        yield from diagnostics([problem], {"": _Whole(span, (piece,))})
