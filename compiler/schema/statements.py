"""One statement against a catalog: by its kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from dfc.compiler.schema.catalog import Catalog, Relation, Typed
from dfc.compiler.schema.changes import Changes
from dfc.compiler.schema.queries import Queries
from dfc.compiler.schema.scope import Names, Output, Scope, Written, did_you_mean
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
            case "TruncateStmt" | "LockStmt":
                for each in node.get("relations", ()):
                    self._queries.sources.relation(unwrapped(each)[1])
            case "RefreshMatViewStmt":
                self._queries.sources.relation(node.get("relation", {}))
            case "VacuumStmt":
                for each in node.get("rels", ()):
                    self._vacuum(unwrapped(each)[1])
            case "CopyStmt":
                self._copy(node)
            case "IndexStmt":
                self._index(node)
            case "CallStmt":
                self._queries.expressions.call(node.get("funccall", {}), Scope())
            case _:
                pass
        return None

    def _relation(self, node: Node) -> Relation | None:
        return self._queries.sources.relation(node)

    def _vacuum(self, node: Node) -> None:
        found = self._relation(node.get("relation", {}))
        self._listed(node.get("relation", {}), found, names_of(node.get("va_cols")))

    def _copy(self, node: Node) -> None:
        if "query" in node:
            self._queries.query(node["query"], None)
        elif "relation" in node:
            self._listed(node["relation"], self._relation(node["relation"]), names_of(node.get("attlist")))

    def _listed(self, relation: Node, found: Relation | None, names: Sequence[str]) -> None:
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

    def _index(self, node: Node) -> None:
        relation = self._relation(node.get("relation", {}))
        if relation is None or relation.columns is None:
            return
        output = Output(relation.columns)
        scope = Scope(None, [Names([], output)])
        for each in (*node.get("indexParams", ()), *node.get("indexIncludingParams", ())):
            element = unwrapped(each)[1]
            if "expr" in element:
                self._queries.expressions.of(element["expr"], scope)
            elif name := element.get("name"):
                self._listed(node["relation"], relation, [name])
        self._queries.expressions.boolean(node.get("whereClause"), scope, "WHERE")
