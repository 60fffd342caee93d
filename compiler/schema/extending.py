"""CREATE EXTENSION: what the extensions that are known here add to a catalog."""

from __future__ import annotations

from dfc.compiler.plan_extensions import (
    IN_SCHEMAS,
    OF_OTHERS,
    PLAIN_EXTENSIONS,
    Extension,
    brings_unknown_tables,
    extension,
)
from dfc.compiler.schema.builtins import Signature, function_of, operator_of
from dfc.compiler.schema.catalog import Catalog, Function, Relation, UserType
from dfc.compiler.sql.trees import Node, unwrapped

_DEPTH_MAX = 4


def extend(node: Node, catalog: Catalog) -> None:
    """Add what an extension brings; where that is not known, nothing of its kinds is unknown any more."""
    given = [unwrapped(each)[1] for each in node.get("options", ())]
    options = {each.get("defname"): unwrapped(each.get("arg"))[1] for each in given}
    schema = options.get("schema", {}).get("sval", "")
    name = node.get("extname", "")
    place = schema or next(iter(catalog.search_path), "public")
    _extend(name, place, catalog, with_required="cascade" in options)
    if extension(name) is None and name not in PLAIN_EXTENSIONS:
        unsure = catalog.unsure
        unsure.functions = unsure.types = unsure.operators = True
        unsure.schemas.update(IN_SCHEMAS.get(name, ()))
        if brings_unknown_tables(name):
            unsure.relations = True
            unsure.schemas.update(one for one in (schema, name) if one)


def _extend(name: str, schema: str, catalog: Catalog, *, with_required: bool, depth: int = 0) -> None:
    found = extension(name)
    if found is None:
        return
    if with_required and depth < _DEPTH_MAX:
        for each in found.requires:
            if each not in catalog.extensions:
                _extend(each, schema, catalog, with_required=True, depth=depth + 1)
    catalog.extensions.add(name)
    catalog.schemas.add(schema)
    catalog.unsure.newer = catalog.unsure.newer or name in OF_OTHERS
    _Brought(found, schema, catalog).add()


class _Brought:
    """An extension, and the schema that it is made in."""

    def __init__(self, extension: Extension, schema: str, catalog: Catalog) -> None:
        self._extension = extension
        self._schema = schema
        self._catalog = catalog

    def add(self) -> None:
        """Add all of it."""
        catalog, found = self._catalog, self._extension
        for name, (category, preferred, kind) in found.types.items():
            shape = "base" if kind == "b" else "other"
            catalog.add_type(UserType(self._schema, name, shape, category=category, preferred=preferred))
        for name, entries in found.functions.items():
            own = [Function(self._schema, name, function_of(each, self._type)) for each in entries]
            catalog.functions.setdefault(name, []).extend(own)
        for name in found.newer:
            signature = Signature("f", False, 99, True, None, (None,))
            catalog.functions.setdefault(name, []).append(Function(self._schema, name, signature))
        for name, entries in found.operators.items():
            catalog.operators.setdefault(name, []).extend(operator_of(each, self._type) for each in entries)
        for source, target, context in found.casts:
            pair = self._type(source), self._type(target)
            if pair[0] is not None and pair[1] is not None:
                catalog.casts[pair[0], pair[1]] = context
        for name in found.relations:
            catalog.add(Relation(self._schema, name, None, "view"))

    def _type(self, written: str) -> str | None:
        if not written.startswith("@"):
            return written
        name = written[1:].removesuffix("[]")
        array = "[]" if written.endswith("[]") else ""
        if name in self._extension.types:
            return f"{self._schema}.{name}{array}"
        own = self._catalog.type(None, name)
        return f"{own.schema}.{own.name}{array}" if isinstance(own, UserType) else None
