"""The names of a statement's columns, as far as they are plain from its text. Knows no schema.

A select list with a star has columns that only a schema knows, and for many expressions PostgreSQL makes up a
name: one item of which that is not plain, and nothing is said.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from dfc.compiler.plan import Returns
from dfc.compiler.plan_describe import Column, Count, Described, Rows, Statement, column_keys
from dfc.compiler.sql.tokens import Token, identifier, split_comments, tokens
from dfc.grammar.lexer import Kind

NAME_BYTES_MAX: Final = 63
_CACHED_STATEMENTS_MAX: Final = 4_096

_CHANGES: Final = frozenset({"insert", "update", "delete", "merge"})
_STARTS: Final = _CHANGES | {"select", "values", "table"}
_ENDS: Final = frozenset(
    {"from", "where", "group", "having", "window", "union", "intersect", "except", "order", "limit"}
    | {"offset", "fetch", "for", "into"}
)
_NO_LABELS: Final = frozenset({"isnull", "notnull", "end", "over", "filter", "within"})
_NO_NAMES: Final = frozenset({"not", "null", "true", "false", "default", "array", "row", "case"})
_VALUES: Final = frozenset(
    {"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "current_role"}
    | {"current_user", "session_user", "user", "system_user", "current_catalog", "current_schema"}
)
_FUNCTIONS_OF_ANOTHER_NAME: Final = frozenset(
    {"cast", "trim", "treat", "collation", "numeric", "decimal", "dec", "varchar", "char", "character", "bit"}
    | {"float", "interval", "time", "timestamp", "nchar", "national", "in", "any", "all", "some", "array"}
    | {"row", "exists", "not", "json_table", "xmltable", "system_user"}
)


class Written:
    """The describer of the offline depth."""

    def describe(self, statement: Statement) -> Described | None:
        """The columns that are plain from the text."""
        body = statement.body
        if body.returns is Returns.COUNT:
            return None if body.kind == "call" else Described(Count())
        names = written_columns(body.sql, body.kind)
        return None if names is None else Described(Rows(tuple([Column(name) for name in names])))


@lru_cache(maxsize=_CACHED_STATEMENTS_MAX)
def written_columns(sql: str, kind: str) -> tuple[str, ...] | None:
    """The names of the columns that a statement returns, unique as results have them; None: not plain."""
    if kind not in _STARTS:
        return None
    items = tokens(sql, split_comments(sql)[0])
    first = _start(items)
    if first is None:
        return None
    if items[first].word == "values":
        return _of_values(items, first + 1)
    if items[first].word != "select":
        first = next((at for at in range(first, len(items)) if _is_word(items, at, "returning")), len(items))
    begin = _after_distinct(items, first + 1)
    if begin is None:
        return None
    names: list[str] = []
    for part in _parts(items[begin : _end(items, begin)]):
        name = _name(sql, part)
        if name is None:
            return None
        names.append(name.encode()[:NAME_BYTES_MAX].decode(errors="ignore"))
    return column_keys(names) if names else None


def _start(items: list[Token]) -> int | None:
    """The word that the statement proper begins with, behind its WITH."""
    if not items:
        return None
    if items[0].word != "with":
        return 0 if items[0].word in _STARTS else None
    for at, token in enumerate(items):
        if token.depth == 0 and token.word in _STARTS and items[at - 1].word == ")":
            return at
    return None


def _is_word(items: list[Token], at: int, word: str) -> bool:
    """Whether a keyword stands outside of brackets, and is no label and no name behind a dot."""
    token = items[at]
    return token.depth == 0 and token.word == word and items[at - 1].word not in ("as", ".")


def _after_distinct(items: list[Token], at: int) -> int | None:
    """Where the list begins, behind ALL, DISTINCT or DISTINCT ON (...)."""
    word = items[at].word if at < len(items) else ""
    if word == "all":
        return at + 1
    if word == "with":
        return None
    if word != "distinct":
        return at
    if at + 1 < len(items) and items[at + 1].word == "on":
        closed = (
            end for end in range(at + 3, len(items)) if items[end].word == ")" and items[end].depth == 0
        )
        end = next(closed, None)
        return None if end is None else end + 1
    return at + 1


def _end(items: list[Token], begin: int) -> int:
    for at in range(begin, len(items)):
        if items[at].word in _ENDS and _is_word(items, at, items[at].word):
            before = items[at - 1].word
            if (items[at].word, before) not in (("from", "distinct"), ("group", "within")):
                return at
    return len(items)


def _parts(items: list[Token]) -> list[list[Token]]:
    """The items of a list, by its commas."""
    parts: list[list[Token]] = [[]]
    for token in items:
        if token.word == "," and token.depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _of_values(items: list[Token], at: int) -> tuple[str, ...] | None:
    if at >= len(items) or items[at].word != "(":
        return None
    end = next(
        (end for end in range(at + 1, len(items)) if items[end].word == ")" and not items[end].depth), at
    )
    width = 1 + sum(token.word == "," and token.depth == 1 for token in items[at:end])
    return tuple([f"column{number}" for number in range(1, width + 1)])


def _name(sql: str, part: list[Token]) -> str | None:
    """The name of an item of a select list, None where it is not plain."""
    if not part:
        return None
    last = part[-1]
    if len(part) > 1 and part[-2].word == "as" and part[-2].depth == 0:
        return identifier(sql, last)
    if last.word == "*":
        return None
    if len(part) == 1 and last.kind in (Kind.NUMBER, Kind.STRING, Kind.REFERENCE):
        return "?column?"
    if _is_path(part):
        return None if last.word in _NO_NAMES | _VALUES and len(part) == 1 else identifier(sql, last)
    return _name_of_call(sql, part) or _bare_label(sql, part)


def _is_path(part: list[Token]) -> bool:
    """Whether these are names with dots between them."""
    names = all(token.kind in (Kind.IDENT, Kind.QUOTED_IDENT) for token in part[::2])
    return len(part) % 2 == 1 and names and all(token.word == "." for token in part[1::2])


def _name_of_call(sql: str, part: list[Token]) -> str | None:
    """The name of a function where the item is its call and nothing else."""
    opening = next((at for at, token in enumerate(part) if token.word == "("), 0)
    if not opening or not _is_path(part[:opening]) or part[opening - 1].word in _FUNCTIONS_OF_ANOTHER_NAME:
        return None
    inner = all(token.depth > 0 for token in part[opening + 1 : -1])
    return identifier(sql, part[opening - 1]) if inner and part[-1].word == ")" else None


def _bare_label(sql: str, part: list[Token]) -> str | None:
    """A label without AS, where nothing else can be meant."""
    last, before = part[-1], part[-2] if len(part) > 1 else None
    if before is None or last.kind not in (Kind.IDENT, Kind.QUOTED_IDENT) or last.word in _NO_LABELS:
        return None
    if before.word == ")" or before.kind is Kind.NUMBER:
        return identifier(sql, last)
    if _is_path(part[:-1]) and before.word not in _NO_NAMES - {"null", "true", "false"}:
        return identifier(sql, last)
    return None
