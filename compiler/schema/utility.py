"""Statements that make, change or maintain objects: the relations, columns and types that they name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from dfc.compiler.schema.catalog import Catalog, Relation
from dfc.compiler.schema.literals import absent_relation
from dfc.compiler.schema.queries import Queries
from dfc.compiler.schema.scope import Written, did_you_mean, near
from dfc.compiler.schema.types import quoted
from dfc.compiler.sql.trees import Node, names_of, unwrapped

_RELATIONS: Final = frozenset(
    {"OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_FOREIGN_TABLE", "OBJECT_SEQUENCE"}
)
_METHODS: Final = ("btree", "hash", "gist", "gin", "spgist", "brin", "rtree")
_OF_COLUMNS: Final = frozenset(
    {
        "AT_DropColumn",
        "AT_ColumnDefault",
        "AT_SetNotNull",
        "AT_DropNotNull",
        "AT_AlterColumnType",
        "AT_SetStatistics",
        "AT_SetStorage",
        "AT_SetCompression",
        "AT_AddIdentity",
        "AT_SetIdentity",
        "AT_DropIdentity",
        "AT_DropExpression",
    }
)
"""Parts of ALTER TABLE about a column that has to be there."""


_KINDS: Final = {
    "OBJECT_TABLE": "table",
    "OBJECT_VIEW": "view",
    "OBJECT_MATVIEW": "materialized view",
    "OBJECT_SEQUENCE": "sequence",
}


class Utility:
    """The statements, by their kind; each raises Refusal."""

    def __init__(self, catalog: Catalog, written: Written, queries: Queries) -> None:
        self._catalog = catalog
        self._written = written
        self._queries = queries
        self._kinds: Mapping[str, Callable[[Node], None]] = {
            "CreateStmt": self._create,
            "AlterTableStmt": self._alter,
            "RenameStmt": self._rename,
            "DropStmt": self._drop,
            "CommentStmt": self._comment,
            "GrantStmt": self._grant,
            "AlterSeqStmt": self._sequence,
            "ReindexStmt": self._reindex,
            "ClusterStmt": self._cluster,
            "VacuumStmt": self._vacuum,
            "CreateTrigStmt": self._trigger,
            "CreatePolicyStmt": lambda node: self._there(node.get("table", {})),
            "CreateFunctionStmt": self._function,
        }

    def check(self, kind: str, node: Node) -> None:
        """Whatever the statement names is there."""
        handler = self._kinds.get(kind)
        if handler is not None:
            handler(node)

    def listed(self, relation: Node, found: Relation | None, names: Sequence[str]) -> None:
        """Columns that stand in a list behind a table."""
        if found is None or found.columns is None:
            return
        known = [column.name for column in found.columns]
        for name in names:
            if name not in known:
                raise self._written.refusal(
                    f'column "{name}" of relation "{found.name}" does not exist',
                    "42703",
                    self._written.behind(relation, name),
                    help=did_you_mean(name, known, "columns"),
                    name=name,
                )

    def is_a(self, kind: str, found: Relation | None) -> None:
        """What a statement wants to be of a kind is of that."""
        if found is None or found.kind == kind:
            return
        raise self._written.refusal(
            f'"{found.name}" is not a {kind}',
            "42809",
            self._written.last(None, found.name),
            help=f"it is a {found.kind}",
        )

    def _there(self, relation: Node) -> None:
        self._queries.sources.relation(relation)

    def _named(self, names: Sequence[str]) -> Relation | None:
        """A relation by its name alone: the tree has no place for it."""
        if not names or len(names) > 2:
            return None
        place = self._written.behind({"location": 0}, names[0])
        return self._queries.sources.relation_at(names[-2] if len(names) > 1 else None, names[-1], place)

    def _index(self, schema: str | None, name: str) -> None:
        shown = quoted(name) if schema is None else f"{quoted(schema)}.{quoted(name)}"
        if absent_relation(shown, self._catalog) is not None:
            raise self._written.refusal(
                f'relation "{name}" does not exist',
                "42P01",
                self._written.behind({"location": 0}, name),
                help=did_you_mean(name, sorted(self._catalog.indexes), "indexes"),
                name=name,
            )

    def _create(self, node: Node) -> None:
        own: Node = node.get("relation", {})
        place = own.get("schemaname"), own.get("relname", "")
        if node.get("if_not_exists") and self._catalog.relation(*place) is not None:
            return
        self._columns_once(node, own)
        for each in node.get("inhRelations", ()):
            self._there(unwrapped(each)[1])
        for each in node.get("tableElts", ()):
            kind, fields = unwrapped(each)
            if kind == "TableLikeClause":
                self._there(fields.get("relation", {}))
            self._element(kind, fields, own.get("relname", ""))

    def _columns_once(self, node: Node, table: Node) -> None:
        """A table has a column once, and one primary key; where it may be there already, nobody looks."""
        seen: set[str] = set()
        keys = 0
        if node.get("if_not_exists"):
            return
        for kind, fields in map(unwrapped, node.get("tableElts", ())):
            name = fields.get("colname", "")
            if kind == "ColumnDef" and name in seen:
                raise self._written.refusal(
                    f'column "{name}" specified more than once', "42701", self._written.part(fields)
                )
            seen.add(name)
            here = (
                [unwrapped(one)[1] for one in fields.get("constraints", ())]
                if kind == "ColumnDef"
                else [fields]
            )
            for each in here:
                keys += each.get("contype") == "CONSTR_PRIMARY"
                if keys > 1:
                    shown = table.get("relname", "")
                    raise self._written.refusal(
                        f'multiple primary keys for table "{shown}" are not allowed',
                        "42P16",
                        self._written.part(each),
                        help="write one: `PRIMARY KEY (a, b)`",
                    )

    def _element(self, kind: str, fields: Node, own: str) -> None:
        """A column or a constraint, and what these refer to."""
        constraints = [fields] if kind == "Constraint" else []
        if kind == "ColumnDef":
            constraints = [unwrapped(one)[1] for one in fields.get("constraints", ())]
            name: Node = fields.get("typeName", {})
            if name and names_of(name.get("names"))[-1:] not in (["serial"], ["bigserial"], ["smallserial"]):
                self._queries.expressions.type_named(name)
        for each in constraints:
            other: Node = each.get("pktable", {})
            if other and other.get("relname") != own:
                found = self._queries.sources.relation(other)
                self.listed(other, found, names_of(each.get("pk_attrs")))

    def _alter(self, node: Node) -> None:
        relation: Node = node.get("relation", {})
        if node.get("objtype") == "OBJECT_INDEX":
            if not node.get("missing_ok"):
                self._index(relation.get("schemaname"), relation.get("relname", ""))
            return
        if node.get("missing_ok") or node.get("objtype") not in _RELATIONS:
            return
        table = self._queries.sources.relation(relation)
        added: set[str] = set()
        for each in node.get("cmds", ()):
            command = unwrapped(each)[1]
            kind, definition = unwrapped(command.get("def"))
            name = command.get("name", "")
            if kind in ("ColumnDef", "Constraint"):
                self._element(kind, definition, relation.get("relname", ""))
            if command.get("subtype") == "AT_AddColumn":
                added.add(definition.get("colname", ""))
            elif command.get("subtype") in _OF_COLUMNS and not command.get("missing_ok"):
                self.listed(relation, table, [one for one in (name,) if one and one not in added])
            elif command.get("subtype") in ("AT_AttachPartition", "AT_DetachPartition"):
                self._there(definition.get("name", {}))

    def _rename(self, node: Node) -> None:
        relation: Node = node.get("relation", {})
        kind = node.get("renameType")
        if node.get("missing_ok"):
            return
        if kind in _RELATIONS:
            self._there(relation)
        elif kind == "OBJECT_INDEX":
            self._index(relation.get("schemaname"), relation.get("relname", ""))
        elif kind == "OBJECT_COLUMN":
            self.listed(relation, self._queries.sources.relation(relation), [node.get("subname", "")])

    def _drop(self, node: Node) -> None:
        if node.get("missing_ok"):
            return
        for each in node.get("objects", ()):
            names = names_of(unwrapped(each)[1].get("items"))
            if node.get("removeType") in _KINDS:
                self.is_a(_KINDS[node["removeType"]], self._named(names))
            elif node.get("removeType") in _RELATIONS:
                self._named(names)
            elif node.get("removeType") == "OBJECT_INDEX" and 0 < len(names) <= 2:
                self._index(names[-2] if len(names) > 1 else None, names[-1])

    def _comment(self, node: Node) -> None:
        names = names_of(unwrapped(node.get("object"))[1].get("items"))
        if node.get("objtype") in _RELATIONS:
            self._named(names)
        elif node.get("objtype") == "OBJECT_COLUMN" and len(names) > 1:
            self.listed({"location": 0}, self._named(names[:-1]), names[-1:])

    def _grant(self, node: Node) -> None:
        if node.get("targtype") != "ACL_TARGET_OBJECT" or node.get("objtype") != "OBJECT_TABLE":
            return
        columns = [
            name for each in node.get("privileges", ()) for name in names_of(unwrapped(each)[1].get("cols"))
        ]
        for each in node.get("objects", ()):
            found = self._queries.sources.relation(unwrapped(each)[1])
            self.listed({"location": 0}, found, columns)

    def _sequence(self, node: Node) -> None:
        if not node.get("missing_ok"):
            self._there(node.get("sequence", {}))

    def _reindex(self, node: Node) -> None:
        relation: Node = node.get("relation", {})
        if node.get("kind") == "REINDEX_OBJECT_TABLE":
            self._there(relation)
        elif node.get("kind") == "REINDEX_OBJECT_INDEX":
            self._index(relation.get("schemaname"), relation.get("relname", ""))

    def method(self, node: Node) -> None:
        """The kind of an index: one that is like none of PostgreSQL's own comes with an extension."""
        name = node.get("accessMethod", "btree")
        if near(name, _METHODS) is None:
            return
        if name in _METHODS or self._catalog.unsure.functions or self._catalog.unsure.everything:
            return
        raise self._written.refusal(
            f'access method "{name}" does not exist',
            "42704",
            self._written.behind(node.get("relation", {}), name),
            help=did_you_mean(name, _METHODS, "methods"),
            name=name,
        )

    def _trigger(self, node: Node) -> None:
        self._there(node.get("relation", {}))
        names = names_of(node.get("funcname"))
        unsure = self._catalog.unsure
        if len(names) != 1 or unsure.functions or unsure.everything or self._catalog.function(None, names[0]):
            return
        raise self._written.refusal(
            f"function {names[0]}() does not exist",
            "42883",
            self._written.last(None, names[0]),
            help=did_you_mean(names[0], list(self._catalog.functions), "functions"),
            name=names[0],
        )

    def _function(self, node: Node) -> None:
        """The types of its arguments and of what it returns."""
        parts = [unwrapped(each)[1].get("argType", {}) for each in node.get("parameters", ())]
        for each in (*parts, node.get("returnType", {})):
            if each:
                self._queries.expressions.type_named(each)

    def _cluster(self, node: Node) -> None:
        if "relation" in node:
            self._there(node["relation"])
        if "indexname" in node:
            self._index(None, node["indexname"])

    def _vacuum(self, node: Node) -> None:
        for each in node.get("rels", ()):
            fields = unwrapped(each)[1]
            relation: Node = fields.get("relation", {})
            self.listed(relation, self._queries.sources.relation(relation), names_of(fields.get("va_cols")))
