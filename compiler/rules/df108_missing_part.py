"""DF108: a `$name.part` that the result does not have: a column of a count, the rows of a response."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from dfc.compiler.diagnostics import Diagnostic, Note, error
from dfc.compiler.facts import Facts
from dfc.compiler.plan import Returns, Use
from dfc.compiler.scope import Link

RESPONSE_FIELDS = ("status", "body", "encoding", "headers", "ok", "duration_ms")
SIMILARITY_MIN = 0.7


def missing_part(facts: Facts) -> Iterator[Diagnostic]:
    """Look at every reference whose result is surely not rows."""
    for unit, links in facts.scope.links.items():
        for link in links:
            found = _response(facts, link) if facts.is_http(link.source) else _count(facts, link)
            if found is None:
                continue
            message, help = found
            reference = link.reference
            source = facts.outline.units[link.source].tree
            yield error(
                "DF108",
                message,
                facts.locate(unit, reference.start, reference.end),
                label="the result has no such part",
                notes=(Note(message="the step that gives it", span=source.span),),
                help=help,
            )


def _count(facts: Facts, link: Link) -> tuple[str, str] | None:
    analysis = facts.analyses.get(link.source)
    reference = link.reference
    if analysis is None or analysis.problems or analysis.returns is not Returns.COUNT:
        return None
    if reference.use is Use.ROW_COUNT or (reference.use is Use.VALUE and reference.column is None):
        return None
    return (
        f"`{reference.name}` returns no rows, only their number",
        f"write `${reference.name}.row_count`, or add RETURNING to the step",
    )


def _response(facts: Facts, link: Link) -> tuple[str, str] | None:
    reference = link.reference
    name = reference.name
    if reference.use is not Use.VALUE:
        return (f"`{name}` is an HTTP response, not rows", f"write `${name}` or `${name}.body`")
    if reference.column is None:
        return None
    analysis = facts.analyses.get(link.source)
    if analysis is not None and analysis.http is not None and analysis.http.many:
        return (f"`{name}` is an array of HTTP responses", f"write `${name}` and take the array apart in SQL")
    if reference.column in RESPONSE_FIELDS:
        return None
    near = get_close_matches(reference.column, RESPONSE_FIELDS, n=1, cutoff=SIMILARITY_MIN)
    fields = ", ".join(f"`{field}`" for field in RESPONSE_FIELDS)
    help = f"did you mean `${name}.{near[0]}`?" if near else f"write one of {fields}"
    return (f"an HTTP response has no field `{reference.column}`", help)
