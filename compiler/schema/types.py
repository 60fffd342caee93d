"""Names of types: from a parse tree, from what `format_type` writes, and back."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from dfc.compiler.schema.builtins import builtins
from dfc.compiler.schema.catalog import NOT_KNOWN, Catalog, Typed, Unclear, UserType
from dfc.compiler.sql.native import Fault
from dfc.compiler.sql.tokens import split_comments, tokens
from dfc.compiler.sql.trees import Node, names_of, tree_of, unwrapped

_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_$]*")
_SERIALS: Final = {
    "serial": "int4",
    "serial4": "int4",
    "bigserial": "int8",
    "serial8": "int8",
    "smallserial": "int2",
    "serial2": "int2",
}
_YEAR, _MONTH, _DAY, _HOUR, _MINUTE, _SECOND = 1 << 2, 1 << 1, 1 << 3, 1 << 10, 1 << 11, 1 << 12
_INTERVALS: Final = {
    _YEAR: " year",
    _MONTH: " month",
    _DAY: " day",
    _HOUR: " hour",
    _MINUTE: " minute",
    _SECOND: " second",
    _YEAR | _MONTH: " year to month",
    _DAY | _HOUR: " day to hour",
    _DAY | _HOUR | _MINUTE: " day to minute",
    _DAY | _HOUR | _MINUTE | _SECOND: " day to second",
    _HOUR | _MINUTE: " hour to minute",
    _HOUR | _MINUTE | _SECOND: " hour to second",
    _MINUTE | _SECOND: " minute to second",
}
"""What the modifier of an interval says, by its bits."""
VALUE_FUNCTIONS: Final = {
    "SVFOP_CURRENT_DATE": "date",
    "SVFOP_CURRENT_TIME": "timetz",
    "SVFOP_CURRENT_TIME_N": "timetz",
    "SVFOP_CURRENT_TIMESTAMP": "timestamptz",
    "SVFOP_CURRENT_TIMESTAMP_N": "timestamptz",
    "SVFOP_LOCALTIME": "time",
    "SVFOP_LOCALTIME_N": "time",
    "SVFOP_LOCALTIMESTAMP": "timestamp",
    "SVFOP_LOCALTIMESTAMP_N": "timestamp",
}
"""The types of what is written like a function without brackets."""
_WITHOUT_MODIFIER: Final = {"bpchar": "bpchar", "bit": '"bit"'}
"""Without one they are no standard types, which have a length of 1 then."""
_CACHED_NAMES_MAX: Final = 4_096


def quoted(name: str) -> str:
    """A name as an identifier."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def shown(type: Typed, catalog: Catalog) -> str | None:
    """A type as `format_type` writes it; None where it is not known."""
    if type.name is None:
        return None
    name = type.name.removesuffix("[]")
    known = builtins().types.get(name)
    if known is None:
        schema, _, rest = name.partition(".")
        text = quoted(rest) if schema in catalog.search_path else f"{quoted(schema)}.{quoted(rest)}"
    elif name in _WITHOUT_MODIFIER and not type.modifier:
        text = _WITHOUT_MODIFIER[name]
    else:
        text = known.shown
    if type.modifier:
        first, space, last = text.partition(" with")
        text = first + type.modifier + space + last
    return text + ("[]" if name != type.name else "")


def is_serial(node: Node) -> str | None:
    """The type of a column that is written as `serial`."""
    names = names_of(node.get("names"))
    return _SERIALS.get(names[-1]) if len(names) == 1 and not node.get("arrayBounds") else None


def of_node(node: Node, catalog: Catalog) -> Typed | str:
    """The type that a TypeName means; as a string the name of one that does not exist, for certain."""
    names = names_of(node.get("names"))
    if not names or node.get("pct_type") or len(names) > 2:
        return NOT_KNOWN
    schema, name = (names[0], names[1]) if len(names) == 2 else (None, names[0])
    array = "[]" if node.get("arrayBounds") else ""
    own = schema != "pg_catalog"
    if own and (found := catalog.type(schema, name)) is not None:
        if isinstance(found, UserType):
            modifier = _modifier(name, node.get("typmods")) if found.kind == "base" else ""
            return Typed(f"{found.schema}.{found.name}{array}", modifier)
        if schema is not None or name not in builtins().types:
            return NOT_KNOWN
    if schema in (None, "pg_catalog"):
        if name in builtins().types:
            return Typed(name + array, _modifier(name, node.get("typmods")))
        if name.startswith("_") and f"{name[1:]}[]" in builtins().types:
            return Typed(f"{name[1:]}[]")
        if name.startswith(("pg_", "_pg_")):
            return NOT_KNOWN
    elif isinstance(catalog.relation(schema, name), Unclear):
        return NOT_KNOWN
    return NOT_KNOWN if catalog.unsure.types or catalog.unsure.everything else ".".join(names)


def known_of_node(node: Node, catalog: Catalog) -> Typed:
    """The type that a TypeName means; not known where there is none."""
    found = of_node(node, catalog)
    return NOT_KNOWN if isinstance(found, str) else found


def of_column(node: Node, catalog: Catalog) -> Typed:
    """The type of a ColumnDef."""
    type_node: Node = node.get("typeName", {})
    serial = is_serial(type_node)
    return Typed(serial) if serial is not None else known_of_node(type_node, catalog)


def _modifier(name: str, modifiers: Any) -> str:
    if not modifiers:
        return ""
    written: list[str] = []
    for each in modifiers:
        kind, fields = unwrapped(each)
        value = fields.get("ival", {}).get("ival", 0) if kind == "A_Const" and "ival" in fields else None
        if value is None:
            return ""
        written.append(str(value))
    if name == "interval":
        digits = f"({written[1]})" if len(written) > 1 else ""
        return _INTERVALS.get(int(written[0]), "") + digits
    if name == "numeric" and len(written) == 1:
        written.append("0")
    return "(" + ",".join(written) + ")"


@lru_cache(maxsize=_CACHED_NAMES_MAX)
def _parsed(written: str) -> Node | None:
    sql = f"SELECT NULL::{written}"
    tree = tree_of(sql, tokens(sql, split_comments(sql)[0]))
    if tree is None or isinstance(tree, Fault):
        return None
    kind, select = unwrapped(tree)
    targets = select.get("targetList", ())
    if kind != "SelectStmt" or len(targets) != 1 or len(select) > 3:
        return None
    kind, cast = unwrapped(targets[0]["ResTarget"].get("val"))
    return cast.get("typeName") if kind == "TypeCast" else None


def of_text(written: str | None, catalog: Catalog) -> Typed:
    """The type of this name, as `format_type` or a person writes it; not known where there is none."""
    node = None if written is None else _parsed(written)
    return NOT_KNOWN if node is None else known_of_node(node, catalog)


def absent(written: str, catalog: Catalog) -> str | None:
    """The name of a type that there is not, for certain."""
    node = _parsed(written)
    found = NOT_KNOWN if node is None else of_node(node, catalog)
    return found if isinstance(found, str) else None


def sent(type: Typed, catalog: Catalog) -> Typed:
    """A type as results have it: of domains what they are made of."""
    if type.name is None:
        return type
    own = catalog.types.get(type.name)
    for _ in range(32):
        if own is None or own.kind != "domain" or type.name is None:
            return type
        type = own.base
        own = catalog.types.get(type.name or "")
    return NOT_KNOWN


def element(type_name: str) -> str | None:
    """What an array is made of."""
    if type_name.endswith("[]"):
        return type_name.removesuffix("[]")
    return {"int2vector": "int2", "oidvector": "oid"}.get(type_name)
