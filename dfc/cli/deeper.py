"""The problems of a file that only a schema or a database knows: each of its statements is asked about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from dfc.cli.copying import body as without_comments
from dfc.cli.script import is_session_setting
from dfc.cli.sources import Compiled, OnFailure, Problem, Server, Workflow, problem_of
from dfc.compiler.ast import Piece
from dfc.compiler.described import diagnostics
from dfc.compiler.diagnostics import Diagnostic
from dfc.compiler.plan import Form, Plan, Returns, SqlBody
from dfc.compiler.plan_describe import NO_SUCH_RESULT, Answer, Describer, Statement
from dfc.compiler.plan_json import from_json
from dfc.compiler.plan_made import Made
from dfc.compiler.plan_refusals import Problem as StepProblem
from dfc.compiler.plan_refusals import problem_of as step_problem_of
from dfc.compiler.plan_types import flow, statements_of
from dfc.compiler.render import to_json
from dfc.compiler.silence import without_silenced
from dfc.compiler.source import Source
from dfc.compiler.span import Span

_QUERY: Final = re.compile(r"(select|with|insert|update|delete|merge|values|table|\()", re.IGNORECASE)
_DDL: Final = re.compile(
    r"(create|alter|drop|comment|grant|revoke|security|refresh|import)\b|"
    r"select\s+(pg_catalog\s*\.\s*)?set_config\s*\(\s*'search_path'",
    re.IGNORECASE,
)


class Database(Describer, Protocol):
    """A describer that is a session of a database."""

    def execute(self, text: str) -> Answer:
        """Run a statement; why it has not run, or None."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """Who is asked about the statements of a file, and gets its settings.

    `scratch`: the database is nobody's, and the file's DDL is run there. `absent` are statements that should
    have been run there, and could not.
    """

    describer: Database
    scratch: bool = False
    absent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a node stands in the file."""

    span: Span
    sql: Sequence[Piece]


def is_ddl(text: str) -> bool:
    """Whether a statement makes the schema; it is run in scratch databases."""
    return _DDL.match(without_comments(text)) is not None


def has_ddl(compilation: Compiled) -> bool:
    """Whether a file makes a part of the schema itself."""
    return any(isinstance(each, Server) and is_ddl(each.text) for each in compilation.statements)


def deepened(compilation: Compiled, depth: Depth) -> Compiled:
    """The file with the problems that come out at this depth, in the order of the source."""
    found = list(_problems(compilation, depth))
    source = Source(compilation.name, compilation.text)
    spans = [Span(*each.span) for each in compilation.statements]
    heard = without_silenced(compilation.text, spans, found)
    new = [problem_of(compilation.name, to_json(one, source)) for one in heard]
    # Who knows more has the last word, also by saying nothing.
    looked_at = [Span(*each.span) for each in compilation.statements if _plan(each) is not None]
    kept = [each for each in compilation.problems if not _is_answered(each, looked_at)]
    problems = sorted([*kept, *new], key=lambda each: tuple(each.json.get("span") or (0, 0)))
    return replace(compilation, problems=tuple(problems))


def _is_answered(problem: Problem, looked_at: Sequence[Span]) -> bool:
    """Whether it is about the columns of a step, in a workflow whose columns are known better by now."""
    start, _ = problem.json.get("span") or (-1, -1)
    return problem.code == NO_SUCH_RESULT and any(span.start <= start < span.end for span in looked_at)


def _problems(compilation: Compiled, depth: Depth) -> Iterator[Diagnostic]:
    plans = [_plan(each) for each in compilation.statements]
    texts = [each.text for each in compilation.statements if isinstance(each, Server)]
    inside = [text for plan in plans if plan is not None for text in statements_of(plan)]
    others = [_plan(each.on_failure) for each in compilation.statements if isinstance(each, Workflow)]
    inside += [text for plan in others if plan is not None for text in statements_of(plan)]
    # What a scratch database has been told to make is there, unless it could not be made.
    around = [text for text in texts if not (depth.scratch and is_ddl(text))]
    failed = list(depth.absent)
    for statement, plan in zip(compilation.statements, plans, strict=True):
        made = Made([*around, *failed], inside)
        if isinstance(statement, Server):
            problem = _asked(statement, depth, made)
            if depth.scratch and problem is not None and is_ddl(statement.text):
                failed.append(statement.text)
            start, end = statement.span
            place = _Place(Span(start, end), (_piece(0, end - start, start, end),))
            yield from diagnostics([] if problem is None else [problem], {"": place})
            continue
        for one, provenance in _plans(statement, plan):
            yield from diagnostics(flow(one, depth.describer, made).problems, _places(provenance))


def _plans(workflow: Workflow, plan: Plan | None) -> Iterator[tuple[Plan, Mapping[str, Any]]]:
    """The plan of a workflow, and the one for its failures; with the places of their nodes."""
    if plan is not None:
        yield plan, workflow.provenance
    if workflow.on_failure is not None and (later := _plan(workflow.on_failure)) is not None:
        yield later, workflow.on_failure.provenance


def _plan(statement: Workflow | OnFailure | Server | None) -> Plan | None:
    if statement is None or isinstance(statement, Server):
        return None
    json = statement.plan or statement.draft
    return None if json is None else from_json(json)


def _places(provenance: Mapping[str, Any]) -> Mapping[str, _Place]:
    return {
        node: _Place(Span(*place["span"]), tuple([_piece(*piece) for piece in place["sql"]]))
        for node, place in provenance.items()
    }


def _piece(value_start: int, length: int, source_start: int, source_end: int) -> Piece:
    return Piece(value_start=value_start, length=length, source_start=source_start, source_end=source_end)


def _asked(statement: Server, depth: Depth, made: Made) -> StepProblem | None:
    """What is wrong with a statement that goes to the server as it is. Settings hold for those behind it."""
    text, session = statement.text, depth.describer
    if is_session_setting(text):
        return step_problem_of("", text, session.execute(text), made)
    if is_ddl(text):
        return step_problem_of("", text, session.execute(text), made) if depth.scratch else None
    if _QUERY.match(without_comments(text)) is None:
        return None
    body = SqlBody(sql=text, kind="", form=Form.EXECUTE, returns=Returns.ROWS)
    return step_problem_of("", text, session.describe(Statement(node="", body=body)), made)


def load(session: Database, statements: Iterable[str]) -> tuple[str, ...]:
    """Run the DDL of a schema; what could not be run."""
    wanted = [text for text in statements if is_ddl(text) or is_session_setting(text)]
    return tuple([text for text in wanted if session.execute(text) is not None])
