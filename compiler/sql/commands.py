"""What command a statement is, and what follows for the executor; read from its tokens.

The tokens suffice because the statement has passed PostgreSQL's grammar, or will be refused: reserved words
mean what they say unless they stand behind `.` or `AS`. Nothing here recurses.
"""

from __future__ import annotations

from dataclasses import dataclass

from dfc.compiler.plan import WITH_EXPRESSIONS, Form, Returns
from dfc.compiler.sql.command_words import (
    CLAUSES,
    DECORATIONS,
    OBJECTS,
    ONE_WORD,
    OUTSIDE,
    SET_OPERATIONS,
    TWO_WORDS,
)
from dfc.compiler.sql.tokens import Token, closing, identifier
from dfc.grammar.lexer import Kind

MODIFYING = frozenset({"insert", "update", "delete", "merge"})
QUERIES = MODIFYING | {"select", "values"}
SUBROUTINES = frozenset({"do", "create function", "create procedure"})
"""Commands with a body that nothing is replaced in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A statement as its tokens show it.

    `parameters`: PostgreSQL takes parameters in it. `into` is the range of tokens of a SELECT's INTO clause,
    `main` the index of the main verb of a query, `first` of its first token inside wrapping parentheses.
    """

    kind: str
    form: Form
    returns: Returns
    parameters: bool
    main: int = 0
    into: range | None = None


def classify(items: list[Token]) -> Shape:
    """The shape of a statement (at least one token, no comments). Unknown commands get the kind ``."""
    start = 0
    nested = False
    while start < len(items) - 1 and items[start].word in ("(", "with"):
        if items[start].word == "(":
            start += 1
        else:
            start, modifying = _behind_with(items, start)
            nested = nested or modifying
    start = min(start, len(items) - 1)
    verb = items[start].word
    if verb in ("select", "table", "values"):
        return _query(items, start, nested)
    if verb in MODIFYING:
        returns = Returns.ROWS if _find(items, start, {"returning"}) is not None else Returns.COUNT
        if verb != "merge" and not nested:
            form = Form.WITH
        else:
            form = Form.QUERY if returns is Returns.ROWS else Form.EXECUTE
        return Shape(kind=verb, form=form, returns=returns, parameters=True, main=start)
    kind = _tag(items)
    rows = kind in ("explain", "show", "fetch")
    form = Form.QUERY if rows else Form.AUTOCOMMIT if _outside(items, kind) else Form.EXECUTE
    return Shape(
        kind=kind,
        form=form,
        returns=Returns.ROWS if rows else Returns.COUNT,
        parameters=not kind or kind in WITH_EXPRESSIONS,
    )


def is_word(items: list[Token], index: int, words: frozenset[str] | set[str]) -> bool:
    """Whether a token is one of these reserved words, and not a label (`AS from`) or a field (`t.from`)."""
    if items[index].word not in words or items[index].kind is not Kind.IDENT:
        return False
    before = items[index - 1].word if index else ""
    if items[index].word == "from" and before == "distinct":
        return index < 2 or items[index - 2].word not in ("is", "not")
    return before not in (".", "as")


def http_call(sql: str, items: list[Token], shape: Shape) -> tuple[range, bool] | None:
    """The tokens of the `df.http(...)` that is the whole select list, and whether the query has a FROM."""
    index = shape.main
    if shape.kind != "select" or items[index].word != "select" or shape.into is not None:
        return None
    index += 1
    if index < len(items) and items[index].word in ("all", "distinct"):
        index += 1
        if items[index - 1].word == "distinct" and index + 1 < len(items) and items[index].word == "on":
            index = closing(items, index + 1) + 1
    if not is_http(_part(sql, items, index)):
        return None
    end = closing(items, index + 3) + 1
    after = end
    if after < len(items) and items[after].word == "as":
        after += 2
    elif after < len(items) and _labels(items[after]):
        after += 1
    depth = items[shape.main].depth
    ends = after >= len(items) or items[after].depth < depth or is_word(items, after, CLAUSES)
    if not ends or _find(items, shape.main, SET_OPERATIONS) is not None or _set_outside(items, shape.main):
        return None
    return range(index, end), _find(items, shape.main, {"from"}) is not None


def is_http(part: list[str | None]) -> bool:
    """Whether the names and signs that a token and the next three stand for are `df.http(`, or multipart."""
    return part in (["df", ".", "http", "("], ["df", ".", "http_multipart", "("])


def http_calls(sql: str, items: list[Token]) -> list[int]:
    """The indexes of the tokens where a call of `df.http` begins."""
    return [
        index
        for index, token in enumerate(items)
        if token.word in ("df", "") and is_http(_part(sql, items, index)) and not _is_target(items, index)
    ]


def _is_target(items: list[Token], index: int) -> bool:
    return index > 0 and items[index - 1].word in (".", "into", "update", "table", "function", "routine")


def _part(sql: str, items: list[Token], index: int) -> list[str | None]:
    return [identifier(sql, token) or token.word for token in items[index : index + 4]]


def _labels(token: Token) -> bool:
    """Whether a token behind an expression is its label without AS."""
    words = CLAUSES | SET_OPERATIONS
    return token.kind is Kind.QUOTED_IDENT or (token.kind is Kind.IDENT and token.word not in words)


def _behind_with(items: list[Token], start: int) -> tuple[int, bool]:
    """The index of the token behind a WITH clause, and whether one of its queries modifies data."""
    depth = items[start].depth
    modifying = False
    index = start + 1
    while index < len(items):
        body = items[index].word == "(" and items[index].depth == depth
        if not (body and items[index - 1].word in ("as", "materialized")):
            index += 1
            continue
        end = closing(items, index)
        modifying = modifying or _main_verb(items, index + 1, end) in MODIFYING
        index = end + 1
        for opening, last in (("search", "set"), ("cycle", "using")):
            if index < len(items) and items[index].word == opening:
                while index < len(items) and items[index].word != last:
                    index += 1
                index += 2
        if index >= len(items) or items[index].word != ",":
            break
    return index, modifying


def _main_verb(items: list[Token], start: int, end: int) -> str:
    """The verb of a query in parentheses. A WITH clause in it is skipped unread: it cannot modify data."""
    while start < end and items[start].word in ("(", "with"):
        if items[start].word == "(":
            start += 1
            continue
        depth = items[start].depth
        start += 1
        while start < end:
            if items[start].depth == depth and items[start].word in QUERIES | {"table", "("}:
                previous = items[start - 1].word
                if items[start].word == "(" and previous in ("as", "materialized"):
                    start = closing(items, start)
                elif previous == ")" and items[start].word != "(":
                    break
            start += 1
    return items[start].word if start < end else ""


def _find(items: list[Token], start: int, words: frozenset[str] | set[str]) -> int | None:
    """The first of these reserved words at the level of the query whose verb is at `start`."""
    depth = items[start].depth
    for index in range(start + 1, len(items)):
        token = items[index]
        if token.depth < depth:
            return None
        if token.depth == depth and token.word in words and is_word(items, index, words):
            return index
    return None


def _set_outside(items: list[Token], start: int) -> bool:
    """Whether a query in parentheses is one side of a set operation."""
    depth = items[start].depth
    return depth > 0 and any(
        token.depth < depth and is_word(items, index, SET_OPERATIONS)
        for index, token in enumerate(items[start:], start)
    )


def _query(items: list[Token], start: int, nested: bool) -> Shape:
    into = _into(items, start)
    if into is not None:
        return Shape(
            kind="create table as",
            form=Form.EXECUTE,
            returns=Returns.COUNT,
            parameters=True,
            main=start,
            into=into,
        )
    form = Form.QUERY if nested or _reads(items) else Form.WITH
    if not nested and _locks(items, start):
        form = Form.WITH
    kind = "values" if items[start].word == "values" else "select"
    return Shape(kind=kind, form=form, returns=Returns.ROWS, parameters=True, main=start)


def _into(items: list[Token], start: int) -> range | None:
    """The INTO clause of the leftmost SELECT, with the name of the table."""
    if items[start].word != "select":
        return None
    found = _find(items, start, CLAUSES | SET_OPERATIONS)
    if found is None or items[found].word != "into":
        return None
    end = found + 1
    while end < len(items) and items[end].word in (
        "temporary",
        "temp",
        "local",
        "global",
        "unlogged",
        "table",
    ):
        if end + 1 < len(items) and items[end + 1].word in _AFTER_NAME:
            break
        end += 1
    end += 1
    while end + 1 < len(items) and items[end].word == ".":
        end += 2
    return range(found, min(end, len(items)))


_AFTER_NAME = CLAUSES | SET_OPERATIONS | {".", ")"}


def _reads(items: list[Token]) -> bool:
    """Whether a query has a FROM clause or a TABLE command anywhere."""
    opened: list[str] = []
    for index, token in enumerate(items):
        if token.word in ("(", "["):
            opened.append(items[index - 1].word if index else "")
        elif token.word in (")", "]"):
            if opened:
                opened.pop()
        elif token.word in ("from", "table") and is_word(items, index, {"from", "table"}):
            function = opened[-1] if opened else ""
            if token.word == "table" or function not in ("extract", "substring", "trim", "overlay"):
                return True
    return False


def _locks(items: list[Token], start: int) -> bool:
    depth = items[start].depth
    return any(
        token.word == "for"
        and token.depth == depth
        and is_word(items, index, {"for"})
        and index + 1 < len(items)
        and items[index + 1].word in ("update", "share", "no", "key")
        for index, token in enumerate(items)
    )


def _tag(items: list[Token]) -> str:
    """The command tag of a statement that is no query."""
    words = [token.word for token in items[:12]]
    first = words[0]
    rest = words[1:]
    match first:
        case "create" | "alter" | "drop":
            return _object_tag(first, rest, items)
        case "set" if _second(rest) == "constraints":
            return "set constraints"
        case "discard":
            named = {"temporary": "temp"}
            return f"discard {named.get(rest[0], rest[0])}" if rest else first
        case "close" | "deallocate" if rest[-1:] == ["all"]:
            return f"{TWO_WORDS.get(first, first)} all"
        case "grant" | "revoke":
            on = _find(items, 0, {"on"})
            return first if on is not None else f"{first} role"
        case "prepare" if rest[:1] == ["transaction"] and _is_string(items, 2):
            return "prepare transaction"
        case "commit" | "rollback" if rest[:1] == ["prepared"]:
            return f"{first} prepared"
        case _:
            return TWO_WORDS.get(first, first if first in ONE_WORD else "")


def _second(rest: list[str]) -> str:
    return rest[0] if rest else ""


def _is_string(items: list[Token], index: int) -> bool:
    return index < len(items) and items[index].word == "" and items[index].kind is not Kind.QUOTED_IDENT


def _object_tag(first: str, rest: list[str], items: list[Token]) -> str:
    if first == "alter" and rest[:2] == ["default", "privileges"]:
        return "alter default privileges"
    while rest and rest[0] in DECORATIONS:
        rest = rest[1:]
    for length in (3, 2, 1):
        name = " ".join(rest[:length])
        if len(rest) >= length and name in OBJECTS:
            if name in ("user", "group"):
                name = "role"
            if first == "create" and name == "table" and _find(items, 0, {"as"}) is not None:
                name = "table as"
            return f"{first} {name}"
    return ""


def _outside(items: list[Token], kind: str) -> bool:
    """Whether PostgreSQL refuses the command inside a transaction block."""
    if kind in OUTSIDE:
        return True
    words = [token.word for token in items]
    match kind:
        case "create index" | "drop index":
            return "concurrently" in words[: words.index("index") + 2]
        case "alter table" | "alter foreign table":
            return "detach" in words and words[-1] == "concurrently"
        case "alter database":
            return words[-3:-1] == ["set", "tablespace"]
        case "cluster":
            return _cluster_all(words)
        case "reindex":
            return _reindex_outside(items)
        case "create subscription":
            return not (_option(items, "connect") is False or _option(items, "create_slot") is False)
        case "alter subscription":
            return _subscription_outside(items)
        case _:
            return False


def _cluster_all(words: list[str]) -> bool:
    """CLUSTER without a table: all tables that were clustered before."""
    if words[1:2] == ["("]:
        return words[-1] == ")"
    return words in (["cluster"], ["cluster", "verbose"])


def _reindex_outside(items: list[Token]) -> bool:
    index = closing(items, 1) + 1 if len(items) > 1 and items[1].word == "(" else 1
    words = [token.word for token in items[index : index + 2]]
    concurrently = _option(items[:index], "concurrently") if index > 1 else None
    return (
        words[:1] in (["database"], ["system"], ["schema"]) or bool(concurrently) or "concurrently" in words
    )


def _subscription_outside(items: list[Token]) -> bool:
    words = [token.word for token in items[3:6]]
    if "refresh" in words:
        return True
    changes = "publication" in words and words[:2] != ["owner", "to"]
    if changes:
        return _option(items, "refresh") is not False
    return _option(items, "failover") is not None or _option(items, "two_phase") is not None


def _option(items: list[Token], name: str) -> bool | None:
    """The value of a boolean option in parentheses (`WITH (name = false)`), None where it is not given."""
    for index, token in enumerate(items):
        if token.word == name and token.depth == 1 and items[index - 1].word in ("(", ","):
            value = items[index + 1 : index + 3]
            words = [part.word for part in value]
            return words[:1] not in (["false"], ["off"]) and words[1:2] not in (["false"], ["off"], ["none"])
    return None
