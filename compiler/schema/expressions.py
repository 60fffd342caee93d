"""Types of expressions, and what PostgreSQL would refuse in them. What is not known here has no type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from dfc.compiler.schema import types
from dfc.compiler.schema.builtins import Signature
from dfc.compiler.schema.calls import Calls
from dfc.compiler.schema.catalog import LITERAL, NOT_KNOWN, Catalog, Typed, UserType
from dfc.compiler.schema.columns import Columns
from dfc.compiler.schema.literals import fault
from dfc.compiler.schema.misplaced import NONE, SETS, WINDOWS, Misplaced
from dfc.compiler.schema.overloads import ASSIGNMENT, EXPLICIT, MISTAKEN, Outcome, Overloads
from dfc.compiler.schema.scope import SYSTEM_COLUMNS, Output, Scope, Written, did_you_mean, has_row_star
from dfc.compiler.sql.trees import Node, first_place, names_of, unwrapped

BOOL: Final = Typed("bool")
_CLAUSES: Final = {
    "WHERE": ("WHERE", NONE),
    "HAVING": ("HAVING", frozenset({WINDOWS, SETS})),
    "JOIN/ON": ("JOIN conditions", NONE),
    "WHEN": ("MERGE WHEN conditions", NONE),
}
"""What may not stand in a condition."""
_PLAIN_NAMES: Final = """
    text varchar bpchar int2 int4 int8 numeric float4 float8 bool date timestamp timestamptz time
    timetz interval uuid json jsonb bytea
"""
PLAIN: Final = frozenset(_PLAIN_NAMES.split())
"""Types of single values: no arrays, and nothing that could be read as one."""
_COMPARED: Final = frozenset({"AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT", "AEXPR_NULLIF"})
_INT8_MAX: Final = 2**63


class Queries(Protocol):
    """Who analyses a query inside of an expression."""

    def query(self, node: Node, scope: Scope | None) -> Output: ...


class Expressions:
    """The expressions of one statement. `parameters` are the types of `$1`, `$2`, ..."""

    def __init__(
        self, catalog: Catalog, written: Written, parameters: Sequence[Typed], queries: Queries
    ) -> None:
        self._catalog = catalog
        self._written = written
        self._parameters = parameters
        self._queries = queries
        self.overloads = Overloads(catalog)
        self.columns = Columns(catalog, written)
        self.misplaced = Misplaced(catalog, written)
        self._calls = Calls(catalog, written, self.overloads, self.misplaced, self.of)
        self._kinds: Mapping[str, Callable[[Node, Scope], Typed]] = {
            "ColumnRef": self.columns.of,
            "A_Const": self._constant,
            "ParamRef": self._parameter,
            "TypeCast": self._cast,
            "FuncCall": self._calls.of,
            "A_Expr": self._operation,
            "BoolExpr": self._logic,
            "SubLink": self._sublink,
            "CaseExpr": self._case,
            "CoalesceExpr": self._alternatives,
            "MinMaxExpr": self._alternatives,
            "NullTest": self._test,
            "BooleanTest": self._boolean_test,
            "A_ArrayExpr": self._array,
            "RowExpr": self._row,
            "A_Indirection": self._indirection,
            "CollateClause": self._collate,
            "SQLValueFunction": self._value_function,
            "JsonFuncExpr": self._json_function,
            "JsonIsPredicate": lambda node, scope: BOOL,
            "MergeSupportFunc": lambda node, scope: Typed("text"),
            "GroupingFunc": lambda node, scope: Typed("int4"),
            "List": self._list,
            "NamedArgExpr": lambda node, scope: self.of(node.get("arg"), scope),
        }

    def of(self, node: Node | None, scope: Scope) -> Typed:
        """The type of an expression, whose parts are all looked at."""
        kind, fields = unwrapped(node)
        handler = self._kinds.get(kind)
        return NOT_KNOWN if handler is None else handler(fields, scope)

    def call(self, node: Node, scope: Scope, *, by_call: bool = False) -> tuple[Signature, str | None] | None:
        """The function that is called, and the type that it returns. `by_call`: by the statement CALL."""
        return self._calls.signature(node, scope, by_call=by_call)

    def common_name(self, given: Sequence[Typed]) -> str | None:
        """The type that these have in common; None where it is not known, or there is none."""
        found = self.overloads.common([each.name for each in given])
        return None if isinstance(found, Outcome) else found

    def boolean(self, node: Node | None, scope: Scope, where: str) -> None:
        """An expression that has to be true or false."""
        if node is None:
            return
        found = self.of(node, scope)
        if where in _CLAUSES:
            self.misplaced.refuse(node, *_CLAUSES[where], scope)
        self.literal(node, found, "bool")
        if found.name is not None and self.overloads.refuses(found.name, "bool", ASSIGNMENT):
            shown = types.shown(found, self._catalog)
            raise self._written.refusal(
                f"argument of {where} must be type boolean, not type {shown}", "42804", self.span(node)
            )

    def literal(self, node: Node | None, found: Typed, wanted: str | None) -> None:
        """A literal without a type, where one of type `wanted` is read from it."""
        if wanted is None or found.name != "unknown":
            return
        kind, fields = unwrapped(node)
        if kind == "A_Const" and "sval" in fields:
            wrong = fault(fields["sval"].get("sval", ""), wanted, self._catalog)
            if wrong is not None:
                name = wrong[0].split('"')[1] if wrong[1] == "42P01" else None
                raise self._written.refusal(*wrong, self._written.part(fields), name=name)

    def span(self, node: Node | None) -> tuple[int, int] | None:
        """Where an expression begins: its first token."""
        place = first_place(node)
        return None if place is None else self._written.part({"location": place})

    def _constant(self, node: Node, scope: Scope) -> Typed:
        if "ival" in node:
            return Typed("int4")
        if "fval" in node:
            text = node["fval"].get("fval", "")
            digits = text.removeprefix("-")
            whole = digits.isdigit() and len(digits) < 20 and -_INT8_MAX <= int(text) < _INT8_MAX
            return Typed("int8" if whole else "numeric")
        if "boolval" in node:
            return BOOL
        if "bsval" in node:
            return Typed("bit")
        return LITERAL

    def _parameter(self, node: Node, scope: Scope) -> Typed:
        number: int = node.get("number", 0)
        known = 0 < number <= len(self._parameters)
        return self._parameters[number - 1] if known else NOT_KNOWN

    def type_named(self, node: Node) -> Typed:
        """The type that a cast names."""
        found = types.of_node(node, self._catalog)
        if isinstance(found, str):
            names = names_of(node.get("names"))
            last = len(names) - 1
            if last and names[0] not in self._catalog.schemas:
                raise self._written.refusal(
                    f'schema "{names[0]}" does not exist', "3F000", self._written.part(node), name=names[0]
                )
            raise self._written.refusal(
                f'type "{found}" does not exist', "42704", self._written.part(node, last), name=found
            )
        return found

    def _cast(self, node: Node, scope: Scope) -> Typed:
        given = self.of(node.get("arg"), scope)
        wanted = self.type_named(node.get("typeName", {}))
        self.literal(node.get("arg"), given, wanted.name)
        is_array = unwrapped(node.get("arg"))[0] == "A_ArrayExpr"
        if not is_array and self.overloads.refuses(given.name, wanted.name, EXPLICIT):
            a, b = types.shown(given, self._catalog), types.shown(Typed(wanted.name), self._catalog)
            raise self._written.refusal(f"cannot cast type {a} to {b}", "42846", self._written.part(node))
        return wanted

    def _operation(self, node: Node, scope: Scope) -> Typed:
        kind = node.get("kind", "")
        name = names_of(node.get("name"))
        left_node, right_node = node.get("lexpr"), node.get("rexpr")
        if kind == "AEXPR_IN" or "BETWEEN" in kind:
            self._several(node, kind, name, scope)
            return BOOL
        if unwrapped(left_node)[0] == "RowExpr" and unwrapped(right_node)[0] == "SubLink":
            self.of(left_node, scope)
            self._queries.query(unwrapped(right_node)[1].get("subselect", {}), scope)
            return BOOL
        left = self.of(left_node, scope) if left_node else Typed("")
        right = self.of(right_node, scope)
        if kind in ("AEXPR_OP_ANY", "AEXPR_OP_ALL"):
            self._with_array(node, name, left, right)
            return BOOL
        if len(name) != 1:
            return NOT_KNOWN
        if unwrapped(left_node)[0] in ("RowExpr",) or unwrapped(right_node)[0] in ("RowExpr",):
            self._alike(node, left_node, right_node)
            return BOOL if name[0] in ("=", "<>", "<", ">", "<=", ">=") else NOT_KNOWN
        found = self.binary(node, name[0], (left_node, left), (right_node, right))
        if kind == "AEXPR_NULLIF":
            return left if left.name != "unknown" else NOT_KNOWN
        return BOOL if kind in _COMPARED else found

    def _alike(self, node: Node, *rows: Node | None) -> None:
        """Rows that are compared have as many values."""
        found = [fields for kind, fields in map(unwrapped, rows) if kind == "RowExpr"]
        counts = [len(fields.get("args", ())) for fields in found if not has_row_star(fields)]
        if len(counts) == 2 and counts[0] != counts[1]:
            raise self._written.refusal(
                "unequal number of entries in row expressions",
                "42601",
                self._written.part(node),
                help=f"compare {counts[0]} values with as many",
            )

    def binary(
        self, node: Node, name: str, left: tuple[Node | None, Typed], right: tuple[Node | None, Typed]
    ) -> Typed:
        """An operator and its operands; `node` is where it stands."""
        a, b = left[1].name, right[1].name
        if (a, b) == ("unknown", "unknown") and name in ("=", "<>", "<", ">", "<=", ">="):
            return BOOL
        if self._catalog.likely and name in MISTAKEN:
            raise self._written.refusal(
                f"operator does not exist: {name}",
                "42883",
                self._written.part(node),
                help=f"write `{MISTAKEN[name]}`",
            )
        found = self.overloads.operator(name, a, b)
        if found is Outcome.NONE:
            shown = [types.shown(each, self._catalog) for each in (left[1], right[1]) if each.name != ""]
            if None in shown and self.overloads.is_operator(name):
                return NOT_KNOWN
            shown = [each or "unknown" for each in shown]
            between = f" {name} ".join(map(str, shown)) if len(shown) == 2 else f"{name} {shown[0]}"
            raise self._written.refusal(
                f"operator does not exist: {between}",
                "42883",
                self._written.part(node),
                help="cast one side to the type of the other",
            )
        if isinstance(found, Outcome):
            return NOT_KNOWN
        arguments = found.arguments
        if a != "":
            self.literal(left[0], left[1], _concrete(arguments[0], b))
        self.literal(right[0], right[1], _concrete(arguments[-1], a))
        given = [b] if a == "" else [a, b]
        if "unknown" in given and a != "":
            given = [b if a == "unknown" else a, a if b == "unknown" else b]
        return Typed(self.overloads.result(found, given))

    def _several(self, node: Node, kind: str, name: list[str], scope: Scope) -> None:
        """IN with a list, and BETWEEN."""
        left_node = node.get("lexpr")
        left = self.of(left_node, scope)
        items: Sequence[Node] = unwrapped(node.get("rexpr"))[1].get("items", ())
        given = [self.of(each, scope) for each in items]
        if unwrapped(left_node)[0] == "RowExpr" or len(name) != 1:
            return
        alike = all(each.name in (left.name, "unknown") for each in given)
        common = self.overloads.common([left.name, *[each.name for each in given]])
        if kind == "AEXPR_IN" and isinstance(common, str) and not alike:
            # All of the list become one array of this type.
            for each, type in zip(items, given, strict=True):
                self.literal(each, type, common)
        operators = ["=" if kind == "AEXPR_IN" and name[0] == "=" else name[0]] * len(items)
        if kind != "AEXPR_IN":
            operators = [">=", "<="]
        for operator, each, type in zip(operators, items, given, strict=False):
            if unwrapped(each)[0] == "RowExpr" or (type.name == "unknown" and not alike):
                continue
            self.binary(node, operator, (left_node, left), (each, type))

    def _with_array(self, node: Node, name: list[str], left: Typed, right: Typed) -> None:
        base = self.overloads.base(right.name)
        if base is None or base == "unknown" or len(name) != 1:
            return
        inner = types.element(base)
        if inner is None and base in PLAIN:
            raise self._written.refusal(
                "op ANY/ALL (array) requires array on right side",
                "42809",
                self._written.part(node),
                help="compare with the value itself, or write `ARRAY[...]`",
            )
        if inner is not None:
            self.binary(node, name[0], (node.get("lexpr"), left), (None, Typed(inner)))

    def _logic(self, node: Node, scope: Scope) -> Typed:
        operator = {"AND_EXPR": "AND", "OR_EXPR": "OR"}.get(node.get("boolop", ""), "NOT")
        for each in node.get("args", ()):
            self.boolean(each, scope, operator)
        return BOOL

    def _sublink(self, node: Node, scope: Scope) -> Typed:
        output = self._queries.query(node.get("subselect", {}), scope)
        kind = node.get("subLinkType", "")
        if kind == "EXISTS_SUBLINK":
            return BOOL
        one = output.columns[0].type if len(output.columns) == 1 and not output.open else NOT_KNOWN
        if kind in ("ANY_SUBLINK", "ALL_SUBLINK"):
            test = node.get("testexpr")
            left = self.of(test, scope)
            name = names_of(node.get("operName")) or ["="]
            self._width(node, test, output)
            lone = len(name) == 1 and not output.open and len(output.columns) == 1
            if lone and one.name != "unknown" and unwrapped(test)[0] != "RowExpr":
                self.binary(node, name[0], (test, left), (None, one))
            return BOOL
        if kind in ("EXPR_SUBLINK", "ARRAY_SUBLINK"):
            if not output.open and len(output.columns) > 1:
                raise self._written.refusal(
                    "subquery must return only one column", "42601", self._written.part(node)
                )
            if kind == "EXPR_SUBLINK":
                return Typed("text") if one.name == "unknown" else one
            inner = "text" if one.name == "unknown" else one.name
            return NOT_KNOWN if inner is None or inner.endswith("[]") else Typed(f"{inner}[]")
        return NOT_KNOWN

    def _width(self, node: Node, test: Node | None, output: Output) -> None:
        """What a sub-query gives is compared with as many values."""
        kind, fields = unwrapped(test)
        wanted = len(fields.get("args", ())) if kind == "RowExpr" else 1
        if has_row_star(fields) or output.open or wanted == len(output.columns) or kind == "":
            return
        how = "many" if len(output.columns) > wanted else "few"
        raise self._written.refusal(
            f"subquery has too {how} columns",
            "42601",
            self._written.part(node),
            help=f"select {wanted} column{'s' if wanted > 1 else ''} there",
        )

    def _case(self, node: Node, scope: Scope) -> Typed:
        test = node.get("arg")
        tested = self.of(test, scope) if test else None
        results: list[Node] = []
        for each in node.get("args", ()):
            when = each["CaseWhen"]
            if tested is None:
                self.boolean(when.get("expr"), scope, "CASE/WHEN")
            else:
                value = self.of(when.get("expr"), scope)
                wanted = Typed("text") if tested.name == "unknown" else tested
                if "RowExpr" not in (unwrapped(test)[0], unwrapped(when.get("expr"))[0]):
                    self.binary(node, "=", (test, wanted), (when.get("expr"), value))
            results.append(when.get("result", {}))
        if "defresult" not in node:
            given = [self.of(each, scope) for each in results]
            return self.common([*results, None], [*given, LITERAL], "CASE")
        # PostgreSQL begins with it.
        results.insert(0, node["defresult"])
        return self.common(results, [self.of(each, scope) for each in results], "CASE")

    def _alternatives(self, node: Node, scope: Scope) -> Typed:
        items: list[Node] = list(node.get("args", ()))
        what = {"IS_GREATEST": "GREATEST", "IS_LEAST": "LEAST"}.get(node.get("op", ""), "COALESCE")
        if what == "COALESCE" and "op" in node:
            what = "GREATEST"
        return self.common(items, [self.of(each, scope) for each in items], what)

    def common(self, nodes: Sequence[Node | None], given: Sequence[Typed], what: str) -> Typed:
        """The type that several expressions have in common; refuses where they have none."""
        found = self.overloads.common([each.name for each in given])
        if found is Outcome.NONE:
            first, second = self._apart(given)
            a, b = types.shown(given[first], self._catalog), types.shown(given[second], self._catalog)
            raise self._written.refusal(
                f"{what} types {a} and {b} cannot be matched", "42804", self.span(nodes[second])
            )
        if isinstance(found, Outcome) or found is None:
            return NOT_KNOWN
        for node, each in zip(nodes, given, strict=True):
            self.literal(node, each, found)
        # Literals have no modifier, so that the whole has none.
        return given[0] if all(each == given[0] and each.name == found for each in given) else Typed(found)

    def _apart(self, given: Sequence[Typed]) -> tuple[int, int]:
        """The first two that do not fit."""
        known = [place for place, each in enumerate(given) if each.name not in (None, "unknown")]
        for place in known:
            if self.overloads.common([given[each].name for each in known if each <= place]) is Outcome.NONE:
                return known[0], place
        return 0, 0

    def _test(self, node: Node, scope: Scope) -> Typed:
        self.of(node.get("arg"), scope)
        return BOOL

    def _boolean_test(self, node: Node, scope: Scope) -> Typed:
        test = node.get("booltesttype", "IS_TRUE").replace("_", " ")
        self.boolean(node.get("arg"), scope, test)
        return BOOL

    def _array(self, node: Node, scope: Scope) -> Typed:
        items: Sequence[Node] = node.get("elements", ())
        given = [self.of(each, scope) for each in items]
        if not items:
            return NOT_KNOWN
        found = self.common(items, given, "ARRAY").name
        if found is None:
            return NOT_KNOWN
        return Typed(found if found.endswith("[]") else f"{found}[]")

    def _row(self, node: Node, scope: Scope) -> Typed:
        for each in node.get("args", ()):
            self.of(each, scope)
        return Typed("record")

    def _indirection(self, node: Node, scope: Scope) -> Typed:
        here = self.of(node.get("arg"), scope)
        parts: Sequence[Node] = node.get("indirection", ())
        sliced = any(unwrapped(each)[1].get("is_slice") for each in parts)
        array: str | None = None  # of which the subscripts before this one are: all of them make one element
        for each in parts:
            kind, fields = unwrapped(each)
            if kind != "A_Indices":
                array = None
            if kind == "A_Indices":
                base = array or self.overloads.base(here.name)
                for side in ("lidx", "uidx"):
                    found_type = self.of(fields.get(side), scope)
                    if base is not None and base.endswith("[]"):
                        self.literal(fields.get(side), found_type, "int4")
                inner = None if base is None else types.element(base)
                if sliced:
                    # One slice among them makes them all slices.
                    continue
                if base in PLAIN and base != "jsonb":
                    shown = types.shown(Typed(base), self._catalog)
                    raise self._written.refusal(
                        f"cannot subscript type {shown} because it does not support subscripting",
                        "42804",
                        self.span(node.get("arg")),
                        help="take a part of a text with `substr(...)`, of JSON with `->`",
                    )
                array = base if base is not None and base.endswith("[]") else None
                here = Typed("jsonb") if base == "jsonb" else Typed(inner)
            elif kind == "String":
                base = self.overloads.base(here.name) or ""
                own = None if here.name is None else self._catalog.named(base)
                name = fields.get("sval", "")
                if base in PLAIN:
                    self._no_row(node, name, base)
                found = [one for one in (own.columns or ()) if one.name == name] if own is not None else []
                if own is not None and own.kind == "composite" and own.columns is not None and not found:
                    self._no_field(node, name, own)
                here = found[0].type if found else NOT_KNOWN
            else:
                here = NOT_KNOWN
        return here

    def _no_row(self, node: Node, name: str, base: str) -> None:
        """A field of a value that has none; unless it is a function that is written like one."""
        if self._catalog.function(None, name) or self._catalog.unsure.functions:
            return
        shown, place = types.shown(Typed(base), self._catalog), first_place(node.get("arg"))
        raise self._written.refusal(
            f"column notation .{name} applied to type {shown}, which is not a composite type",
            "42809",
            None if place is None else self._written.behind({"location": place}, name),
            help=f"take `.{name}` out; a field of JSON is `... ->> '{name}'`",
        )

    def _no_field(self, node: Node, name: str, own: UserType) -> None:
        if name in SYSTEM_COLUMNS or self._catalog.function(None, name) or self._catalog.unsure.functions:
            return
        place = first_place(node.get("arg"))
        raise self._written.refusal(
            f'column "{name}" not found in data type {types.quoted(own.name)}',
            "42703",
            None if place is None else self._written.behind({"location": place}, name),
            help=did_you_mean(name, [column.name for column in own.columns or ()], "columns"),
            name=name,
        )

    def _collate(self, node: Node, scope: Scope) -> Typed:
        return self.of(node.get("arg"), scope)

    def _value_function(self, node: Node, scope: Scope) -> Typed:
        digits = node.get("typmod", 0) if node.get("op", "").endswith("_N") else -1
        return Typed(
            types.VALUE_FUNCTIONS.get(node.get("op", ""), "name"), f"({digits})" if digits >= 0 else ""
        )

    def _json_function(self, node: Node, scope: Scope) -> Typed:
        self.of(node.get("context_item", {}).get("raw_expr"), scope)
        if "output" in node:
            return NOT_KNOWN
        return Typed({"JSON_VALUE_OP": "text", "JSON_QUERY_OP": "jsonb"}.get(node.get("op", ""), "bool"))

    def _list(self, node: Node, scope: Scope) -> Typed:
        for each in node.get("items", ()):
            self.of(each, scope)
        return NOT_KNOWN


def _concrete(wanted: str | None, other: str | None) -> str | None:
    """The type that a literal takes beside a value: that of the operator, or for `anyenum` the value's."""
    if wanted is None or not wanted.startswith("any"):
        return wanted
    return other if wanted in ("anyenum",) and other != "unknown" else None
