"""What PostgreSQL's grammar has against a statement, in words that help whoever wrote it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from dfc.compiler.nearness import Near
from dfc.compiler.plan import Use
from dfc.compiler.sql import native
from dfc.compiler.sql.advice import LEXICAL, command_near, correction
from dfc.compiler.sql.references import Place, for_grammar, reference_at
from dfc.compiler.sql.tokens import Token
from dfc.grammar.lexer import Kind, Lexeme


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a statement is refused, and where: offsets of the text that was given."""

    code: str
    message: str
    start: int
    end: int
    help: str = ""
    label: str = ""
    near: Near | None = None


def refusal(
    code: str, message: str, start: int, end: int, help: str = "", near: Near | None = None
) -> Refusal:
    """A refusal without a label."""
    return Refusal(code=code, message=message, start=start, end=end, help=help, near=near)


def verdict(
    sql: str, items: list[Token], comments: list[Lexeme], where: Mapping[int, Place]
) -> Refusal | None:
    """The verdict of PostgreSQL's grammar."""
    rendered = for_grammar(sql, items, comments, where)
    verdict = native.statements(rendered.text)
    if not isinstance(verdict, native.Fault):
        if len(verdict) <= 1:
            return None
        second = _at(items, rendered.original(verdict[1]))
        start = len(sql) if second is None else second.start
        return refusal(
            "DF122",
            f"a step is one statement, and these are {len(verdict)}",
            start,
            items[-1].end,
            "make each statement a step of its own, joined by `~>`",
        )
    if verdict.message.startswith("memory exhausted"):
        start = 0 if verdict.offset is None else rendered.original(verdict.offset)
        return refusal(
            "DF516",
            "the statement nests deeper than PostgreSQL's parser goes (`step_sql_depth_max`: 10,000 symbols)",
            start,
            min(start + 1, len(sql)),
            "take it apart",
        )
    message, near = verdict.message, None
    if verdict.offset is None:
        return _encoding(sql, items, message)
    offset = rendered.original(verdict.offset)
    token = _at(items, offset)
    if token is None:
        end = items[-1]
        help = "write what is missing: an operand, a clause or a closing parenthesis"
        return refusal("DF120", "the statement ends too early, behind this", end.start, end.end, help)
    if token.kind is Kind.REFERENCE:
        return _misplaced(sql, items, token)
    written = sql[token.start : token.end]
    if message.startswith("syntax error"):
        shown = written if len(written) <= 40 else written[:37] + "..."
        message = f"PostgreSQL's grammar does not allow `{shown}` here"
        help = correction(items, token, written)
        near = command_near(items, token, written)
    else:
        message = message.partition(" at or near ")[0]
        help = LEXICAL.get(message, "correct the statement until PostgreSQL's parser takes it")
    return refusal("DF120", message, max(token.start, min(offset, token.end - 1)), token.end, help, near)


def _at(items: list[Token], offset: int) -> Token | None:
    """The token at an offset, or the next one."""
    index = bisect_right(items, offset, key=lambda token: token.end)
    return items[index] if index < len(items) else None


def _encoding(sql: str, items: list[Token], message: str) -> Refusal:
    """A fault without a position: an escape that stands for no character. The first literal that has it."""
    for token in items:
        if token.kind is Kind.ESCAPE_STRING:
            alone = native.statements("SELECT " + sql[token.start : token.end])
            if isinstance(alone, native.Fault):
                return refusal("DF120", message, token.start, token.end, "write the character itself")
    return refusal("DF120", message, 0, len(sql), "write the characters themselves, not escapes")


def _misplaced(sql: str, items: list[Token], token: Token) -> Refusal:
    """A reference where the grammar has no place for what it stands for."""
    written = sql[token.start : token.end]
    parsed = reference_at(sql, token.start, token.end)
    index = items.index(token)
    before = items[index - 1].word if index else ""
    if parsed.use is Use.ROWS:
        message = f"`{written}` is a table and cannot stand here"
        help = f"write `FROM {written}`, or `${parsed.name}.column` for a value"
    elif before in ("from", "join", "using", "lateral"):
        message = f"`{written}` is one value and cannot stand for a table"
        help = f"write `${parsed.name}.*` for its rows"
    else:
        message = f"PostgreSQL takes no value here, so `{written}` cannot stand here"
        help = "put the reference where an expression can stand"
        if before in ("interval", "timestamp", "timestamptz", "date", "time"):
            help = f"write `{written}::{before}`"
    return refusal("DF130", message, token.start, token.end, help)
