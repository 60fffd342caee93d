"""DF213: a query that changes nothing, and whose result nobody uses."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.ast import Map, Sql, WaitFor
from dfc.compiler.diagnostics import Diagnostic, lint
from dfc.compiler.facts import Facts
from dfc.compiler.links import Of
from dfc.compiler.outline import OUTERMOST, Role
from dfc.compiler.sql.pure import gives_only_rows, reads_something

_ASKED = frozenset({Role.CONDITION, Role.WHILE, Role.UNORDERED})
"""Parts whose result is always looked at."""
_FOR_ITSELF = frozenset({Role.FINALLY, Role.UNDO})
"""Parts whose result nobody gets."""


def unused_result(facts: Facts) -> Iterator[Diagnostic]:
    """Look at every query whose result is neither referred to nor a result of what is around it."""
    used = _used(facts)
    for unit, analysis in facts.analyses.items():
        found = facts.outline.units[unit]
        if unit in used or not isinstance(found.tree, Sql) or analysis.http is not None:
            continue
        if _stands_for_nothing(facts, unit, analysis.sql) or not gives_only_rows(analysis.sql, analysis.kind):
            continue
        yield lint(
            "DF213",
            "nobody uses the result of this query, and it has no effect",
            facts.locate(unit, 0, len(analysis.sql)),
            label="runs for nothing",
            help="refer to it by name (`df.step('x', ...)`, then `$x`), or take it out",
        )


def _used(facts: Facts) -> set[int]:
    """The units whose result something gets."""
    flat = facts.outline
    used = {
        source.unit
        for links in facts.scope.links.values()
        for link in links
        for source in link.sources
        if source.of is Of.RESULT
    }
    used.add(len(flat.units) - 1)
    # What has parts stands behind them, so that it is known here whether its own result is used.
    for unit in range(len(flat.units) - 1, -1, -1):
        fork = facts.fork(unit)
        if fork is None:
            continue
        for branch in facts.branches(fork):
            if branch.role in _ASKED or (unit in used and branch.role not in _FOR_ITSELF):
                used.add(branch.last)
            elif isinstance(fork.tree, Map | WaitFor):
                used.add(branch.last)  # it is waited for, or `df.map_results` has it
    return used


def _stands_for_nothing(facts: Facts, unit: int, sql: str) -> bool:
    """Whether it is all of a part, and reads nothing: a part has to be something."""
    found = facts.outline.units[unit]
    if found.branch == OUTERMOST or reads_something(sql):
        return False
    return facts.outline.branches[found.branch].last == unit and not found.after
