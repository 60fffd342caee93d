"""DF310: an arm of a race that may leave effects when it loses."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.ast import CallWorkflow, Compensate, Http, Map, Race, Sql
from dfc.compiler.diagnostics import Diagnostic, Note, lint
from dfc.compiler.facts import Facts
from dfc.compiler.outline import Branch, Fork
from dfc.compiler.plan import Form
from dfc.compiler.span import Span

_READING = frozenset({"select", "values", "show", "explain"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def race_effects(facts: Facts) -> Iterator[Diagnostic]:
    """For each arm, the first step whose effect stays although another arm wins."""
    told: set[tuple[int, int]] = set()
    for unit in range(len(facts.outline.units)):
        arms = _arms(facts, unit)
        if not arms or all((branch.fork, branch.number) in told for branch, _ in arms):
            continue
        where = _effect(facts, unit, arms)
        if where is None:
            continue
        for branch, fork in arms:
            if (branch.fork, branch.number) not in told:
                told.add((branch.fork, branch.number))
                yield _report(facts, where, branch, fork)


def _arms(facts: Facts, unit: int) -> list[tuple[Branch, Fork]]:
    """The arms of races around a unit, from the inside out, without those whose loss undoes it."""
    found: list[tuple[Branch, Fork]] = []
    for branch, fork in facts.outline.around(facts.outline.units[unit].branch):
        if isinstance(fork.tree, Race):
            found.append((branch, fork))
        elif isinstance(fork.tree, Compensate):
            break
    return found


def _effect(facts: Facts, unit: int, arms: list[tuple[Branch, Fork]]) -> Span | None:
    """Where the effect of a unit stands that outlives the loss of its arm."""
    tree = facts.outline.units[unit].tree
    analysis = facts.analyses.get(unit)
    if isinstance(tree, CallWorkflow):
        return tree.span
    if isinstance(tree, Http):
        return None if tree.method in _SAFE_METHODS else tree.span
    if analysis is None or analysis.problems or not isinstance(tree, Sql | Map):
        return None
    where = facts.locate(unit, 0, len(analysis.sql))
    if analysis.http is not None or analysis.form is Form.AUTOCOMMIT:
        return where
    if "autocommit" in facts.policies.of(unit):
        return where
    # One SQL step alone wins, and commits, in one transaction; in another database it commits first.
    alone = "database" not in facts.policies.of(unit) and all(
        _is_alone(facts, unit, branch) for branch, _ in arms
    )
    if alone or (analysis.kind in _READING and not analysis.writes):
        return None
    return where


def _is_alone(facts: Facts, unit: int, arm: Branch) -> bool:
    first = facts.outline.units[unit]
    return arm.last == unit and not first.after and facts.outline.branches[first.branch] is arm


def _report(facts: Facts, where: Span, arm: Branch, fork: Fork) -> Diagnostic:
    return lint(
        "DF310",
        "an arm of a race that loses leaves this effect",
        where,
        label="stays when another arm wins",
        notes=(Note(message="the race", span=fork.tree.span),),
        help="make the arm one SQL step, or give the step an undo: `df.compensate(...)`",
    )
