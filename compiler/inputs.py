"""What is given for the declared inputs of a definition, as far as its text tells; df._input looks closer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from dfc.compiler.json_text import Json, JsonFault, JsonNumber, JsonObject, read_json
from dfc.compiler.nearness import near
from dfc.compiler.params import Params

_WHOLE: Final = frozenset({"smallint", "int", "integer", "bigint", "int2", "int4", "int8"})
_NUMBERS: Final = _WHOLE | {"numeric", "decimal", "real", "double precision", "float4", "float8"}
_NO_NUMBERS: Final = re.compile(r"\s*[+-]?\s*(?:inf|nan)", re.IGNORECASE)


def faults(params: Params, written: str | None) -> Iterator[str]:
    """What a definition with these inputs does not take of a JSON text. References may be right."""
    try:
        value = None if written is None else read_json(written)
        declared = read_json(params.written)
    except JsonFault:
        return
    if value is not None and not isinstance(value, JsonObject):
        return
    given = dict(value.pairs) if value is not None else {}
    assert isinstance(declared, JsonObject)
    for name in given:
        if name not in params.types:
            meant = near(name, params.types)
            said = f", did you mean `{meant.word}`?" if meant else ""
            yield f"it has no input `{name}`{said}"
    for name, declaration in declared.pairs:
        fields = dict(declaration.pairs) if isinstance(declaration, JsonObject) else {}
        missing = given[name] is None if name in given else "default" not in fields
        if missing and fields.get("required") is True:
            yield f"it wants the input `{name}`"
        elif name in given and not _may_be(given[name], params.types[name].lower()):
            yield f"its input `{name}` is of type `{params.types[name]}`"


def _may_be(value: Json, type: str) -> bool:
    """Whether a JSON value may be read as a value of a type."""
    if value is None or type not in _NUMBERS:
        return True
    if isinstance(value, JsonNumber):
        return type not in _WHOLE or "e" in value.text.lower() or not re.search(r"\.\d*[1-9]", value.text)
    if not isinstance(value, str):
        return False
    return "$" in value or "{" in value or any(map(str.isdigit, value)) or bool(_NO_NUMBERS.match(value))
