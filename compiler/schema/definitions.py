"""What each statement of DDL does to a catalog."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from dfc.compiler.plan_names import fold
from dfc.compiler.schema import types
from dfc.compiler.schema.builtins import Signature, builtins
from dfc.compiler.schema.catalog import (
    NOT_KNOWN,
    Catalog,
    Column,
    Relation,
    Typed,
    UserType,
)
from dfc.compiler.schema.extending import extend
from dfc.compiler.schema.routines import add_aggregate, add_constructors, add_function, drop_function
from dfc.compiler.schema.scope import Output, Refusal, Written
from dfc.compiler.schema.statements import Statements
from dfc.compiler.schema.tables import SEQUENCE, Tables
from dfc.compiler.sql.trees import Node, names_of, unwrapped

_ROUTINES: Final = frozenset({"OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_ROUTINE", "OBJECT_AGGREGATE"})
_RELATIONS: Final = frozenset(
    {"OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_FOREIGN_TABLE", "OBJECT_SEQUENCE"}
)
_NOTHING: Final = frozenset(
    {
        "AlterOwnerStmt",
        "AlterSeqStmt",
        "AlterFunctionStmt",
        "AlterObjectDependsStmt",
        "AlterExtensionContentsStmt",
        "AlterExtensionStmt",
        "AlterDomainStmt",
        "AlterOperatorStmt",
        "AlterOpFamilyStmt",
        "AlterTypeStmt",
        "CreateOpClassStmt",
        "CreateOpFamilyStmt",
        "CreateFdwStmt",
        "CreateUserMappingStmt",
        "CreateAmStmt",
        "DiscardStmt",
        "AlterTableMoveAllStmt",
        "AlterDefaultPrivilegesStmt",
        "AlterStatsStmt",
        "ConstraintsSetStmt",
        "DropOwnedStmt",
    }
)


_CONTEXTS: Final = {"COERCION_IMPLICIT": "i", "COERCION_ASSIGNMENT": "a", "COERCION_EXPLICIT": "e"}


def _options(node: Node) -> dict[str, Node]:
    """What DefineStmt gives, by the names of its options."""
    options = [unwrapped(each)[1] for each in node.get("definition", ())]
    return {each.get("defname", ""): unwrapped(each.get("arg"))[1] for each in options}


def apply(kind: str, node: Node, sql: str, catalog: Catalog) -> str | None:
    """Change the catalog; why that could not be done, or None."""
    return _Definitions(catalog, sql).apply(kind, node)


class _Definitions:
    def __init__(self, catalog: Catalog, sql: str) -> None:
        self._catalog = catalog
        self._sql = sql
        self._tables = Tables(catalog)
        self._kinds: Mapping[str, Callable[[Node], str | None]] = {
            "CreateStmt": self._table,
            "CreateForeignTableStmt": lambda node: self._table(node.get("base", {})),
            "CreateTableAsStmt": self._table_as,
            "ViewStmt": self._view,
            "CreateSeqStmt": self._sequence,
            "AlterTableStmt": self._alter_table,
            "IndexStmt": self._index,
            "RenameStmt": self._rename,
            "AlterObjectSchemaStmt": self._move,
            "DropStmt": self._drop,
            "CreateSchemaStmt": self._schema,
            "CreateEnumStmt": self._enum,
            "AlterEnumStmt": self._alter_enum,
            "CompositeTypeStmt": self._composite,
            "CreateDomainStmt": self._domain,
            "CreateRangeStmt": self._range,
            "DefineStmt": self._define,
            "CreateFunctionStmt": lambda node: add_function(node, catalog),
            "CreateCastStmt": self._cast,
            "CreateExtensionStmt": self._extension,
            "VariableSetStmt": self._set,
            "SelectStmt": self._select,
            "ImportForeignSchemaStmt": self._import,
            "DoStmt": lambda node: self._anything("a DO block may have made anything"),
            "CallStmt": lambda node: self._anything("a procedure may have made anything"),
        }

    def apply(self, kind: str, node: Node) -> str | None:
        """Do what it says."""
        handler = self._kinds.get(kind)
        if handler is not None:
            return handler(node)
        if kind in _NOTHING:
            return None
        return f"{kind.removesuffix('Stmt')} is not known here"

    def _anything(self, why: str) -> str:
        self._catalog.unsure.everything = True
        return why

    def _table(self, node: Node) -> str | None:
        return self._tables.create(node)

    def _analysed(self, query: Node) -> Output:
        """The columns of a view's query; open where they cannot be told."""
        kind, fields = unwrapped(query)
        written = Written(self._sql, lambda start, end: (start, end))
        try:
            output = Statements(self._catalog, written).analyse(kind, fields)
        except Refusal:
            output = None
        return Output([], open=True) if output is None else output

    def _stored(self, relation: Node, aliases: Sequence[str], query: Node, kind: str) -> None:
        output = self._analysed(query)
        columns: list[Column] | None = None
        if not output.open:
            columns = []
            for place, column in enumerate(output.columns):
                name = aliases[place] if place < len(aliases) else column.name
                type = Typed("text") if column.type.name == "unknown" else column.type
                columns.append(Column(name, type))
        schema, name = self._tables.place(relation)
        self._catalog.add(Relation(schema, name, columns, kind))

    def _table_as(self, node: Node) -> str | None:
        into: Node = node.get("into", {})
        kind = "materialized view" if node.get("objtype") == "OBJECT_MATVIEW" else "table"
        self._stored(into.get("rel", {}), names_of(into.get("colNames")), node.get("query", {}), kind)
        return None

    def _view(self, node: Node) -> str | None:
        self._stored(node.get("view", {}), names_of(node.get("aliases")), node.get("query", {}), "view")
        return None

    def _sequence(self, node: Node) -> str | None:
        schema, name = self._tables.place(node.get("sequence", {}))
        self._catalog.add(Relation(schema, name, list(SEQUENCE), "sequence"))
        return None

    def _alter_table(self, node: Node) -> str | None:
        return self._tables.alter(node)

    def _index(self, node: Node) -> str | None:
        self._tables.index(node)
        return None

    def _rename(self, node: Node) -> str | None:
        what = node.get("renameType", "")
        new = node.get("newname", "")
        if what in ("OBJECT_COLUMN", "OBJECT_ATTRIBUTE"):
            return self._tables.rename_column(node.get("relation", {}), node.get("subname", ""), new)
        if what in _RELATIONS:
            return self._tables.rename(node.get("relation", {}), None, new)
        if what == "OBJECT_INDEX":
            self._catalog.indexes.add(new)
        if what in _ROUTINES:
            self._functions(node.get("object", {}), name=new)
        elif what in ("OBJECT_TYPE", "OBJECT_DOMAIN"):
            self._retype(node.get("object", {}), name=new)
        elif what == "OBJECT_SCHEMA":
            return self._anything("a schema is renamed")
        return None

    def _move(self, node: Node) -> str | None:
        what, schema = node.get("objectType", ""), node.get("newschema", "")
        if what in _RELATIONS:
            return self._tables.rename(node.get("relation", {}), schema, None)
        if what in _ROUTINES:
            self._functions(node.get("object", {}), schema=schema)
        elif what in ("OBJECT_TYPE", "OBJECT_DOMAIN"):
            self._retype(node.get("object", {}), schema=schema)
        return None

    def _functions(self, target: Node, name: str | None = None, schema: str | None = None) -> None:
        """A function with another name or in another schema; nobody looks which one of its name."""
        parts = names_of(unwrapped(target)[1].get("objname"))
        if not parts:
            return
        found = self._catalog.functions.get(parts[-1], [])
        for each in found:
            moved = type(each)(schema or each.schema, name or each.name, each.signature)
            self._catalog.functions.setdefault(moved.name, []).append(moved) if name else found.append(moved)
            break

    def _retype(self, target: Node, name: str | None = None, schema: str | None = None) -> None:
        parts = names_of(unwrapped(target)[1].get("items") or unwrapped(target)[1].get("names"))
        if parts:
            found = self._catalog.type(parts[-2] if len(parts) > 1 else None, parts[-1])
            if isinstance(found, UserType):
                moved = UserType(
                    schema or found.schema,
                    name or found.name,
                    found.kind,
                    found.labels,
                    found.base,
                    found.columns,
                )
                self._catalog.add_type(moved)

    def _drop(self, node: Node) -> str | None:
        what = node.get("removeType", "")
        for each in node.get("objects", ()):
            kind, fields = unwrapped(each)
            if what in _RELATIONS:
                self._tables.drop(names_of(fields.get("items")))
            elif what in _ROUTINES:
                drop_function(fields, self._catalog)
            elif what == "OBJECT_SCHEMA" and kind == "String":
                self._tables.drop_schema(fields.get("sval", ""))
            elif what in ("OBJECT_TYPE", "OBJECT_DOMAIN"):
                names = names_of(fields.get("names"))
                if len(names) == 2:
                    self._catalog.types.pop(".".join(names), None)
        return None

    def _schema(self, node: Node) -> str | None:
        name = node.get("schemaname") or node.get("authrole", {}).get("rolename", "")
        self._catalog.schemas.add(name)
        before = self._catalog.search_path
        self._catalog.search_path = (name, *before)
        for each in node.get("schemaElts", ()):
            self.apply(*unwrapped(each))
        self._catalog.search_path = before
        return None

    def _type(self, parts: Any, kind: str) -> UserType:
        names = names_of(parts)
        schema = names[-2] if len(names) > 1 else self._tables.current()
        self._catalog.schemas.add(schema)
        found = UserType(schema, names[-1] if names else "", kind)
        self._catalog.add_type(found)
        return found

    def _enum(self, node: Node) -> str | None:
        self._type(node.get("typeName"), "enum").labels = names_of(node.get("vals"))
        return None

    def _alter_enum(self, node: Node) -> str | None:
        names = names_of(node.get("typeName"))
        found = self._catalog.type(names[-2] if len(names) > 1 else None, names[-1])
        if isinstance(found, UserType):
            if "oldVal" in node and node["oldVal"] in found.labels:
                found.labels.remove(node["oldVal"])
            found.labels.append(node.get("newVal", ""))
        return None

    def _composite(self, node: Node) -> str | None:
        relation: Node = node.get("typevar", {})
        columns = [
            Column(fields.get("colname", ""), types.of_column(fields, self._catalog))
            for _, fields in map(unwrapped, node.get("coldeflist", ()))
        ]
        schema, name = self._tables.place(relation)
        self._catalog.add_type(UserType(schema, name, "composite", columns=columns))
        return None

    def _domain(self, node: Node) -> str | None:
        base = types.of_node(node.get("typeName", {}), self._catalog)
        self._type(node.get("domainname"), "domain").base = NOT_KNOWN if isinstance(base, str) else base
        return None

    def _range(self, node: Node) -> str | None:
        own = self._type(node.get("typeName"), "other")
        options = {
            fields.get("defname"): fields.get("arg") for _, fields in map(unwrapped, node.get("params", ()))
        }
        subtype = types.of_node(unwrapped(options.get("subtype"))[1], self._catalog)
        inner = None if isinstance(subtype, str) else subtype.name
        several = names_of(unwrapped(options.get("multirange_type_name"))[1].get("names"))
        if several:
            name = several[-1]
        elif "range" in own.name:
            head, _, tail = own.name.rpartition("range")
            name = f"{head}multirange{tail}"
        else:
            name = f"{own.name}_multirange"
        multirange = UserType(own.schema, name, "other")
        self._catalog.add_type(multirange)
        add_constructors(self._catalog, own, multirange, inner)
        return None

    def _define(self, node: Node) -> str | None:
        match node.get("kind"):
            case "OBJECT_AGGREGATE":
                add_aggregate(node, self._catalog)
            case "OBJECT_TYPE":
                own, given = self._type(node.get("defnames"), "base"), _options(node)
                own.category = given.get("category", {}).get("sval", "U")
                own.preferred = given.get("preferred", {}).get("sval", "") == "true"
            case "OBJECT_OPERATOR":
                self._operator(node)
            case _:
                pass
        return None

    def _operator(self, node: Node) -> None:
        """CREATE OPERATOR: what it returns is what its function does."""
        given = _options(node)
        sides = [given[side] for side in ("leftarg", "rightarg") if side in given]
        arguments = tuple([types.known_of_node(each, self._catalog).name for each in sides])
        named = names_of(given.get("function", given.get("procedure", {})).get("names"))
        functions = self._catalog.function(named[-2] if len(named) > 1 else None, named[-1]) if named else []
        returns = {each.returns for each in functions if each.arguments == arguments}
        if None in arguments or len(returns) != 1:
            self._catalog.unsure.operators = True
            return
        name = names_of(node.get("defnames"))[-1]
        signature = Signature("f", False, 0, False, returns.pop(), arguments)
        self._catalog.operators.setdefault(name, []).append(signature)

    def _cast(self, node: Node) -> str | None:
        source = types.known_of_node(node.get("sourcetype", {}), self._catalog).name
        target = types.known_of_node(node.get("targettype", {}), self._catalog).name
        if source is None or target is None:
            self._catalog.unsure.operators = True
        else:
            self._catalog.casts[source, target] = _CONTEXTS.get(node.get("context", ""), "i")
        return None

    def _extension(self, node: Node) -> str | None:
        extend(node, self._catalog)
        return None

    def _import(self, node: Node) -> str | None:
        self._catalog.unsure.schemas.add(node.get("local_schema", ""))
        return f"what is in the foreign schema `{node.get('remote_schema', '')}` is not known"

    def _set(self, node: Node) -> str | None:
        if node.get("name") == "search_path":
            values = [unwrapped(each)[1].get("sval", {}).get("sval", "") for each in node.get("args", ())]
            self._path(values)
        return None

    def _path(self, values: Sequence[str]) -> None:
        parts = [part.strip() for value in values for part in value.split(",")]
        self._catalog.search_path = tuple([fold(part) for part in parts if part and part != "$user"])

    def _select(self, node: Node) -> str | None:
        """A query in a schema file: a setting, or a call of a function that may do anything."""
        if "intoClause" in node:
            relation = node["intoClause"].get("rel", {})
            inner = {key: value for key, value in node.items() if key != "intoClause"}
            self._stored(relation, (), {"SelectStmt": inner}, "table")
            return None
        unknown = False
        for each in node.get("targetList", ()):
            kind, call = unwrapped(unwrapped(each)[1].get("val"))
            names = names_of(call.get("funcname")) if kind == "FuncCall" else []
            if names and names[-1] == "set_config":
                arguments = [
                    unwrapped(one)[1].get("sval", {}).get("sval", "") for one in call.get("args", ())
                ]
                if arguments[:1] == ["search_path"] and len(arguments) > 1:
                    self._path([arguments[1]])
            elif names and names[0] not in ("df", "pg_catalog"):
                unknown = unknown or not builtins().knows(names[-1])
        return self._anything("a function may have made anything") if unknown else None
