"""Text to expression tree.

Statements come from `statements`, tokens from the lexer, rules from the grammar, meaning from `build`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from dfc.compiler import ast
from dfc.compiler.ast import Expression, Piece, ServerStatement, Submitting, Text, Workflow
from dfc.compiler.build import Builder, Leaf
from dfc.compiler.diagnostics import Diagnostic, Note, error, has_errors, note
from dfc.compiler.grouping import Mixed
from dfc.compiler.source import Source
from dfc.compiler.span import Span
from dfc.compiler.sql import illegal
from dfc.compiler.statements import (
    NESTING_LEVELS_MAX,
    STATEMENT_TOKENS_MAX,
    Form,
    Statement,
    is_constant_call,
    split,
)
from dfc.compiler.syntax import (
    end_of_input,
    is_call_without_parenthesis,
    terminal_of,
    unclosed,
    unexpected,
)
from dfc.compiler.values import Submission, Value
from dfc.grammar.lexer import Lexeme
from dfc.grammar.reading import Reading, Unexpected

PROBLEMS_MAX = 1_000
BOM = "\ufeff"
ONE_EXPRESSION = "write one expression, built from strings and `df.` functions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """The statements of a file, in order, and its problems. Those that cannot be parsed are left out."""

    statements: tuple[ast.Statement, ...]
    problems: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedExpression:
    """One expression; None when its text has an error. `draft` then has holes, or there was no parsing it."""

    tree: Expression | None
    draft: Expression | None = None
    problems: tuple[Diagnostic, ...] = ()


# Files and expressions


def parse_file(source: Source) -> Parsed:
    """Parse a whole file: every statement, and all problems of all of them. Raises nothing for bad input."""
    problems: list[Diagnostic] = []
    statements = tuple(parsed_statements(source, problems))
    problems.sort(key=lambda problem: problem.span.start)
    return Parsed(statements=statements, problems=tuple(problems))


def parsed_statements(source: Source, problems: list[Diagnostic]) -> Iterator[ast.Statement]:
    """The statements of a file, one after the other, for whoever may not want all of them.

    What is wrong with the file, or with a statement, is in `problems` by then.
    """
    return (parsed for _, parsed in parsed_with_lexemes(source, problems))


def parsed_with_lexemes(
    source: Source, problems: list[Diagnostic]
) -> Iterator[tuple[Statement, ast.Statement]]:
    """The same with what each has been parsed from."""
    problems += _character_problems(source.text)
    found = errors = notes = 0
    for statement in split(source.text, beginning(source.text)):
        found += 1
        result, faults = _statement(source.text, statement)
        notes += isinstance(result, ServerStatement)
        # That the thousandth of them is not analysed, says the first.
        problems += [fault for fault in faults if notes <= PROBLEMS_MAX or fault.code != "DF240"]
        errors += has_errors(faults)
        if errors >= PROBLEMS_MAX:
            problems.append(rest_not_shown(statement.end))
        if result is not None:
            yield statement, result
        if errors >= PROBLEMS_MAX:
            return
    if not found:
        end = len(source.text)
        help = "write a workflow, for example `df.step('hello', 'SELECT 1');`"
        problems.append(error("DF154", "there is no statement in this file", Span(end, end), help=help))


def server_texts(text: str) -> Iterator[str]:
    """The statements of a file that are none of workflows by their form, without parsing any."""
    for statement in split(text, beginning(text)):
        if statement.form is Form.SERVER:
            yield text[statement.start : statement.end]


def beginning(text: str) -> int:
    """Where the first statement may begin: behind a mark of the byte order."""
    return 1 if text.startswith(BOM) else 0


def rest_not_shown(offset: int) -> Diagnostic:
    """What is said where nobody looks any further."""
    end = Span(offset, offset)
    message = f"{PROBLEMS_MAX} statements with errors: what follows is not looked at"
    return error("DF101", message, end, help="correct these first")


def parse_expression(source: Source) -> ParsedExpression:
    """Parse a text that is one bare expression, an optional `;` behind it. Raises nothing for bad input."""
    problems = list(_character_problems(source.text))
    statements = list(split(source.text, form=Form.BARE))
    if not statements:
        end = len(source.text)
        problems.append(error("DF154", "there is no expression", Span(end, end), help=ONE_EXPRESSION))
    if len(statements) > 1:
        extra = Span(statements[1].start, statements[1].end)
        problems.append(
            error("DF101", "one expression is expected here, not more", extra, help=ONE_EXPRESSION)
        )
    tree: Expression | None = None
    for statement in statements[:1]:
        if statement.form is Form.BARE:
            tree, faults, _ = _bare(source.text, statement)
            problems += faults
        else:
            where = Span(statement.start, statement.end)
            problems.append(error("DF101", "this is not a workflow expression", where, help=ONE_EXPRESSION))
    problems.sort(key=lambda problem: problem.span.start)
    sound = None if has_errors(problems) else tree
    return ParsedExpression(tree=sound, draft=tree, problems=tuple(problems))


def _character_problems(text: str) -> Iterator[Diagnostic]:
    """Characters that no text in PostgreSQL can have."""
    nul = text.find("\0")
    if nul != -1:
        count = text.count("\0")
        message = "the text has a NUL character" if count == 1 else f"the text has {count} NUL characters"
        yield error("DF150", message, Span(nul, nul + 1), help="save the file as UTF-8")
    try:
        text.encode()
    except UnicodeEncodeError as fault:
        message = "the text has half of a character (a lone surrogate)"
        yield error("DF150", message, Span(fault.start, fault.start + 1), help="save the file as UTF-8")


def _statement(text: str, statement: Statement) -> tuple[ast.Statement | None, list[Diagnostic]]:
    span = Span(statement.start, statement.end)
    match statement.form:
        case Form.PSQL:
            return None, [_psql_command(text, span)]
        case Form.COPY:
            help = "load the data with INSERT, or with \\copy in psql before the workflow is started"
            return None, [error("DF152", "COPY FROM STDIN has no data here", span, help=help)]
        case Form.SERVER:
            faults = _brackets(text, statement)
            return (None, faults) if faults else _server(text, span)
        case Form.BARE:
            body, faults, mixed = _bare(text, statement)
            if body is None:
                return None, faults
            wrong = has_errors(faults)
            return Workflow(body=body, label=None, span=span, mixed=mixed, faulty=wrong), faults
        case Form.CALL:
            return _call(text, statement, span)


def _server(text: str, span: Span) -> tuple[ServerStatement | None, list[Diagnostic]]:
    wrong = illegal(Text(value=text[span.start : span.end], span=span, pieces=_as_written(span)))
    if wrong is not None:
        return None, [wrong]
    sent = note("DF240", "not analysed: this statement goes to the server as it stands", span)
    return ServerStatement(text=text[span.start : span.end], span=span), [sent]


def _as_written(span: Span) -> tuple[Piece, ...]:
    length = span.end - span.start
    return (Piece(value_start=0, length=length, source_start=span.start, source_end=span.end),)


def _psql_command(text: str, span: Span) -> Diagnostic:
    command = text[span.start : span.end].split()[0]
    help = "remove it, or run the file with psql"
    return error("DF151", f"`{command[:40]}` is a command of psql, not SQL", span, help=help)


def _brackets(text: str, statement: Statement) -> list[Diagnostic]:
    """What is wrong with the outer shape: something without an end, too deep, too long."""
    if statement.unterminated is not None:
        return [unclosed(text, statement.unterminated)]
    if statement.too_deep is not None:
        where = Span(statement.too_deep.start, statement.too_deep.end)
        message = f"brackets nested over {NESTING_LEVELS_MAX} levels"
        return [error("DF511", message, where, help="write long groups flat: `df.seq(...)`, `df.join(...)`")]
    if statement.too_long is not None:
        where = Span(statement.too_long.start, statement.too_long.end)
        message = f"a statement of over {STATEMENT_TOKENS_MAX} tokens"
        return [error("DF513", message, where, help="load the data into a table, or write several workflows")]
    if statement.opened:
        last = statement.opened[-1]
        bracket = text[last.start]
        closing = ")" if bracket == "(" else "]"
        outer = statement.opened[:-1]
        notes = tuple(Note(message="open too", span=Span(o.start, o.end)) for o in outer[-1:])
        return [
            error(
                "DF103",
                f"this `{bracket}` is never closed",
                Span(last.start, last.end),
                notes=notes,
                help=f"add the missing `{closing}` before the end of the statement",
            )
        ]
    return []


def _bare(text: str, statement: Statement) -> tuple[Expression | None, list[Diagnostic], tuple[Mixed, ...]]:
    faults = _brackets(text, statement)
    if faults:
        return None, faults, ()
    value, builder = _parsed(text, statement.lexemes)
    body = None if value is None else builder.functions.expression(value)
    return body, builder.problems, tuple(builder.mixed)


def _call(text: str, statement: Statement, span: Span) -> tuple[ast.Statement | None, list[Diagnostic]]:
    faults = _brackets(text, statement)
    if faults:
        return None, faults
    if not is_constant_call(text, statement.lexemes):
        served, faults = _server(text, span)
        if served is None:
            # Neither SQL: what is wrong with it as a workflow says more.
            _, builder = _parsed(text, statement.lexemes[1:])
            faults = builder.problems if has_errors(builder.problems) else faults
        return served, faults
    value, builder = _parsed(text, statement.lexemes[1:])
    if any(problem.code == "DF165" for problem in builder.problems) or builder.functions.has_plan:
        return _server(text, span)
    if not isinstance(value, Submission):
        return None, builder.problems
    if value.body is None:
        served = ServerStatement(
            text=text[span.start : span.end],
            starts=value.function == "start",
            submit=None if value.workflow is None else Submitting(value.function),
            label=value.label,
            workflow=value.workflow,
            options=value.options,
            span=span,
        )
        return served, builder.problems
    workflow = Workflow(
        body=value.body,
        label=value.label,
        kind=Submitting(value.function),
        options=value.options,
        params=value.params,
        on_failure=value.on_failure,
        span=span,
        mixed=tuple(builder.mixed),
        faulty=has_errors(builder.problems),
    )
    return workflow, builder.problems


# One expression


def _parsed(text: str, lexemes: list[Lexeme]) -> tuple[Value | None, Builder]:
    """The value that the lexemes write; None when there is a syntax error, which has been reported."""
    builder = Builder(text)
    reading = Reading(builder.build)
    for index, lexeme in enumerate(lexemes):
        if is_call_without_parenthesis(text, lexemes, index):
            return _refused(text, unexpected(text, lexemes, index, frozenset({"LPAR"})))
        terminal = terminal_of(text, lexemes, index)
        try:
            if terminal is None:
                raise Unexpected
            written = text[lexeme.start : lexeme.end]
            reading.take(terminal, Leaf(type=terminal, written=written, lexeme=lexeme))
        except Unexpected:
            return _refused(text, unexpected(text, lexemes, index, reading.expected()))
    try:
        return cast(Value, reading.result()), builder
    except Unexpected:
        return _refused(text, end_of_input(text, lexemes, reading.expected()))


def _refused(text: str, problem: Diagnostic) -> tuple[None, Builder]:
    """What cannot be parsed has this problem and no other: that of a part of it is nobody's yet."""
    builder = Builder(text)
    builder.problems.append(problem)
    return None, builder


def fold(leaves: Iterable[Leaf], build: Callable[[str, list[Any]], Any]) -> Any:
    """What `build` makes of the rules that a sound expression consists of, the innermost first."""
    reading = Reading(build)
    for leaf in leaves:
        reading.take(leaf.type, leaf)
    return reading.result()
