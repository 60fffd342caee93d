"""Events and actions as JSON, as recorded journals hold them (docs/journal.md). Pure.

An object of ours is `{"@": "<its class, in snake case>", ...}` with its fields, those left out that have
their default; no name in a plan has an `@`, so a mapping by names is never taken for one. Of events all
is written, and read again. Of actions is written what they do and where, for people and to be compared: what
a plan says anyway, and the results that they are given, stand there as digests.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from typing import Any, Final, cast, get_args

from dfc.compiler.plan import Block, Policy, Request, SqlBody
from dfc.executor import journal
from dfc.executor.actions import Action, CallWorkflow
from dfc.executor.journal import Batch, Event, Rows, Value

_WORDS: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_TAG: Final = "@"
_READ: Final[tuple[type[Any], ...]] = (
    *get_args(journal.Event),
    journal.Rows,
    journal.Value,
    journal.Items,
    journal.Batch,
    journal.Constant,
    journal.Cell,
    journal.Loose,
    journal.StepError,
    journal.Item,
)
_SECONDS: Final = ("seconds", "retry_after_seconds")
_DIGESTED: Final = (SqlBody, Block, Request, Policy, Rows, Value, Batch)


class UnreadableJournal(Exception):
    """It is not written as docs/journal.md says."""


def _name(of: type[Any]) -> str:
    return _WORDS.sub("_", of.__name__).lower()


_CLASSES: Final[dict[str, Callable[..., object]]] = {_name(each): each for each in _READ}


def event_json(event: Event) -> dict[str, Any]:
    """An event, all of it."""
    return cast(dict[str, Any], _written(event))


def action_json(action: Action) -> dict[str, Any]:
    """An action: what is to be done and where."""
    found = cast(dict[str, Any], _written(action, brief=True))
    if isinstance(action, CallWorkflow) and action.input is not None:
        found["input"] = {"digest": _digest(action.input)}
    return found


def read_event(written: Mapping[str, Any]) -> Event:
    """An event that `event_json` wrote. Raises UnreadableJournal."""
    found = _read(written)
    if not isinstance(found, get_args(journal.Event)):
        raise UnreadableJournal(f"this is no event: {json.dumps(written)[:100]}")
    return cast(Event, found)


def _written(value: object, *, brief: bool = False) -> object:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case Enum():
            return value.value
        case tuple() | list():
            return [_written(part, brief=brief) for part in cast(list[object], value)]
        case frozenset():
            return sorted(cast(frozenset[str], value))
        case Mapping():
            parts = cast(Mapping[str, object], value)
            return {key: _written(part, brief=brief) for key, part in parts.items()}
        case _:
            pass
    if not is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"{value!r} has no written form")
    if brief and isinstance(value, _DIGESTED):
        return {"digest": _digest(_written(value))}
    found: dict[str, object] = {_TAG: _name(type(value))}
    for field in fields(value):
        part = getattr(value, field.name)
        default = field.default
        if default is MISSING and field.default_factory is not MISSING:
            default = field.default_factory()
        if default is MISSING or part != default:
            found[field.name] = _written(part, brief=brief)
    return found


def _digest(written: object) -> str:
    text = json.dumps(written, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read(written: object) -> object:
    match written:
        case list():
            return tuple([_read(part) for part in cast(list[object], written)])
        case dict():
            parts = cast(dict[str, object], written)
            name = parts.get(_TAG)
            if name is None:
                return {key: _read(part) for key, part in parts.items()}
            return _made(str(name), {key: part for key, part in parts.items() if key != _TAG})
        case _:
            return written


def _made(name: str, parts: dict[str, object]) -> object:
    made = _CLASSES.get(name)
    if made is None:
        raise UnreadableJournal(f"nothing is called `{name}`")
    read = {key: _read(part) for key, part in parts.items()}
    for key in _SECONDS:
        if read.get(key) is not None:
            read[key] = float(cast(float, read[key]))
    try:
        return made(**read)
    except TypeError as error:
        raise UnreadableJournal(f"`{name}` does not have these fields: {error}") from None
