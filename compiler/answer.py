"""What the compiler process says to one line (docs/internals.md): whatever the line holds, an answer.

An exception of the compiler becomes DF590, with the traceback on standard error.
"""

from __future__ import annotations

import contextlib
import json
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import cast

from dfc.compiler import plan_durability
from dfc.compiler.ast import ServerStatement
from dfc.compiler.certain import with_certain
from dfc.compiler.diagnostics import Diagnostic, error
from dfc.compiler.driver import Compiled, CompiledStatement, OnFailure, Origin, compile_file, compile_wire
from dfc.compiler.plan import Plan
from dfc.compiler.plan_json import plan_hash
from dfc.compiler.plan_json import to_json as plan_to_json
from dfc.compiler.plan_print import plan_text
from dfc.compiler.processor_time import processor_time
from dfc.compiler.render import render, to_json
from dfc.compiler.source import Source
from dfc.compiler.span import Span
from dfc.compiler.variables import NO_VARIABLES, Variables

Answer = dict[str, object]


class RequestError(ValueError):
    """A request is not one of docs/internals.md. The message says why."""


def reply(line: bytes, schema: tuple[str, ...] = ()) -> bytes:
    """The answer to one line, as a line; `schema` is DDL that is known.

    Raises nothing but what ends the process.
    """
    with contextlib.suppress(MemoryError):
        return encoded(respond(line, schema))
    # Only here what it had made is gone.
    return encoded(_too_large(line))


def _too_large(line: bytes) -> Answer:
    request = _request(line)
    found = error(
        "DF590",
        "this text takes more memory than the compiler may have (`compile_bytes_max`)",
        Span(0, 0),
        help="divide the file into several, or make its workflows smaller",
    )
    return {"id": request.get("id"), **_instead(found, request)}


def respond(line: bytes, schema: tuple[str, ...] = ()) -> Answer:
    """The answer to one line. Raises MemoryError, and nothing else but what ends the process."""
    request: Mapping[str, object] = {}
    try:
        request = _request(line)
        with processor_time(_seconds(request.get("seconds"))):
            return {"id": request.get("id"), **_answered(request, schema)}
    except MemoryError:
        raise
    except Exception as problem:
        if not isinstance(problem, RequestError):
            traceback.print_exc(file=sys.stderr)
        return {"id": request.get("id"), **_internal(problem, request)}


def _answered(request: Mapping[str, object], schema: tuple[str, ...]) -> Answer:
    match request:
        case {"do": "compile_wire", "wire": str(wire)}:
            return answer_wire(wire, _variables(request.get("variables", {})))
        case {"do": "compile_file", "name": str(name), "text": str(text)}:
            wanted = {each: request.get(each) is True for each in ("durability", "closely", "brief")}
            return answer_file(Source(name, text), **wanted, schema=schema)
        case {"do": "format_file", "name": str(name), "text": str(text)}:
            return answer_format(Source(name, text), request.get("sql") is True)
        case _:
            raise RequestError("the request is none of `compile_wire`, `compile_file` and `format_file`")


def answer_wire(wire: str, variables: Variables = NO_VARIABLES) -> Answer:
    """`compile_wire`: the plan of an expression that the SQL door stored."""
    compiled = compile_wire(wire, variables)
    return {**_plan(compiled.plan), **_problems(compiled.problems, compiled.source)}


def answer_file(
    source: Source,
    *,
    durability: bool = False,
    closely: bool = False,
    brief: bool = False,
    schema: tuple[str, ...] = (),
) -> Answer:
    """`compile_file`: every statement of a file, with the report on its durability where that is wanted.

    `closely`: with what PostgreSQL refuses in its statements, whatever database they meet. `brief`: of a
    workflow no more than where it is, and the problems are for the caller to render. `schema` is DDL that is
    known.
    """
    compiled = compile_file(source, schema)
    if closely:
        compiled = with_certain(compiled)
    if brief:
        places = [_place(statement) for statement in compiled.statements]
        return {"statements": places, **_listed(compiled.problems, source)}
    statements: list[Answer] = []
    for statement in compiled.statements:
        more = _durability(statement) if durability else {}
        statements.append({**_statement(statement), **more})
    return {"statements": statements, **_problems(compiled.problems, source)}


def answer_format(source: Source, sql: bool = False) -> Answer:
    """`format_file`: the text in its layout, None where it has errors."""
    # Workers compile, and never lay out.
    from dfc.compiler.layout.file import format_file
    from dfc.compiler.sql.laying import sql_lines

    formatted = format_file(source, sql_lines if sql else None)
    return {"formatted": formatted.text, "kept": formatted.kept, **_problems(formatted.problems, source)}


def _request(line: bytes) -> Mapping[str, object]:
    try:
        value: object = json.loads(line)
    except (ValueError, RecursionError) as problem:
        raise RequestError(f"the request is not JSON: {problem}") from problem
    if not isinstance(value, dict):
        raise RequestError("the request is not an object")
    return cast("dict[str, object]", value)


def _seconds(value: object) -> float | None:
    if value is not None and not isinstance(value, int | float):
        raise RequestError("`seconds` is not a number")
    return value


def _variables(value: object) -> Variables:
    if not isinstance(value, dict):
        raise RequestError("`variables` is not an object of texts")
    given = cast("dict[str, object]", value)
    if not all(isinstance(text, str) for text in given.values()):
        raise RequestError("`variables` is not an object of texts")
    return cast("dict[str, str]", given)


def _place(statement: CompiledStatement | ServerStatement) -> Answer:
    if isinstance(statement, ServerStatement):
        return _statement(statement)
    written = statement.statement
    return {
        "kind": "workflow",
        "span": _span(written.span),
        "submit": written.kind.value,
        "label": written.label,
    }


def _statement(statement: CompiledStatement | ServerStatement) -> Answer:
    if isinstance(statement, ServerStatement):
        starts: Answer = {"starts": True} if statement.starts else {}
        return {
            "kind": "server",
            "span": _span(statement.span),
            "text": statement.text,
            **starts,
            **_submission(statement),
        }
    compiled, written, later = statement.compiled, statement.statement, statement.on_failure
    return {
        "kind": "workflow",
        "span": _span(written.span),
        "submit": written.kind.value,
        "label": written.label,
        "options": dict(written.options),
        "wire": statement.wire,
        **_plan(compiled.plan),
        "drawing": plan_text(compiled.plan) if compiled.plan is not None else None,
        "provenance": _provenance(compiled),
        **_draft(compiled),
        **({} if later is None else {"on_failure": _on_failure(later)}),
    }


def _on_failure(later: OnFailure) -> Answer:
    return {
        "wire": later.wire,
        **_plan(later.compiled.plan),
        "provenance": _provenance(later.compiled),
        **_draft(later.compiled),
    }


def _draft(compiled: Compiled) -> Answer:
    return {} if compiled.draft is None else {"draft": plan_to_json(compiled.draft)}


def _submission(statement: ServerStatement) -> Answer:
    """What is started or scheduled by the name of its definition."""
    if statement.submit is None:
        return {}
    return {
        "submit": statement.submit.value,
        "label": statement.label,
        "workflow": statement.workflow,
        "options": dict(statement.options),
    }


def _durability(statement: CompiledStatement | ServerStatement) -> Answer:
    if isinstance(statement, ServerStatement) or statement.compiled.plan is None:
        return {}
    report = plan_durability.durability(
        statement.compiled.plan, dict(statement.statement.options).get("database")
    )
    return {"durability": plan_durability.to_json(report)}


def _plan(plan: Plan | None) -> Answer:
    if plan is None:
        return {"plan": None, "hash": None}
    return {"plan": plan_to_json(plan), "hash": plan_hash(plan)}


def _provenance(compiled: Compiled) -> Answer:
    return {name: _origin(origin) for name, origin in compiled.provenance.items()}


def _origin(origin: Origin) -> Answer:
    return {
        "span": _span(origin.span),
        "sql": [
            [piece.value_start, piece.length, piece.source_start, piece.source_end] for piece in origin.sql
        ],
    }


def _problems(problems: Sequence[Diagnostic], source: Source) -> Answer:
    return {**_listed(problems, source), "rendered": render(problems, source)}


def _listed(problems: Sequence[Diagnostic], source: Source) -> Answer:
    return {"diagnostics": [to_json(problem, source) for problem in problems]}


def _internal(problem: Exception, request: Mapping[str, object]) -> Answer:
    """DF590 in the shape of the answer that was asked for."""
    said = str(problem) if isinstance(problem, RequestError) else f"{type(problem).__name__}: {problem}"
    found = error(
        "DF590",
        f"the compiler failed: {said}",
        Span(0, 0),
        label="somewhere in this text",
        help="report this with the text of the workflow",
    )
    return _instead(found, request)


def _instead(found: Diagnostic, request: Mapping[str, object]) -> Answer:
    text = request.get("text")
    source = Source(str(request.get("name", "<request>")), text if isinstance(text, str) else "")
    head: Answer = {"statements": []} if request.get("do") == "compile_file" else _plan(None)
    return {**head, **_problems([found], source)}


def _span(span: Span) -> list[int]:
    return [span.start, span.end]


def encoded(answer: Answer) -> bytes:
    """An answer as a line. ASCII, because a hostile text may hold what UTF-8 cannot say."""
    return json.dumps(answer, separators=(",", ":")).encode("ascii") + b"\n"
