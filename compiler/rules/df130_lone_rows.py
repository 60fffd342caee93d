"""DF130: a lone `$name.*`, which is a table, where one value is meant. In statements the analysis says it."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.ast import Ref
from dfc.compiler.diagnostics import Diagnostic, error
from dfc.compiler.facts import Facts
from dfc.compiler.plan import Use


def lone_rows(facts: Facts) -> Iterator[Diagnostic]:
    """Look at every reference that stands alone; the items of a map may be a table."""
    for unit, links in facts.scope.links.items():
        if not isinstance(facts.outline.units[unit].tree, Ref):
            continue
        for link in links:
            reference = link.reference
            if reference.use is Use.ROWS:
                yield error(
                    "DF130",
                    f"`${reference.name}.*` is a table and cannot stand for one value",
                    facts.locate(unit, reference.start, reference.end),
                    help=f"write `${reference.name}.column`, or `${reference.name}.row_count`",
                )
