"""Which functions a statement of a plan calls, as its words show it: read once, without a parser.

A plan holds statements as texts, and whoever reads a plan has no parser of SQL. What is asked here is what a
reader would see: a name in front of a parenthesis that is no keyword, type, alias or target. In doubt it is a
call. What a statement reaches without naming it (triggers, views, operators) is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(
    r"""
    (?P<blank>\s+|--[^\n]*)
  | (?P<comment>/\*)
  | (?P<escaped>[eE]'(?:[^'\\]|''|\\.)*'?)
  | (?P<text>(?:[uU]&|[bBxXnN])?'(?:[^']|'')*'?)
  | (?P<quoted>(?:[uU]&)?"(?:[^"]|"")*"?)
  | (?P<dollar>\$(?P<tag>(?:[^\W\d]\w*)?)\$)
  | (?P<reference>\$\w+)
  | (?P<number>\d[\w.]*|\.\d[\w.]*)
  | (?P<word>[^\W\d][\w$]*)
  | (?P<sign>::|=>|:=|.)
    """,
    re.VERBOSE | re.DOTALL,
)

_WORDS_BEFORE_A_CALL: Final = """
    all and any between by call case cross distinct do else elsif escape except filter first for from
    full group having if ilike in inner intersect is isnull join lateral left like limit natural next not
    notnull offset on only or order outer perform return returning right select set similar some symmetric
    then to union until using values variadic verbose when where while zone
"""
_BEFORE_A_CALL: Final = frozenset(_WORDS_BEFORE_A_CALL.split())
"""A call may stand behind these words; behind any other word a name is an alias, a target, a type."""

_WORDS_NO_FUNCTION: Final = """
    all analyze and any array as between by case cast check coalesce columns conflict constraint copy cube
    current_time current_timestamp default distinct do else end except exclude exists explain extract
    filter force_not_null force_null force_quote foreign from generated greatest group grouping having if
    ilike in insert intersect into is join json json_array json_arrayagg json_exists json_object
    json_objectagg json_query json_scalar json_serialize json_table json_value key lateral least like
    limit localtime localtimestamp materialized merge_action nested normalize not nullif offset on only
    operator or order over overlaps overlay partition passing position precision primary range recursive
    references returning rollup row rows select sets some storage substring symmetric table then to treat
    trim union unique update using values when where window with within without xmlattributes xmlconcat
    xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable
"""
_NO_FUNCTION: Final = frozenset(_WORDS_NO_FUNCTION.split())
"""In front of a parenthesis these are no functions that could be somebody's."""

_QUERIES: Final = frozenset({"select", "insert", "update", "delete", "merge", "with", "values", "table", "("})


class Call(NamedTuple):
    """A call: the name as PostgreSQL folds it, its schema where one is written, where it stands, and the
    first word or sign of its arguments."""

    schema: str | None
    name: str
    start: int
    first: str

    @property
    def written(self) -> str:
        """The name for people."""
        return self.name if self.schema is None else f"{self.schema}.{self.name}"


class Word(NamedTuple):
    """A token: its kind (`word`, `quoted`, `text`, `reference`, `number`, `sign`), what it says, where."""

    kind: str
    says: str
    start: int


def words(sql: str) -> tuple[Word, ...]:
    """The tokens of a statement without blanks and comments. A name is folded, the content of a text in
    dollar quotes is what it says, that of any other text is its literal."""
    found: list[Word] = []
    place = 0
    token, length = _TOKEN.match, len(sql)
    while place < length and (match := token(sql, place)) is not None:
        kind, end = match.lastgroup or "", match.end()
        said = match[0]
        if kind == "word":
            found.append(Word(kind, said.lower(), place))
        elif kind == "comment":
            end = _behind_comment(sql, end)
        elif kind in ("dollar", "tag"):
            closing = sql.find(said, end)
            inner_end, behind = (len(sql), len(sql)) if closing < 0 else (closing, closing + len(said))
            found.append(Word("body", sql[end:inner_end], end))
            end = behind
        elif kind == "quoted":
            inner = said[said.index('"') + 1 :].removesuffix('"').replace('""', '"')
            found.append(Word(kind, inner, place))
        elif kind != "blank":
            found.append(Word("text" if kind == "escaped" else kind, said, place))
        place = end
    return tuple(found)


def _behind_comment(sql: str, place: int) -> int:
    """Behind a comment, which may hold others."""
    depth = 1
    for match in re.compile(r"/\*|\*/").finditer(sql, place):
        depth += 1 if match[0] == "/*" else -1
        if depth == 0:
            return match.end()
    return len(sql)


def calls(items: Sequence[Word]) -> Iterator[Call]:
    """The calls among tokens, in written order. Linear."""
    partner = _partners(items)
    for index in range(1, len(items)):
        if items[index].kind != "sign" or items[index].says != "(":
            continue
        name = items[index - 1]
        if name.kind not in ("word", "quoted"):
            continue
        first, schema = _beginning(items, index - 1)
        if schema is None and name.kind == "word" and name.says in _NO_FUNCTION:
            continue
        if first > 0 and not _may_be_called(items, partner, first - 1):
            continue
        if _names_columns(items, partner[index]):
            continue
        argument = items[index + 1].says if index + 1 < len(items) else ""
        yield Call(schema, name.says, items[first].start, argument)


def _partners(items: Sequence[Word]) -> list[int]:
    """For each parenthesis the other one; that of one that has none is the last token."""
    partner = [len(items) - 1] * len(items)
    opened: list[int] = []
    for index, item in enumerate(items):
        if item.kind != "sign":
            continue
        if item.says == "(":
            opened.append(index)
        elif item.says == ")" and opened:
            partner[index] = opened.pop()
            partner[partner[index]] = index
    return partner


def _beginning(items: Sequence[Word], index: int) -> tuple[int, str | None]:
    """Where a name with its schema begins, and the schema."""
    schema = None
    while index >= 2 and items[index - 1].says == "." and items[index - 2].kind in ("word", "quoted"):
        index -= 2
        schema = items[index].says
    return index, schema


def _may_be_called(items: Sequence[Word], partner: Sequence[int], index: int) -> bool:
    """Whether what stands in front of a name leaves room for a call."""
    before = items[index]
    if before.kind == "word":
        return before.says in _BEFORE_A_CALL
    if before.kind != "sign" or before.says in ("]", "::", "."):
        return False
    if before.says != ")":
        return True
    opening = partner[index]
    return opening >= 2 and [item.says for item in items[opening - 2 : opening]] == ["distinct", "on"]


def _names_columns(items: Sequence[Word], closing: int) -> bool:
    """Whether a parenthesis is that of a common table expression with columns: `, x (a, b) AS (SELECT`."""
    behind = [item.says for item in items[closing + 1 : closing + 6]]
    if behind[:1] != ["as"]:
        return False
    rest = [said for said in behind[1:] if said not in ("not", "materialized")]
    return len(rest) > 1 and rest[0] == "(" and rest[1] in _QUERIES
