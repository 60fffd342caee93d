"""Queries that surely do nothing but give their rows: by their tokens, so that nothing has to be parsed."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from dfc.compiler.plan_builtins import NOT_VOLATILE
from dfc.compiler.sql.tokens import Token, split_comments, tokens
from dfc.grammar.lexer import Kind

_SYNTAX: Final = """
all and any array as between by case cast char character coalesce cube dec decimal distinct else end except
exists extract filter float from greatest group grouping having ilike in intersect interval is join
json_exists
json_query json_scalar json_serialize json_table json_value lateral least like limit materialized merge_action
nchar not null nullif numeric offset on only or order over overlaps partition recursive returning rollup row
select sets similar some symmetric tablesample then time timestamp to treat trim union using values varchar
varying when where window with within xmlconcat xmlelement xmlforest xmlparse xmlpi xmlroot xmlserialize
xmltable zone
"""
# Words that stand in front of a bracket and call nothing that has effects.

_EFFECTS: Final = frozenset({"insert", "update", "delete", "merge", "into", "share"})
_FROM: Final = re.compile(r"\bfrom\b", re.IGNORECASE)


@cache
def harmless() -> frozenset[str]:
    """Functions without effects, and the words of the syntax that look like functions."""
    return NOT_VOLATILE | frozenset(_SYNTAX.split())


def gives_only_rows(sql: str, kind: str) -> bool:
    """Whether a statement of this kind certainly does nothing else: it writes, locks and calls nothing.

    A division may be there to fail, as an assertion. False also means: not known.
    """
    if kind not in ("select", "values"):
        return False
    items = tokens(sql, split_comments(sql)[0])
    return all(_is_harmless(items, index) for index in range(len(items)))


def reads_something(sql: str) -> bool:
    """Whether a query has a FROM, or might have."""
    return _FROM.search(sql) is not None


def _is_harmless(items: list[Token], index: int) -> bool:
    token = items[index]
    if token.kind is Kind.OPERATOR:
        return "/" not in token.word and "%" not in token.word
    if token.word in _EFFECTS:
        return False
    following = items[index + 1].word if index + 1 < len(items) else ""
    if following != "(" or token.kind not in (Kind.IDENT, Kind.QUOTED_IDENT):
        return True
    if index > 1 and items[index - 1].word == ".":
        return items[index - 2].word == "pg_catalog" and token.word in harmless()
    # A list of columns behind an alias is no call.
    return token.word in harmless() or (index > 0 and items[index - 1].word == "as")
