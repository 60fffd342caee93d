"""DF210: a loop without an end in which nothing waits: it keeps a worker and the database busy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from dfc.compiler.ast import Break, Loop, Sql, WaitFor, Waiting
from dfc.compiler.diagnostics import Diagnostic, lint
from dfc.compiler.facts import Facts
from dfc.compiler.outline import Role

_ALWAYS: Final = re.compile(r"\s*select\s+(?:true|1|'t'|'true')\s*;?\s*", re.IGNORECASE)
_SLEEPS: Final = re.compile(r"\bpg_sleep", re.IGNORECASE)


def loop_never_waits(facts: Facts) -> Iterator[Diagnostic]:
    """Find the loops without an end, then take away those that something in them stops or slows down."""
    flat = facts.outline
    endless = {fork.unit for fork in flat.forks if isinstance(fork.tree, Loop) and _is_endless(fork.tree)}
    if not endless:
        return
    calm: set[int] = set()
    for unit, found in enumerate(flat.units):
        if isinstance(found.tree, Break):
            left = flat.loop_of(unit)
            endless.discard(-1 if left is None else left)
        elif _waits(facts, unit):
            for branch, fork in flat.around(found.branch):
                if fork.unit in calm:
                    break
                if isinstance(fork.tree, Loop):
                    calm.add(fork.unit)
                if branch.role is Role.UNDO:
                    break
    for unit in sorted(endless - calm):
        yield lint(
            "DF210",
            "this loop never ends, and never waits",
            flat.units[unit].tree.span,
            label="begins its next round at once, for ever",
            help="add a wait to the round (`df.sleep(...)`), give the loop a condition, or leave it with "
            "`df.break()`",
        )


def _is_endless(loop: Loop) -> bool:
    match loop.condition:
        case None:
            return True
        case Sql(query=query):
            return _ALWAYS.fullmatch(query.value) is not None
        case _:
            return False


def _waits(facts: Facts, unit: int) -> bool:
    tree = facts.outline.units[unit].tree
    if isinstance(tree, Waiting | WaitFor) or "rate_limit" in facts.policies.of(unit):
        return True
    analysis = facts.analyses.get(unit)
    return analysis is not None and _SLEEPS.search(analysis.sql) is not None
