"""What nodes give of which no describer has to be asked: responses, waits, constants."""

from __future__ import annotations

import json
from typing import Final, cast

from dfc.compiler.plan import Node, ScheduleNode, SignalNode, SleepNode, UntilNode
from dfc.compiler.plan_describe import NULL, Column, Json, Shape

RESPONSE: Final = Json(
    fields=(
        Column("status", "numeric"),
        Column("body", None),
        Column("encoding", "text"),
        Column("headers", "jsonb"),
        Column("ok", "boolean"),
        Column("duration_ms", "numeric"),
    ),
    type="jsonb",
)
_SLEPT: Final = Json(fields=(Column("slept", "boolean"), Column("seconds", "numeric")), type="jsonb")
_WAITED: Final = Json(fields=(Column("waited", "boolean"), Column("at", "text")), type="jsonb")
_SCHEDULED: Final = Json(fields=(Column("scheduled", "boolean"), Column("at", "text")), type="jsonb")
_SIGNAL: Final = Json(
    fields=(Column("signal_name", "text"), Column("timed_out", "boolean"), Column("data", None)), type="jsonb"
)
ANY_JSON: Final = Json()
ERROR: Final = Json(
    fields=(
        Column("message", "text"),
        Column("sqlstate", "text"),
        Column("step", "text"),
        # These may be NULL.
        Column("detail", None),
        Column("hint", None),
        Column("cause", None),
    ),
    type="jsonb",
)
"""What `$error` is in a catch."""

_NUMBERS: Final = frozenset({"smallint", "integer", "bigint", "numeric", "real", "double precision", "oid"})
_TEXTS: Final = frozenset({"text", "character varying", "character", "name", "uuid", "date"})


def waited(node: Node) -> Shape:
    """What a wait gives."""
    match node:
        case SleepNode():
            return _SLEPT
        case UntilNode():
            return _WAITED
        case ScheduleNode():
            return _SCHEDULED
        case SignalNode():
            return _SIGNAL
        case _:
            return ANY_JSON


def constant(text: str) -> Shape:
    """A JSON value that is known."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return ANY_JSON
    if value is None:
        return NULL
    if not isinstance(value, dict):
        return Json(fields=None, type=_type_of_value(value))
    fields = cast("dict[str, object]", value)
    columns = tuple([Column(name, _type_of_value(each)) for name, each in fields.items()])
    return Json(fields=columns, type="jsonb")


def _type_of_value(value: object) -> str | None:
    match value:
        case bool():
            return "boolean"
        case int() | float():
            return "numeric"
        case str():
            return "text"
        case None:
            return None
        case _:
            return "jsonb"


def json_type(type: str | None) -> str | None:
    """What the JSON value of a column of a type is as a parameter."""
    if type in _NUMBERS:
        return "numeric"
    if type in _TEXTS:
        return "text"
    return "boolean" if type == "boolean" else None
