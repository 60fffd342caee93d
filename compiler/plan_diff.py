"""What lies between two plans of a workflow, step by step.

A step with a name is found again by its name; others by what they say, in their order. What has moved is what
no longer stands in its order, or stands in another part.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import SequenceMatcher
from enum import StrEnum
from typing import cast

from dfc.compiler.durations import duration_text
from dfc.compiler.plan import (
    Block,
    Duration,
    Node,
    Parameter,
    Part,
    Plan,
    Policy,
    Request,
    SqlBody,
    Use,
    error_source,
    every_node,
    item_source,
)
from dfc.compiler.plan_shape import Nest, nest

_NUMBERED = re.compile(r"[a-z]+(?:_[a-z]+)*_\d+(?:_polls|_timed_out)?_*")
_APART = frozenset({"id", "after", "used", "policy", "bindings"})
"""Fields that are compared in a way of their own, or that follow from others."""


class Change(StrEnum):
    """What may have happened to a step. The words are those that people read."""

    ADDED = "added"
    REMOVED = "removed"
    SQL = "SQL changed"
    CONTENT = "changed"
    STRUCTURE = "structure changed"
    REFERENCES = "references changed"
    MOVED = "moved"
    NAMES = "result names changed"
    POLICY = "policy changed"
    NUMBERED = "id changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """One thing that is different: what, and how it was and is, as texts."""

    change: Change
    what: str = ""
    old: str = ""
    new: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepChange:
    """A step that differs; `old` or `new` is None where there is none. `inside` is the part that holds it."""

    old: Node | None
    new: Node | None
    details: tuple[Detail, ...]
    inside: str = ""

    @property
    def id(self) -> str:
        """The id of the step in the new plan, else in the old one."""
        node = self.new or self.old
        assert node is not None
        return node.id

    def has(self, *changes: Change) -> bool:
        """Whether one of these has happened."""
        return any(detail.change in changes for detail in self.details)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDifference:
    """The steps that differ, in the order of the new plan, those that are gone where they stood."""

    changes: tuple[StepChange, ...]
    same: int


def compare(old: Plan, new: Plan) -> PlanDifference:
    """What has become of the steps of a plan."""
    pairs = _pairs(list(every_node(old.nodes)), list(every_node(new.nodes)))
    return _Comparison(old, new, pairs).result()


def is_numbered(id: str) -> bool:
    """Whether an id is one that the compiler has made, from the place of its step."""
    return _NUMBERED.fullmatch(id) is not None


def _pairs(old: Sequence[Node], new: Sequence[Node]) -> dict[str, str]:
    """Which node of the old plan is which one of the new: by name, else by what it says."""
    names = {node.id: node for node in new if not is_numbered(node.id)}
    pairs = {node.id: node.id for node in old if node.id in names and type(names[node.id]) is type(node)}
    rest = [node for node in old if node.id not in pairs]
    taken = set(pairs.values())
    others = [node for node in new if node.id not in taken]
    before, after = [_said(node) for node in rest], [_said(node) for node in others]
    for tag, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            pairs |= {rest[i].id: others[c + i - a].id for i in range(a, b)}
        elif tag == "replace":
            pairs |= _alike(rest[a:b], others[c:d])
    _same_elsewhere(rest, others, pairs)
    return pairs


def _alike(old: Sequence[Node], new: Sequence[Node]) -> dict[str, str]:
    """In a run that has been replaced: nodes without names, of the same kind, in order."""
    found: dict[str, str] = {}
    left = list(new)
    for node in old:
        mate = next((each for each in left if type(each) is type(node) and is_numbered(each.id)), None)
        if mate is not None and is_numbered(node.id):
            found[node.id] = mate.id
            del left[: left.index(mate) + 1]
    return found


def _same_elsewhere(old: Sequence[Node], new: Sequence[Node], pairs: dict[str, str]) -> None:
    """What stands somewhere else now, and says the same."""
    taken = set(pairs.values())
    left: dict[tuple[object, ...], list[Node]] = {}
    for node in new:
        if node.id not in taken:
            left.setdefault(_said(node), []).append(node)
    for node in old:
        mates = left.get(_said(node)) if node.id not in pairs else None
        if mates:
            pairs[node.id] = mates.pop(0).id


def _said(node: Node) -> tuple[object, ...]:
    """What a node says, without what depends on its place."""
    values: list[object] = [type(node).__name__]
    for field in fields(node):
        value: object = getattr(node, field.name)
        if field.name in _APART or isinstance(value, Block):
            continue
        values.append(_plain(value))
    return tuple(values)


def _plain(value: object) -> object:
    match value:
        case SqlBody():
            return value.sql
        case Parameter():
            return (value.name, value.column, value.use, value.optional)
        case tuple() if _blocks(cast("object", value)):
            return _blocks(cast("object", value))
        case _:
            return value


class _Comparison:
    """Two plans with the pairs of their nodes."""

    def __init__(self, old: Plan, new: Plan, pairs: Mapping[str, str]) -> None:
        self._old, self._new = nest(old), nest(new)
        self._pairs = pairs
        self._back = {new_id: old_id for old_id, new_id in pairs.items()}
        self._old_order = [node.id for node in every_node(old.nodes)]
        self._new_order = [node.id for node in every_node(new.nodes)]
        self._sources = {"$input": "$input"}
        for old_id, new_id in pairs.items():
            self._sources[old_id] = new_id
            self._sources[item_source(old_id)] = item_source(new_id)
            self._sources[error_source(old_id)] = error_source(new_id)
        self._moved = self._all_moved()

    def result(self) -> PlanDifference:
        """All differences."""
        gone = [id for id in self._old_order if id not in self._pairs]
        position = {id: index for index, id in enumerate(self._old_order)}
        found: list[StepChange] = []
        same = 0
        for id in self._new_order:
            old_id = self._back.get(id)
            if old_id is not None:
                while gone and position[gone[0]] < position[old_id]:
                    found.append(self._removed(gone.pop(0)))
            change = self._added(id) if old_id is None else self._changed(old_id, id)
            if change is None:
                same += 1
            else:
                found.append(change)
        found += [self._removed(id) for id in gone]
        return PlanDifference(changes=tuple(found), same=same)

    def _added(self, id: str) -> StepChange:
        node = _node(self._new, id)
        behind = ", ".join(node.after)
        detail = Detail(change=Change.ADDED, what=f"behind {behind}" if behind else "", new=_shown(node))
        return StepChange(old=None, new=node, details=(detail,), inside=_inside(self._new, id))

    def _removed(self, id: str) -> StepChange:
        node = _node(self._old, id)
        detail = Detail(change=Change.REMOVED, old=_shown(node))
        return StepChange(old=node, new=None, details=(detail,), inside=_inside(self._old, id))

    def _changed(self, old_id: str, new_id: str) -> StepChange | None:
        old, new = _node(self._old, old_id), _node(self._new, new_id)
        details: list[Detail] = []
        for field in fields(old):
            details += self._field(field.name, getattr(old, field.name), getattr(new, field.name))
        if old_id in self._moved:
            was, now = _inside(self._old, old_id), _inside(self._new, new_id)
            details.append(Detail(change=Change.MOVED, old=_where(was, old), new=_where(now, new)))
        if set(old.bindings) != set(new.bindings):
            names = ", ".join(old.bindings), ", ".join(new.bindings)
            details.append(Detail(change=Change.NAMES, old=names[0], new=names[1]))
        policies: tuple[Policy | None, Policy | None] = (
            getattr(old, "policy", None),
            getattr(new, "policy", None),
        )
        if policies[0] != policies[1] and policies[0] is not None and policies[1] is not None:
            details += _policy(policies[0], policies[1])
        if old_id != new_id:
            details.append(Detail(change=Change.NUMBERED, old=old_id, new=new_id))
        if not details:
            return None
        return StepChange(old=old, new=new, details=tuple(details), inside=_inside(self._new, new_id))

    def _field(self, name: str, old: object, new: object) -> list[Detail]:
        if name in _APART or (isinstance(old, Block) and isinstance(new, Block)):
            return []
        if isinstance(old, SqlBody) and isinstance(new, SqlBody):
            if old.sql != new.sql:
                return [Detail(change=Change.SQL, what=name, old=old.sql, new=new.sql)]
            return self._references(old.parameters, new.parameters)
        if isinstance(old, Parameter) and isinstance(new, Parameter):
            was, now = _text(old), _text(new)
            if was != now:
                return [Detail(change=Change.CONTENT, what=name, old=was, new=now)]
            return self._references((old,), (new,))
        if isinstance(old, Request) and isinstance(new, Request):
            return [
                Detail(change=Change.CONTENT, what=f"{name}.{field.name}", old=_text(was), new=_text(now))
                for field in fields(old)
                if (was := getattr(old, field.name)) != (now := getattr(new, field.name))
            ]
        if isinstance(old, Block) or isinstance(new, Block) or _blocks(old) or _blocks(new):
            counts = _blocks(old), _blocks(new)
            if counts[0] == counts[1]:
                return []
            words = tuple([str(count) if count else "none" for count in counts])
            return [Detail(change=Change.STRUCTURE, what=name, old=words[0], new=words[1])]
        if old == new or (name == "loop" and self._sources.get(str(old)) == new):
            return []
        return [Detail(change=Change.CONTENT, what=name, old=_text(old), new=_text(new))]

    def _references(self, old: Sequence[Parameter], new: Sequence[Parameter]) -> list[Detail]:
        for was, now in zip(old, new, strict=False):
            sources = tuple([self._sources.get(each, each) for each in (was.source, *was.otherwise)])
            if sources != (now.source, *now.otherwise) or was.type != now.type:
                what = f"${was.name}"
                return [Detail(change=Change.REFERENCES, what=what, old=was.source, new=now.source)]
        return []

    # What has moved

    def _all_moved(self) -> set[str]:
        """The nodes that stand in another part, or no longer in their order, or wait for others."""
        moved = {old for old, new in self._pairs.items() if self._holder(old) != _holder(self._new, new)}
        groups: dict[str, list[str]] = {}
        for id in self._old_order:
            if id in self._pairs and id not in moved:
                groups.setdefault(str(_holder(self._old, id)), []).append(id)
        position = {id: index for index, id in enumerate(self._new_order)}
        for ids in groups.values():
            kept = _longest_rising([position[self._pairs[id]] for id in ids])
            moved |= {id for index, id in enumerate(ids) if index not in kept}
        still = {id for id in self._pairs if id not in moved}
        before = _waits_for(self._old, self._old_order, still)
        after = _waits_for(self._new, self._new_order, {self._pairs[id] for id in still})
        return moved | {
            id for id in still if {self._pairs[each] for each in before[id]} != after[self._pairs[id]]
        }

    def _holder(self, id: str) -> tuple[str, str]:
        holder, role = _holder(self._old, id)
        return self._pairs.get(holder, holder), role


def _node(nesting: Nest, id: str) -> Node:
    return nesting.node(nesting.places[id])


def _holder(nesting: Nest, id: str) -> tuple[str, str]:
    """The node around a node, and as which part of it."""
    level = nesting.levels[nesting.places[id].block]
    return ("", "") if level.holder is None else (nesting.node(level.holder).id, level.role)


def _inside(nesting: Nest, id: str) -> str:
    holder, role = _holder(nesting, id)
    return f"{role} of {holder}" if holder else ""


def _where(inside: str, node: Node) -> str:
    behind = f"behind {', '.join(node.after)}" if node.after else "first"
    return f"{behind} in {inside}" if inside else behind


def _waits_for(nesting: Nest, order: Sequence[str], counted: set[str]) -> dict[str, set[str]]:
    """What each node waits for, looking through those that do not count."""
    found: dict[str, set[str]] = {}
    for id in order:
        waits: set[str] = set()
        for each in _node(nesting, id).after:
            waits |= {each} if each in counted else found[each]
        found[id] = waits
    return found


def _longest_rising(numbers: Sequence[int]) -> set[int]:
    """The indexes of a longest rising run within numbers."""
    tails: list[int] = []
    ends: list[int] = []
    previous: list[int] = []
    for index, number in enumerate(numbers):
        place = bisect_left(tails, number)
        previous.append(ends[place - 1] if place else -1)
        tails[place : place + 1] = [number]
        ends[place : place + 1] = [index]
    kept: set[int] = set()
    index = ends[-1] if ends else -1
    while index != -1:
        kept.add(index)
        index = previous[index]
    return kept


def _blocks(value: object) -> int:
    if isinstance(value, Block):
        return 1
    if not isinstance(value, tuple):
        return 0
    return sum(isinstance(each, Block) for each in cast("tuple[object, ...]", value))


def _policy(old: Policy, new: Policy) -> list[Detail]:
    found: list[Detail] = []
    for field in fields(old):
        was, now = getattr(old, field.name), getattr(new, field.name)
        if was != now:
            found.append(Detail(change=Change.POLICY, what=field.name, old=_text(was), new=_text(now)))
    return found


def _text(value: object) -> str:
    match value:
        case None | ():
            return "nothing"
        case bool():
            return "true" if value else "false"
        case SqlBody():
            return value.sql
        case Parameter():
            return _written(value)
        case Duration():
            return duration_text(value)
        case Request():
            return f"{value.method} {value.url}"
        case Part():
            return value.name
        case tuple():
            return ", ".join(_text(each) for each in cast("tuple[object, ...]", value))
        case _:
            return str(value)


def _written(parameter: Parameter) -> str:
    """A reference, as one writes it."""
    part = {
        Use.ROWS: ".*",
        Use.ROW_COUNT: ".row_count",
        Use.ERROR: f".error.{parameter.column}",
        Use.JSON: "",
        Use.VALUE: "" if parameter.column is None else f".{parameter.column}",
    }[parameter.use]
    return f"${parameter.name}{part}{'?' if parameter.optional else ''}"


def _shown(node: Node) -> str:
    """What a node says, in a line or several."""
    for field in fields(node):
        value = getattr(node, field.name)
        if isinstance(value, SqlBody):
            return value.sql
    return ""
