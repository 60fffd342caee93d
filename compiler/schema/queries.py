"""SELECT, VALUES, set operations, WITH: the columns that they give, and what PostgreSQL would refuse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from dfc.compiler.schema import types
from dfc.compiler.schema.catalog import NOT_KNOWN, Catalog, Column, Typed
from dfc.compiler.schema.expressions import Expressions
from dfc.compiler.schema.grouping import Grouping
from dfc.compiler.schema.misplaced import AGGREGATES, WINDOWS, inside
from dfc.compiler.schema.overloads import ASSIGNMENT, Outcome
from dfc.compiler.schema.scope import Output, Scope, Written, did_you_mean, is_row_star
from dfc.compiler.schema.sources import Sources, renamed
from dfc.compiler.sql.trees import Node, first_place, names_of, unwrapped

UNNAMED: Final = "?column?"
CHANGES: Final = frozenset({"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})
Handler = Callable[[Node, Scope], Output]


class Queries:
    """The queries of one statement."""

    def __init__(
        self,
        catalog: Catalog,
        written: Written,
        parameters: Sequence[Typed],
        rows: Mapping[str, Output],
        path: tuple[str, ...],
    ) -> None:
        self.catalog = catalog
        self.written = written
        self.expressions = Expressions(catalog, written, parameters, self)
        self.sources = Sources(catalog, written, self.expressions, self, rows, path)
        self.grouping = Grouping(catalog, written, self.expressions.misplaced)
        self.kinds: dict[str, Handler] = {"SelectStmt": self.select}
        self._parts: dict[int, Output] = {}

    def query(self, node: Node, scope: Scope | None) -> Output:
        """Any statement that can stand inside of another, or alone: its columns."""
        kind, fields = unwrapped(node)
        handler = self.kinds.get(kind)
        return Output([], open=True) if handler is None else handler(fields, Scope(scope))

    def common_tables(self, node: Node, scope: Scope) -> None:
        """A WITH clause, into the scope of its statement."""
        clause: Node = node.get("withClause", {})
        queries = [unwrapped(each)[1] for each in clause.get("ctes", ())]
        self._named_once(queries)
        if clause.get("recursive"):
            # Later ones can be named too, and their columns are not known yet.
            scope.tables.update({each.get("ctename", ""): Output([], open=True) for each in queries})
        for each in queries:
            name, aliases = each.get("ctename", ""), names_of(each.get("aliascolnames"))
            kind, fields = unwrapped(each.get("ctequery"))
            if clause.get("recursive") and kind == "SelectStmt" and fields.get("op") == "SETOP_UNION":
                scope.tables[name] = self._first_term(fields, aliases, scope)
            output = _settled(self.query(each.get("ctequery", {}), scope))
            if not output.open and len(aliases) > len(output.columns):
                message = f'WITH query "{name}" has {len(output.columns)} columns available but'
                message += f" {len(aliases)} columns specified"
                place, help = self.written.part(each), f"name {len(output.columns)} columns"
                raise self.written.refusal(message, "42P10", place, help=help)
            output = renamed(output, aliases)
            mute = kind in CHANGES and "returningClause" not in fields
            scope.tables[name] = Output([*output.columns, *_search_and_cycle(each)], output.open, mute)

    def _named_once(self, queries: Sequence[Node]) -> None:
        """No two queries of a WITH have the same name."""
        seen: set[str] = set()
        for each in queries:
            name = each.get("ctename", "")
            if name in seen:
                message = f'WITH query name "{name}" specified more than once'
                place, help = self.written.part(each), "give it another name"
                raise self.written.refusal(message, "42712", place, help=help)
            seen.add(name)

    def _first_term(self, fields: Node, aliases: Sequence[str], scope: Scope) -> Output:
        """What a recursive query knows of itself: the columns of its first part."""
        if "withClause" in fields:
            return Output([], open=True)
        return renamed(_settled(self._once(fields.get("larg", {}), scope)), aliases)

    def _once(self, node: Node, scope: Scope) -> Output:
        """A part of a set operation. The first of a recursive query is asked for twice."""
        found = self._parts.get(id(node))
        if found is None:
            found = self._parts[id(node)] = self.select(node, Scope(scope))
        return found

    def select(self, node: Node, scope: Scope) -> Output:
        """A SELECT, with everything around it."""
        self.common_tables(node, scope)
        if node.get("op", "SETOP_NONE") != "SETOP_NONE":
            output = self._set_operation(node, scope)
            self._sort_set(node, output, scope)
        elif "valuesLists" in node:
            output = self.values(node, scope)
        else:
            output = self._plain(node, scope)
        for part, where in (("limitCount", "LIMIT"), ("limitOffset", "OFFSET")):
            self._limit(node.get(part), where, scope)
        self._locking(node)
        return output

    def _limit(self, node: Node | None, where: str, scope: Scope) -> None:
        """A number that no row changes."""
        if node is None:
            return
        found = self.expressions.of(node, scope)
        self.expressions.literal(node, found, "int8")
        if self.expressions.overloads.refuses(found.name, "int8", ASSIGNMENT):
            raise self.written.refusal(
                f"argument of {where} must be type bigint, not type {types.shown(found, self.catalog)}",
                "42804",
                self.expressions.span(node),
                help="write a number, or cast to bigint",
            )
        self.expressions.misplaced.refuse(node, where, frozenset({AGGREGATES, WINDOWS}), scope)
        for kind, fields in inside(node):
            names = names_of(fields.get("fields")) if kind == "ColumnRef" else []
            known = any(each.columns(names[0]) for each in scope.names) if len(names) == 1 else False
            if known or (names and scope.alone() and scope.open()):
                raise self.written.refusal(
                    f"argument of {where} must not contain variables",
                    "42P10",
                    self.written.part(fields),
                    help="write a number, or a sub-query that gives one",
                )

    def _locking(self, node: Node) -> None:
        """FOR UPDATE and its like lock the rows of tables, which must be seen as they are."""
        clauses: Sequence[Node] = node.get("lockingClause", ())
        if not clauses:
            return
        strength = unwrapped(clauses[0])[1].get("strength", "")
        shown = {
            "LCS_FORUPDATE": "FOR UPDATE",
            "LCS_FORNOKEYUPDATE": "FOR NO KEY UPDATE",
            "LCS_FORSHARE": "FOR SHARE",
        }.get(strength, "FOR KEY SHARE")
        results = [unwrapped(each)[1].get("val") for each in node.get("targetList", ())]
        around = {
            "UNION/INTERSECT/EXCEPT": node.get("op", "SETOP_NONE") != "SETOP_NONE",
            "DISTINCT clause": "distinctClause" in node,
            "GROUP BY clause": "groupClause" in node,
            "HAVING clause": "havingClause" in node,
            "aggregate functions": self.expressions.misplaced.has_aggregate(results),
        }
        what = next((name for name, there in around.items() if there), None)
        if what is not None:
            raise self.written.refusal(
                f"{shown} is not allowed with {what}",
                "0A000",
                self.written.word("for", "update", "no", "share", "key"),
                help="lock the rows in a sub-query of their own",
            )

    def _plain(self, node: Node, scope: Scope) -> Output:
        self.sources.add(node.get("fromClause", ()), scope)
        output = self.targets(node.get("targetList", ()), scope)
        self.expressions.boolean(node.get("whereClause"), scope, "WHERE")
        self.expressions.boolean(node.get("havingClause"), scope, "HAVING")
        for each in node.get("sortClause", ()):
            self._place_of_result(unwrapped(each)[1].get("node", {}), "ORDER BY", output)
            self._sort(unwrapped(each)[1].get("node", {}), output, scope)
        for each in node.get("groupClause", ()):
            self._group(each, output, scope)
        for each in node.get("distinctClause", ()):
            if each:
                self._sort(each, output, scope)
        for each in node.get("windowClause", ()):
            window = unwrapped(each)[1]
            for part in window.get("partitionClause", ()):
                self._sort(part, output, scope)
            for part in window.get("orderClause", ()):
                self._sort(unwrapped(part)[1].get("node", {}), output, scope)
        self._windows(node)
        self.grouping.check(node, scope, output)
        return output

    def targets(self, nodes: Sequence[Node], scope: Scope) -> Output:
        """A list of results."""
        found = Output([])
        for each in nodes:
            target = unwrapped(each)[1]
            value: Node = target.get("val", {})
            kind, fields = unwrapped(value)
            if kind == "ColumnRef" and "A_Star" in fields.get("fields", ({},))[-1]:
                if not scope.names and not names_of(fields.get("fields")):
                    raise self.written.refusal(
                        "SELECT * with no tables specified is not valid",
                        "42601",
                        self.written.part(fields),
                        help="write FROM and a table behind it, or what is selected",
                    )
                columns, is_open = self.expressions.columns.star(fields, scope)
                found.columns += columns
                found.open = found.open or is_open
                continue
            found_type = self.expressions.of(value, scope)
            if kind == "A_Indirection" and "A_Star" in (fields.get("indirection") or ({},))[-1]:
                found.open = True
                continue
            found.columns.append(Column(target.get("name") or name_of(value), found_type))
        return found

    def _windows(self, node: Node) -> None:
        """What OVER names is there in WINDOW."""
        if "over" not in self.written.lower:
            return
        known = [unwrapped(each)[1].get("name") for each in node.get("windowClause", ())]
        parts = [node.get("targetList"), node.get("sortClause"), node.get("windowClause")]
        for kind, fields in inside(parts):
            over: Node = fields.get("over", {}) if kind == "FuncCall" else {}
            name = over.get("name", over.get("refname"))
            if name is not None and name not in known:
                raise self.written.refusal(
                    f'window "{name}" does not exist',
                    "42704",
                    self.written.behind(over, name),
                    help=did_you_mean(name, [each for each in known if each], "windows")
                    or "name it in WINDOW, or write `OVER (...)`",
                )

    def _place_of_result(self, node: Node, where: str, output: Output) -> None:
        """A constant in GROUP BY or ORDER BY is the number of a result."""
        kind, fields = unwrapped(node)
        if kind != "A_Const" or "isnull" in fields:
            return
        if "ival" not in fields:
            if "sval" in fields or "fval" in fields:
                message = f"non-integer constant in {where}"
                raise self.written.refusal(
                    message, "42601", self.written.part(fields), help="write the name of a column"
                )
            return
        place: int = fields["ival"].get("ival", 0)
        if not output.open and not 0 < place <= len(output.columns):
            raise self.written.refusal(
                f"{where} position {place} is not in select list",
                "42P10",
                self.written.part(fields),
                help=f"write a number from 1 to {len(output.columns)}, or the name of a column",
            )

    def _sort(self, node: Node, output: Output, scope: Scope) -> None:
        """ORDER BY: a result's name first, otherwise an expression."""
        name = _lone_name(node)
        if name is not None and (output.open or any(column.name == name for column in output.columns)):
            return
        self.expressions.of(node, scope)

    def _group(self, node: Node, output: Output, scope: Scope) -> None:
        """GROUP BY: a column first, then a result's name, otherwise an expression."""
        todo = [node]
        while todo:
            here = todo.pop()
            kind, fields = unwrapped(here)
            self.expressions.misplaced.refuse(here, "GROUP BY", frozenset({AGGREGATES, WINDOWS}), scope)
            self._place_of_result(here, "GROUP BY", output)
            if kind == "GroupingSet":
                todo += fields.get("content", ())
            elif kind == "RowExpr":
                todo += fields.get("args", ())
            elif kind == "List":
                todo += fields.get("items", ())
            else:
                self._sort(here, output, scope)

    def values(self, node: Node, scope: Scope) -> Output:
        """VALUES: columns named `column1`, ..., of the types that the rows have in common."""
        rows: list[Sequence[Node]] = [each["List"].get("items", ()) for each in node["valuesLists"]]
        given = [[self.expressions.of(each, scope) for each in row] for row in rows]
        self.expressions.misplaced.refuse(rows, "VALUES", frozenset({AGGREGATES, WINDOWS}), scope)
        if any(is_row_star(each) for row in rows for each in row):
            return Output([], open=True)
        self.alike(rows)
        width = len(rows[0])
        columns: list[Column] = []
        for place in range(width):
            found = self.expressions.common(
                [row[place] for row in rows], [row[place] for row in given], "VALUES"
            )
            columns.append(Column(f"column{place + 1}", found))
        return Output(columns)

    def alike(self, rows: Sequence[Sequence[Node]]) -> None:
        """Rows of VALUES have as many values each."""
        for row in rows:
            if len(row) != len(rows[0]) and not any(
                is_row_star(each) for one in (row, rows[0]) for each in one
            ):
                raise self.written.refusal(
                    "VALUES lists must all be the same length", "42601", self.expressions.span({"": row[0]})
                )

    def _set_operation(self, node: Node, scope: Scope) -> Output:
        sides: list[tuple[Node, Output]] = []
        here = node
        # A chain of them leans to the left.
        while True:
            right = here.get("rarg", {})
            sides.append((right, self._once(right, scope)))
            left = here.get("larg", {})
            if left.get("op", "SETOP_NONE") == "SETOP_NONE" or "withClause" in left or "sortClause" in left:
                sides.append((left, self._once(left, scope)))
                break
            here = left
        sides.reverse()
        first = sides[0][1]
        what = node.get("op", "").removeprefix("SETOP_")
        if any(output.open for _, output in sides):
            return Output([], open=True)
        for side, output in sides[1:]:
            if len(output.columns) != len(first.columns):
                raise self.written.refusal(
                    f"each {what} query must have the same number of columns", "42601", self._targets_at(side)
                )
        columns: list[Column] = []
        for place, column in enumerate(first.columns):
            given = [(output.columns[place].type, _value(side, place, output)) for side, output in sides]
            columns.append(replace(column, type=self._joined(given, what)))
        return Output(columns)

    def _targets_at(self, node: Node) -> tuple[int, int] | None:
        places = [place for each in node.get("targetList", ()) if (place := first_place(each)) is not None]
        return self.written.part({"location": places[0]}) if places else None

    def _joined(self, given: Sequence[tuple[Typed, Node | None]], what: str) -> Typed:
        """The type of a column, two by two, as PostgreSQL does."""
        here = given[0][0]
        for there, node in given[1:]:
            found = self.expressions.overloads.common([here.name, there.name])
            if found is Outcome.NONE:
                a, b = types.shown(here, self.catalog), types.shown(there, self.catalog)
                raise self.written.refusal(
                    f"{what} types {a} and {b} cannot be matched", "42804", self.expressions.span(node)
                )
            if isinstance(found, Outcome) or found is None:
                return NOT_KNOWN
            self.expressions.literal(node, there, found)
            here = here if here == there and here.name == found else Typed(found)
        return here

    def _sort_set(self, node: Node, output: Output, scope: Scope) -> None:
        """ORDER BY of a set operation knows the names of its results alone."""
        for each in node.get("sortClause", ()):
            here = unwrapped(each)[1].get("node", {})
            self._place_of_result(here, "ORDER BY", output)
            name = _lone_name(here)
            if name is None and unwrapped(here)[0] != "A_Const":
                raise self.written.refusal(
                    "invalid UNION/INTERSECT/EXCEPT ORDER BY clause",
                    "0A000",
                    self.expressions.span(here),
                    help="order by the name of a result, or write the UNION as a sub-query in FROM",
                )
            if name is None or output.open:
                continue
            if not any(column.name == name for column in output.columns):
                names = [column.name for column in output.columns]
                raise self.expressions.columns.unknown(here["ColumnRef"], 0, name, name, names)


def _value(node: Node, place: int, output: Output) -> Node | None:
    """The expression of a result, where each has one of its own."""
    targets: Sequence[Node] = node.get("targetList", ())
    if len(targets) != len(output.columns):
        return None
    return unwrapped(targets[place])[1].get("val")


def _lone_name(node: Node) -> str | None:
    kind, fields = unwrapped(node)
    names = names_of(fields.get("fields")) if kind == "ColumnRef" else []
    return names[0] if len(names) == 1 and len(fields.get("fields", ())) == 1 else None


def _settled(output: Output) -> Output:
    """Literals of a query that is named or stored are text."""
    columns = [
        replace(column, type=Typed("text")) if column.type.name == "unknown" else column
        for column in output.columns
    ]
    return Output(columns, output.open)


def _search_and_cycle(node: Node) -> list[Column]:
    columns: list[Column] = []
    if search := node.get("search_clause"):
        columns.append(Column(search.get("search_seq_column", ""), NOT_KNOWN))
    if cycle := node.get("cycle_clause"):
        columns.append(Column(cycle.get("cycle_mark_column", ""), NOT_KNOWN))
        columns.append(Column(cycle.get("cycle_path_column", ""), NOT_KNOWN))
    return columns


_NAMED_BY_KIND: Final = {
    "CaseExpr": "case",
    "CoalesceExpr": "coalesce",
    "A_ArrayExpr": "array",
    "RowExpr": "row",
    "GroupingFunc": "grouping",
    "MergeSupportFunc": "merge_action",
    "JsonParseExpr": "json",
    "JsonScalarExpr": "json_scalar",
    "JsonSerializeExpr": "json_serialize",
    "JsonObjectConstructor": "json_object",
    "JsonArrayConstructor": "json_array",
    "JsonArrayQueryConstructor": "json_array",
}


def name_of(node: Node) -> str:
    """The name that PostgreSQL gives to a result without one (FigureColname)."""
    return _figured(node)[0] or UNNAMED


def _figured(node: Node | None) -> tuple[str, int]:
    """The name, and how strongly it is one: a cast has its type's name only where nothing better is there."""
    kind, fields = unwrapped(node)
    match kind:
        case "ColumnRef":
            names = names_of(fields.get("fields"))
            return (names[-1], 2) if names else ("", 0)
        case "A_Indirection":
            names = names_of(fields.get("indirection"))
            return (names[-1], 2) if names else _figured(fields.get("arg"))
        case "FuncCall":
            return names_of(fields.get("funcname"))[-1], 2
        case "A_Expr":
            return ("nullif", 2) if fields.get("kind") == "AEXPR_NULLIF" else ("", 0)
        case "TypeCast":
            inner = _figured(fields.get("arg"))
            return inner if inner[1] > 1 else (names_of(fields["typeName"].get("names"))[-1], 1)
        case "CollateClause":
            return _figured(fields.get("arg"))
        case "CaseExpr":
            inner = _figured(fields.get("defresult"))
            return inner if inner[1] > 1 else ("case", 1)
        case "MinMaxExpr":
            return ("least" if fields.get("op") == "IS_LEAST" else "greatest"), 2
        case "SQLValueFunction":
            op = fields.get("op", "").removeprefix("SVFOP_").lower().removesuffix("_n")
            return op, 2
        case "XmlExpr":
            return fields.get("op", "").removeprefix("IS_").lower(), 2
        case "XmlSerialize":
            return "xmlserialize", 2
        case "JsonFuncExpr":
            return {"JSON_EXISTS_OP": "json_exists", "JSON_VALUE_OP": "json_value"}.get(
                fields.get("op", "JSON_EXISTS_OP"), "json_query"
            ), 2
        case "JsonObjectAgg" | "JsonArrayAgg":
            return ("json_objectagg" if kind == "JsonObjectAgg" else "json_arrayagg"), 2
        case "SubLink":
            return _of_sublink(fields)
        case _:
            name = _NAMED_BY_KIND.get(kind, "")
            return name, 2 if name else 0


def _of_sublink(fields: Node) -> tuple[str, int]:
    match fields.get("subLinkType"):
        case "EXISTS_SUBLINK":
            return "exists", 2
        case "ARRAY_SUBLINK":
            return "array", 2
        case "EXPR_SUBLINK":
            kind, select = unwrapped(fields.get("subselect"))
            while kind == "SelectStmt" and select.get("op", "SETOP_NONE") != "SETOP_NONE":
                select = select.get("larg", {})
            targets = select.get("targetList", ())
            if not targets:
                return ("column1", 2) if "valuesLists" in select else ("", 0)
            target = unwrapped(targets[0])[1]
            named = target.get("name")
            return named or name_of(target.get("val", {})), 2
        case _:
            return "", 0
