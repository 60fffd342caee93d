"""The policies of each unit: those of its own call and of the steps around it, put together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from dfc.compiler.ast import Atomic, CallWorkflow, Hole, Http, Policies, Retry, Sql, Step
from dfc.compiler.json_text import JsonNumber, JsonObject, read_json
from dfc.compiler.outline import Name, Outline
from dfc.compiler.plan import DEFAULT_POLICY, Delivery, Duration, OnError, Policy, RateLimit
from dfc.compiler.span import NOWHERE, Span

Value = int | bool | str | Duration | tuple[str, ...]
_RATE = re.compile(r"\s*([0-9]{1,9})\s*/\s*(second|minute|hour|day)\s*")
_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A policy that was given: its value and the call that gives it."""

    value: Value
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Misplaced:
    """A step with policies around something that takes none: several units, or none of the right kind."""

    name: Name
    policies: Policies


@dataclass(frozen=True, slots=True, kw_only=True)
class Twice:
    """A policy that is given again, by a step around what has it already."""

    key: str
    first: Span
    again: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Policing:
    """Policies by unit, and what is wrong with the way they are given."""

    given: Mapping[int, Mapping[str, Given]]
    misplaced: tuple[Misplaced, ...] = ()
    twice: tuple[Twice, ...] = ()

    def of(self, unit: int) -> Mapping[str, Given]:
        """What is given to a unit, by the name of the policy."""
        return self.given.get(unit, {})

    def goes_on(self, unit: int) -> bool:
        """Whether what comes behind the unit runs although it has failed."""
        found = self.of(unit).get("on_error")
        return found is not None and found.value == OnError.CONTINUE.value


NO_POLICING = Policing(given={})


def policing(outline: Outline) -> Policing:
    """Put the policies of all units together."""
    given: dict[int, dict[str, Given]] = {}
    misplaced: list[Misplaced] = []
    twice: list[Twice] = []
    for index, unit in enumerate(outline.units):
        if isinstance(unit.tree, Sql | Http | Atomic | Retry | CallWorkflow) and unit.tree.policies.given:
            span = _span(unit.tree.policies, unit.tree.span)
            given[index] = {key: Given(value=value, span=span) for key, value in unit.tree.policies.given}
    for name in outline.names:
        if not isinstance(name.tree, Step) or not name.tree.policies.given:
            continue
        policies = name.tree.policies
        tree = outline.units[name.unit].tree
        if name.first != name.unit or not isinstance(tree, Sql | Http | CallWorkflow):
            if not isinstance(tree, Hole):
                misplaced.append(Misplaced(name=name, policies=policies))
            continue
        known = given.setdefault(name.unit, {})
        span = _span(policies, name.tree.span)
        for key, value in policies.given:
            if key in known:
                twice.append(Twice(key=key, first=known[key].span, again=span))
            else:
                known[key] = Given(value=value, span=span)
    return Policing(given=given, misplaced=tuple(misplaced), twice=tuple(twice))


def _span(policies: Policies, call: Span) -> Span:
    return call if policies.span == NOWHERE else policies.span


class PolicyError(ValueError):
    """A policy whose value is none came through the checks: a fault of the compiler."""


def policy_of(given: Mapping[str, Given]) -> Policy:
    """The policy of a node. Raises PolicyError for a value that the doors let nobody write."""
    if not given:
        return DEFAULT_POLICY
    values = {key: found.value for key, found in given.items()}
    return Policy(
        max_attempts=_one(values, "max_attempts", int),
        backoff=_one(values, "backoff", Duration),
        max_backoff=_one(values, "max_backoff", Duration),
        jitter=_one(values, "jitter", bool),
        retry_on=_texts(values, "retry_on"),
        no_retry_on=_texts(values, "no_retry_on"),
        timeout=_one(values, "timeout", Duration),
        on_error=OnError(_one(values, "on_error", str) or OnError.FAIL),
        rate_limit=_rate(_one(values, "rate_limit", str)),
        rate_key=_one(values, "rate_key", str),
        delivery=Delivery(_one(values, "delivery", str) or Delivery.AT_LEAST_ONCE),
        database=_one(values, "database", str),
        isolation=_one(values, "isolation", str),
        settings=_settings(_one(values, "settings", str)),
        retry_unsafe=_one(values, "retry_unsafe", bool) or False,
        retry_after_max=_one(values, "retry_after_max", Duration),
    )


_Kind = TypeVar("_Kind", int, bool, str, Duration)


def _one(values: Mapping[str, Value], key: str, kind: type[_Kind]) -> _Kind | None:
    value = values.get(key)
    if value is None:
        return None
    if isinstance(value, kind) and type(value) is kind:
        return value
    raise PolicyError(f"the policy `{key}` is {value!r}")


def _texts(values: Mapping[str, Value], key: str) -> tuple[str, ...] | None:
    value = values.get(key)
    if value is None or isinstance(value, tuple):
        return value
    raise PolicyError(f"the policy `{key}` is {value!r}")


def _rate(text: str | None) -> RateLimit | None:
    if text is None:
        return None
    found = _RATE.fullmatch(text)
    if found is None:
        raise PolicyError(f"the policy `rate_limit` is {text!r}")
    return RateLimit(count=int(found[1]), seconds=_SECONDS[found[2]])


def _settings(text: str | None) -> tuple[tuple[str, str], ...]:
    """The settings in the order of jsonb, each as the text that SET takes."""
    if text is None:
        return ()
    found = read_json(text)
    if not isinstance(found, JsonObject):
        raise PolicyError(f"the policy `settings` is {text!r}")
    settings: list[tuple[str, str]] = []
    for key, value in found.pairs:
        match value:
            case bool():
                settings.append((key, "on" if value else "off"))
            case str():
                settings.append((key, value))
            case JsonNumber(text=number):
                settings.append((key, number))
            case _:
                raise PolicyError(f"the setting `{key}` is neither a text nor a number nor a boolean")
    return tuple(settings)
