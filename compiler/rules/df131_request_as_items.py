"""DF131: a map that is to go through the requests that its query computes: nobody would send them.

What else `df.http` inside of a statement means is found with the statement (sql/analysis.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.ast import Map
from dfc.compiler.diagnostics import Diagnostic, error
from dfc.compiler.facts import Facts


def request_as_items(facts: Facts) -> Iterator[Diagnostic]:
    """Look at the queries of maps."""
    for unit, analysis in facts.analyses.items():
        if isinstance(facts.outline.units[unit].tree, Map) and analysis.http is not None:
            yield error(
                "DF131",
                "the query of a map cannot send requests",
                facts.locate(unit, 0, len(analysis.sql)),
                label="the items of the map",
                help="make the requests a step in front of the map, and go through its result by name",
            )
