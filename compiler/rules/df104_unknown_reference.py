"""DF104: a `$name` in code that no step and no binding of the workflow gives."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from dfc.compiler.diagnostics import Diagnostic, error
from dfc.compiler.facts import Facts
from dfc.compiler.names import RESERVED
from dfc.compiler.scope import Why

_PLACES = {"item": "`df.map`", "error": "the catch part of `df.try`"}
SUGGESTIONS_FROM_MAX = 2_000
SUGGESTIONS_MAX = 50


def unknown_reference(facts: Facts) -> Iterator[Diagnostic]:
    """Look at every reference that stands for nothing because its name is nowhere given."""
    names = sorted(facts.scope.known)[:SUGGESTIONS_FROM_MAX]
    suggestions: dict[str, list[str]] = {}
    for loose in facts.scope.loose:
        if loose.why is not Why.UNKNOWN:
            continue
        reference = loose.reference
        # Looking for a similar name takes milliseconds in a large workflow: only the first few get one.
        if reference.name not in suggestions and len(suggestions) < SUGGESTIONS_MAX:
            suggestions[reference.name] = get_close_matches(reference.name, names, n=1)
        near = suggestions.get(reference.name)
        if near:
            help = f"did you mean `${near[0]}`?"
        else:
            help = f"name a step before this one: `|=> '{reference.name}'`"
        yield error(
            "DF104",
            f"no step before this one is named `{reference.name}`",
            facts.locate(loose.unit, reference.start, reference.end),
            label="unknown name",
            help=help,
        )
    yield from _out_of_place(facts)


def _out_of_place(facts: Facts) -> Iterator[Diagnostic]:
    """`$item` and `$error` outside of the constructs that give them."""
    for unit, analysis in facts.analyses.items():
        for reference in analysis.references:
            name = reference.name
            if (
                name not in RESERVED
                or name not in _PLACES
                or facts.is_inside_unordered(unit)
                or name in facts.scope.misnamed
            ):
                continue
            yield error(
                "DF104",
                f"`${name}` exists only inside {_PLACES[name]}",
                facts.locate(unit, reference.start, reference.end),
                label="unknown name",
                help="write the name of an earlier step",
            )
