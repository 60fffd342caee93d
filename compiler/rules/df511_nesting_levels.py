"""DF511: a workflow nested deeper than `NESTING_LEVELS_MAX`."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.diagnostics import Diagnostic, error
from dfc.compiler.facts import Facts
from dfc.compiler.statements import NESTING_LEVELS_MAX


def nesting_levels(facts: Facts) -> Iterator[Diagnostic]:
    """Look at the deepest place of the tree."""
    levels = facts.outline.levels
    if levels > NESTING_LEVELS_MAX:
        yield error(
            "DF511",
            f"the workflow is nested {levels} levels deep, and the limit is {NESTING_LEVELS_MAX}",
            facts.outline.deepest,
            label="the deepest place",
            help="write long groups flat: `df.seq(...)`, `df.join(...)`, `df.parallel(...)`",
        )
