"""DF130: a lone reference in the wrong place: a table for a value, a number or field for items of a map.

In statements the analysis says it.
"""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.ast import Map, Ref
from dfc.compiler.diagnostics import Diagnostic, error
from dfc.compiler.facts import Facts
from dfc.compiler.plan import Use


def lone_rows(facts: Facts) -> Iterator[Diagnostic]:
    """Look at every reference that stands alone."""
    for unit, links in facts.scope.links.items():
        tree = facts.outline.units[unit].tree
        if not isinstance(tree, Ref) and not (isinstance(tree, Map) and isinstance(tree.items, Ref)):
            continue
        for link in links:
            reference = link.reference
            where = facts.locate(unit, reference.start, reference.end)
            name = reference.name
            if isinstance(tree, Ref) and reference.use is Use.ROWS:
                message = f"`${name}.*` is a table and cannot stand for one value"
                yield error("DF130", message, where, help=f"write `${name}.column`, or `${name}.row_count`")
            elif isinstance(tree, Map) and reference.use in (Use.ROW_COUNT, Use.ERROR):
                message = f"`{facts.text(unit).value}` is one value, and a map goes through rows"
                yield error("DF130", message, where, help=f"write `${name}`")
            elif isinstance(tree, Map) and reference.column is not None:
                field = f"{name}.{reference.column}"
                message = f"a map runs over all of `{name}`, not over `{field}`"
                help = (
                    f"write a query: `df.map('SELECT jsonb_array_elements(${field}) AS item', ...)`, "
                    f"or `unnest(${field})` for a PostgreSQL array"
                )
                yield error("DF130", message, where, help=help)
