"""Statements broken in many ways. Some of what comes out is still right: the server tells."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

from dfc.compiler.sql.tokens import Token, split_comments, tokens
from dfc.grammar.lexer import Kind

NAMES = (
    "id", "user_id", "total", "note", "email", "mood", "active", "placed_at", "created_at", "born", "tags",
    "settings", "price", "line", "sku", "name", "qty", "due", "orders", "items", "app.users", "users", "log",
    "o", "u", "x", "excluded", "old", "new", "ctid", "lower", "sum", "count", "max", "now", "coalesce", "round",
    "add", "split", "home", "payload", "token", "raw", "ip", "period", "narrow", "jobs", "state", "daily",
)  # fmt: skip
VALUES = (
    "'abc'", "''", "'12'", "'1.5'", "'2026-01-01'", "'{}'", "'{a}'", "'[1]'", "'t'", "'happy'", "'1 day'", "5",
    "1.5", "99999999999", "true", "NULL", "now()", "ARRAY[1]", "'x'::text", "'{}'::jsonb", "1::bigint",
    "current_date", "(SELECT 1)", "interval '1 h'", "ROW(1, 2)", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
    "'127.0.0.1'", "E'\\n'", "B'101'", "1::smallint", "2::float8", "'sad'::app.mood", "'x'::varchar", "'0x1F'",
)  # fmt: skip
TYPES = (
    "int",
    "text",
    "boolean",
    "date",
    "jsonb",
    "numeric(5,1)",
    "timestamptz",
    "app.mood",
    "bigint[]",
    "txet",
    "uuid",
)
OPERATORS = (
    "+",
    "-",
    "||",
    "=",
    "<",
    "->",
    "->>",
    "@>",
    "&&",
    "~",
    "LIKE",
    "AND",
    "OR",
    "%",
    "*",
    "/",
    "<<",
    "#>>",
    "?",
    "^",
)


def mutants(sql: str, seed: int, count: int) -> Iterator[str]:
    """So many broken statements, the same for the same seed."""
    chance = random.Random(seed)
    items = tokens(sql, split_comments(sql)[0])
    for _ in range(count):
        broken = sql
        change = chance.choice(_CHANGES)
        found = change(sql, items, chance)
        if found is not None:
            broken = found
        if broken != sql:
            yield broken


def _cut(sql: str, token: Token, text: str) -> str:
    return sql[: token.start] + text + sql[token.end :]


def _pick(items: Sequence[Token], chance: random.Random, *kinds: Kind) -> Token | None:
    found = [token for token in items if token.kind in kinds]
    return chance.choice(found) if found else None


def _misspell(sql: str, items: Sequence[Token], chance: random.Random) -> str | None:
    token = _pick(items, chance, Kind.IDENT)
    if token is None:
        return None
    word = sql[token.start : token.end]
    place = chance.randrange(len(word))
    ways = (
        word[:place] + word[place + 1 :],
        word + "x",
        word[:place] + word[place:][::-1],
        word[:place] + "z" + word[place:],
    )
    return _cut(sql, token, chance.choice(ways) or "zz")


def _other_name(sql: str, items: Sequence[Token], chance: random.Random) -> str | None:
    token = _pick(items, chance, Kind.IDENT)
    return None if token is None else _cut(sql, token, chance.choice(NAMES))


def _other_value(sql: str, items: Sequence[Token], chance: random.Random) -> str | None:
    token = _pick(items, chance, Kind.STRING, Kind.NUMBER)
    return None if token is None else _cut(sql, token, chance.choice(VALUES))


def _value_for_name(sql: str, items: Sequence[Token], chance: random.Random) -> str | None:
    token = _pick(items, chance, Kind.IDENT)
    return None if token is None else _cut(sql, token, chance.choice(VALUES))


def _cast(sql: str, items: Sequence[Token], chance: random.Random) -> str | None:
    token = _pick(items, chance, Kind.IDENT, Kind.STRING, Kind.NUMBER)
    if token is None:
        return None
    return _cut(sql, token, f"{sql[token.start : token.end]}::{chance.choice(TYPES)}")


def _swap(sql: str, items: Sequence[Token], chance: random.Random) -> str | None:
    found = [token for token in items if token.kind in (Kind.IDENT, Kind.STRING, Kind.NUMBER)]
    if len(found) < 2:
        return None
    a, b = sorted(chance.sample(found, 2), key=lambda token: token.start)
    return sql[: a.start] + sql[b.start : b.end] + sql[a.end : b.start] + sql[a.start : a.end] + sql[b.end :]


def _drop(sql: str, items: Sequence[Token], chance: random.Random) -> str | None:
    token = chance.choice(items)
    return _cut(sql, token, " ")


def _drop_item(sql: str, items: Sequence[Token], chance: random.Random) -> str | None:
    commas = [place for place, token in enumerate(items) if token.word == "," and place + 1 < len(items)]
    if not commas:
        return None
    place = chance.choice(commas)
    return sql[: items[place].start] + sql[items[place + 1].end :]


def _more(sql: str, items: Sequence[Token], chance: random.Random) -> str | None:
    commas = [token for token in items if token.word == ","]
    if not commas:
        return None
    token = chance.choice(commas)
    return _cut(sql, token, f", {chance.choice((*VALUES, *NAMES))},")


def _operator(sql: str, items: Sequence[Token], chance: random.Random) -> str | None:
    token = _pick(items, chance, Kind.OPERATOR)
    return None if token is None else _cut(sql, token, f" {chance.choice(OPERATORS)} ")


def _compare(sql: str, items: Sequence[Token], chance: random.Random) -> str | None:
    token = _pick(items, chance, Kind.IDENT)
    if token is None:
        return None
    word = sql[token.start : token.end]
    return _cut(sql, token, f"{word} {chance.choice(OPERATORS)} {chance.choice((*VALUES, *NAMES))}")


def _wrap(sql: str, items: Sequence[Token], chance: random.Random) -> str | None:
    token = _pick(items, chance, Kind.IDENT, Kind.STRING, Kind.NUMBER)
    if token is None:
        return None
    name = chance.choice(
        (
            "lower",
            "sum",
            "abs",
            "length",
            "round",
            "array_agg",
            "jsonb_typeof",
            "date_trunc",
            "unnest",
            "to_char",
            "add",
        )
    )
    return _cut(sql, token, f"{name}({sql[token.start : token.end]})")


_CHANGES: Sequence[Callable[[str, Sequence[Token], random.Random], str | None]] = (
    _misspell, _other_name, _other_value, _value_for_name, _cast, _swap, _drop, _drop_item, _more, _operator,
    _compare, _wrap,
)  # fmt: skip
