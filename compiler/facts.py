"""What the rules may look at: the outline of a workflow, its names, and the analysis of each statement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dfc.compiler.ast import (
    Atomic,
    Compensate,
    Expression,
    FanOut,
    Hole,
    Http,
    IfRows,
    Join,
    Map,
    Ref,
    Retry,
    Text,
    Timeout,
)
from dfc.compiler.diagnostics import Fix, replacing
from dfc.compiler.grouping import Mixed
from dfc.compiler.nearness import Near
from dfc.compiler.outline import Branch, Fork, Outline, Role
from dfc.compiler.params import Params
from dfc.compiler.plan import Returns
from dfc.compiler.policies import NO_POLICING, Policing
from dfc.compiler.scope import Scope
from dfc.compiler.span import Span
from dfc.compiler.sql.analysis import Analysis
from dfc.compiler.sql.references import Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A workflow that the file defines, with the inputs that it declares."""

    name: str
    body: Expression
    params: Params | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a workflow's file says beside it: the statements that go to the server, and what it defines.

    `schema` are the texts of files with DDL. `variables` are those that the file sets. `limited`: whoever
    starts the workflow limits its time.
    """

    scripts: tuple[str, ...] = ()
    schema: tuple[str, ...] = ()
    definitions: tuple[Definition, ...] = ()
    variables: frozenset[str] = frozenset()
    limited: bool = False


NO_SURROUNDINGS = Surroundings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A workflow after name resolution.

    `analyses` has an entry for each unit with a statement: a SQL step, the query of a map, what the compiler
    writes for a request or a value with references. `mixed` is what only the parser sees, and is empty for
    the SQL door. `params` are the types of the declared inputs; None where nothing is declared.
    """

    outline: Outline
    scope: Scope
    analyses: Mapping[int, Analysis]
    policies: Policing = NO_POLICING
    mixed: tuple[Mixed, ...] = ()
    params: Mapping[str, str] | None = None
    beside: Surroundings = NO_SURROUNDINGS

    def text(self, unit: int) -> Text:
        """The text that the references of a unit stand in."""
        analysis = self.analyses.get(unit)
        if analysis is not None:
            return analysis.text
        tree = self.outline.units[unit].tree
        if isinstance(tree, Map):
            tree = tree.items
        assert isinstance(tree, Ref), "only these have references"
        return tree.text

    def locate(self, unit: int, start: int, end: int) -> Span:
        """Where `start` to `end` of a unit's text stands in the source."""
        return self.text(unit).locate(start, end)

    def locate_name(self, unit: int, start: int, end: int) -> Span:
        """Where a name in a unit's statement stands; the statement as a whole where that is not known."""
        return self.locate(unit, start, end) if end else self.locate(unit, 0, len(self.text(unit).value))

    def respelt(self, unit: int, reference: Reference, near: Near | None) -> Fix | None:
        """The fix that writes another name in a reference; None where it is not sure which."""
        return self._respelt(unit, reference, self._written(unit, reference).find(reference.name), near)

    def with_column(self, unit: int, reference: Reference, near: Near | None) -> Fix | None:
        """The fix that writes another column or field in a reference; None where it is not sure which."""
        column = reference.column or reference.name
        return self._respelt(unit, reference, self._written(unit, reference).rfind(column), near, column)

    def _respelt(
        self, unit: int, reference: Reference, place: int, near: Near | None, word: str = ""
    ) -> Fix | None:
        if near is None or not near.sure or place == -1:
            return None
        start, old = reference.start + place, word or reference.name
        return replacing(self.locate(unit, start, start + len(old)), old, near.word)

    def _written(self, unit: int, reference: Reference) -> str:
        return self.text(unit).value[reference.start : reference.end]

    def questioned(self, unit: int, reference: Reference, *, safe: bool = True) -> Fix | None:
        """The fix that writes `?` behind a reference; None where that is not what helps."""
        written = self._written(unit, reference)
        better = self.with_question_mark(unit, reference)
        if better != f"{written}?":
            return None
        return replacing(self.locate(unit, reference.start, reference.end), written, better, safe=safe)

    def with_question_mark(self, unit: int, reference: Reference) -> str:
        """What to write where the reference may have no value; `df.if_rows` takes a name and nothing else."""
        written = f"{self._written(unit, reference)}?"
        around = next(self.outline.around(self.outline.units[unit].branch), None)
        if around is not None and isinstance(around[1].tree, IfRows) and around[0].role is Role.CONDITION:
            return f"df.if('${reference.name}.row_count?', ...)"
        return written

    def is_http(self, unit: int) -> bool:
        """Whether the unit sends HTTP requests."""
        analysis = self.analyses.get(unit)
        return isinstance(self.outline.units[unit].tree, Http) or (
            analysis is not None and analysis.http is not None
        )

    def is_count(self, unit: int) -> bool:
        """Whether the result of the unit is surely the number of rows of a statement that returns none.

        A CALL may give a row, and only a server knows whether it does.
        """
        giver = self.giver(unit)
        analysis = None if giver is None else self.analyses.get(giver)
        if giver is None or analysis is None or analysis.problems or self.is_http(giver):
            return False
        tree = self.outline.units[giver].tree
        counts = analysis.returns is Returns.COUNT and analysis.kind != "call"
        return counts and not isinstance(tree, Map)

    def giver(self, unit: int) -> int | None:
        """The unit without parts, group or map whose result a unit has; None where it is one of several."""
        here = unit
        while True:
            fork = self.fork(here)
            if fork is None:
                return here
            match fork.tree:
                case Atomic() | Retry() | Compensate():
                    pass
                case Timeout() if fork.tree.otherwise is None:
                    pass
                case Map() | Join() | FanOut():
                    return here
                case _:
                    return None
            here = self.branches(fork)[0].last

    def fork(self, unit: int) -> Fork | None:
        """The fork that a unit is; None for a leaf."""
        number = self.outline.units[unit].fork
        return None if number is None else self.outline.forks[number]

    def branches(self, fork: Fork) -> tuple[Branch, ...]:
        """The parts of a fork."""
        return tuple([self.outline.branches[branch] for branch in fork.branches])

    def is_inside_unordered(self, unit: int) -> bool:
        """Whether the unit stands in a hole."""
        around = self.outline.around(self.outline.units[unit].branch)
        return any(isinstance(fork.tree, Hole) for _, fork in around)

    def is_inside(self, unit: int, kinds: type | tuple[type, ...], *roles: Role) -> bool:
        """Whether the unit stands in a part, of these roles, of a construct of one of these kinds."""
        around = self.outline.around(self.outline.units[unit].branch)
        return any(isinstance(fork.tree, kinds) and branch.role in roles for branch, fork in around)
