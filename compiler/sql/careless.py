"""What is legal SQL and seldom meant: changes of all rows, and claims that take any rows; by the tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from dfc.compiler.sql.tokens import Token, closing, split_comments, tokens
from dfc.grammar.lexer import Kind

_CHANGES: Final = re.compile(r"\b(?:update|delete)\b", re.IGNORECASE)
_RESTRICTED: Final = re.compile(r"(?:update|delete\s+from)\s[^('\"$/;-]*\bwhere\b", re.IGNORECASE)
"""The usual ones, which are told without tokens, as these take most of the time."""
_LIMITS: Final = re.compile(r"\b(?:limit|fetch)\b", re.IGNORECASE)
_SETS: Final = re.compile(r"\bset\b", re.IGNORECASE)
_BEHIND_SET: Final = frozenset({"from", "where", "returning", "when"})
_SKIPS: Final = re.compile(r"\bskip\s+locked\b", re.IGNORECASE)
_LEVELS_MAX: Final = 20
"""How deep in brackets what chooses rows is looked for, so that time stays linear."""


class Change(NamedTuple):
    """`sql[start:end]` begins an UPDATE or DELETE (`verb`) of all rows of `table`."""

    start: int
    end: int
    verb: str
    table: str


class Claim(NamedTuple):
    """`sql[start:end]` is the limit of a query that chooses which rows to take, in no order."""

    start: int
    end: int


class _Main(NamedTuple):
    """An UPDATE or DELETE: from its verb (an index) to behind its last token, and the words of its table."""

    verb: int
    end: int
    table: tuple[int, int]


def changes_of_all_rows(sql: str) -> list[Change]:
    """The UPDATEs and DELETEs without WHERE, also those in a WITH clause."""
    if len(_CHANGES.findall(sql)) == (_RESTRICTED.match(sql) is not None):
        return []
    items = tokens(sql, split_comments(sql)[0])
    found: list[Change] = []
    for main in _mains(items):
        depth = items[main.verb].depth
        if any(t.word == "where" and t.depth == depth for t in items[main.verb : main.end]):
            continue
        first, last = main.table
        table = sql[items[first].start : items[last - 1].end]
        found.append(Change(items[main.verb].start, items[last - 1].end, items[main.verb].word, table))
    return found


def claims_in_no_order(sql: str) -> list[Claim]:
    """The limits without ORDER BY of queries that lock with SKIP LOCKED, or choose what is changed."""
    if _LIMITS.search(sql) is None:
        return []
    items = tokens(sql, split_comments(sql)[0])
    choosing = set(_choosing(items))
    found: list[Claim] = []
    for query in _queries(items):
        limit = query.limit
        claims = query.verb in choosing or query.skips
        if limit is not None and claims and not query.ordered:
            found.append(Claim(items[limit].start, items[min(limit + 1, len(items) - 1)].end))
    return found


@dataclass(slots=True)
class _Query:
    """A SELECT whose verb is at an index, with those that UNION and the like add to it."""

    verb: int
    depth: int
    limit: int | None = None
    ordered: bool = False
    skips: bool = False


def _queries(items: list[Token]) -> Iterator[_Query]:
    """The queries of a statement, in one pass."""
    opened: list[_Query] = []
    for index, token in enumerate(items):
        while opened and token.depth < opened[-1].depth:
            yield opened.pop()
        if token.kind is not Kind.IDENT:
            continue
        here = opened[-1] if opened and opened[-1].depth == token.depth else None
        match token.word:
            case "select" if here is None:
                opened.append(_Query(index, token.depth))
            case "limit" | "fetch" if here is not None and _limits(items, index):
                here.limit = index
            # The rows of a UNION cannot be locked, and DISTINCT and GROUP BY choose no rows of a table.
            case "order" | "union" | "intersect" | "except" | "group" | "distinct" if here is not None:
                here.ordered = True
            case "skip" if here is not None:
                here.skips = items[index + 1 : index + 2] != [] and items[index + 1].word == "locked"
            case _:
                pass
    yield from opened


def set_clauses(sql: str) -> list[tuple[int, int]]:
    """Where the SET clauses of a statement stand: what is in them says nothing about which rows are meant."""
    if _SETS.search(sql) is None:
        return []
    items = tokens(sql, split_comments(sql)[0])
    found: list[tuple[int, int]] = []
    start: Token | None = None
    for token in items:
        if start is None:
            start = token if token.word == "set" and token.kind is Kind.IDENT else None
        elif token.depth < start.depth or (token.depth == start.depth and token.word in _BEHIND_SET):
            found.append((start.start, token.start))
            start = None
    return [*found, (start.start, len(sql))] if start is not None else found


def skips_locked(sql: str) -> bool:
    """Whether the statement takes only rows that nobody else has locked."""
    return _SKIPS.search(sql) is not None


def _limits(items: list[Token], index: int) -> bool:
    following = items[index + 1].word if index + 1 < len(items) else ""
    if items[index].word == "limit":
        return following not in ("all", "null")
    return items[index].word == "fetch" and following in ("first", "next")


def _mains(items: list[Token]) -> Iterator[_Main]:
    """The UPDATEs and DELETEs of a statement. `DO UPDATE`, `FOR UPDATE`, `THEN DELETE` are none."""
    for index, token in enumerate(items):
        if token.word not in ("update", "delete") or token.kind is not Kind.IDENT:
            continue
        if token.depth > 1:
            continue
        if index and not _begins(items, index):
            continue
        first = index + 1
        while first < len(items) and items[first].word in ("from", "only", "("):
            first += 1
        last = first + 1
        while last + 1 < len(items) and items[last].word == ".":
            last += 2
        if first < len(items) and items[first].kind in (Kind.IDENT, Kind.QUOTED_IDENT):
            yield _Main(index, _end(items, index), (first, last))


def _begins(items: list[Token], index: int) -> bool:
    """Whether a statement may begin here: in a WITH clause, or behind it."""
    before = items[index - 1].word
    if before == "(":
        return index > 1 and items[index - 2].word in ("as", "materialized")
    return before == ")" and items[0].word == "with" and items[index].depth == 0


def _choosing(items: list[Token]) -> Iterator[int]:
    """Where the queries begin that say which rows an UPDATE or DELETE changes."""
    for main in _mains(items):
        words = [item.word for item in items[slice(*main.table)]]
        for index in range(main.verb, main.end - 1):
            opens = items[index].word == "(" and items[index + 1].word == "select"
            if not opens or items[index].depth > _LEVELS_MAX:
                continue
            before = items[index - 1].word
            if before in ("in", "any", "array") or (before == "=" and _reads(items, index, words)):
                yield index + 1


def _reads(items: list[Token], opening: int, table: list[str]) -> bool:
    """Whether the query in brackets reads first of all this table."""
    depth = items[opening].depth + 1
    for index in range(opening, closing(items, opening)):
        if items[index].word == "from" and items[index].depth == depth:
            return "" not in table and [item.word for item in items[index + 1 :][: len(table)]] == table
    return False


def _end(items: list[Token], start: int) -> int:
    """The index behind the last token of the query whose verb is at `start`."""
    depth = items[start].depth
    return next((at for at in range(start, len(items)) if items[at].depth < depth), len(items))
