"""References to columns: which one is meant, and which are not there."""

from __future__ import annotations

from collections.abc import Sequence

from dfc.compiler.schema import types
from dfc.compiler.schema.catalog import NOT_KNOWN, Catalog, Column, Typed
from dfc.compiler.schema.scope import SYSTEM_COLUMNS, Item, Refusal, Scope, Written, did_you_mean, near
from dfc.compiler.sql.trees import Node, names_of


class Columns:
    """The columns of one statement."""

    def __init__(self, catalog: Catalog, written: Written) -> None:
        self._catalog = catalog
        self._written = written

    def of(self, node: Node, scope: Scope) -> Typed:
        """The type of `column`, `table.column`, `schema.table.column` or a whole row."""
        fields = node.get("fields", ())
        names = names_of(fields)
        if len(names) != len(fields):
            if names:
                self.star(node, scope)
            return NOT_KNOWN
        match names:
            case [name]:
                return self._plain(node, name, scope)
            case [table, name]:
                return self._qualified(node, None, table, name, scope)
            case [schema, table, name]:
                return self._qualified(node, schema, table, name, scope)
            case _:
                return NOT_KNOWN

    def _plain(self, node: Node, name: str, scope: Scope) -> Typed:
        for each in scope.around():
            found = [column for names in each.names for column in names.columns(name)]
            if len(found) == 1:
                return found[0].type if not any(names.output.open for names in each.names) else NOT_KNOWN
            if found:
                raise self._written.refusal(
                    f'column reference "{name}" is ambiguous',
                    "42702",
                    self._written.part(node),
                    help="write the name of its table in front of it",
                )
            if any(names.output.open for names in each.names):
                return NOT_KNOWN
        if name in SYSTEM_COLUMNS and any(each.names for each in scope.around()):
            return Typed(SYSTEM_COLUMNS[name])
        item = scope.item(name)
        if item is not None:
            return item.row
        raise self.unknown(node, 0, name, name, scope.column_names())

    def unknown(self, node: Node, part: int, name: str, shown: str, others: Sequence[str]) -> Refusal:
        """A column that is not there."""
        quoted = f'"{shown}"' if "." not in shown else shown
        return self._written.refusal(
            f"column {quoted} does not exist",
            "42703",
            self._written.part(node, part),
            help=did_you_mean(name, others, "columns"),
            name=shown,
        )

    def _qualified(self, node: Node, schema: str | None, table: str, name: str, scope: Scope) -> Typed:
        item = scope.item(table, schema)
        part = 1 if schema is None else 2
        if item is None:
            return self._no_table(node, schema, table, scope)
        found = [column for column in item.output.columns if column.name == name]
        if found:
            return found[0].type
        if item.output.open or (item.system and name in SYSTEM_COLUMNS) or self._is_function(name):
            return NOT_KNOWN
        others = [column.name for column in item.output.columns]
        raise self.unknown(node, part, name, f"{table}.{name}", others)

    def _is_function(self, name: str) -> bool:
        """`row.f` is `f(row)` where there is such a function."""
        known = bool(self._catalog.function(None, name))
        return known or (self._catalog.unsure.functions and not self._catalog.likely)

    def _no_table(self, node: Node, schema: str | None, table: str, scope: Scope) -> Typed:
        if schema is None and self._composite(table, scope):
            return NOT_KNOWN
        names = [item.name for each in scope.around() for entry in each.names for item in entry.items]
        meant = near(table, [name for name in names if name])
        raise self._written.refusal(
            f'missing FROM-clause entry for table "{table}"',
            "42P01",
            self._written.part(node, 0 if schema is None else 1),
            help=f"did you mean `{types.quoted(meant)}`?" if meant else "name the table in FROM",
            name=table,
        )

    def _composite(self, name: str, scope: Scope) -> bool:
        """`a.b` is no field of a column `a` without parentheses; but an unknown one may be anything."""
        return (
            False
            if not scope.unsure()
            else any(names.columns(name) for each in scope.around() for names in each.names)
        )

    def star(self, node: Node, scope: Scope) -> tuple[list[Column], bool]:
        """The columns of `*` or `table.*`, and whether there are others."""
        fields = names_of(node.get("fields"))
        if not fields:
            columns = [column for names in scope.names for column in names.output.columns]
            return columns, any(names.output.open for names in scope.names)
        schema, table = (fields[-2] if len(fields) > 1 else None), fields[-1]
        item: Item | None = scope.item(table, schema)
        if item is None:
            self._no_table(node, schema, table, scope)
            return [], True
        return item.output.columns, item.output.open
