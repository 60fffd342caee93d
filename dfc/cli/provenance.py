"""From an error of a step back to the line of the .dfsql it came from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dfc.cli.errors import without_state
from dfc.cli.sources import Compiled, Server, Statement
from dfc.compiler.diagnostics import error as diagnostic
from dfc.compiler.render import render
from dfc.compiler.source import Source
from dfc.compiler.span import Span
from dfc.executor.paths import node_of

if TYPE_CHECKING:
    import psycopg

WORD = re.compile(r"""\$\w+(?:\.\w+)?\??|\w+|"[^"\n]*"|\S""")
"""What a caret stands under: a reference, a word, a quoted name, or one character."""


def span_of(provenance: Mapping[str, Any], step: str, position: int | None, text: str) -> Span | None:
    """Where in the file a step's SQL goes wrong: the word at `position`, or the whole string of the step.

    `position` is a code point of the step's SQL, from 0. None for a step that the file does not know.
    """
    place = provenance.get(node_of(step))
    if place is None:
        return None
    if position is not None:
        for value_start, length, source_start, source_end in place["sql"]:
            if value_start <= position < value_start + max(length, 1):
                exact = source_end - source_start == length
                start = source_start + (position - value_start if exact else 0)
                word = WORD.match(text, start, max(source_end, start + 1))
                return Span(start, word.end() if word else start + 1)
    start, end = place["span"]
    return Span(start, end)


def render_at(
    compilation: Compiled, statement: Statement, code: str, message: str, position: int | None
) -> str:
    """An error of a statement, at the word PostgreSQL points to or at the whole statement."""
    start, end = statement.span
    if position is not None:
        at = start + position
        word = WORD.match(compilation.text, at)
        start, end = at, word.end() if word else at + 1
    shown = diagnostic(code, message, Span(start, end))
    return render([shown], Source(compilation.name, compilation.text)).rstrip("\n")


def render_by_server(compilation: Compiled, statement: Statement, error: psycopg.Error) -> str:
    """What the server says of a statement; of one that it got as it stands, at the word it points to."""
    position = error.diag.statement_position if isinstance(statement, Server) else None
    at = int(position) - 1 if position else None
    return render_at(compilation, statement, error.sqlstate or "08000", without_state(error), at)


def render_error(name: str, text: str, provenance: Mapping[str, Any], error: Mapping[str, Any]) -> str:
    """A step's failure as people read it: message, SQLSTATE, step, and the line with a caret.

    A workflow that did not compile when it was started comes with its diagnostics as they are read.
    """
    rendered = error.get("rendered")
    if isinstance(rendered, str) and rendered:
        return rendered.rstrip("\n")
    step = str(error.get("step") or "")
    state = str(error.get("sqlstate") or "error")
    message = str(error.get("message") or "the step failed")
    position = error.get("position")
    if step:
        message = f"step `{node_of(step)}` failed: {message}"
    lines: list[str] = []
    span = span_of(provenance, step, position if isinstance(position, int) else None, text)
    if span is None:
        lines.append(f"error[{state}]: {message}")
        if error.get("hint"):
            lines.append(f"  = help: {error['hint']}")
    else:
        shown = diagnostic(state, message, span, help=str(error.get("hint") or ""))
        lines.append(render([shown], Source(name, text)).rstrip("\n"))
    if error.get("detail"):
        lines.append(f"  = detail: {error['detail']}")
    return "\n".join(lines)
