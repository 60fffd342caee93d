"""Declared inputs of a definition: `{"day": "date", "n": {"type": "integer", "default": 5}}`.

A reference to an input that is declared has its type. Whether the types exist and the defaults are values of
them, only a database can say (df._params does); here the shape is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from dfc.compiler.json_text import Json, JsonObject
from dfc.compiler.plan_contents import is_type_name

Params = Mapping[str, str]
"""The type of each input, as SQL takes it."""

PARAMS_EXAMPLE = """write them as '{"day": "date", "n": {"type": "integer", "default": 5}}'"""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_KEYS = frozenset({"type", "default", "required"})


class ParamsFault(ValueError):
    """A JSON value that declares no inputs. The message says why."""


def declared(document: Json) -> Params | None:
    """The inputs that a JSON value declares; None where it declares none. Raises ParamsFault."""
    if document is None or document == JsonObject(pairs=()):
        return None
    if not isinstance(document, JsonObject):
        raise ParamsFault("`params` is not an object")
    return {name: _type(name, value) for name, value in document.pairs}


def _type(name: str, value: Json) -> str:
    if _NAME.fullmatch(name) is None:
        raise ParamsFault(f"`{name[:70]}` is not the name of an input")
    if isinstance(value, JsonObject):
        fields = dict(value.pairs)
        unknown = sorted(fields.keys() - _KEYS)
        if unknown:
            raise ParamsFault(f"the input `{name}` has the field `{unknown[0][:70]}`")
        if not isinstance(fields.get("required", True), bool):
            raise ParamsFault(f"`required` of the input `{name}` is not true or false")
        value = fields.get("type")
    if not isinstance(value, str):
        raise ParamsFault(f"the input `{name}` has no type")
    written = value.strip(" ")
    if not is_type_name(written):
        raise ParamsFault(f"`{value[:70]}` is not the name of a type")
    return written
