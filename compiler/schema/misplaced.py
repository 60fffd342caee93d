"""Aggregates, window functions and functions that return sets where PostgreSQL lets none stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

from dfc.compiler.schema.builtins import NEWER, Signature
from dfc.compiler.schema.catalog import Catalog
from dfc.compiler.schema.overloads import takes
from dfc.compiler.schema.scope import Scope, Written
from dfc.compiler.sql.trees import Node, every, names_of, unwrapped

AGGREGATES: Final = "aggregate functions"
WINDOWS: Final = "window functions"
SETS: Final = "set-returning functions"
_STATES: Final = {AGGREGATES: "42803", WINDOWS: "42P20", SETS: "0A000"}
_HELP: Final = {
    (AGGREGATES, "WHERE"): "write the condition in HAVING, or compute it in a sub-query",
    (WINDOWS, "WHERE"): "compute it in a sub-query, and write the condition around that",
    (SETS, "WHERE"): "call it in FROM",
}
_OF_AGGREGATES: Final = ("agg_star", "agg_distinct", "agg_order", "agg_filter", "agg_within_group")
"""What nothing but an aggregate has."""
JSON_AGGREGATES: Final = frozenset({"JsonObjectAgg", "JsonArrayAgg"})
NONE: Final = frozenset({AGGREGATES, WINDOWS, SETS})


class Misplaced:
    """The rules, for one statement."""

    def __init__(self, catalog: Catalog, written: Written) -> None:
        self._catalog = catalog
        self._written = written
        self.sure: dict[int, Signature] = {}
        """What calls mean for certain, by their identity, where functions may be there that nobody knows."""

    def refuse(self, node: Any, where: str, what: frozenset[str], scope: Scope) -> None:
        """Refuse such a call at one level of a query. `where` is the clause, as PostgreSQL calls it."""
        if "(" not in self._written.sql:
            return
        for kind, fields in inside(node):
            if kind != "FuncCall":
                continue
            found = self._what(fields, scope)
            if found in what:
                help = _HELP.get((found, where), f"compute it in a sub-query, not in {where}")
                raise self._written.refusal(
                    f"{found} are not allowed in {where}", _STATES[found], self._place(fields), help=help
                )

    def nested(self, call: Node, scope: Scope) -> None:
        """An aggregate inside of an aggregate."""
        if "over" in call:
            for kind, fields in inside(call.get("args")):
                if kind == "FuncCall" and "over" in fields:
                    message, help = (
                        "window function calls cannot be nested",
                        "compute the inner one in a sub-query",
                    )
                    raise self._written.refusal(message, "42P20", self._place(fields), help=help)
        if not self.is_aggregate(call):
            return
        for part in ("args", "agg_order", "agg_filter"):
            for kind, fields in inside(call.get(part)):
                if kind != "FuncCall" or self._what(fields, scope) not in (AGGREGATES, WINDOWS):
                    continue
                windowed = "over" in fields
                raise self._written.refusal(
                    "aggregate function calls cannot contain window function calls"
                    if windowed
                    else "aggregate function calls cannot be nested",
                    "42803",
                    self._place(fields),
                    help="compute the inner one in a sub-query",
                )

    def kind(self, call: Node, *, by_call: bool) -> None:
        """What is written around a call has to fit what is called."""
        found = self._candidates(call)
        if not found:
            return
        name = names_of(call.get("funcname"))[-1]
        kinds = {each.kind for each in found}
        message, help = "", ""
        if by_call:
            if "p" not in kinds and not self._catalog.unsure.functions:
                message, help = f"{name} is not a procedure", f"call it in a query: `SELECT {name}(...)`"
        elif kinds == {"p"}:
            message, help = f"{name} is a procedure", f"run it by a step of its own: `CALL {name}(...)`"
        elif kinds == {"w"} and "over" not in call:
            message = f"window function {name} requires an OVER clause"
            help = "write `OVER (ORDER BY ...)` behind it"
        elif kinds == {"a"} and not (call.keys() & {"args", "agg_star", "agg_within_group"}):
            if any(not each.arguments for each in found):
                message = f"{name}(*) must be used to call a parameterless aggregate function"
                help = f"write `{name}(*)`"
        elif not kinds & {"a", "w"}:
            clauses = {
                "agg_star": "(*)",
                "agg_distinct": "DISTINCT",
                "agg_order": "ORDER BY",
                "agg_filter": "FILTER",
            }
            given = next((shown for key, shown in clauses.items() if call.get(key)), None)
            if given is not None:
                message, help = f"{given} specified, but {name} is not an aggregate function", "take it out"
            elif "over" in call:
                message = f"OVER specified, but {name} is not a window function nor an aggregate function"
                help = "take OVER out"
        if message:
            raise self._written.refusal(message, "42809", self._place(call), help=help)

    def distinct(self, call: Node) -> None:
        """An aggregate with DISTINCT can be ordered by its arguments alone."""
        if not call.get("agg_distinct") or call.get("agg_within_group"):
            return
        own = [unwrapped(each) for each in call.get("args", ())]
        for each in call.get("agg_order", ()):
            kind, fields = unwrapped(unwrapped(each)[1].get("node"))
            names = names_of(fields.get("fields"))
            if kind != "ColumnRef" or not names or any(one != "ColumnRef" for one, _ in own):
                return
            if names[-1] not in [name for _, one in own for name in names_of(one.get("fields"))[-1:]]:
                raise self._written.refusal(
                    "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list",
                    "42P10",
                    self._written.part(fields),
                    help="order by the argument itself, or aggregate the rows of a sub-query",
                )

    def has_aggregate(self, node: Any) -> bool:
        """Whether there is one at this level."""
        return "(" in self._written.sql and any(
            (kind == "FuncCall" and self.is_aggregate(fields))
            or (kind in JSON_AGGREGATES and "over" not in fields.get("constructor", {}))
            for kind, fields in inside(node)
        )

    def is_aggregate(self, call: Node) -> bool:
        """Whether every function of this name is one, and it is not called as a window function."""
        if "over" in call:
            return False
        return any(call.get(each) for each in _OF_AGGREGATES) or self._all(call, "a")

    def may_be_aggregate(self, call: Node) -> bool:
        """Also what nobody knows, such as a function of an extension."""
        if "over" in call:
            return False
        found = self._candidates(call)
        return not found or any(each.kind == "a" for each in found) or self.is_aggregate(call)

    @property
    def likely(self) -> bool:
        """Whether what is likely is taken for certain."""
        return self._catalog.likely

    def aggregates(self, name: str) -> bool:
        """Whether PostgreSQL has an aggregate of this name."""
        return any(each.kind == "a" for each in self._catalog.function(None, name))

    def is_opaque(self, fields: Node) -> bool:
        """What columns may stand in that are not grouped, or has columns that are not of this query."""
        call = fields.get("FuncCall")
        if "SubLink" in fields or "GroupingFunc" in fields or not JSON_AGGREGATES.isdisjoint(fields):
            return True
        if "A_Indirection" in fields and self._catalog.unsure.functions and not self._catalog.likely:
            # `(row).f` is `f(row)`, and may be an aggregate.
            return any("String" in each for each in fields["A_Indirection"].get("indirection", ()))
        return call is not None and (self.may_be_aggregate(call) or "agg_within_group" in call)

    def _what(self, call: Node, scope: Scope) -> str:
        if "over" in call:
            return WINDOWS
        if self.is_aggregate(call):
            return AGGREGATES if self._is_own(call, scope) else ""
        found = self._candidates(call)
        return SETS if found and all(each.set for each in found) else ""

    def _is_own(self, call: Node, scope: Scope) -> bool:
        """Whether the aggregate is of this query; with columns of outer ones alone it would be theirs."""
        if scope.alone():
            return True
        if _has_query([call.get("args"), call.get("agg_filter")]):
            return False
        columns = [
            fields
            for kind, fields in inside([call.get("args"), call.get("agg_filter")])
            if kind == "ColumnRef"
        ]
        if not columns:
            return True
        for each in columns:
            names = names_of(each.get("fields"))
            for entry in scope.names:
                if (
                    entry.columns(names[0])
                    if len(names) == 1
                    else any(item.name == names[-2] for item in entry.items)
                    if len(names) > 1
                    else False
                ):
                    return True
        return False

    def _all(self, call: Node, kind: str) -> bool:
        found = self._candidates(call)
        return bool(found) and all(each.kind == kind for each in found)

    def _candidates(self, call: Node) -> Sequence[Signature]:
        names = names_of(call.get("funcname"))
        if not names or len(names) > 2:
            return ()
        unsure = self._catalog.unsure
        if self._catalog.open and names[0] != "pg_catalog":
            return self._certain(call, names)
        if (
            len(names) == 1
            and (unsure.functions or unsure.everything)
            and names[0] in self._catalog.functions
        ):
            return ()
        return self._catalog.function(names[0] if len(names) == 2 else None, names[-1])

    def _certain(self, call: Node, names: Sequence[str]) -> Sequence[Signature]:
        """What is meant where anybody may have made functions: only one with these very types is certain."""
        if id(call) in self.sure:
            return (self.sure[id(call)],)
        if self._catalog.likely and len(names) == 1 and not call.get("agg_within_group"):
            count = len(call.get("args", ()))
            same = self._catalog.function(None, names[0]) if names[0] not in NEWER else ()
            return same if any(takes(each, count) for each in same) or call.get("agg_star") else ()
        if len(names) > 1 or call.get("args") or call.get("agg_within_group") or names[0] in NEWER:
            return ()
        return [each for each in self._catalog.function(None, names[0]) if not each.arguments]

    def _place(self, call: Node) -> tuple[int, int] | None:
        return self._written.part(call, len(names_of(call.get("funcname"))) - 1)


def inside(node: Any) -> Iterator[tuple[str, Node]]:
    """The expressions of one level of a query, those written first first."""
    todo: list[Any] = [node]
    while todo:
        here = todo.pop()
        if isinstance(here, list):
            todo += reversed(cast("list[Any]", here))
        elif isinstance(here, dict):
            fields = cast("dict[str, Any]", here)
            if "SubLink" in fields:
                todo.append(fields["SubLink"].get("testexpr"))
                continue
            if len(fields) == 1:
                kind, value = next(iter(fields.items()))
                if isinstance(value, dict):
                    yield kind, cast(Node, value)
            todo += reversed(list(fields.values()))


def _has_query(node: Any) -> bool:
    """Whether a sub-query stands inside of an expression."""
    return any("SubLink" in fields for fields in every(node))


def is_call(node: Node | None) -> bool:
    """Whether an expression is a call, nothing around it."""
    return unwrapped(node)[0] == "FuncCall"
