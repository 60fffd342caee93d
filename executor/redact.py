"""Documents of `dfc export` without values: digests stand where no decision needs what was there. Pure.

What is replaced keeps what decisions ask of a value: whether it is null, and whether it is true. Where a wait
is told by a query how long it lasts or what it waits for, the answer stays. That nothing more was needed is
not believed but tried: the events are folded, and have to lead to the same decisions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from dfc.compiler.plan import every_node
from dfc.executor import paths
from dfc.executor.core.tree import CorruptJournal
from dfc.executor.core.waits import computed_of
from dfc.executor.journal_json import action_json
from dfc.executor.replay import Fold, Recording, read_document

_BOOL: Final = 16
_JSON: Final = (114, 3802)
_FALSE: Final = ("", "false", "f", "no", "n", "off", "0", "{}", "[]", "null")
_OF_VALUES: Final = (
    "digest",
    "value",
    "error",
    "shape",
    "source",
    "sources",
    "cell",
    "json",
    "message",
    "reason",
)


class NeedsValues(Exception):
    """A decision asks more of a value than what is left of it."""


def without_values(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with digests for values. Raises NeedsValues, UnreadableJournal."""
    kept: frozenset[str] = frozenset()
    found = dict(document)
    if document["entries"]:
        recording = read_document(document)
        nodes = every_node(recording.plan.nodes)
        kept = frozenset([node.id for node in nodes if computed_of(node) is not None])
    hide = _Hiding(kept)
    found["input"] = None if document["input"] is None else _json_text(document["input"])
    found["result"] = None if document["result"] is None else _json_text(document["result"])
    found["error"] = None if document["error"] is None else hide.error(document["error"])
    found["live"] = [hide.event(event) for event in document["live"]]
    found["entries"] = [hide.entry(entry) for entry in document["entries"]]
    found["values"] = False
    return _decided_anew(document, found) if document["entries"] else found


def _decided_anew(before: Mapping[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """The document with the decisions that its events lead to, which have to be those of before."""
    recording: Recording = read_document(document)
    fold = Fold(recording)
    for entry, old, new in zip(recording.entries, before["entries"], document["entries"], strict=True):
        try:
            made = [action_json(action) for action in fold.advance(entry)]
        except CorruptJournal:
            raise NeedsValues(f"entry {entry.number} needs the values: export it with them") from None
        if [_outline(action) for action in made] != [_outline(action) for action in old.get("actions", ())]:
            raise NeedsValues(f"entry {entry.number} needs the values: export it with them")
        if made:
            new["actions"] = made
    return document


def _outline(written: object) -> object:
    """An action without what is made of values."""
    match written:
        case dict():
            parts = cast(dict[str, object], written)
            return {key: _outline(part) for key, part in parts.items() if key not in _OF_VALUES}
        case list():
            return [_outline(part) for part in cast(list[object], written)]
        case _:
            return written


class _Hiding:
    """Puts digests in the place of values; `kept` are nodes whose computed arguments stay."""

    def __init__(self, kept: frozenset[str]) -> None:
        self._kept = kept

    def entry(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        found = dict(entry)
        if entry["kind"] == "begin":
            found["records"] = [self.event(event) for event in entry["records"]]
        if "event" in entry:
            found["event"] = self.event(entry["event"])
        if "cancel_reason" in entry:
            found["cancel_reason"] = text(entry["cancel_reason"])
        return found

    def event(self, event: Mapping[str, Any]) -> dict[str, Any]:
        path = event.get("path", "")
        computed = paths.node_of(path) in self._kept and paths.split(path)[1] in ("request", "read")
        if computed and "error" not in event:
            return dict(event)
        return cast(dict[str, Any], self._hidden(event))

    def _hidden(self, written: object) -> object:
        if isinstance(written, list):
            return [self._hidden(part) for part in cast(list[object], written)]
        if not isinstance(written, dict):
            return written
        parts = cast(dict[str, Any], written)
        match parts.get("@"):
            case "rows":
                return {**parts, "cells": _cells(parts["cells"], parts["types"])}
            case "value" | "constant":
                return {**parts, "json": _json_text(parts["json"])}
            case "loose":
                return {**parts, "cell": _cell(parts["cell"], parts["type"])}
            case "step_error":
                return self.error(parts)
            case "decided":
                return {**parts, "value": _decision(parts["value"])}
            case "cancel_requested":
                return {**parts, "reason": text(parts["reason"])}
            case _:
                return {key: self._hidden(part) for key, part in parts.items()}

    def error(self, error: Mapping[str, Any]) -> dict[str, Any]:
        found = dict(error)
        for key in ("message", "detail", "hint", "rendered", "reason"):
            if isinstance(found.get(key), str):
                found[key] = text(found[key])
        if isinstance(found.get("undo"), list):
            found["undo"] = [self.error(undone) for undone in found["undo"]]
        if "cause" in found and found["cause"] is not None:
            found["cause"] = (
                self._hidden(found["cause"]) if "@" in found["cause"] else self.error(found["cause"])
            )
        return found


def text(value: str) -> str:
    """The digest of a text; one that is false stays, since it says nothing."""
    if value.strip().lower() in _FALSE:
        return value
    return f"#{hashlib.sha256(value.encode()).hexdigest()[:12]}"


def _json_text(written: str) -> str:
    try:
        return json.dumps(_inside(json.loads(written)), ensure_ascii=False)
    except (ValueError, RecursionError):
        return json.dumps(text(written))


def _cells(cells: Sequence[str | None], types: Sequence[int]) -> list[str | None]:
    return [_cell(cell, types[place % len(types)]) for place, cell in enumerate(cells)]


def _cell(cell: str | None, type: int) -> str | None:
    if cell is None or type == _BOOL:
        return cell
    return _json_text(cell) if type in _JSON else text(cell)


def _decision(written: str) -> str:
    """A decision; where it says that a loop ends with the row of a map's item, that row is in it."""
    decided = json.loads(written)
    hidden = _shape(decided)
    return written if hidden == decided else json.dumps(hidden, ensure_ascii=False)


def _shape(value: object) -> object:
    if isinstance(value, list):
        return [_shape(part) for part in cast(list[object], value)]
    if not isinstance(value, dict):
        return value
    parts = cast(dict[str, Any], value)
    if isinstance(parts.get("cell"), str) and "type" in parts:
        return {**parts, "cell": _cell(parts["cell"], parts["type"])}
    if "cells" in parts and "types" in parts:
        return {**parts, "cells": _cells(parts["cells"], parts["types"])}
    return {key: _shape(part) for key, part in parts.items()}


def _inside(value: object) -> object:
    match value:
        case None | bool():
            return value
        case str():
            return text(value)
        case list():
            return [_inside(part) for part in cast(list[object], value)]
        case dict():
            return {key: _inside(part) for key, part in cast(dict[str, object], value).items()}
        case _:
            return value if value == 0 else text(str(value))
