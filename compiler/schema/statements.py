"""One statement against a catalog: by its kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from dfc.compiler.schema.catalog import Catalog, Relation, Typed
from dfc.compiler.schema.changes import Changes
from dfc.compiler.schema.queries import Queries
from dfc.compiler.schema.scope import Names, Output, Scope, Written
from dfc.compiler.schema.utility import Utility
from dfc.compiler.sql.trees import Node, names_of, unwrapped

_QUERIES: Final = frozenset({"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})


class Statements:
    """Analyses a statement; raises Refusal. `parameters` and `rows`: what references stand for."""

    def __init__(
        self,
        catalog: Catalog,
        written: Written,
        parameters: Sequence[Typed] = (),
        rows: Mapping[str, Output] | None = None,
        path: tuple[str, ...] | None = None,
    ) -> None:
        self._catalog = catalog
        self._written = written
        self._queries = Queries(
            catalog, written, parameters, rows or {}, catalog.search_path if path is None else path
        )
        Changes(self._queries)
        self._utility = Utility(catalog, written, self._queries)

    def analyse(self, kind: str, node: Node) -> Output | None:
        """The columns of a query's result; None for other statements."""
        if kind in _QUERIES:
            found = self._queries.query({kind: node}, None)
            return Output([]) if "intoClause" in node else found
        match kind:
            case "CreateTableAsStmt" | "ExplainStmt" | "DeclareCursorStmt" | "ViewStmt":
                inner = unwrapped(node.get("query"))
                if inner[0] in _QUERIES:
                    self._queries.query(node["query"], None)
            case "LockStmt":
                for each in node.get("relations", ()):
                    self._relation(unwrapped(each)[1])
            case "TruncateStmt":
                for each in node.get("relations", ()):
                    self._utility.is_a("table", self._relation(unwrapped(each)[1]))
            case "RefreshMatViewStmt":
                self._utility.is_a("materialized view", self._relation(node.get("relation", {})))
            case "CopyStmt":
                self._copy(node)
            case "IndexStmt":
                self._index(node)
            case "CallStmt":
                self._queries.expressions.call(node.get("funccall", {}), Scope(), by_call=True)
            case _:
                self._utility.check(kind, node)
        return None

    def _relation(self, node: Node) -> Relation | None:
        return self._queries.sources.relation(node)

    def _copy(self, node: Node) -> None:
        if "query" in node:
            self._queries.query(node["query"], None)
        elif "relation" in node:
            self._utility.listed(
                node["relation"], self._relation(node["relation"]), names_of(node.get("attlist"))
            )

    def _index(self, node: Node) -> None:
        relation = self._relation(node.get("relation", {}))
        self._utility.method(node)
        if relation is None or relation.columns is None:
            return
        output = Output(relation.columns)
        scope = Scope(None, [Names([], output)])
        for each in (*node.get("indexParams", ()), *node.get("indexIncludingParams", ())):
            element = unwrapped(each)[1]
            if "expr" in element:
                self._queries.expressions.of(element["expr"], scope)
            elif name := element.get("name"):
                self._utility.listed(node["relation"], relation, [name])
        self._queries.expressions.boolean(node.get("whereClause"), scope, "WHERE")
