"""Which tables the steps of a workflow touch, named in their statements or not, and what runs beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from dfc.compiler.ast import CallWorkflow, Expression, FanOut, Join, Map, Race, Retry, Sql, Timeout, Try
from dfc.compiler.beside.reading import relations
from dfc.compiler.beside.relations import Relations
from dfc.compiler.facts import Facts
from dfc.compiler.outline import Branch, Fork, Outline, Role, outline
from dfc.compiler.span import Span
from dfc.compiler.sql.analysis import Analysis, analyse
from dfc.compiler.sql.careless import skips_locked
from dfc.compiler.sql.meetings import Access
from dfc.compiler.sql.uses import Called, Use

WORKFLOWS_MAX: Final = 20
"""How many definitions are followed from one call."""


class Touching:
    """The accesses of a workflow's units, each looked for when it is asked for."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._relations: Relations | None = None
        self._definitions = {each.name: each.body for each in facts.beside.definitions}
        self._called: dict[str, tuple[Use, ...]] = {}
        self._temporary: frozenset[str] | None = None

    @property
    def relations(self) -> Relations:
        """What the DDL beside the workflow says."""
        if self._relations is None:
            beside = self._facts.beside
            self._relations = relations(beside.scripts, beside.schema)
        return self._relations

    @property
    def units(self) -> list[int]:
        """The units that may touch tables, in written order."""
        if not self._definitions:
            return list(self._facts.analyses)
        units = self._facts.outline.units
        calls = [index for index, unit in enumerate(units) if isinstance(unit.tree, CallWorkflow)]
        return sorted({*self._facts.analyses, *calls})

    def accesses(self, unit: int) -> Iterator[Access]:
        """What a unit does with which tables. Those of a session of its own are nobody else's."""
        tree = self._facts.outline.units[unit].tree
        if isinstance(tree, CallWorkflow):
            for use in self._of_definition(tree.workflow.value):
                yield Access(unit=unit, use=use)
        analysis = self._facts.analyses.get(unit)
        if analysis is None:
            return
        claims = skips_locked(analysis.sql)
        for use in self._uses(analysis):
            yield Access(unit=unit, use=use, claims=claims)

    def unknown(self, analysis: Analysis) -> tuple[Called, ...]:
        """The functions that a statement calls and of which nobody knows what they do."""
        return tuple([call for call in analysis.tables.calls if not self.relations.called(call.name).known])

    def place(self, access: Access) -> Span:
        """Where it stands in the source: the name of the table, or what leads to it."""
        tree = self._facts.outline.units[access.unit].tree
        if isinstance(tree, CallWorkflow):
            return tree.span
        return self._facts.locate_name(access.unit, access.use.start, access.use.end)

    def _uses(self, analysis: Analysis) -> Iterator[Use]:
        for use in (*analysis.tables.uses, *self._of_functions(analysis)):
            for one in self.relations.behind(use):
                if one.table not in self._temporaries() and not one.table.startswith("pg_temp."):
                    yield one

    def _of_functions(self, analysis: Analysis) -> Iterator[Use]:
        """What the functions do that a statement calls, at the place of the call."""
        for call in analysis.tables.calls:
            for use in self.relations.called(call.name).uses:
                yield replace(
                    use, start=call.start, end=call.end, rows=(), through=f"the function `{call.name}`"
                )

    def _temporaries(self) -> frozenset[str]:
        if self._temporary is None:
            found = [
                analysis.tables.temporary
                for analysis in self._facts.analyses.values()
                if analysis.kind.startswith("create table")
            ]
            self._temporary = frozenset().union(*found)
        return self._temporary

    def _of_definition(self, name: str) -> tuple[Use, ...]:
        """What a workflow of the same file does, with those that it calls."""
        if name not in self._called:
            todo, found = [name], list[Use]()
            for each in todo:
                for tree in self._bodies(each) if len(todo) <= WORKFLOWS_MAX else ():
                    if isinstance(tree, CallWorkflow):
                        todo += [tree.workflow.value] if tree.workflow.value not in todo else []
                    elif isinstance(tree, Sql):
                        found += self._uses(analyse(tree.query))
            self._called[name] = tuple(
                dict.fromkeys(
                    [replace(use, start=0, end=0, rows=(), through=f"the workflow `{name}`") for use in found]
                )
            )
        return self._called[name]

    def _bodies(self, name: str) -> Iterator[object]:
        body: Expression | None = self._definitions.get(name)
        if body is not None:
            for unit in outline(body).units:
                yield unit.tree
                if isinstance(unit.tree, Map) and isinstance(unit.tree.items, Sql):
                    yield unit.tree.items


def groups_beside(flat: Outline, unit: int) -> Iterator[Branch]:
    """The branches around a unit beside which others run while it does, from the inside out.

    An undo runs when what is around it has failed: within a `df.try` and the like there, else behind all.
    """
    for branch, fork, undone in around(flat, unit):
        if isinstance(fork.tree, Join | FanOut | Race) and not undone:
            yield branch


def around(flat: Outline, unit: int) -> Iterator[tuple[Branch, Fork, bool]]:
    """The branches around a unit; and whether it runs only when all of the fork has come to its end."""
    undone = False
    for branch, fork in flat.around(flat.units[unit].branch):
        yield branch, fork, undone
        if branch.role is Role.UNDO:
            undone = True
        elif _undoes_inside(branch, fork):
            undone = False


def _undoes_inside(branch: Branch, fork: Fork) -> bool:
    """Whether a part that has failed, or was stopped, is undone before the fork goes on."""
    match fork.tree:
        case Try() | Timeout() | Retry():
            return branch.role is Role.BODY
        case Map():
            return fork.tree.on_error == "continue"
        case Join() | FanOut():
            return fork.tree.cancels
        case Race():
            return True
        case _:
            return False
