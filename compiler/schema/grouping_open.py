"""GROUP BY and DISTINCT where nobody knows the columns of a table: what is wrong whatever they are.

A name with a dot in it may be a function (`row.f`), and in a query inside of another one a column may be of
that: of both nothing is said. A table's other columns may depend on each column that is grouped by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from dfc.compiler.schema.misplaced import Misplaced
from dfc.compiler.schema.scope import Output, Refusal, Scope, Written, is_row_star
from dfc.compiler.sql.trees import Node, every, names_of, unwrapped


class OpenGrouping:
    """The rules, for one statement."""

    def __init__(self, written: Written, misplaced: Misplaced) -> None:
        self._written = written
        self._misplaced = misplaced

    def check(self, node: Node, scope: Scope, output: Output) -> None:
        """A SELECT with a table in its FROM that may have any column."""
        if not scope.alone() or not scope.names:
            return
        results = [unwrapped(each)[1].get("val") for each in node.get("targetList", ())]
        sorts = [unwrapped(each)[1].get("node") for each in node.get("sortClause", ())]
        clause: Sequence[Node] = node.get("distinctClause", ())
        if clause and "groupClause" not in node:
            if any(clause):
                self._distinct_on(clause, sorts, node.get("targetList", ()))
            else:
                self._distinct(results, _columns_of(sorts, output))
        parts = [*results, node.get("havingClause"), *_columns_of(sorts, output)]
        aggregates = "groupClause" in node or "havingClause" in node
        if not aggregates and not any(map(self._misplaced.has_aggregate, parts)):
            return
        groups = _grouped(node, results)
        if groups is not None:
            self._judge(parts, groups)

    def _judge(self, parts: Sequence[Node | None], groups: Sequence[Node]) -> None:
        """Refuse a column outside of aggregates, sub-queries and what is grouped."""
        written = {str(_key(each)) for each in groups}
        inside = {
            names_of(each.get("fields"))[-1] for each in columns_in(groups) if names_of(each.get("fields"))
        }
        todo: list[tuple[Any, bool]] = [(part, True) for part in reversed(parts)]
        while todo:
            here, lone = todo.pop()
            if isinstance(here, list):
                todo += [(each, False) for each in reversed(cast("list[Any]", here))]
            if not isinstance(here, dict) or self._misplaced.is_opaque(cast("Node", here)):
                continue
            fields = cast("dict[str, Any]", here)
            column: Node = fields.get("ColumnRef", {})
            if not column:
                if str(_key(fields)) not in written:
                    todo += [(each, False) for each in reversed(list(fields.values()))]
                continue
            name = names_of(column["fields"])
            if is_row_star(fields):
                raise self._ungrouped(column, "*")
            # In a larger expression it may be grouped in another way of writing it.
            if name and self._is_column(column, name) and (lone or name[-1] not in inside):
                raise self._ungrouped(column, name[-1])

    def _is_column(self, column: Node, names: Sequence[str]) -> bool:
        return len(column["fields"]) == 1 or (
            self._misplaced.likely and not self._misplaced.aggregates(names[-1])
        )

    def _ungrouped(self, column: Node, name: str) -> Refusal:
        return self._written.refusal(
            f'column "{name}" must appear in the GROUP BY clause or be used in an aggregate function',
            "42803",
            self._written.part(column, len(column["fields"]) - 1),
            help="add GROUP BY with it, or aggregate it"
            if name == "*"
            else f"add `{name}` to GROUP BY, or aggregate it",
        )

    def _distinct(self, results: Sequence[Node | None], sorts: Sequence[Node | None]) -> None:
        """SELECT DISTINCT can be ordered by its results alone."""
        if any(map(is_row_star, results)):
            return
        own = {names[-1] for each in results if (names := names_of(unwrapped(each)[1].get("fields")))}
        for each in sorts:
            name = lone_name(each)
            if name is not None and name not in own:
                raise self._written.refusal(
                    "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
                    "42P10",
                    self._written.part(unwrapped(each)[1]),
                    help=f"add `{name}` to the select list, or order by a column that is there",
                )

    def _distinct_on(
        self, clause: Sequence[Node], sorts: Sequence[Node | None], targets: Sequence[Node]
    ) -> None:
        """ORDER BY begins with what DISTINCT ON names: columns with names of their own."""
        found = [unwrapped(each)[1] for each in targets]
        if any("name" not in each and unwrapped(each.get("val"))[0] != "ColumnRef" for each in found):
            return
        renamed = {each["name"] for each in found if "name" in each}
        wanted = [lone_name(each) for each in clause]
        given = [lone_name(each) for each in sorts]
        if None in wanted or not renamed.isdisjoint((*wanted, *given)):
            return
        distinct_on(self._written, clause, wanted, given)


def _grouped(node: Node, results: Sequence[Node | None]) -> list[Node] | None:
    """The expressions of GROUP BY; None where one may be a column, on which others may depend."""
    found: list[Node] = []
    for each in flat(node.get("groupClause", ())):
        kind, fields = unwrapped(each)
        here: Node | None = each
        if kind == "A_Const" and "ival" in fields:
            place: int = fields["ival"].get("ival", 0) - 1
            if not 0 <= place < len(results) or any(map(is_row_star, results[: place + 1])):
                return None
            here = results[place]
        inner = here
        while unwrapped(inner)[0] in ("TypeCast", "CollateClause"):
            # A cast to the type that a column has is the column.
            inner = unwrapped(inner)[1].get("arg")
        if here is None or unwrapped(inner)[0] not in ("FuncCall", "A_Expr", "CoalesceExpr", "CaseExpr"):
            return None
        found.append(here)
    return found


def _key(node: Any) -> Any:
    """What an expression says, wherever it stands."""
    if isinstance(node, list):
        return [_key(each) for each in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    fields = cast("dict[str, Any]", node)
    return {name: _key(value) for name, value in fields.items() if name not in PLACES}


def _columns_of(sorts: Sequence[Node | None], output: Output) -> list[Node | None]:
    """What ORDER BY says that is not the name of a result."""
    names = {column.name for column in output.columns}
    return [each for each in sorts if (name := lone_name(each)) is None or not (output.open or name in names)]


PLACES = frozenset({"location", "rexpr_list_start", "rexpr_list_end", "list_start", "list_end"})
"""Fields of nodes that say nothing but where they stand."""


def flat(groups: Sequence[Node]) -> Iterator[Node]:
    """The expressions of GROUP BY, those of its sets, too."""
    todo: list[Node] = list(reversed(groups))
    while todo:
        here = todo.pop()
        kind, fields = unwrapped(here)
        if kind == "GroupingSet":
            todo += reversed(fields.get("content", ()))
        elif kind == "RowExpr" and fields.get("row_format") == "COERCE_IMPLICIT_CAST":
            todo += reversed(fields.get("args", ()))
        elif kind == "List":
            todo += reversed(fields.get("items", ()))
        else:
            yield here


def distinct_on(
    written: Written, clause: Sequence[Node], wanted: Sequence[object], given: Sequence[object]
) -> None:
    """Refuse an ORDER BY that does not begin with what DISTINCT ON names. None: what it is, nobody knows."""
    left = set(wanted)
    for each in given:
        if each is None or None in wanted or not left:
            return
        if each not in wanted:
            missing = next(node for node, one in zip(clause, wanted, strict=True) if one in left)
            raise written.refusal(
                "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
                "42P10",
                written.part(unwrapped(missing)[1]),
                help="begin ORDER BY with it",
            )
        left.discard(each)


def columns_in(node: Any) -> Iterator[Node]:
    """All references to columns inside of an expression."""
    return (fields["ColumnRef"] for fields in every(node) if "ColumnRef" in fields)


def lone_name(node: Node | None) -> str | None:
    kind, fields = unwrapped(node)
    names = names_of(fields.get("fields")) if kind == "ColumnRef" else []
    return names[0] if len(names) == 1 and len(fields.get("fields", ())) == 1 else None
