"""DF109: a `df.break` that no loop is around."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.ast import Break
from dfc.compiler.diagnostics import Diagnostic, error
from dfc.compiler.facts import Facts
from dfc.compiler.outline import Role


def break_outside(facts: Facts) -> Iterator[Diagnostic]:
    """Look at every break; it leaves the nearest loop, but neither a `finally` part nor an undo."""
    outline = facts.outline
    for index, unit in enumerate(outline.units):
        if not isinstance(unit.tree, Break) or outline.loop_of(index) is not None:
            continue
        if facts.is_inside_unordered(index):
            continue
        roles = [branch.role for branch, _ in outline.around(unit.branch)]
        message, help = "`df.break` stands outside of a loop", "put it into the body of `df.loop`"
        if Role.FINALLY in roles or Role.UNDO in roles:
            part = "undo" if Role.UNDO in roles else "`finally` part"
            message, help = f"`df.break` cannot leave the {part} it stands in", "end the part without it"
        yield error("DF109", message, unit.tree.span, label="no loop to leave", help=help)
