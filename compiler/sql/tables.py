"""The tables that a statement reads and writes, by sqlglot. What sqlglot cannot analyse is no error.

sqlglot's compiled parser recurses on the C stack, and takes quadratic time for chains of subscripts, so
texts that nest deeply or have many of these are not given to it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from dfc.compiler.plan_names import fold
from dfc.compiler.sql import commands_tables
from dfc.compiler.sql.commands import QUERIES
from dfc.compiler.sql.references import Rendered, swap
from dfc.compiler.sql.tokens import quoted, split_comments, tokens
from dfc.compiler.sql.uses import Called, Found, Use, calls, uses
from dfc.grammar.lexer import Kind

if TYPE_CHECKING:
    from sqlglot import exp

ANALYSED_TOKENS_MAX = 150_000
ANALYSED_DEPTH_MAX = 100
ANALYSED_JOINS_MAX = 1_000
ANALYSED_SUBSCRIPTS_MAX = 500
_CACHED_STATEMENTS_MAX = 4_096

_ANALYSED = QUERIES | {
    "create table as",
    "create table",
    "create view",
    "create materialized view",
    "create index",
    "alter table",
    "drop table",
    "truncate table",
}
_MAKES_TABLES = frozenset({"create table", "create table as"})
_ROWS_ALIAS = "_df_rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Names as PostgreSQL folds them: `schema.table`, or `table` where no schema is written.

    A part that needs quotes has them. `analysed` is False when nothing is known. `uses` say what is done with
    each, `calls` which functions may do something with others. `temporary` are those that the statement makes
    for its session alone.
    """

    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    analysed: bool = False
    uses: tuple[Use, ...] = ()
    calls: tuple[Called, ...] = ()
    temporary: frozenset[str] = frozenset()


UNKNOWN = Tables()


@lru_cache(maxsize=_CACHED_STATEMENTS_MAX)
def tables(sql: str, kind: str) -> Tables:
    """The tables of a statement that PostgreSQL's grammar accepts. Never raises. Imports sqlglot."""
    if kind not in _ANALYSED and kind not in commands_tables.KINDS:
        return UNKNOWN
    items = tokens(sql, split_comments(sql)[0])
    query = commands_tables.query_of(kind, items)
    if query is not None:
        return _moved(tables(sql[query[0] : query[1]], "select"), query[0])
    if kind == "call":
        return Tables(analysed=True, calls=commands_tables.called(sql, items))
    if kind == "explain":
        return UNKNOWN
    if kind in commands_tables.KINDS:
        return _of_uses(tuple(commands_tables.named(sql, kind, items)))
    if len(items) > ANALYSED_TOKENS_MAX:
        return UNKNOWN
    if max(token.depth for token in items) > ANALYSED_DEPTH_MAX:
        return UNKNOWN
    if sum(token.word == "join" for token in items) > ANALYSED_JOINS_MAX:
        return UNKNOWN
    if sum(token.word == "[" for token in items) > ANALYSED_SUBSCRIPTS_MAX:
        return UNKNOWN
    rendered = swap(
        sql,
        [
            (
                token.start,
                token.end,
                f" {_ROWS_ALIAS} " if sql.endswith(("*", "*?"), 0, token.end) else " $1 ",
            )
            for token in items
            if token.kind is Kind.REFERENCE
        ],
    )
    made = commands_tables.temporary(sql, items) if kind in _MAKES_TABLES else None
    temporary = frozenset[str]() if made is None else frozenset({quoted(made)})
    try:
        return _read(rendered, temporary)
    except Exception:
        # sqlglot reports what it cannot parse in many ways (ParseError, TokenError, RecursionError, its own
        # faults); whatever it was, the statement is legal, only its tables stay unknown.
        return replace(UNKNOWN, temporary=temporary)


def _of_uses(found: tuple[Use, ...]) -> Tables:
    return Tables(
        reads=frozenset(use.table for use in found if not use.writes),
        writes=frozenset(use.table for use in found if use.writes),
        analysed=True,
        uses=found,
    )


def _moved(found: Tables, by: int) -> Tables:
    """The tables of a statement that stands in another one."""
    return replace(
        found,
        uses=tuple([replace(use, start=use.start + by, end=use.end + by) for use in found.uses]),
        calls=tuple([replace(call, start=call.start + by, end=call.end + by) for call in found.calls]),
    )


@cache
def _parse() -> Callable[[str], list[exp.Expr | None]]:
    """sqlglot's parser: making one takes as long as parsing a short statement."""
    from sqlglot.dialects.postgres import Postgres

    # It warns on standard error about each statement that it takes for a mere command.
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    dialect = Postgres()
    parser, tokenizer = dialect.parser(), dialect.tokenizer()
    return lambda sql: parser.parse(tokenizer.tokenize(sql), sql)


def _read(rendered: Rendered, temporary: frozenset[str]) -> Tables:
    from sqlglot import exp

    parsed = [tree for tree in _parse()(rendered.text) if tree is not None]
    if len(parsed) != 1:
        return UNKNOWN
    found: list[Found] = []
    common = _CommonTables()
    always = (exp.TruncateTable, exp.Drop, exp.Index)
    changing = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create, exp.Alter, exp.Into, *always)
    for node in parsed[0].walk():
        if isinstance(node, exp.Command):
            return replace(UNKNOWN, temporary=temporary)
        if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
            continue
        name, table = _name(node), node
        holder = node.parent
        if isinstance(holder, exp.Schema):
            node, holder = holder, holder.parent
        key = node.arg_key
        target = (key == "this" or isinstance(holder, always)) and isinstance(holder, changing)
        if target or (name != _ROWS_ALIAS and not ("." not in name and common.mean(node, name))):
            found.append(Found(node=table, name=name, target=target))
    return Tables(
        reads=frozenset(one.name for one in found if not one.target),
        writes=frozenset(one.name for one in found if one.target),
        analysed=True,
        uses=uses(parsed[0], found, rendered.original, temporary),
        calls=calls(parsed[0], rendered.original),
        temporary=temporary,
    )


def _name(table: exp.Table) -> str:
    return ".".join(_part(part) for part in table.parts)


def _part(part: exp.Expr) -> str:
    text = part.name
    return quoted(text) if part.args.get("quoted") else fold(text)


class _CommonTables:
    """The names of the WITH clauses of one statement, each clause read once."""

    def __init__(self) -> None:
        self._clauses: dict[int, tuple[dict[str, int], dict[int, int]]] = {}

    def mean(self, table: exp.Expr, name: str) -> bool:
        """Whether an unqualified name means a query of a WITH clause around it.

        Inside such a clause the names before it are visible; with RECURSIVE its own and the later ones too.
        """
        from sqlglot import exp

        node: exp.Expr | None = table
        inside: exp.Expr | None = None
        while node is not None:
            if isinstance(node, exp.CTE):
                inside = node
            clause = node if isinstance(node, exp.With) else node.args.get("with_")
            if isinstance(clause, exp.With):
                names, positions = self._read(clause)
                position = names.get(name)
                own = inside is not None and inside.parent is clause and not clause.args.get("recursive")
                if position is not None and (not own or position < positions[id(inside)]):
                    return True
            node = node.parent
        return False

    def _read(self, clause: exp.With) -> tuple[dict[str, int], dict[int, int]]:
        """The first position of each name, and the position of each query by its identity."""
        known = self._clauses.get(id(clause))
        if known is None:
            names: dict[str, int] = {}
            positions: dict[int, int] = {}
            for position, query in enumerate(clause.expressions):
                positions[id(query)] = position
                alias = query.args.get("alias")
                if alias is not None:
                    names.setdefault(_part(alias.this), position)
            known = self._clauses[id(clause)] = (names, positions)
        return known
