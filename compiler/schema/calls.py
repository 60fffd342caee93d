"""Calls of functions: is there one, and what does it return."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Final

from dfc.compiler.schema import types
from dfc.compiler.schema.builtins import NEWER, Signature, builtins
from dfc.compiler.schema.catalog import NOT_KNOWN, SYSTEM_SCHEMAS, Catalog, Typed
from dfc.compiler.schema.literals import fault
from dfc.compiler.schema.misplaced import Misplaced
from dfc.compiler.schema.overloads import Outcome, Overloads, takes
from dfc.compiler.schema.scope import SYSTEM_COLUMNS, Refusal, Scope, Written, did_you_mean, near
from dfc.compiler.sql.trees import Node, names_of, unwrapped

_NEAR: Final = 0.75
_OLD_AND_SPECIAL: Final = frozenset({"merge_action", "normalize", "xmlexists", "grouping"})


class Calls:
    """The calls of one statement. `of` gives the type of an expression."""

    def __init__(
        self,
        catalog: Catalog,
        written: Written,
        overloads: Overloads,
        misplaced: Misplaced,
        of: Callable[[Node | None, Scope], Typed],
    ) -> None:
        self._catalog = catalog
        self._written = written
        self._overloads = overloads
        self._misplaced = misplaced
        self._of = of

    def of(self, node: Node, scope: Scope) -> Typed:
        """The type of what a call returns."""
        found = self.signature(node, scope)
        return NOT_KNOWN if found is None else Typed(found[1])

    def signature(
        self, node: Node, scope: Scope, *, by_call: bool = False
    ) -> tuple[Signature, str | None] | None:
        """The function that is called and the type that it returns; None where that is not known.

        `by_call`: by the statement CALL, which runs procedures alone.
        """
        names = names_of(node.get("funcname"))
        arguments: Sequence[Node] = node.get("args", ())
        given = [self._of(each, scope) for each in arguments]
        self._rest(node, scope)
        certain = self._certain(node, names, given) if self._catalog.open else None
        self._misplaced.nested(node, scope)
        self._misplaced.distinct(node)
        self._misplaced.kind(node, by_call=by_call)
        if len(names) > 2 or self._catalog.open:
            return certain
        schema, name = (names[0], names[1]) if len(names) == 2 else (None, names[0])
        candidates = self._catalog.function(schema, name)
        if not candidates:
            self._absent(node, schema, name, arguments, given, scope)
            return None
        named = any(unwrapped(each)[0] == "NamedArgExpr" for each in arguments)
        if named:
            self._named(node, schema, name, candidates)
        if node.get("func_variadic") or node.get("agg_within_group") or named:
            return None
        found = self._overloads.function(candidates, [each.name for each in given])
        if len(given) == 1 and self._is_column(given[0], name, scope):
            return None
        unsure = self._unsure(schema)
        if unsure and (found is Outcome.NONE or any(each.name is None for each in given)):
            return None
        if found is Outcome.NONE:
            self._refused(node, name, candidates, given, scope)
            return None
        if isinstance(found, Outcome):
            return None
        for each, type, wanted in zip(arguments, given, found.arguments, strict=True):
            self._literal(each, type, wanted)
        return found, self._overloads.result(found, [each.name for each in given])

    def _certain(
        self, node: Node, names: Sequence[str], given: Sequence[Typed]
    ) -> tuple[Signature, str | None] | None:
        """The function of PostgreSQL that is called, where no function of somebody else can be meant."""
        special = ("func_variadic", "agg_within_group")
        named = any("NamedArgExpr" in each for each in node.get("args", ()))
        own = len(names) == 2 and names[0] == "pg_catalog"
        if named or any(node.get(each) for each in special) or (len(names) > 1 and not own):
            return None
        if names[-1] in NEWER:
            return None
        name, candidates = names[-1], self._catalog.function(None, names[-1])
        found = self._overloads.function(candidates, [each.name for each in given])
        if not isinstance(found, Outcome):
            self._misplaced.sure[id(node)] = found
            return found, found.returns
        if own and candidates and not any(takes(each, len(given)) for each in candidates):
            counts = {len(each.arguments) for each in candidates}
            raise self._unfit(node, f"function {name} does not take {len(given)} arguments", counts)
        return None

    def _named(self, node: Node, schema: str | None, name: str, candidates: Sequence[Signature]) -> None:
        """Arguments that are given by a name, which some function has to have."""
        known = [one for each in candidates for one in each.names if one]
        if self._unsure(schema) or not all(len(each.names) == len(each.arguments) for each in candidates):
            return
        for each in node.get("args", ()):
            kind, fields = unwrapped(each)
            if kind == "NamedArgExpr" and fields.get("name") not in known:
                wrong = fields.get("name", "")
                raise self._written.refusal(
                    f"function {name} has no argument {wrong}",
                    "42883",
                    self._written.part(fields),
                    help=did_you_mean(wrong, known, "arguments"),
                )

    def _rest(self, node: Node, scope: Scope) -> None:
        """ORDER BY and FILTER of an aggregate, and a window."""
        for each in node.get("agg_order", ()):
            self._of(unwrapped(each)[1].get("node"), scope)
        self._of(node.get("agg_filter"), scope)
        window: Node = node.get("over", {})
        for each in window.get("partitionClause", ()):
            self._of(each, scope)
        for each in window.get("orderClause", ()):
            self._of(unwrapped(each)[1].get("node"), scope)

    def _unsure(self, schema: str | None) -> bool:
        """Whether there may be functions of the same name that nobody has read."""
        unsure = self._catalog.unsure
        return unsure.functions or unsure.everything or (schema is not None and schema in unsure.schemas)

    def _literal(self, node: Node, given: Typed, wanted: str | None) -> None:
        kind, fields = unwrapped(node)
        if given.name != "unknown" or wanted is None or kind != "A_Const" or "sval" not in fields:
            return
        wrong = fault(fields["sval"].get("sval", ""), wanted, self._catalog)
        if wrong is not None:
            name = wrong[0].split('"')[1] if wrong[1] == "42P01" else None
            raise self._written.refusal(*wrong, self._written.part(fields), name=name)

    def _refused(
        self, node: Node, name: str, candidates: Sequence[Signature], given: Sequence[Typed], scope: Scope
    ) -> None:
        """There are functions of this name, and none takes these arguments."""
        if len(given) == 1 and (self._is_cast(name) or self._is_column(given[0], name, scope)):
            return
        if self._catalog.unsure.operators or name in builtins().older:
            return
        shown = [types.shown(each, self._catalog) for each in given]
        if None in shown:
            counts = {len(each.arguments) for each in candidates}
            raise self._unfit(node, f"function {name} does not take {len(given)} arguments", counts)
        if node.get("agg_star"):
            return
        raise self._unfit(node, f"function {name}({', '.join(map(str, shown))}) does not exist", set())

    def _unfit(self, node: Node, message: str, counts: set[int]) -> Refusal:
        help = f"give it {' or '.join(map(str, sorted(counts)))}" if counts else "cast the arguments"
        return self._written.refusal(message, "42883", self._place(node), help=help)

    def _place(self, node: Node) -> tuple[int, int] | None:
        return self._written.part(node, len(names_of(node.get("funcname"))) - 1)

    def _is_cast(self, name: str) -> bool:
        return name in builtins().types or self._catalog.type(None, name) is not None

    def _is_column(self, given: Typed, name: str, scope: Scope) -> bool:
        """`name(row)` is `row.name`."""
        row = given.name is None or given.name == "record" or self._overloads.category(given.name)[0] == "C"
        return row and (scope.unsure() or name in SYSTEM_COLUMNS or name in scope.column_names())

    def _absent(
        self,
        node: Node,
        schema: str | None,
        name: str,
        arguments: Sequence[Node],
        given: Sequence[Typed],
        scope: Scope,
    ) -> None:
        """No function of this name is known: refuse where that is certain."""
        catalog = self._catalog
        if catalog.unsure.functions or catalog.unsure.everything or name in _OLD_AND_SPECIAL:
            return
        if schema is not None and (schema in SYSTEM_SCHEMAS or schema in catalog.unsure.schemas):
            return
        if schema is not None and schema not in catalog.schemas:
            raise self._written.refusal(
                f'schema "{schema}" does not exist',
                "3F000",
                self._written.part(node),
                help=did_you_mean(schema, sorted(catalog.schemas), "schemas"),
                name=schema,
            )
        if schema is None and builtins().knows(name):
            return
        if schema is None and name.startswith("pg_") and self._near_builtin(name) is None:
            return
        if len(arguments) == 1 and (self._is_cast(name) or self._is_column(given[0], name, scope)):
            return
        known = list(catalog.functions)
        meant = near(name, known) or self._near_builtin(name)
        if meant is None and catalog.unsure.newer:
            return
        shown = [types.shown(each, catalog) or "unknown" for each in given]
        full = name if schema is None else f"{schema}.{name}"
        raise self._written.refusal(
            f"function {full}({', '.join(shown)}) does not exist",
            "42883",
            self._place(node),
            help=f"did you mean `{types.quoted(meant)}`?" if meant else "define it, or correct its name",
            name=full,
        )

    def _near_builtin(self, name: str) -> str | None:
        found = get_close_matches(name, list(builtins().functions), 1, _NEAR)
        return found[0] if found else None
