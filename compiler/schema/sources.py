"""What stands in FROM: tables, queries, functions, joins; each becomes names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from dfc.compiler.schema import types
from dfc.compiler.schema.builtins import builtins
from dfc.compiler.schema.catalog import NOT_KNOWN, Catalog, Column, Relation, Typed, Unclear, UserType
from dfc.compiler.schema.expressions import Expressions, Queries
from dfc.compiler.schema.scope import Item, Names, Output, Scope, Written, did_you_mean
from dfc.compiler.sql.trees import Node, first_place, names_of, unwrapped

_SAMPLES: Final = ("bernoulli", "system")
_SIDES: Final = ("left", "right")


class Sources:
    """The FROM clauses of one statement. `rows`: the columns of references such as `$batch.*`, by the name
    that stands for them."""

    def __init__(
        self,
        catalog: Catalog,
        written: Written,
        expressions: Expressions,
        queries: Queries,
        rows: Mapping[str, Output],
        path: tuple[str, ...],
    ) -> None:
        self._catalog = catalog
        self._written = written
        self._expressions = expressions
        self._queries = queries
        self._rows = rows
        self._path = path

    def add(self, nodes: Sequence[Node], scope: Scope) -> None:
        """The entries of a FROM, from left to right; a later one sees those before it where it is lateral."""
        for node in nodes:
            entry = self._entry(node, scope)
            self.once(node, [item for each in scope.names for item in each.items], entry.items)
            scope.names.append(entry)

    def once(self, node: Node, before: Sequence[Item], items: Sequence[Item]) -> None:
        """A name in front of a dot means one thing; tables of two schemas may have the same."""
        taken = {item.name: item for item in before if item.name}
        for item in items:
            other = taken.get(item.name)
            if other is None or (other.schema != item.schema and (other.output.open or item.output.open)):
                continue
            if None not in (other.schema, item.schema) and other.schema != item.schema:
                continue
            raise self._written.refusal(
                f'table name "{item.name}" specified more than once',
                "42712",
                self._written.last(first_place(node), item.name),
                help=f"give one of them another name: `AS {types.quoted(item.name)}_2`",
            )

    def _entry(self, node: Node, scope: Scope) -> Names:
        kind, fields = unwrapped(node)
        match kind:
            case "RangeVar":
                return self.table(fields, scope)
            case "RangeSubselect":
                return self._subselect(fields, scope)
            case "RangeFunction":
                return self._function(fields, scope)
            case "JoinExpr":
                return self._join(fields, scope)
            case "RangeTableSample":
                names = names_of(fields.get("method"))
                if names and names[-1] not in _SAMPLES and not self._catalog.unsure.functions:
                    raise self._written.refusal(
                        f"tablesample method {names[-1]} does not exist",
                        "42704",
                        self._written.part(fields),
                        help=did_you_mean(names[-1], _SAMPLES, "methods"),
                        name=names[-1],
                    )
                return self._entry(fields.get("relation", {}), scope)
            case "RangeTableFunc" | "JsonTable":
                return self._document(kind, fields, scope)
            case _:
                return _named(fields.get("alias"), Output([], open=True), "")

    def table(self, node: Node, scope: Scope) -> Names:
        """A table, or a query of WITH, as it is named there."""
        name, schema = node.get("relname", ""), node.get("schemaname")
        alias: Node | None = node.get("alias")
        if schema is None:
            rows = self._rows.get(name)
            output = rows if rows is not None else scope.table(name)
            if output is not None and output.mute:
                message = f'WITH query "{name}" does not have a RETURNING clause'
                help = "give it RETURNING, with the columns that are wanted here"
                raise self._written.refusal(message, "0A000", self._written.part(node), help=help)
            if output is not None:
                return self._named(alias, output, name, node, system=False)
        found = None if "catalogname" in node else self.relation(node)
        if found is None:
            return _named(alias, Output([], open=True), name, schema=schema)
        output = Output([], open=True) if found.columns is None else Output(found.columns)
        row = Typed(f"{found.schema}.{found.name}")
        return self._named(alias, output, name, node, schema=found.schema, row=row)

    def _named(
        self,
        alias: Node | None,
        output: Output,
        name: str,
        node: Node,
        *,
        schema: str | None = None,
        row: Typed = NOT_KNOWN,
        system: bool = True,
    ) -> Names:
        """The entry under its alias, which names no more columns than there are."""
        new = names_of(alias.get("colnames")) if alias else []
        if alias and not output.open and len(new) > len(output.columns):
            called = alias.get("aliasname", name)
            raise self._written.refusal(
                f'table "{called}" has {len(output.columns)} columns available but {len(new)} columns'
                " specified",
                "42P10",
                self._written.last(first_place(node), called),
                help=f"name {len(output.columns)} columns",
            )
        return _named(alias, output, name, schema=schema, row=row, system=system)

    def relation(self, node: Node) -> Relation | None:
        """The relation that a RangeVar names, None where that is not known. Refuses one that is not there."""
        name, schema = node.get("relname", ""), node.get("schemaname")
        found = self._catalog.relation(schema, name, self._path)
        if found is not None:
            return None if isinstance(found, Unclear) else found
        return self._relation(schema, name, self._written.part(node), self._written.part(node, 1))

    def relation_at(self, schema: str | None, name: str, place: tuple[int, int] | None) -> Relation | None:
        """A relation that is named at a place of which no more is known."""
        return self._relation(schema, name, place, self._written.last(None, name))

    def _relation(
        self,
        schema: str | None,
        name: str,
        place: tuple[int, int] | None,
        second: tuple[int, int] | None,
    ) -> Relation | None:
        """`place` is where its name begins, `second` where that goes on behind a dot."""
        found = self._catalog.relation(schema, name, self._path)
        if isinstance(found, Unclear):
            return None
        if found is not None:
            return found
        catalog = self._catalog
        full = name if schema is None else f"{schema}.{name}"
        if schema is not None and schema not in catalog.schemas:
            span, others = place, sorted(catalog.schemas)
            help = did_you_mean(schema, others, "schemas")
        else:
            span = place if schema is None else second
            help = self._advice(schema, name)
        raise self._written.refusal(f'relation "{full}" does not exist', "42P01", span, help=help, name=full)

    def _advice(self, schema: str | None, name: str) -> str:
        known = self._catalog.relations
        if schema is not None:
            others = [each for of, each in known if of == schema]
            elsewhere = [f"{of}.{each}" for of, each in known if each == name]
            if elsewhere:
                return f"did you mean `{elsewhere[0]}`?"
            return did_you_mean(name, others, "tables")
        written = {each: each if of in self._path else f"{of}.{each}" for of, each in known}
        help = did_you_mean(name, list(written), "tables")
        meant = help.removeprefix("did you mean `").removesuffix("`?")
        return f"did you mean `{written[meant]}`?" if meant in written else help

    def _subselect(self, node: Node, scope: Scope) -> Names:
        around = scope if node.get("lateral") else Scope(scope.parent, [], scope.tables)
        output = self._queries.query(node.get("subquery", {}), around)
        settled = [
            replace(column, type=Typed("text") if column.type.name == "unknown" else column.type)
            for column in output.columns
        ]
        return self._named(node.get("alias"), Output(settled, output.open), "", node, system=False)

    def _function(self, node: Node, scope: Scope) -> Names:
        alias: Node | None = node.get("alias")
        columns: list[Column] = []
        is_open = False
        name = ""
        functions = node.get("functions", ())
        for each in functions:
            parts: Sequence[Node] = each["List"]["items"]
            call = parts[0]
            kind, fields = unwrapped(call)
            items: Sequence[Node] = node.get("coldeflist", ())
            if len(parts) > 1 and parts[1]:
                items = unwrapped(parts[1])[1].get("items", ())
            if kind == "FuncCall" and _is_unnest(fields):
                for one in fields.get("args", ()):
                    base = self._expressions.overloads.base(self._expressions.of(one, scope).name)
                    columns.append(Column("unnest", Typed(None if base is None else types.element(base))))
                continue
            found = self._expressions.call(fields, scope) if kind == "FuncCall" else None
            name = names_of(fields.get("funcname"))[-1] if kind == "FuncCall" else ""
            if kind != "FuncCall":
                self._expressions.of(call, scope)
            output = (
                _defined(items, self._catalog) if items else self._returned(found, name, alias, functions)
            )
            columns += output.columns
            is_open = is_open or output.open
        if node.get("ordinality") and not is_open:
            columns.append(Column("ordinality", Typed("int8")))
        return self._named(alias, Output(columns, is_open), name, node, system=False)

    def _returned(self, found: Any, name: str, alias: Node | None, functions: Sequence[Any]) -> Output:
        """The columns that a function gives in FROM."""
        if found is None:
            return Output([], open=True)
        signature, returns = found
        if signature.outs:
            return Output([Column(out, Typed(type)) for out, type in signature.outs])
        if returns is None or returns in ("record", "void") or returns.startswith("any"):
            return Output([], open=True)
        own = self._catalog.named(returns)
        if own is None and returns.removesuffix("[]") not in builtins().types:
            return Output([], open=True)
        if isinstance(own, UserType) and own.kind == "composite":
            return Output([], open=True) if own.columns is None else Output(own.columns)
        if isinstance(own, UserType) and own.kind == "domain" and "." in (self._catalog.base(returns) or "."):
            return Output([], open=True)
        called = alias.get("aliasname", name) if alias and len(functions) == 1 else name
        return Output([Column(called, Typed(returns))])

    def _document(self, kind: str, node: Node, scope: Scope) -> Names:
        """JSON_TABLE and XMLTABLE."""
        columns: list[Column] = []
        todo: list[Any] = list(reversed(node.get("columns", ())))
        while todo:
            inner, fields = unwrapped(todo.pop())
            if inner == "JsonTableColumn" and fields.get("coltype") == "JTC_NESTED":
                todo += reversed(fields.get("columns", ()))
                continue
            ordinal = fields.get("for_ordinality") or fields.get("coltype") == "JTC_FOR_ORDINALITY"
            type = Typed("int4") if ordinal else types.of_column(fields, self._catalog)
            columns.append(Column(fields.get("name", fields.get("colname", "")), type))
        if kind == "JsonTable":
            self._expressions.of(node.get("context_item", {}).get("raw_expr"), scope)
        return _named(node.get("alias"), Output(columns), "", system=False)

    def _join(self, node: Node, scope: Scope) -> Names:
        left = self._entry(node.get("larg", {}), scope)
        inner = Scope(scope.parent, [*scope.names, left], scope.tables)
        right = self._entry(node.get("rarg", {}), inner)
        self.once(node.get("rarg", {}), left.items, right.items)
        shared = names_of(node.get("usingClause"))
        if node.get("isNatural"):
            mine = [column.name for column in left.output.columns]
            shared = [name for name in mine if right.columns(name)]
        is_open = left.output.open or right.output.open
        merged = [self._merged(node, name, left, right) for name in shared]
        if node.get("isNatural") and is_open:
            # What both have is not known, so neither is what is there twice.
            output = Output([], open=True)
        else:
            rest = [
                column
                for side in (left, right)
                for column in side.output.columns
                if column.name not in shared
            ]
            output = Output([*merged, *rest], is_open)
        names = Names([*left.items, *right.items], output)
        if "join_using_alias" in node:
            alias = node["join_using_alias"].get("aliasname", "")
            names.items.append(Item(alias, Output(merged, is_open), system=False))
        quals = Scope(scope.parent, [Names(names.items, _both(left, right))], scope.tables)
        self._expressions.boolean(node.get("quals"), quals, "JOIN/ON")
        if "alias" in node:
            return self._named(node["alias"], output, "", node, system=False)
        return names

    def _merged(self, node: Node, name: str, left: Names, right: Names) -> Column:
        """A column of USING, of both sides."""
        found: list[Typed] = []
        for side, names in zip(_SIDES, (left, right), strict=True):
            columns = names.columns(name)
            if not columns and not names.output.open:
                place = first_place(node.get("rarg"))
                span = None if place is None else self._written.behind({"location": place}, name)
                raise self._written.refusal(
                    f'column "{name}" specified in USING clause does not exist in {side} table',
                    "42703",
                    span,
                    name=name,
                )
            found.append(columns[0].type if len(columns) == 1 and not names.output.open else NOT_KNOWN)
        if found[0] == found[1]:
            return Column(name, found[0])
        return Column(name, Typed(self._expressions.common_name(found)))


def _is_unnest(call: Node) -> bool:
    """`unnest` with several arrays, which is no function: the grammar of FROM knows it."""
    names = names_of(call.get("funcname"))
    return names[-1:] == ["unnest"] and len(call.get("args", ())) > 1


def _both(left: Names, right: Names) -> Output:
    return Output([*left.output.columns, *right.output.columns], left.output.open or right.output.open)


def _defined(items: Sequence[Node], catalog: Catalog) -> Output:
    """A list of column definitions behind a function."""
    found = [unwrapped(each)[1] for each in items]
    return Output([Column(each.get("colname", ""), types.of_column(each, catalog)) for each in found])


def _named(
    alias: Node | None,
    output: Output,
    name: str,
    *,
    schema: str | None = None,
    row: Typed = NOT_KNOWN,
    system: bool = True,
) -> Names:
    """The entry under its alias, its columns renamed as that says."""
    if alias:
        name, schema = alias.get("aliasname", name), None
        output = renamed(output, names_of(alias.get("colnames")))
    item = Item(name, output, schema, row, system)
    return Names([item], output)


def renamed(output: Output, names: Sequence[str]) -> Output:
    """The columns with new names for the first of them."""
    if not names:
        return output
    if output.open:
        return Output([], open=True)
    columns = [
        replace(column, name=names[place]) if place < len(names) else column
        for place, column in enumerate(output.columns)
    ]
    return Output(columns)
