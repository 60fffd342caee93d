"""DF104: a `$name` in code that no step and no binding of the workflow gives."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.ast import Map
from dfc.compiler.diagnostics import Diagnostic, error
from dfc.compiler.facts import Facts
from dfc.compiler.links import Loose, Why
from dfc.compiler.nearness import Near, near
from dfc.compiler.outline import Role

_PLACES = {"item": "`df.map`", "error": "the catch part of `df.try`"}
SUGGESTIONS_FROM_MAX = 2_000
SUGGESTIONS_MAX = 50


def unknown_reference(facts: Facts) -> Iterator[Diagnostic]:
    """Look at every reference that stands for nothing because its name is nowhere given."""
    names = sorted(facts.scope.known)[:SUGGESTIONS_FROM_MAX]
    items = {fork.tree.name.value for fork in facts.outline.forks if isinstance(fork.tree, Map)}
    suggestions: dict[str, Near | None] = {}
    for loose in facts.scope.loose:
        if loose.why is not Why.UNKNOWN:
            continue
        reference = loose.reference
        name = reference.name
        place = _PLACES.get(name) or (_PLACES["item"] if name in items else None)
        if place is not None:
            if name not in facts.scope.misnamed:
                yield _out_of_place(facts, loose, place, items)
            continue
        # Looking for a similar name takes milliseconds in a large workflow: only the first few get one.
        if name not in suggestions and len(suggestions) < SUGGESTIONS_MAX:
            suggestions[name] = near(name, names)
        found = suggestions.get(name)
        help = f"did you mean `${found.word}`?" if found else f"name a step before this one: `|=> '{name}'`"
        yield error(
            "DF104",
            f"no step before this one is named `{name}`",
            facts.locate(loose.unit, reference.start, reference.end),
            label="unknown name",
            help=help,
            fix=facts.respelt(loose.unit, reference, found),
        )


def _out_of_place(facts: Facts, loose: Loose, place: str, items: set[str]) -> Diagnostic:
    """`$item` and `$error` outside of the constructs that give them."""
    name = loose.reference.name
    inside = facts.is_inside(loose.unit, Map, Role.BODY)
    help = "write the name of an earlier step"
    meant: Near | None = None
    if name == "item" and inside and items:
        meant = Near(word=min(items), sure=len(items) == 1)
        help = f"write `${meant.word}`, as the `df.map` calls it"
    return error(
        "DF104",
        f"`${name}` exists only inside {place}",
        facts.locate(loose.unit, loose.reference.start, loose.reference.end),
        label="unknown name",
        help=help,
        fix=facts.respelt(loose.unit, loose.reference, meant),
    )
