"""What the constant parts of a request have to look like, in arguments and in the wire text."""

from __future__ import annotations

import re

from dfc.compiler.json_text import Json, JsonArray, JsonObject

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
MULTIPART_METHODS = ("POST", "PUT", "PATCH")

_PART_KEYS = frozenset({"name", "data_b64", "filename", "content_type"})
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_WHOLE = re.compile(r"[${][A-Za-z_]")
_URL = re.compile(r"https?://|\$[^$0-9]|\{", re.IGNORECASE)


def is_url(text: str) -> bool:
    """Whether a text begins like an http address, or with something that stands for one."""
    return _URL.match(text) is not None


def are_headers(value: Json) -> bool:
    """Whether the value is an object of strings."""
    return isinstance(value, JsonObject) and all(isinstance(item, str) for _, item in value.pairs)


def are_parts(value: Json) -> bool:
    """Whether the value is an array of parts of a multipart request: not empty, each with name and data."""
    return isinstance(value, JsonArray) and len(value.items) > 0 and all(map(_is_part, value.items))


def _is_part(value: Json) -> bool:
    if not isinstance(value, JsonObject):
        return False
    part = dict(value.pairs)
    return (
        part.keys() <= _PART_KEYS
        and all(isinstance(part.get(key), str) for key in ("name", "data_b64"))
        and part["name"] != ""
        and _is_data(part["data_b64"])
        and all(part.get(key) is None or isinstance(part[key], str) for key in ("filename", "content_type"))
    )


def _is_data(text: Json) -> bool:
    """Whether a text is base64, or stands for some: a reference or a variable."""
    if not isinstance(text, str):
        return False
    return _WHOLE.match(text) is not None or _BASE64.fullmatch(re.sub(r"[ \t\n\r]", "", text)) is not None
