"""CREATE TABLE, ALTER TABLE and what else changes a relation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from dfc.compiler.schema import types
from dfc.compiler.schema.catalog import NOT_KNOWN, Catalog, Column, Relation, Typed, UserType
from dfc.compiler.sql.trees import Node, names_of, unwrapped

_CHILDREN_MAX: Final = 100_000
_NAME_BYTES_MAX: Final = 63
SEQUENCE: Final = (
    Column("last_value", Typed("int8")),
    Column("log_cnt", Typed("int8")),
    Column("is_called", Typed("bool")),
)
"""The columns of a sequence."""


class Tables:
    """The relations of a catalog, as DDL changes them."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def current(self) -> str:
        """The schema that things without one are created in."""
        return next(iter(self._catalog.search_path), "public")

    def place(self, relation: Node) -> tuple[str, str]:
        """Schema and name of something that is created."""
        schema = relation.get("schemaname") or self.current()
        if relation.get("relpersistence") == "t":
            schema = self.current()
        return schema, relation.get("relname", "")

    def _found(self, relation: Node) -> Relation | None:
        found = self._catalog.relation(relation.get("schemaname"), relation.get("relname", ""))
        return found if isinstance(found, Relation) else None

    def create(self, node: Node) -> str | None:
        """CREATE TABLE, also as a partition, of a type, with parents and LIKE."""
        schema, name = self.place(node.get("relation", {}))
        if node.get("if_not_exists") and (schema, name) in self._catalog.relations:
            return None
        table = Relation(schema, name, [])
        columns: list[Column] | None = []
        if "ofTypename" in node:
            columns = self._of_type(node["ofTypename"])
        for each in node.get("inhRelations", ()):
            parent = self._found(unwrapped(each)[1])
            columns = self._joined(columns, None if parent is None else parent.columns)
            if parent is not None:
                parent.children.append(table)
            if parent is not None and "partbound" in node:
                table.primary, table.unique = parent.primary, list(parent.unique)
                table.other_keys = parent.other_keys
        for each in node.get("tableElts", ()):
            kind, fields = unwrapped(each)
            if kind == "ColumnDef":
                own = [self._column(fields)]
                self._sequence(table, fields)
                for one in fields.get("constraints", ()):
                    self._key(table, unwrapped(one)[1], fields.get("colname", ""))
            elif kind == "TableLikeClause":
                like = self._found(fields.get("relation", {}))
                own = None if like is None else [replace(column, written="") for column in like.columns or []]
                own = None if like is None or like.columns is None else own
                # Its indexes may come along.
                table.other_keys = True
            else:
                self._key(table, fields)
                continue
            columns = self._joined(columns, own)
        table.columns = columns
        self._catalog.add(table)
        return None

    def _key(self, table: Relation, constraint: Node, column: str | None = None) -> None:
        """What a constraint says of the keys of a table."""
        kind = constraint.get("contype", "")
        if name := constraint.get("conname"):
            self._catalog.indexes.add(name)
        if kind == "CONSTR_EXCLUSION":
            table.other_keys = True
        elif kind in ("CONSTR_PRIMARY", "CONSTR_UNIQUE"):
            columns = names_of(constraint.get("keys")) if column is None else [column]
            # One that is deferrable is no arbiter, and nothing depends on it.
            if "indexname" in constraint or constraint.get("deferrable"):
                table.other_keys = True
            for each in self._family(table) if "indexname" not in constraint else ():
                each.add_key(columns, primary=kind == "CONSTR_PRIMARY")

    def index(self, node: Node) -> None:
        """CREATE INDEX: the key that a unique one is."""
        table = self._found(node.get("relation", {}))
        if table is None:
            return
        if name := node.get("idxname"):
            self._catalog.indexes.add(name)
        if node.get("unique"):
            elements = [unwrapped(each)[1] for each in node.get("indexParams", ())]
            plain = "whereClause" not in node and all("name" in each for each in elements)
            for each in self._family(table):
                each.add_key([one.get("name", "") for one in elements] if plain else [], primary=False)

    def _sequence(self, table: Relation, column: Node) -> None:
        """The sequence of a column that counts by itself."""
        identity: Node | None = None
        for each in column.get("constraints", ()):
            constraint = unwrapped(each)[1]
            if constraint.get("contype") == "CONSTR_IDENTITY":
                identity = constraint
        if identity is not None or types.is_serial(column.get("typeName", {})) is not None:
            self._counted(table, column.get("colname", ""), identity or {})

    def _counted(self, table: Relation, column: str, constraint: Node) -> None:
        place = table.schema, _made_name(table.name, column)
        for each in constraint.get("options", ()):
            option = unwrapped(each)[1]
            if option.get("defname") == "sequence_name":
                names = names_of(unwrapped(option.get("arg"))[1].get("items"))
                place = (names[-2] if len(names) > 1 else table.schema), names[-1]
        self._catalog.add(Relation(*place, list(SEQUENCE), "sequence"))

    def _of_type(self, node: Node) -> list[Column] | None:
        found = types.of_node(node, self._catalog)
        own = None if isinstance(found, str) or found.name is None else self._catalog.named(found.name)
        return None if own is None or own.columns is None else list(own.columns)

    def _joined(self, columns: list[Column] | None, more: list[Column] | None) -> list[Column] | None:
        """Columns of the same name are one; of a typed table or a partition they say only options."""
        if columns is None or more is None:
            return None
        found = {column.name: column for column in columns}
        for column in more:
            before = found.get(column.name)
            known = before is not None and column.type.name is None
            found[column.name] = before if known and before is not None else column
        return list(found.values())

    def _column(self, node: Node) -> Column:
        written = ""
        for each in node.get("constraints", ()):
            constraint = unwrapped(each)[1]
            if constraint.get("contype") == "CONSTR_GENERATED":
                written = "s"
            elif constraint.get("contype") == "CONSTR_IDENTITY" and constraint.get("generated_when") == "a":
                written = "a"
        type = types.of_column(node, self._catalog) if "typeName" in node else NOT_KNOWN
        return Column(node.get("colname", ""), type, written)

    def alter(self, node: Node) -> str | None:
        """ALTER TABLE, VIEW, TYPE: what changes its columns."""
        relation: Node = node.get("relation", {})
        if node.get("objtype") == "OBJECT_TYPE":
            return self._alter_type(relation, node.get("cmds", ()))
        table = self._found(relation)
        if table is None:
            return None
        for each in node.get("cmds", ()):
            self._command(table, unwrapped(each)[1])
        return None

    def _alter_type(self, relation: Node, commands: Sequence[Node]) -> str | None:
        own = self._catalog.type(relation.get("schemaname"), relation.get("relname", ""))
        if isinstance(own, UserType) and own.columns is not None:
            shadow = Relation(own.schema, own.name, own.columns)
            for each in commands:
                self._command(shadow, unwrapped(each)[1])
            own.columns = shadow.columns
        return None

    def _command(self, table: Relation, command: Node) -> None:
        name = command.get("name", "")
        kind, definition = unwrapped(command.get("def"))
        match command.get("subtype"):
            case "AT_AddColumn":
                column = self._column(definition)
                for each in self._family(table):
                    each.columns = self._joined(each.columns, [column])
                for one in definition.get("constraints", ()):
                    self._key(table, unwrapped(one)[1], column.name)
            case "AT_AddConstraint":
                self._key(table, definition)
            case "AT_DropColumn":
                for each in self._family(table):
                    each.drop_column(name)
                    if each.columns is not None:
                        each.columns = [column for column in each.columns if column.name != name]
            case "AT_AlterColumnType":
                type = types.of_column(definition, self._catalog)
                self._change(table, name, type=type)
            case "AT_AddIdentity" | "AT_SetIdentity":
                if command.get("subtype") == "AT_AddIdentity":
                    self._counted(table, name, definition)
                always = definition.get("generated_when") == "a" if kind == "Constraint" else None
                self._change(table, name, written="a" if always else "")
            case "AT_DropIdentity" | "AT_DropExpression":
                self._change(table, name, written="")
            case "AT_AttachPartition":
                self._adopt(table, definition.get("name", {}))
            case "AT_AddInherit":
                self._adopt(table, definition, child=table)
            case _:
                pass

    def _adopt(self, table: Relation, other: Node, child: Relation | None = None) -> None:
        found = self._found(other)
        if found is not None:
            parent, child = (table, found) if child is None else (found, child)
            if child is not parent:
                parent.children.append(child)
                child.unique += parent.unique
                child.primary = child.primary or parent.primary

    def _change(
        self, table: Relation, name: str, type: Typed | None = None, written: str | None = None
    ) -> None:
        for each in self._family(table):
            if each.columns is not None:
                each.columns = [
                    Column(
                        column.name,
                        column.type if type is None else type,
                        column.written if written is None else written,
                    )
                    if column.name == name
                    else column
                    for column in each.columns
                ]

    def _family(self, table: Relation) -> list[Relation]:
        """The table and all that inherit from it."""
        found = {id(table): table}
        todo = [table]
        while todo and len(found) < _CHILDREN_MAX:
            for child in todo.pop().children:
                if id(child) not in found:
                    found[id(child)] = child
                    todo.append(child)
        return list(found.values())

    def rename_column(self, relation: Node, old: str, new: str) -> str | None:
        """RENAME COLUMN, also of a view or a composite type."""
        table = self._found(relation)
        if table is None:
            own = self._catalog.type(relation.get("schemaname"), relation.get("relname", ""))
            if isinstance(own, UserType) and own.columns is not None:
                own.columns = [replace(c, name=new) if c.name == old else c for c in own.columns]
            return None
        for each in self._family(table):
            each.rename_in_keys(old, new)
            if each.columns is not None:
                each.columns = [replace(c, name=new) if c.name == old else c for c in each.columns]
        return None

    def rename(self, relation: Node, schema: str | None, name: str | None) -> str | None:
        """Another name, or another schema."""
        table = self._found(relation)
        if table is not None:
            self._catalog.remove(table)
            table.schema = schema or table.schema
            table.name = name or table.name
            self._catalog.add(table)
        return None

    def drop(self, names: Sequence[str]) -> None:
        """DROP TABLE and its like."""
        if names:
            schema = names[-2] if len(names) > 1 else None
            found = self._catalog.relation(schema, names[-1])
            if isinstance(found, Relation):
                self._catalog.remove(found)

    def drop_schema(self, name: str) -> None:
        """DROP SCHEMA: with everything in it."""
        for (schema, _), relation in list(self._catalog.relations.items()):
            if schema == name:
                self._catalog.remove(relation)
        self._catalog.schemas.discard(name)


def _made_name(table: str, column: str) -> str:
    """The name of a sequence that PostgreSQL makes (makeObjectName)."""
    left = _NAME_BYTES_MAX - len("__seq")
    while len(table) + len(column) > left:
        if len(table) > len(column):
            table = table[:-1]
        else:
            column = column[:-1]
    return f"{table}_{column}_seq"
