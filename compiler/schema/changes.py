"""INSERT, UPDATE, DELETE, MERGE: targets that are not there, values that do not fit, RETURNING."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dfc.compiler.schema import types
from dfc.compiler.schema.catalog import Column, Typed
from dfc.compiler.schema.misplaced import AGGREGATES, NONE, WINDOWS
from dfc.compiler.schema.overloads import ASSIGNMENT
from dfc.compiler.schema.queries import Queries
from dfc.compiler.schema.scope import Item, Names, Output, Scope, did_you_mean, is_row_star
from dfc.compiler.sql.trees import Node, unwrapped

_IMAGES: Final = ("old", "new")


class Changes:
    """The changing statements; they are given to `queries`, as they may stand in a WITH."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._expressions = queries.expressions
        self._sources = queries.sources
        self._written = queries.written
        self._catalog = queries.catalog
        queries.kinds["InsertStmt"] = self.insert
        queries.kinds["UpdateStmt"] = self.update
        queries.kinds["DeleteStmt"] = self.delete
        queries.kinds["MergeStmt"] = self.merge

    def insert(self, node: Node, scope: Scope) -> Output:
        """INSERT ... ON CONFLICT ... RETURNING."""
        self._queries.common_tables(node, scope)
        target = self._target(node, scope)
        output = target.output
        columns = self._columns(node.get("cols", ()), output, target.items[0].name)
        if columns is None and not output.open:
            columns = list(output.columns)
        if "selectStmt" in node:
            self._rows(node, unwrapped(node["selectStmt"])[1], columns, scope)
        inner = Scope(scope, [target])
        conflict: Node | None = node.get("onConflictClause")
        if conflict:
            self._conflict(conflict, target, scope)
        return self._returning(node, target, inner)

    def _target(self, node: Node, scope: Scope) -> Names:
        """The table that is changed: never a query of WITH."""
        return self._sources.table(node.get("relation", {}), Scope())

    def _columns(self, nodes: Sequence[Node], output: Output, table: str) -> list[Column] | None:
        """The columns that are named as targets; None: no list."""
        if not nodes:
            return None
        found: list[Column] = []
        seen: set[str] = set()
        for each in nodes:
            target = unwrapped(each)[1]
            column = self._column(target, output, table)
            plain = not target.get("indirection")
            if plain and column.name in seen:
                raise self._written.refusal(
                    f'column "{column.name}" specified more than once', "42701", self._written.part(target)
                )
            seen.add(column.name)
            found.append(column if plain else Column(column.name))
        return found

    def _column(self, target: Node, output: Output, table: str) -> Column:
        name = target.get("name", "")
        for column in output.columns:
            if column.name == name:
                return column
        if output.open:
            return Column(name)
        others = [column.name for column in output.columns]
        raise self._written.refusal(
            f'column "{name}" of relation "{table}" does not exist',
            "42703",
            self._written.part(target),
            help=did_you_mean(name, others, "columns"),
            name=name,
        )

    def _rows(self, node: Node, select: Node, columns: list[Column] | None, scope: Scope) -> None:
        """The rows that are inserted: as many values as columns, of their types."""
        if "valuesLists" in select and not (set(select) & {"withClause", "sortClause", "limitCount"}):
            self._queries.alike([unwrapped(each)[1].get("items", ()) for each in select["valuesLists"]])
            for each in select["valuesLists"]:
                self._row(node, unwrapped(each)[1].get("items", ()), columns, scope)
            return
        output = self._queries.query(node["selectStmt"], scope)
        if columns is None or output.open:
            return
        targets: Sequence[Node] = select.get("targetList", ())
        lone = len(targets) == len(output.columns)
        self._count(node, len(output.columns), columns, targets if lone else ())
        for place, (column, given) in enumerate(zip(columns, output.columns, strict=False)):
            # One item with many columns is a star, and stands for each of them.
            target = targets[place] if lone else targets[0] if len(targets) == 1 else None
            value = None if target is None else unwrapped(target)[1].get("val")
            self._writable(node, column, value)
            self._assign(column, value, given.type)

    def _row(self, node: Node, items: Sequence[Node], columns: list[Column] | None, scope: Scope) -> None:
        if columns is not None:
            self._count(node, len(items), columns, items)
        for place, each in enumerate(items):
            if unwrapped(each)[0] == "SetToDefault":
                continue
            given = self._expressions.of(each, Scope(scope))
            self._expressions.misplaced.refuse(each, "VALUES", frozenset({AGGREGATES, WINDOWS}), scope)
            if columns is not None and place < len(columns):
                self._writable(node, columns[place], each)
                self._assign(columns[place], each, given)

    def _writable(self, node: Node, column: Column, value: Node | None) -> None:
        """Generated columns, and identities that are always generated, take nothing but DEFAULT."""
        overridden = node.get("override", "OVERRIDING_NOT_SET") != "OVERRIDING_NOT_SET"
        if column.written == "s" or (column.written == "a" and not overridden):
            raise self._written.refusal(
                f'cannot insert a non-DEFAULT value into column "{column.name}"',
                "428C9",
                self._expressions.span(value),
                help="leave the column out",
            )

    def _count(self, node: Node, count: int, columns: list[Column], items: Sequence[Node]) -> None:
        named: Sequence[Node] = node.get("cols", ())
        if any(map(is_row_star, items)):
            return
        if count > len(columns):
            extra = items[len(columns)] if len(items) > len(columns) else None
            kind, fields = unwrapped(extra)
            place = fields.get("val") if kind == "ResTarget" else extra
            raise self._written.refusal(
                "INSERT has more expressions than target columns", "42601", self._expressions.span(place)
            )
        if named and count < len(named):
            raise self._written.refusal(
                "INSERT has more target columns than expressions",
                "42601",
                self._written.part(unwrapped(named[count])[1]),
            )

    def _assign(self, column: Column, value: Node | None, given: Typed) -> None:
        """A value that becomes one of the column's type."""
        wanted = column.type.name
        if wanted is None or given.name is None:
            return
        self._expressions.literal(value, given, wanted)
        if self._expressions.overloads.refuses(given.name, wanted, ASSIGNMENT):
            a, b = types.shown(column.type, self._catalog), types.shown(given, self._catalog)
            raise self._written.refusal(
                f'column "{column.name}" is of type {a} but expression is of type {b}',
                "42804",
                self._expressions.span(value),
                help="cast the expression, or give another one",
            )

    def _conflict(self, conflict: Node, target: Names, scope: Scope) -> None:
        infer: Node = conflict.get("infer", {})
        alone = Scope(scope, [target])
        for each in infer.get("indexElems", ()):
            element = unwrapped(each)[1]
            name = element.get("name")
            if name and not target.output.open and not target.columns(name):
                place = self._written.behind({"location": infer.get("location", 0)}, name)
                raise self._written.refusal(
                    f'column "{name}" does not exist', "42703", place,
                    help=did_you_mean(name, [c.name for c in target.output.columns], "columns"), name=name,
                )  # fmt: skip
            self._expressions.of(element.get("expr"), alone)
        self._expressions.boolean(infer.get("whereClause"), alone, "WHERE")
        excluded = Names([Item("excluded", target.output, system=True)], target.output)
        both = Scope(scope, [target, excluded])
        if conflict.get("action") == "ONCONFLICT_UPDATE" and not infer:
            raise self._written.refusal(
                "ON CONFLICT DO UPDATE requires inference specification or constraint name",
                "42601",
                self._written.part(conflict),
                help="name the columns of the key: `ON CONFLICT (...) DO UPDATE`",
            )
        self._arbiter(infer, target)
        self._set(conflict.get("targetList", ()), target, both)
        self._expressions.boolean(conflict.get("whereClause"), both, "WHERE")

    def _arbiter(self, infer: Node, target: Names) -> None:
        """The columns behind ON CONFLICT are those of a key."""
        elements = [unwrapped(each)[1] for each in infer.get("indexElems", ())]
        row = target.items[0].row.name
        table = None if row is None else self._catalog.of_rows(row)
        if not elements or table is None or table.other_keys or table.kind != "table":
            return
        if self._catalog.unsure.everything or any("name" not in each for each in elements):
            return
        columns = frozenset(str(each["name"]) for each in elements)
        if columns in table.unique:
            return
        keys = ", ".join(f"`({', '.join(sorted(key))})`" for key in table.unique)
        raise self._written.refusal(
            "there is no unique or exclusion constraint matching the ON CONFLICT specification",
            "42P10",
            self._written.behind({"location": infer.get("location", 0)}, elements[0]["name"]),
            help=f"the keys of `{table.name}` are {keys}"
            if keys
            else f"give `{table.name}` a unique constraint",
        )

    def _set(self, nodes: Sequence[Node], target: Names, scope: Scope) -> None:
        """The assignments of an UPDATE."""
        seen: set[str] = set()
        for each in nodes:
            fields = unwrapped(each)[1]
            value: Node = fields.get("val", {})
            kind, inner = unwrapped(value)
            given = Typed(None)
            if kind == "MultiAssignRef":
                if inner.get("colno", 1) == 1:
                    self._multiple(inner.get("source", {}), scope, inner.get("ncolumns", 0))
                value = {}
            elif kind != "SetToDefault":
                given = self._expressions.of(value, scope)
                self._expressions.misplaced.refuse(value, "UPDATE", NONE, scope)
            column = self._column(fields, target.output, target.items[0].name)
            if not fields.get("indirection"):
                if column.name in seen:
                    raise self._written.refusal(
                        f'multiple assignments to same column "{column.name}"', "42601",
                        self._written.part(fields),
                    )  # fmt: skip
                seen.add(column.name)
                if column.written and kind != "SetToDefault":
                    raise self._written.refusal(
                        f'column "{column.name}" can only be updated to DEFAULT', "428C9",
                        self._written.part(fields), help="leave the column out",
                    )  # fmt: skip
                self._assign(column, value, given)

    def _multiple(self, source: Node, scope: Scope, wanted: int) -> None:
        """`(a, b) = ROW(...)` or a query."""
        kind, fields = unwrapped(source)
        if kind == "SubLink":
            output = self._queries.query(fields.get("subselect", {}), scope)
            count = wanted if output.open else len(output.columns)
        else:
            args = fields.get("args", ())
            count = len(args) if kind == "RowExpr" and not any(map(is_row_star, args)) else wanted
        if count != wanted:
            raise self._written.refusal(
                "number of columns does not match number of values",
                "42601",
                self._written.part(fields),
                help=f"give {wanted} values",
            )
        if kind == "SubLink":
            pass
        elif kind == "RowExpr":
            for each in fields.get("args", ()):
                if unwrapped(each)[0] != "SetToDefault":
                    self._expressions.of(each, scope)

    def update(self, node: Node, scope: Scope) -> Output:
        """UPDATE ... FROM ... RETURNING."""
        self._queries.common_tables(node, scope)
        target = self._target(node, scope)
        scope.names.append(target)
        self._sources.add(node.get("fromClause", ()), scope)
        self._expressions.boolean(node.get("whereClause"), scope, "WHERE")
        self._set(node.get("targetList", ()), target, scope)
        return self._returning(node, target, scope)

    def delete(self, node: Node, scope: Scope) -> Output:
        """DELETE ... USING ... RETURNING."""
        self._queries.common_tables(node, scope)
        target = self._target(node, scope)
        scope.names.append(target)
        self._sources.add(node.get("usingClause", ()), scope)
        self._expressions.boolean(node.get("whereClause"), scope, "WHERE")
        return self._returning(node, target, scope)

    def merge(self, node: Node, scope: Scope) -> Output:
        """MERGE: what a clause sees depends on which row there is."""
        self._queries.common_tables(node, scope)
        target = self._target(node, scope)
        source = Scope(scope)
        self._sources.add([node.get("sourceRelation", {})], source)
        self._sources.once(node.get("sourceRelation", {}), target.items, source.names[0].items)
        both = Scope(scope, [target, *source.names])
        self._expressions.of(node.get("joinCondition"), both)
        for each in node.get("mergeWhenClauses", ()):
            clause = unwrapped(each)[1]
            here = {
                "MERGE_WHEN_NOT_MATCHED_BY_TARGET": source,
                "MERGE_WHEN_NOT_MATCHED_BY_SOURCE": Scope(scope, [target]),
            }.get(clause.get("matchKind", ""), both)
            self._expressions.boolean(clause.get("condition"), here, "WHEN")
            if clause.get("commandType") == "CMD_INSERT":
                self._merge_insert(clause, target, here)
            elif clause.get("commandType") == "CMD_UPDATE":
                self._set(clause.get("targetList", ()), target, here)
        # RETURNING * gives the columns of the source first.
        returning = Scope(scope, [*source.names, target])
        return self._returning(node, target, returning)

    def _merge_insert(self, clause: Node, target: Names, scope: Scope) -> None:
        named = clause.get("targetList", ())
        columns = self._columns(named, target.output, target.items[0].name)
        if columns is None and not target.output.open:
            columns = list(target.output.columns)
        values: Sequence[Node] = clause.get("values", ())
        if not values:
            return
        if columns is not None:
            self._count({"cols": named}, len(values), columns, values)
        for place, each in enumerate(values):
            if unwrapped(each)[0] == "SetToDefault":
                continue
            given = self._expressions.of(each, scope)
            if columns is not None and place < len(columns):
                self._assign(columns[place], each, given)

    def _returning(self, node: Node, target: Names, scope: Scope) -> Output:
        """RETURNING, which sees the row before and after under names of their own."""
        clause: Node | None = node.get("returningClause")
        if not clause:
            return Output([])
        images = dict(zip(_IMAGES, _IMAGES, strict=True))
        for each in clause.get("options", ()):
            option = unwrapped(each)[1]
            images[option.get("option", "").removeprefix("RETURNING_OPTION_").lower()] = option.get(
                "value", ""
            )
        row = target.items[0].row
        extra = [Item(name, target.output, row=row) for name in images.values()]
        names = [Names([*each.items], each.output) for each in scope.names]
        inner = Scope(scope.parent, [*names, Names(extra, Output([]))], scope.tables)
        self._expressions.misplaced.refuse(clause.get("exprs"), "RETURNING", NONE, inner)
        return self._queries.targets(clause.get("exprs", ()), inner)
