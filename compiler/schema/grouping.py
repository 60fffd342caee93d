"""GROUP BY and DISTINCT: what is neither grouped nor aggregated, and orders of what is not there.

Expressions are the same where they are written the same. Where PostgreSQL may see that two are the same that
are written differently, nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from dfc.compiler.schema.catalog import Catalog
from dfc.compiler.schema.grouping_open import (
    PLACES,
    OpenGrouping,
    columns_in,
    distinct_on,
    flat,
    lone_name,
)
from dfc.compiler.schema.misplaced import Misplaced
from dfc.compiler.schema.scope import Item, Output, Refusal, Scope, Written, is_row_star
from dfc.compiler.sql.trees import Node, names_of, unwrapped

_Column = tuple[int, str]
"""An entry of FROM, by its identity, and the name of a column."""


@dataclass(frozen=True, slots=True)
class _Grouped:
    """What GROUP BY says: columns, other expressions as they are written, and the columns inside of these."""

    columns: frozenset[_Column]
    written: frozenset[str]
    inside: frozenset[_Column]


class Grouping:
    """The rules, for one statement."""

    def __init__(self, catalog: Catalog, written: Written, misplaced: Misplaced) -> None:
        self._catalog = catalog
        self._written = written
        self._misplaced = misplaced
        self._open = OpenGrouping(written, misplaced)

    def check(self, node: Node, scope: Scope, output: Output) -> None:
        """A SELECT whose names are all there."""
        targets = [unwrapped(each)[1] for each in node.get("targetList", ())]
        results = [each.get("val") for each in targets]
        sorts = [unwrapped(each)[1].get("node") for each in node.get("sortClause", ())]
        if not _is_plain(scope):
            self._open.check(node, scope, output)
            return
        named = {each["name"]: each.get("val") for each in targets if "name" in each}
        self._distinct(node, results, sorts, named, scope)
        parts = [*results, node.get("havingClause"), *sorts]
        groups: Sequence[Node] = node.get("groupClause", ())
        grouped = bool(groups) or "havingClause" in node
        if not grouped and not any(self._misplaced.has_aggregate(part) for part in parts):
            return
        allowed = self._allowed(groups, results, named, scope)
        if allowed is None:
            return
        for part in results:
            if is_row_star(part):
                self._star(part, allowed, scope)
        for part in parts:
            lone = lone_name(part) if any(part is each for each in sorts) else None
            if lone is None or lone not in named:
                self._judge(part, allowed, scope)

    def _allowed(
        self,
        groups: Sequence[Node],
        results: Sequence[Node | None],
        named: Mapping[str, Node | None],
        scope: Scope,
    ) -> _Grouped | None:
        """What is grouped; None where that is not all known."""
        columns: set[_Column] = set()
        written: set[str] = set()
        inside: set[_Column] = set()
        for each in flat(groups):
            kind, fields = unwrapped(each)
            here: Node | None = each
            if kind == "A_Const" and "ival" in fields:
                place: int = fields["ival"].get("ival", 0) - 1
                if not 0 <= place < len(results):
                    return None
                here = results[place]
            elif kind == "ColumnRef" and self._meant(fields, scope) is None:
                name = lone_name(each)
                if name is None or name not in named:
                    return None
                here = named[name]
            kind, fields = unwrapped(here)
            if kind == "ColumnRef":
                column = self._meant(fields, scope)
                if column is None:
                    return None
                columns.add(column)
                continue
            key = self._key(here, scope)
            if key is None:
                return None
            written.add(key)
            inside |= {found for one in columns_in(here) if (found := self._meant(one, scope)) is not None}
        return _Grouped(frozenset(columns), frozenset(written), frozenset(inside))

    def _judge(self, node: Node | None, allowed: _Grouped, scope: Scope) -> None:
        """Refuse a column outside of aggregates, sub-queries and what is grouped."""
        todo: list[tuple[Any, bool]] = [(node, True)]
        while todo:
            here, lone = todo.pop()
            if isinstance(here, list):
                todo += [(each, False) for each in reversed(cast("list[Any]", here))]
                continue
            if not isinstance(here, dict):
                continue
            fields = cast("dict[str, Any]", here)
            if "ColumnRef" in fields:
                self._column(fields["ColumnRef"], allowed, scope, lone)
                continue
            if len(fields) == 1 and allowed.written and self._key(fields, scope) in allowed.written:
                continue
            if self._misplaced.is_opaque(fields):
                continue
            todo += [(each, False) for each in reversed(list(fields.values()))]

    def _star(self, node: Node | None, allowed: _Grouped, scope: Scope) -> None:
        """`*` and `table.*` among the results are all of their columns."""
        kind, fields = unwrapped(node)
        names = names_of(fields.get("fields"))
        if kind != "ColumnRef" or len(names) > 1:
            return
        for item in [item for entry in scope.names for item in entry.items]:
            if names and item.name != names[0]:
                continue
            grouped = {name for one, name in allowed.columns if one == id(item)}
            left = [column.name for column in item.output.columns if column.name not in grouped]
            if left and not self._depends(item, grouped):
                raise self._ungrouped(item, left[0], self._written.part(fields))

    def _ungrouped(self, item: Item, column: str, span: tuple[int, int] | None) -> Refusal:
        return self._written.refusal(
            f'column "{item.name}.{column}" must appear in the GROUP BY clause or be used in an aggregate'
            " function",
            "42803",
            span,
            help=f"add `{column}` to GROUP BY, or aggregate it",
        )

    def _column(self, node: Node, allowed: _Grouped, scope: Scope, lone: bool) -> None:
        column = self._meant(node, scope)
        # In a larger expression it may be grouped in another way of writing it.
        if column is None or column in allowed.columns or (column in allowed.inside and not lone):
            return
        items: dict[int, Item] = {id(item): item for entry in scope.names for item in entry.items}
        item = items[column[0]]
        if self._depends(item, {name for one, name in allowed.columns if one == column[0]}):
            return
        raise self._ungrouped(item, column[1], self._written.part(node, len(node.get("fields", ())) - 1))

    def _depends(self, item: Item, grouped: set[str]) -> bool:
        """Whether a table's other columns may depend on the grouped ones: these have its primary key."""
        if item.row.name is None:
            return False
        relation = self._catalog.of_rows(item.row.name)
        if relation is None or self._catalog.unsure.everything:
            return bool(grouped)
        if relation.primary is not None:
            return relation.primary <= grouped
        return bool(grouped) and relation.other_keys

    def _distinct(
        self,
        node: Node,
        results: Sequence[Node | None],
        sorts: Sequence[Node | None],
        named: Mapping[str, Node | None],
        scope: Scope,
    ) -> None:
        """SELECT DISTINCT can be ordered by its results alone; DISTINCT ON begins with its own order."""
        clause: Sequence[Node] = node.get("distinctClause", ())
        if not clause or any(is_row_star(each) for each in results):
            return
        own = {self._meant(fields, scope) for kind, fields in map(unwrapped, results) if kind == "ColumnRef"}
        if any(clause):
            self._distinct_on(clause, sorts, named, scope)
            return
        for each in sorts:
            kind, fields = unwrapped(each)
            column = self._meant(fields, scope) if kind == "ColumnRef" else None
            if column is None or lone_name(each) in named or column in own:
                continue
            raise self._written.refusal(
                "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
                "42P10",
                self._written.part(fields),
                help=f"add `{column[1]}` to the select list, or order by a column that is there",
            )

    def _distinct_on(
        self,
        clause: Sequence[Node],
        sorts: Sequence[Node | None],
        named: Mapping[str, Node | None],
        scope: Scope,
    ) -> None:
        wanted = [self._sorted_by(each, named, scope) for each in clause]
        given = [self._sorted_by(each, named, scope) for each in sorts]
        distinct_on(self._written, clause, wanted, given)

    def _sorted_by(self, node: Node | None, named: Mapping[str, Node | None], scope: Scope) -> _Column | None:
        """The column that an item of ORDER BY is, where it is one: a result's name comes first."""
        name = lone_name(node)
        kind, fields = unwrapped(named.get(name or "", node))
        return self._meant(fields, scope) if kind == "ColumnRef" else None

    def _meant(self, node: Node, scope: Scope) -> _Column | None:
        """The column of this query's own FROM that is meant."""
        fields = node.get("fields", ())
        names = names_of(fields)
        if len(names) != len(fields) or len(names) not in (1, 2):
            return None
        found = [
            item
            for entry in scope.names
            for item in entry.items
            if (len(names) == 1 or item.name == names[0])
            and any(column.name == names[-1] for column in item.output.columns)
        ]
        return (id(found[0]), names[-1]) if len(found) == 1 else None

    def _key(self, node: Any, scope: Scope) -> str | None:
        """What an expression says, wherever it stands; None where one of its names is not clear."""
        if isinstance(node, list):
            keys = [self._key(each, scope) for each in cast("list[Any]", node)]
            return None if None in keys else f"[{','.join(map(str, keys))}]"
        if not isinstance(node, dict):
            return repr(node)
        fields = cast("dict[str, Any]", node)
        if "SubLink" in fields:
            return None
        if "ColumnRef" in fields:
            return str(self._meant(fields["ColumnRef"], scope) or names_of(fields["ColumnRef"].get("fields")))
        parts: list[str] = []
        for name, value in fields.items():
            if name not in PLACES:
                key = self._key(value, scope)
                if key is None:
                    return None
                parts.append(f"{name}:{key}")
        return "{" + ",".join(parts) + "}"


def _is_plain(scope: Scope) -> bool:
    """Whether each column of FROM is one of one entry, and all are known."""
    for names in scope.names:
        if names.output.open or any(item.output.open for item in names.items):
            return False
        if len(names.output.columns) != sum(len(item.output.columns) for item in names.items):
            return False
    return True
