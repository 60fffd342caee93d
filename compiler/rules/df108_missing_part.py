"""DF108: a `$name.part` that the result does not have: a column of a count, the rows of a response."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dfc.compiler.ast import (
    FanOut,
    Join,
    Map,
    Ref,
    Sleep,
    WaitInstance,
    WaitSchedule,
    WaitSignal,
    WaitUntil,
)
from dfc.compiler.diagnostics import Diagnostic, Note, error
from dfc.compiler.facts import Facts
from dfc.compiler.links import Link, Of, Source
from dfc.compiler.nearness import Near, near
from dfc.compiler.plan import Returns, Use
from dfc.compiler.sql.references import Reference

RESPONSE_FIELDS = ("status", "body", "encoding", "headers", "ok", "duration_ms")
ERROR_FIELDS = ("message", "sqlstate", "step", "detail", "hint", "cause")
MAP_FIELDS = ("count", "failed")
WAIT_FIELDS: Mapping[type, Sequence[str]] = {
    Sleep: ("slept", "seconds"),
    WaitUntil: ("waited", "at"),
    WaitSchedule: ("scheduled", "at"),
    WaitSignal: ("signal_name", "timed_out", "data"),
    WaitInstance: ("instance_id", "status", "result", "error", "timed_out"),
}
SIMILARITY_MIN = 0.7

_CHANGES = frozenset({"insert", "update", "delete", "merge"})

Fault = tuple[str, str] | tuple[str, str, Near | None] | None


def missing_part(facts: Facts) -> Iterator[Diagnostic]:
    """Look at every reference of which it is certain what gives its result, and at the queries of maps."""
    yield from _items(facts)
    for unit, links in facts.scope.links.items():
        for link in links:
            source = link.only
            found = None if source is None else _missing(facts, unit, link, source)
            if source is None or found is None:
                continue
            message, help, *meant = found
            reference = link.reference
            giver = facts.outline.units[source.unit].tree
            notes = () if source.of is Of.INPUT else (Note(message=_note(source), span=giver.span),)
            yield error(
                "DF108",
                message,
                facts.locate(unit, reference.start, reference.end),
                label="the result has no such part",
                notes=notes,
                help=help,
                fix=facts.with_column(unit, reference, meant[0]) if meant else None,
            )


def _items(facts: Facts) -> Iterator[Diagnostic]:
    """The statements that maps are to go through, and that return nothing to go through."""
    for unit, analysis in facts.analyses.items():
        is_map = isinstance(facts.outline.units[unit].tree, Map)
        if is_map and analysis.returns is Returns.COUNT and not analysis.problems:
            changes = analysis.kind in _CHANGES
            yield error(
                "DF108",
                f"`{analysis.kind.upper()}` returns no rows to go through",
                facts.locate(unit, 0, len(analysis.sql)),
                label="the items of the map",
                help="add RETURNING to the statement" if changes else "write a query that returns the items",
            )


def _note(source: Source) -> str:
    match source.of:
        case Of.ITEM:
            return "the `df.map` whose item it is"
        case Of.ERROR:
            return "the `df.try` whose error it is"
        case _:
            return "the step that gives it"


def _missing(facts: Facts, unit: int, link: Link, source: Source) -> Fault:
    reference = link.reference
    if reference.use is Use.ERROR:
        return _no_error(facts, reference, source)
    match source.of:
        case Of.INPUT:
            return _value(reference, "the input")
        case Of.ERROR:
            return _value(reference, "an error") or _field(reference, "an error", ERROR_FIELDS)
        case Of.ITEM:
            return _batch(facts, reference, source)
        case _:
            pass
    giver = facts.giver(source.unit)
    if giver is None:
        return None
    tree = facts.outline.units[giver].tree
    match tree:
        case Map():
            if reference.use is Use.ROW_COUNT:
                return (
                    f"`{reference.name}` is the result of a map, not rows",
                    f"write `SELECT count(*) FROM ${reference.name}.*`",
                )
            return _field(reference, "the result of a map", MAP_FIELDS)
        case Join() | FanOut():
            return _array(reference, "results")
        case Ref():
            return _value(reference, f"`{reference.name}`")
        case Sleep() | WaitUntil() | WaitSchedule() | WaitSignal() | WaitInstance():
            return _value(reference, "what a wait gives") or _field(
                reference, "this wait", WAIT_FIELDS[type(tree)]
            )
        case _:
            pass
    if facts.is_http(giver):
        return _response(facts, reference, giver)
    asks_for_items = isinstance(facts.outline.units[unit].tree, Map) and unit not in facts.analyses
    return _count(reference, asks_for_items) if facts.is_count(giver) else None


def _no_error(facts: Facts, reference: Reference, source: Source) -> Fault:
    if source.of is Of.RESULT and facts.policies.goes_on(source.unit):
        return None
    return (
        f"`{reference.name}` is no step that goes on after an error",
        "give the step `on_error => 'continue'`",
    )


def _batch(facts: Facts, reference: Reference, source: Source) -> Fault:
    tree = facts.outline.units[source.unit].tree
    if not isinstance(tree, Map) or tree.batch_size == 1 or reference.column is None:
        return None
    name = reference.name
    return (
        f"`${name}` is a batch of up to {tree.batch_size} items",
        f"write `FROM ${name}.*` for its rows, or `${name}` for a JSON array",
    )


def _value(reference: Reference, what: str) -> Fault:
    if reference.use is Use.VALUE:
        return None
    return (f"{what} is a value, not rows", f"write `${reference.name}`")


def _array(reference: Reference, of: str) -> Fault:
    if reference.use is Use.VALUE and reference.column is None:
        return None
    name = reference.name
    return (f"`{name}` is an array of {of}", f"write `${name}` and take the array apart in SQL")


def _count(reference: Reference, asks_for_items: bool) -> Fault:
    if asks_for_items:
        return (f"`{reference.name}` returns no rows to go through", "add RETURNING to the step")
    if reference.use is Use.ROW_COUNT or (reference.use is Use.VALUE and reference.column is None):
        return None
    return (
        f"`{reference.name}` returns no rows, only their number",
        f"write `${reference.name}.row_count`, or add RETURNING to the step",
    )


def _response(facts: Facts, reference: Reference, giver: int) -> Fault:
    name = reference.name
    analysis = facts.analyses.get(giver)
    if analysis is not None and analysis.http is not None and analysis.http.many:
        message = (_array(reference, "HTTP responses") or ("",))[0]
        help = f"write `FROM jsonb_array_elements(${name}) AS response`: one response for each row"
        return (message, help) if message else None
    if reference.use is not Use.VALUE:
        return (f"`{name}` is an HTTP response, not rows", f"write `${name}` or `${name}.body`")
    return _field(reference, "an HTTP response", RESPONSE_FIELDS)


def _field(reference: Reference, what: str, fields: Sequence[str]) -> Fault:
    if reference.column is None or reference.column in fields:
        return None
    meant = near(reference.column, fields, cutoff=SIMILARITY_MIN)
    shown = ", ".join(f"`{field}`" for field in fields)
    help = f"did you mean `${reference.name}.{meant.word}`?" if meant else f"write one of {shown}"
    return (f"{what} has no field `{reference.column}`", help, meant)
