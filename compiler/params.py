"""Declared inputs of a definition: `{"day": "date", "n": {"type": "integer", "default": 5}}`.

A reference to an input that is declared has its type. Whether the types exist and the defaults are values of
them, only a database can say (df._params does); here the shape is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dfc.compiler.json_text import Json, JsonObject, write_jsonb
from dfc.compiler.plan_contents import is_type_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """Declared inputs: the type of each, as SQL takes it, and the declaration in its normal form."""

    types: Mapping[str, str]
    written: str


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
    given = dict(document.pairs)
    types = {name: _type(name, value) for name, value in given.items()}
    normal = [(name, _normal(types[name], value)) for name, value in given.items()]
    return Params(types=types, written=write_jsonb(JsonObject(pairs=tuple(normal))))


def _normal(type_name: str, value: Json) -> Json:
    """A declaration as df._params writes it: what has no default is required, unless it says otherwise."""
    fields = dict(value.pairs) if isinstance(value, JsonObject) else {}
    default = (("default", fields["default"]),) if "default" in fields else ()
    required = fields.get("required", not default)
    return JsonObject(pairs=(("type", type_name), *default, ("required", required)))


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
