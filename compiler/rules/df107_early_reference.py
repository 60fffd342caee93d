"""DF107: a `$name` before its step has run."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.diagnostics import Diagnostic, Note, error
from dfc.compiler.facts import Facts
from dfc.compiler.scope import Why


def early_reference(facts: Facts) -> Iterator[Diagnostic]:
    """Look at every reference that stands for nothing because its name is given at or behind its place."""
    for loose in facts.scope.loose:
        if loose.name is None or loose.why not in (Why.EARLY, Why.OWN):
            continue
        reference = loose.reference
        if loose.why is Why.OWN:
            message = f"`${reference.name}` refers to the step that it stands in"
            help = "refer to an earlier step"
        else:
            message = f"`${reference.name}` has not run yet here"
            help = f"move the step behind `{reference.name}`"
        yield error(
            "DF107",
            message,
            facts.locate(loose.unit, reference.start, reference.end),
            label="used before it is bound",
            notes=(Note(message=f"`{reference.name}` is bound here", span=loose.name.text.span),),
            help=help,
        )
