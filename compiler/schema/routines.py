"""CREATE FUNCTION, PROCEDURE, AGGREGATE: what their callers see."""

from __future__ import annotations

from typing import Final

from dfc.compiler.schema import types
from dfc.compiler.schema.builtins import Signature
from dfc.compiler.schema.catalog import Catalog, Function, UserType
from dfc.compiler.sql.trees import Node, names_of, unwrapped

_IN: Final = frozenset({"FUNC_PARAM_IN", "FUNC_PARAM_INOUT", "FUNC_PARAM_VARIADIC", "FUNC_PARAM_DEFAULT"})
_OUT: Final = frozenset({"FUNC_PARAM_OUT", "FUNC_PARAM_INOUT", "FUNC_PARAM_TABLE"})


def add_function(node: Node, catalog: Catalog) -> str | None:
    """CREATE FUNCTION or PROCEDURE."""
    schema, name = _place(node.get("funcname"), catalog)
    procedure = bool(node.get("is_procedure"))
    arguments: list[str | None] = []
    names: list[str] = []
    outs: list[tuple[str, str | None]] = []
    defaults = 0
    variadic = False
    for each in node.get("parameters", ()):
        parameter = unwrapped(each)[1]
        mode = parameter.get("mode", "FUNC_PARAM_DEFAULT")
        type = types.known_of_node(parameter.get("argType", {}), catalog).name
        if mode in _IN or (procedure and mode == "FUNC_PARAM_OUT"):
            arguments.append(type)
            names.append(parameter.get("name", ""))
            defaults += "defexpr" in parameter
            variadic = variadic or mode == "FUNC_PARAM_VARIADIC"
        if mode in _OUT:
            outs.append((parameter.get("name") or f"column{len(outs) + 1}", type))
    returned: Node = node.get("returnType", {})
    returns = types.known_of_node(returned, catalog).name if returned else None
    if len(outs) == 1:
        # One OUT parameter is the value of the function.
        returns = outs[0][1]
    elif outs:
        returns = "record"
    signature = Signature(
        "p" if procedure else "f",
        bool(returned.get("setof")),
        defaults,
        variadic,
        returns,
        tuple(arguments),
        tuple(outs),
        tuple(names),
    )
    _add(catalog, Function(schema, name, signature, _body(node)))
    return None


def _body(node: Node) -> str:
    """The text of a function that is written in a string, in lower case."""
    options = [unwrapped(each)[1] for each in node.get("options", ())]
    bodies = [unwrapped(each.get("arg"))[1] for each in options if each.get("defname") == "as"]
    return " ".join(text for body in bodies for text in names_of(body.get("items"))).lower()


def add_aggregate(node: Node, catalog: Catalog) -> None:
    """CREATE AGGREGATE: what it returns depends on its final function."""
    schema, name = _place(node.get("defnames"), catalog)
    parameters = [
        unwrapped(each)[1] for part in node.get("args", ()) for each in unwrapped(part)[1].get("items", ())
    ]
    arguments = tuple([types.known_of_node(each.get("argType", {}), catalog).name for each in parameters])
    signature = Signature("a", False, 0, False, None, arguments)
    if node.get("oldstyle"):
        signature = Signature("a", False, 99, True, None, (None,))
    _add(catalog, Function(schema, name, signature))


def add_constructors(catalog: Catalog, range: UserType, multirange: UserType, inner: str | None) -> None:
    """The functions that make a range, and several of them."""
    one, several = f"{range.schema}.{range.name}", f"{multirange.schema}.{multirange.name}"
    signature = Signature("f", False, 1, False, one, (inner, inner, "text"))
    _add(catalog, Function(range.schema, range.name, signature))
    signature = Signature("f", False, 1, True, several, (f"{one}[]",))
    _add(catalog, Function(multirange.schema, multirange.name, signature))


def drop_function(target: Node, catalog: Catalog) -> None:
    """DROP FUNCTION: gone if it is the only one of its name; else nobody looks which one."""
    names = names_of(target.get("objname"))
    if names and len(catalog.functions.get(names[-1], ())) == 1:
        del catalog.functions[names[-1]]


def _add(catalog: Catalog, function: Function) -> None:
    catalog.schemas.add(function.schema)
    same = catalog.functions.setdefault(function.name, [])
    # OR REPLACE, or the same file read twice.
    same[:] = [
        each
        for each in same
        if each.schema != function.schema or each.signature.arguments != function.signature.arguments
    ]
    same.append(function)


def _place(parts: object, catalog: Catalog) -> tuple[str, str]:
    names = names_of(parts)
    schema = names[-2] if len(names) > 1 else next(iter(catalog.search_path), "public")
    return schema, names[-1] if names else ""
