"""DF512: a workflow with more than `STEPS_MAX` nodes."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.ast import Hole
from dfc.compiler.diagnostics import Diagnostic, error
from dfc.compiler.facts import Facts

STEPS_MAX = 20_000


def steps(facts: Facts) -> Iterator[Diagnostic]:
    """Count the nodes, joins included."""
    count = sum(not isinstance(unit.tree, Hole) for unit in facts.outline.units)
    if count > STEPS_MAX:
        yield error(
            "DF512",
            f"the workflow has {count} nodes, and the limit is {STEPS_MAX}",
            facts.outline.units[STEPS_MAX].tree.span,
            label="the first node over the limit",
            help="let one statement do the work of many steps",
        )
