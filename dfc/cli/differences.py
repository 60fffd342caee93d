"""What differs between two versions of workflows, as lines for people and as JSON."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from dfc.cli.moving import is_harmless
from dfc.compiler.plan_diff import Change, Detail, PlanDifference, StepChange

_SHOWN_MAX = 20
"""Instances that are named, of each kind."""


class Outcome(StrEnum):
    """How a workflow of one side stands to that of the other."""

    SAME = "same"
    CHANGED = "changed"
    ADDED = "added"
    REMOVED = "removed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A running instance; `obstacle` is what keeps it from going on with the new plan."""

    id: str
    label: str | None
    version: int | None
    obstacle: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Something that a workflow or schedule says beside its steps, and that differs; None: not said."""

    name: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A workflow or schedule, compared. `instances` is None where no database was looked at.

    `difference` is None where the steps are the same, and where they cannot be compared. `on_failure` is what
    its definition starts when it has failed, compared.
    """

    name: str
    outcome: Outcome
    kind: str = "workflow"
    difference: PlanDifference | None = None
    settings: tuple[Setting, ...] = ()
    on_failure: Compared | None = None
    instances: tuple[Instance, ...] | None = None

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return self.outcome is Outcome.SAME

    def json(self) -> dict[str, Any]:
        """For programs."""
        found: dict[str, Any] = {"name": self.name, "kind": self.kind, "outcome": self.outcome.value}
        if self.difference is not None:
            found["unchanged"] = self.difference.same
            found["steps"] = [_step_json(change) for change in self.difference.changes]
        if self.settings:
            found["settings"] = [{"name": s.name, "old": s.old, "new": s.new} for s in self.settings]
        if self.on_failure is not None:
            found["on_failure"] = self.on_failure.json()
        if self.instances is not None:
            found["instances"] = [
                {"id": each.id, "label": each.label, "version": each.version}
                | {"could_move": each.obstacle is None, "why_not": each.obstacle}
                for each in self.instances
            ]
        return found


def _step_json(change: StepChange) -> dict[str, Any]:
    return {
        "id": change.id,
        "old_id": None if change.old is None else change.old.id,
        "inside": change.inside or None,
        "changes": [
            {"change": each.change.value, "what": each.what or None, "old": each.old, "new": each.new}
            for each in change.details
        ],
        "could_move": who_could_move(change),
    }


def lines(compared: Iterable[Compared]) -> Iterator[str]:
    """What differs, as people read it."""
    for each in compared:
        yield from _workflow(each)


def _workflow(each: Compared) -> Iterator[str]:
    name = each.name if each.kind == "workflow" else f"{each.kind} {each.name}"
    match each.outcome:
        case Outcome.SAME:
            yield f"  {name}: the same"
        case Outcome.ADDED:
            yield f"+ {name}: new"
        case Outcome.REMOVED:
            yield f"- {name}: gone"
        case Outcome.UNKNOWN:
            yield f"~ {name}: variables decide what its steps are, so they cannot be compared"
            yield from _settings(each.settings)
        case Outcome.CHANGED:
            same = "the same steps" if each.kind == "workflow" else "changed"
            yield f"~ {name}: {same if each.difference is None else _counts(each.difference)}"
            yield from _settings(each.settings)
            for change in each.difference.changes if each.difference is not None else ():
                yield from _step(change)
    if each.on_failure is not None:
        yield from (f"  {line}" for line in _workflow(each.on_failure))
    if each.instances is not None:
        yield from _instances(each.instances)


def _settings(settings: Iterable[Setting]) -> Iterator[str]:
    for each in settings:
        old, new = ("nothing" if text is None else text for text in (each.old, each.new))
        yield f"  ~ {each.name}: {old} -> {new}"


def _counts(difference: PlanDifference) -> str:
    added = sum(change.old is None for change in difference.changes)
    removed = sum(change.new is None for change in difference.changes)
    changed = len(difference.changes) - added - removed
    parts = [(added, "added"), (removed, "removed"), (changed, "changed"), (difference.same, "unchanged")]
    return "steps: " + ", ".join(f"{count} {word}" for count, word in parts if count)


def _step(change: StepChange) -> Iterator[str]:
    sign = "+" if change.old is None else "-" if change.new is None else "~"
    words = ", ".join(dict.fromkeys(each.change.value for each in change.details))
    where = f" (in {change.inside})" if change.inside else ""
    more = f" {change.details[0].what}" if change.old is None and change.details[0].what else ""
    yield f"  {sign} {change.id}{where}: {words}{more}"
    for detail in change.details:
        yield from (f"      {line}".rstrip() for line in _detail(detail))
    yield f"      -> {who_could_move(change)}"


def _detail(detail: Detail) -> Iterator[str]:
    old, new = detail.old, detail.new
    match detail.change:
        case Change.ADDED:
            yield from (f"+ {line}" for line in new.splitlines())
        case Change.REMOVED:
            yield from (f"- {line}" for line in old.splitlines())
        case Change.SQL:
            compared = difflib.ndiff(old.splitlines(), new.splitlines())
            yield from (line for line in compared if not line.startswith("?"))
        case _:
            what = f"{detail.what}: " if detail.what else ""
            yield f"{what}{old or 'nothing'} -> {new or 'nothing'}"


def who_could_move(change: StepChange) -> str:
    """Which instances the change lets go on with the new plan."""
    if change.old is None:
        return "instances in which nothing behind it has run could move"
    if all(is_harmless(detail) for detail in change.details):
        return "all instances could move"
    return f"instances that have not reached `{change.old.id}` could move"


def _instances(instances: tuple[Instance, ...]) -> Iterator[str]:
    could = [each for each in instances if each.obstacle is None]
    could_not = [each for each in instances if each.obstacle is not None]
    if not instances:
        yield "  no instance of it is running"
        return
    yield f"  running instances: {len(could)} could move, {len(could_not)} could not"
    for each in could[:_SHOWN_MAX]:
        yield f"    could: {_named(each)}"
    if len(could) > _SHOWN_MAX:
        yield f"    could: {len(could) - _SHOWN_MAX} more"
    for each in could_not[:_SHOWN_MAX]:
        yield f"    could not: {_named(each)}: {each.obstacle}"
    if len(could_not) > _SHOWN_MAX:
        yield f"    could not: {len(could_not) - _SHOWN_MAX} more"


def _named(instance: Instance) -> str:
    label = f" {instance.label}" if instance.label else ""
    version = f" (version {instance.version})" if instance.version else ""
    return f"{instance.id}{label}{version}"
