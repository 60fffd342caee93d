"""What names mean at a place of a query: the tables of FROM, around it those of outer queries, and CTEs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from typing import Final

from dfc.compiler.plan_describe import Refused
from dfc.compiler.plan_names import name_of
from dfc.compiler.schema.catalog import NOT_KNOWN, Column, Typed
from dfc.compiler.sql.tokens import Token, split_comments, tokens
from dfc.compiler.sql.trees import Node, Places, unwrapped

SYSTEM_COLUMNS: Final = {
    "ctid": "tid",
    "xmin": "xid",
    "cmin": "cid",
    "xmax": "xid",
    "cmax": "cid",
    "tableoid": "oid",
}
_NEAR_NAMES_MAX: Final = 2_000


class Refusal(Exception):
    """PostgreSQL would refuse the statement; ends its analysis."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.message)
        self.refused = refused


class Written:
    """The text that was parsed: where its nodes stand. `origin` leads from its offsets to the author's."""

    def __init__(self, sql: str, origin: Callable[[int, int], tuple[int, int]]) -> None:
        self.sql = sql
        self._origin = origin
        self._places = Places(sql)

    @cached_property
    def _items(self) -> Sequence[Token]:
        """Its tokens, which only those need who say where something stands."""
        return tokens(self.sql, split_comments(self.sql)[0])

    @cached_property
    def lower(self) -> str:
        """The text in lower case."""
        return self.sql.lower()

    def part(self, node: Node, index: int = 0) -> tuple[int, int] | None:
        """Part `index` of the qualified name at a node."""
        place = self._index(node)
        if place is None:
            return None
        while index > 0 and place + 2 < len(self._items) and self._items[place + 1].word == ".":
            place += 2
            index -= 1
        return self._span(place)

    def behind(self, node: Node, name: str) -> tuple[int, int] | None:
        """The first place of a name at or behind a node, for names that the tree has no place for."""
        place = self._index(node)
        if place is None:
            return None
        for index in range(place, len(self._items)):
            token = self._items[index]
            text = self.sql[token.start : token.end]
            if token.word == name or (text.startswith('"') and name_of(text) == name):
                return self._span(index)
        return self._span(place)

    def word(self, word: str, *next_ones: str) -> tuple[int, int] | None:
        """The last place of a keyword that one of these follows."""
        for index in range(len(self._items) - 2, -1, -1):
            if self._items[index].word == word and self._items[index + 1].word in next_ones:
                return self._span(index)
        return None

    def last(self, offset: int | None, name: str) -> tuple[int, int] | None:
        """The first place at or behind an offset where a name is an alias: no dot in front of it or behind.

        For names that the tree has no place for.
        """
        start = (
            0 if offset is None else max(0, bisect_right(self._items, offset, key=lambda one: one.start) - 1)
        )
        found: tuple[int, int] | None = None
        for index in range(start, len(self._items)):
            token = self._items[index]
            text = self.sql[token.start : token.end]
            if token.word != name and not (text.startswith('"') and name_of(text) == name):
                continue
            around = [self._items[at].word for at in (index - 1, index + 1) if 0 <= at < len(self._items)]
            if "." not in around:
                return self._span(index)
            found = found or self._span(index)
        return found

    def _index(self, node: Node) -> int | None:
        offset = self._places(node)
        if offset is None:
            return None
        place = bisect_right(self._items, offset, key=lambda token: token.start) - 1
        return place if place >= 0 else None

    def _span(self, index: int) -> tuple[int, int]:
        token = self._items[index]
        return self._origin(token.start, token.end)

    def refusal(
        self,
        message: str,
        sqlstate: str,
        span: tuple[int, int] | None,
        *,
        help: str = "",
        detail: str = "",
        name: str | None = None,
    ) -> Refusal:
        """What PostgreSQL would say there."""
        start, end = span if span is not None else (None, None)
        return Refusal(
            Refused(
                message=message, sqlstate=sqlstate, start=start, end=end, help=help, detail=detail, name=name
            )
        )


@dataclass(slots=True)
class Output:
    """The columns of a query or of what stands in FROM. `open`: there are others, nobody knows which.

    `mute`: a change without RETURNING, which no FROM may name.
    """

    columns: list[Column]
    open: bool = False
    mute: bool = False


@dataclass(slots=True)
class Item:
    """What can be named in front of a dot. `row` is the type of a whole row."""

    name: str
    output: Output
    schema: str | None = None
    row: Typed = NOT_KNOWN
    system: bool = True


@dataclass(slots=True)
class Names:
    """An entry of FROM: what can be qualified, and the columns that need not be, in order of `*`."""

    items: list[Item]
    output: Output
    _by_name: dict[str, list[Column]] | None = None

    def columns(self, name: str) -> list[Column]:
        """Those of this name."""
        if self._by_name is None:
            self._by_name = {}
            for column in self.output.columns:
                self._by_name.setdefault(column.name, []).append(column)
        return self._by_name.get(name, [])


@dataclass(slots=True)
class Scope:
    """A query's names, and those around it. `tables`: the queries of WITH, by name."""

    parent: Scope | None = None
    names: list[Names] = field(default_factory=list[Names])
    tables: dict[str, Output] = field(default_factory=dict[str, Output])

    def around(self) -> Iterator[Scope]:
        """This one and those around it."""
        here: Scope | None = self
        while here is not None:
            yield here
            here = here.parent

    def alone(self) -> bool:
        """Whether no query around this one has names that it could mean."""
        return self.parent is None or not any(each.names for each in self.parent.around())

    def open(self) -> bool:
        """Whether an entry of this query's own FROM may have any column."""
        return any(names.output.open for names in self.names)

    def table(self, name: str) -> Output | None:
        """The query of a WITH that a name means."""
        return next((each.tables[name] for each in self.around() if name in each.tables), None)

    def item(self, name: str, schema: str | None = None) -> Item | None:
        """What `name` in front of a dot means."""
        for each in self.around():
            for names in each.names:
                for item in names.items:
                    if item.name == name and (schema is None or item.schema in (None, schema)):
                        return item
        return None

    def unsure(self) -> bool:
        """Whether some entry of FROM may have any column."""
        return any(names.output.open for each in self.around() for names in each.names)

    def column_names(self) -> list[str]:
        """All names of columns, for advice."""
        found = [
            column.name
            for each in self.around()
            for names in each.names
            for column in (*names.output.columns, *[c for item in names.items for c in item.output.columns])
        ]
        return list(dict.fromkeys(found[:_NEAR_NAMES_MAX]))


def is_row_star(node: Node | None) -> bool:
    """Whether an expression is as many values as a row has: `t.*`, `(f(x)).*`."""
    kind, fields = unwrapped(node)
    parts: Sequence[Node] = fields.get("fields", ()) if kind == "ColumnRef" else fields.get("indirection", ())
    return bool(parts) and "A_Star" in parts[-1]


def has_row_star(row: Node) -> bool:
    """Whether a row has more values than are written."""
    return any(map(is_row_star, row.get("args", ())))


def near(name: str, names: Sequence[str]) -> str | None:
    """The name that was meant, if one is near."""
    lower = name.lower()
    for each in names:
        if each.lower() == lower:
            return each
    found = get_close_matches(name, names[:_NEAR_NAMES_MAX], 1, 0.6)
    return found[0] if found else None


def did_you_mean(name: str, names: Sequence[str], what: str) -> str:
    """The help for an unknown name."""
    meant = near(name, names)
    if meant is not None:
        return f"did you mean `{meant}`?"
    listed = ", ".join(f"`{each}`" for each in names[:8])
    return f"the {what} are {listed}" if listed else ""
