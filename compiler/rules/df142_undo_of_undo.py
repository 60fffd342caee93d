"""DF142: a `df.compensate` inside of an undo: what an undo does is not undone."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.ast import Compensate
from dfc.compiler.diagnostics import Diagnostic, error
from dfc.compiler.facts import Facts
from dfc.compiler.outline import Role


def undo_of_undo(facts: Facts) -> Iterator[Diagnostic]:
    """Look at every `df.compensate`."""
    for index, unit in enumerate(facts.outline.units):
        if isinstance(unit.tree, Compensate) and facts.is_inside(index, Compensate, Role.UNDO):
            yield error(
                "DF142",
                "what an undo does is not undone",
                unit.tree.span,
                label="inside of an undo",
                help="write its first part alone",
            )
