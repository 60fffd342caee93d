"""The tables of commands that sqlglot takes for mere words: COPY, REFRESH, LOCK, EXPLAIN and the like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dfc.compiler.sql.tokens import Token, closing, identifier, quoted
from dfc.compiler.sql.uses import Called, Effect, Use

KINDS: Final = frozenset(
    {"copy", "refresh materialized view", "lock table", "drop view", "drop materialized view"}
    | {"call", "explain"}
)
Query = tuple[int, int]
"""Where a statement stands in another one."""


def query_of(kind: str, items: list[Token]) -> Query | None:
    """The query that a COPY writes out, or an EXPLAIN ANALYZE runs."""
    if kind == "copy":
        end = closing(items, 1) if len(items) > 1 and items[1].word == "(" else len(items)
        return (items[2].start, items[end - 1].end) if 2 < end < len(items) else None
    if kind != "explain":
        return None
    at, runs = _behind_options(items)
    return (items[at].start, items[-1].end) if runs and at < len(items) else None


def _behind_options(items: list[Token]) -> tuple[int, bool]:
    """Where the statement of an EXPLAIN begins, and whether it is run."""
    if len(items) > 1 and items[1].word == "(":
        end = closing(items, 1)
        runs = False
        for at in range(2, end):
            if items[at].word in ("analyze", "analyse"):
                runs = items[at + 1].word not in ("false", "off", "0")
        return end + 1, runs
    at, runs = 1, False
    while at < len(items) and items[at].word in ("analyze", "analyse", "verbose"):
        runs = runs or items[at].word != "verbose"
        at += 1
    return at, runs


def named(sql: str, kind: str, items: list[Token]) -> Iterator[Use]:
    """What the command does with the tables that it names."""
    if kind == "copy":
        parts, at = _name(sql, items, 1)
        words = [token.word for token in items[at:] if token.depth == 0]
        way = next((word for word in words if word in ("to", "from")), "")
        if parts and way:
            reads = way == "to"
            yield Use(
                table=".".join(map(quoted, parts)),
                effect=Effect.READ if reads else Effect.INSERT,
                read=_columns(sql, items, at) if reads else frozenset(),
                start=items[at - 1].start,
                end=items[at - 1].end,
            )
        return
    at = next((at for at, token in enumerate(items) if token.word in ("table", "view")), 0) + 1
    while at < len(items):
        while at < len(items) and items[at].word in ("concurrently", "only", "if", "exists"):
            at += 1
        parts, at = _name(sql, items, at)
        if not parts:
            return
        yield Use(
            table=".".join(map(quoted, parts)),
            effect=Effect.READ if kind == "lock table" else Effect.DEFINE,
            start=items[at - 1].start,
            end=items[at - 1].end,
        )
        at += at < len(items) and items[at].word == "*"
        if at >= len(items) or items[at].word != ",":
            return
        at += 1


def called(sql: str, items: list[Token]) -> tuple[Called, ...]:
    """The procedure of a CALL."""
    parts, at = _name(sql, items, 1)
    return (Called(name=".".join(parts), start=items[1].start, end=items[at - 1].end),) if parts else ()


def temporary(sql: str, items: list[Token]) -> str | None:
    """The table that a CREATE makes for its session alone, without quotes."""
    words = [token.word for token in items[:4]]
    if "temp" not in words and "temporary" not in words:
        return None
    at = next((at for at, token in enumerate(items) if token.word == "table"), len(items)) + 1
    while at < len(items) and items[at].word in ("if", "not", "exists"):
        at += 1
    parts, _ = _name(sql, items, at)
    return parts[-1] if parts else None


def _name(sql: str, items: list[Token], at: int) -> tuple[list[str], int]:
    """The parts of the name that begins at a token, and what is behind it."""
    parts: list[str] = []
    while at < len(items) and (part := identifier(sql, items[at])) is not None:
        parts.append(part)
        at += 1
        if at >= len(items) or items[at].word != ".":
            break
        at += 1
    return parts, at


def _columns(sql: str, items: list[Token], at: int) -> frozenset[str] | None:
    """The columns in brackets behind a name; None: all."""
    if at >= len(items) or items[at].word != "(":
        return None
    names = [identifier(sql, token) for token in items[at + 1 : closing(items, at)]]
    return frozenset(name for name in names if name is not None)
