"""DF205: `$m.count` and `$m.failed` are there only where a map has given too much for an array."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.ast import Map
from dfc.compiler.diagnostics import Diagnostic, Note, lint
from dfc.compiler.facts import Facts
from dfc.compiler.links import Of
from dfc.compiler.plan import Use

_COUNTED = {
    "count": "count(*)",
    "failed": "count(*) FILTER (WHERE status = 'failed')",
}


def size_of_a_map(facts: Facts) -> Iterator[Diagnostic]:
    """Look at every reference to a field of the result of a map."""
    for unit, links in facts.scope.links.items():
        for link in links:
            source, reference = link.only, link.reference
            if source is None or source.of is not Of.RESULT or reference.use is not Use.VALUE:
                continue
            giver = facts.giver(source.unit)
            counted = _COUNTED.get(reference.column or "")
            if giver is None or counted is None:
                continue
            tree = facts.outline.units[giver].tree
            if not isinstance(tree, Map):
                continue
            name = reference.name
            yield lint(
                "DF205",
                f"`${name}.{reference.column}` is there only above 10,000 items or 16 MiB of results",
                facts.locate(unit, reference.start, reference.end),
                label="up to that, the result is an array",
                notes=(Note(message="the map", span=tree.span),),
                help=f"write `SELECT {counted} FROM ${name}.*`, which holds for any size",
            )
