"""DF206: the items of a map, which run at the same time, all write the same rows of a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dfc.compiler.ast import Map
from dfc.compiler.beside.touching import Touching, around
from dfc.compiler.diagnostics import Diagnostic, Note, lint
from dfc.compiler.facts import Facts
from dfc.compiler.links import Of
from dfc.compiler.outline import Role
from dfc.compiler.sql.careless import set_clauses, skips_locked
from dfc.compiler.sql.meetings import Access, meeting
from dfc.compiler.sql.uses import Effect

SHOWN_MAX: Final = 10
"""Reports for each map."""


def items_meet(facts: Facts) -> Iterator[Diagnostic]:
    """Collect what the statements in each map do with each table, and look for what is not the item's own."""
    maps: dict[int, dict[str, list[_Shared]]] = {}
    touching = Touching(facts)
    for unit, analysis in facts.analyses.items():
        maps_around = _maps(facts, unit)
        if not maps_around or analysis.problems:
            continue
        chosen = skips_locked(analysis.sql) or bool(touching.unknown(analysis))
        varying = _varying(facts, unit, maps_around)
        for access in touching.accesses(unit):
            for each in maps_around:
                own = chosen or each in varying
                maps.setdefault(each, {}).setdefault(access.use.table, []).append(_Shared(access, own))
    for each in sorted(maps):
        told: set[int] = set()
        reports = [
            report
            for table in sorted(maps[each])
            for report in _reports(touching, facts, each, maps[each][table], told)
        ]
        yield from reports[:SHOWN_MAX]


@dataclass(frozen=True, slots=True)
class _Shared:
    """An access in the body of a map. `own`: the item, or a function, says which rows are meant."""

    access: Access
    own: bool


def _maps(facts: Facts, unit: int) -> list[int]:
    """The units of the maps in whose bodies a unit stands, where several items run at the same time."""
    return [
        fork.unit
        for branch, fork, undone in around(facts.outline, unit)
        if isinstance(fork.tree, Map)
        and branch.role is Role.BODY
        and fork.tree.max_parallel > 1
        and not undone
    ]


def _varying(facts: Facts, unit: int, maps: list[int]) -> set[int]:
    """Those of the maps for whose items the rows of the statement differ: a reference outside of SET does."""
    clauses = set_clauses(facts.analyses[unit].sql) if unit in facts.analyses else []
    found: set[int] = set()
    todo = [(unit, clauses)]
    seen: set[int] = set()
    while todo:
        here, clauses = todo.pop()
        seen.add(here)
        for link in facts.scope.links.get(here, ()):
            at = link.reference.start
            if any(start <= at < end for start, end in clauses):
                continue
            for source in link.sources:
                if source.of is Of.ITEM:
                    # Of the maps around this one the items differ only as far as its own items do.
                    found.add(source.unit)
                    if source.unit not in seen and not _chooses(facts, source.unit):
                        todo.append((source.unit, []))
                        continue
                if source.of is not Of.INPUT:
                    found.update(_maps(facts, source.unit))
    return found.intersection(maps)


def _chooses(facts: Facts, unit: int) -> bool:
    """Whether the items of a map are rows that nobody else takes, or come from somewhere else."""
    analysis = facts.analyses.get(unit)
    return analysis is not None and (skips_locked(analysis.sql) or not analysis.tables.analysed)


def _reports(
    touching: Touching, facts: Facts, each: int, accesses: list[_Shared], told: set[int]
) -> Iterator[Diagnostic]:
    """What in one map is wrong with one table."""
    writers = [shared.access for shared in accesses if shared.access.use.writes]
    for shared in accesses:
        access = shared.access
        if shared.own or access.unit in told:
            continue
        if access.use.writes:
            if access.use.effect is not Effect.INSERT:
                told.add(access.unit)
                yield _report(touching, facts, each, access, None)
            continue
        met = next((other for other in writers[:SHOWN_MAX] if meeting(other, access) is not None), None)
        if met is not None:
            told.add(access.unit)
            yield _report(touching, facts, each, access, met)


def _report(touching: Touching, facts: Facts, each: int, access: Access, writer: Access | None) -> Diagnostic:
    tree = facts.outline.units[each].tree
    assert isinstance(tree, Map)
    table, item = access.use.table, f"${tree.name.value}"
    if access.use.effect is Effect.DEFINE:
        message = f"all items of a map change the table `{table}` itself"
    elif writer is None:
        message = f"all items of a map write the same rows of `{table}`"
    else:
        message = f"the items of a map read `{table}`, which other items write at the same time"
    second = () if writer is None else (Note(message="writes it", span=touching.place(writer)),)
    return lint(
        "DF206",
        message,
        touching.place(access),
        label="reads it" if writer is not None else "writes it, whatever the item is",
        notes=(*second, Note(message=f"the map runs {tree.max_parallel} items at a time", span=tree.span)),
        help=f"say which rows are the item's (`WHERE id = {item}.id`), or give the map `max_parallel => 1`",
    )
