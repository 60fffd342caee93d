"""DF212: a wait for a signal that may never come, and for which nothing sets a time limit."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.ast import Loop, Race, Timeout, WaitSignal
from dfc.compiler.diagnostics import Diagnostic, lint
from dfc.compiler.facts import Facts
from dfc.compiler.outline import Role


def endless_wait(facts: Facts) -> Iterator[Diagnostic]:
    """Look at every wait; a race, a time limit or a loop that serves signals for ever says it is meant."""
    if facts.beside.limited:
        return
    for unit, found in enumerate(facts.outline.units):
        if isinstance(found.tree, WaitSignal) and found.tree.timeout is None and not _is_limited(facts, unit):
            yield lint(
                "DF212",
                f"nothing ends this wait when `{found.tree.name.value}` never comes",
                found.tree.span,
                label="waits for ever",
                help=f"write `df.wait_for_signal('{found.tree.name.value}', '7 days')`, and look at "
                "`timed_out` of its result",
            )


def _is_limited(facts: Facts, unit: int) -> bool:
    for branch, fork in facts.outline.around(facts.outline.units[unit].branch):
        match fork.tree:
            case Race():
                return True
            case Timeout() if branch.role is Role.BODY:
                return True
            case Loop() if fork.tree.condition is None:
                return True
            case _:
                pass
    return False
