"""GROUP BY: columns that are neither grouped nor aggregated, and aggregates where none may stand.

Only what is plain is judged: columns in GROUP BY, no expressions; and a table of which a grouped column may
be the key is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

from dfc.compiler.schema.catalog import Catalog
from dfc.compiler.schema.scope import Item, Scope, Written
from dfc.compiler.sql.trees import Node, names_of, unwrapped

_JSON_AGGREGATES: Final = frozenset({"JsonObjectAgg", "JsonArrayAgg"})

_Column = tuple[int, str]
"""An entry of FROM, by its identity, and the name of a column."""


class Grouping:
    """The rules, for one statement."""

    def __init__(self, catalog: Catalog, written: Written) -> None:
        self._catalog = catalog
        self._written = written

    def check(self, node: Node, scope: Scope) -> None:
        """A SELECT whose names are all there."""
        if scope.parent is None:
            self._nowhere(node.get("whereClause"), "WHERE")
        results = [unwrapped(each)[1].get("val") for each in node.get("targetList", ())]
        sorts = [unwrapped(each)[1].get("node") for each in node.get("sortClause", ())]
        parts = [*results, node.get("havingClause"), *sorts]
        groups: Sequence[Node] = node.get("groupClause", ())
        grouped = bool(groups) or "havingClause" in node
        if not grouped and not any(self._has_aggregate(part) for part in parts):
            return
        if not _is_plain(scope):
            return
        names = {unwrapped(each)[1].get("name") for each in node.get("targetList", ())} - {None}
        allowed = self._allowed(groups, node, scope)
        if allowed is None:
            return
        for part in parts:
            for column in self._outside(part):
                self._judge(column, allowed, scope, names if part in sorts else set())

    def _nowhere(self, node: Node | None, where: str) -> None:
        for kind, fields in _inside(node):
            if kind == "FuncCall" and self._is_aggregate(fields):
                raise self._written.refusal(
                    f"aggregate functions are not allowed in {where}",
                    "42803",
                    self._written.part(fields),
                    help="write the condition in HAVING",
                )

    def _is_aggregate(self, call: Node) -> bool:
        kinds = self._kinds(call)
        return bool(kinds) and kinds == {"a"}

    def _may_be_aggregate(self, call: Node) -> bool:
        """Also what nobody knows, such as a function of an extension."""
        return "over" not in call and (not (kinds := self._kinds(call)) or "a" in kinds)

    def _kinds(self, call: Node) -> set[str]:
        """What kinds of functions a call may mean; none: nobody knows, or it is a window's."""
        names = names_of(call.get("funcname"))
        if "over" in call or not names or len(names) > 2:
            return set()
        found = self._catalog.function(names[0] if len(names) == 2 else None, names[-1])
        return {each.kind for each in found}

    def _has_aggregate(self, node: Node | None) -> bool:
        return any(
            (kind == "FuncCall" and self._is_aggregate(fields))
            or (kind in _JSON_AGGREGATES and "over" not in fields.get("constructor", {}))
            for kind, fields in _inside(node)
        )

    def _outside(self, node: Node | None) -> Iterator[Node]:
        """References to columns outside of aggregates and sub-queries."""
        todo: list[Any] = [node]
        while todo:
            here = todo.pop()
            if isinstance(here, list):
                todo += reversed(cast("list[Any]", here))
                continue
            if not isinstance(here, dict):
                continue
            fields = cast("dict[str, Any]", here)
            if "ColumnRef" in fields:
                yield fields["ColumnRef"]
            elif (
                "SubLink" in fields
                or "GroupingFunc" in fields
                or not _JSON_AGGREGATES.isdisjoint(fields)
                or (
                    "FuncCall" in fields
                    and (
                        self._may_be_aggregate(fields["FuncCall"]) or "agg_within_group" in fields["FuncCall"]
                    )
                )
            ):
                continue
            else:
                todo += reversed(list(fields.values()))

    def _allowed(self, groups: Sequence[Node], node: Node, scope: Scope) -> set[_Column] | None:
        """The columns that are grouped; None where these are not all."""
        found: set[_Column] = set()
        targets: Sequence[Node] = node.get("targetList", ())
        for each in groups:
            kind, fields = unwrapped(each)
            if kind == "A_Const" and "ival" in fields:
                place: int = fields["ival"].get("ival", 0) - 1
                if not 0 <= place < len(targets):
                    return None
                kind, fields = unwrapped(unwrapped(targets[place])[1].get("val"))
            if kind != "ColumnRef":
                return None
            column = self._meant(fields, scope)
            if column is None:
                return None
            found.add(column)
        return found

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

    def _judge(self, node: Node, allowed: set[_Column], scope: Scope, names: set[Any]) -> None:
        column = self._meant(node, scope)
        if column is None or column in allowed or (len(node.get("fields", ())) == 1 and column[1] in names):
            return
        items: dict[int, Item] = {id(item): item for entry in scope.names for item in entry.items}
        item = items[column[0]]
        if item.row.name is not None and any(one == column[0] for one, _ in allowed):
            return
        raise self._written.refusal(
            f'column "{item.name}.{column[1]}" must appear in the GROUP BY clause or be used in an aggregate'
            " function",
            "42803",
            self._written.part(node, len(node.get("fields", ())) - 1),
            help=f"add `{column[1]}` to GROUP BY",
        )


def _inside(node: Node | None) -> Iterator[tuple[str, Node]]:
    """The expressions of one level of a query."""
    todo: list[Any] = [node]
    while todo:
        here = todo.pop()
        if isinstance(here, list):
            todo += cast("list[Any]", here)
        elif isinstance(here, dict):
            fields = cast("dict[str, Any]", here)
            if "SubLink" in fields:
                continue
            if len(fields) == 1:
                kind, value = next(iter(fields.items()))
                if isinstance(value, dict):
                    yield kind, cast(Node, value)
            todo += fields.values()


def _is_plain(scope: Scope) -> bool:
    """Whether each column of FROM is one of one entry, and all are known."""
    for names in scope.names:
        if names.output.open or any(item.output.open for item in names.items):
            return False
        if len(names.output.columns) != sum(len(item.output.columns) for item in names.items):
            return False
    return True
