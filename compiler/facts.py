"""What the rules may look at: the outline of a workflow, its names, and the analysis of each statement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dfc.compiler.ast import Http, Unordered
from dfc.compiler.grouping import Mixed
from dfc.compiler.outline import OUTERMOST, Outline
from dfc.compiler.scope import Scope
from dfc.compiler.span import Span
from dfc.compiler.sql.analysis import Analysis


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A workflow after name resolution. `analyses` has an entry for each unit that is SQL.

    `mixed` is what only the parser sees, and is empty for the SQL door.
    """

    outline: Outline
    scope: Scope
    analyses: Mapping[int, Analysis]
    mixed: tuple[Mixed, ...] = ()

    def locate(self, unit: int, start: int, end: int) -> Span:
        """Where `start` to `end` of a unit's SQL stands in the source."""
        return self.analyses[unit].text.locate(start, end)

    def is_http(self, unit: int) -> bool:
        """Whether the unit sends HTTP requests."""
        analysis = self.analyses.get(unit)
        return isinstance(self.outline.units[unit].tree, Http) or (
            analysis is not None and analysis.http is not None
        )

    def is_inside_unordered(self, unit: int) -> bool:
        """Whether the unit stands inside a construct that cannot be executed yet, or in a hole."""
        branch = self.outline.units[unit].branch
        while branch != OUTERMOST:
            if isinstance(self.outline.branches[branch].tree, Unordered):
                return True
            branch = self.outline.branches[branch].parent
        return False
