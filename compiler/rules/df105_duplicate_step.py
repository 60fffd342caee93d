"""DF105: two steps of a workflow with one name. The name is the address of the checkpoint."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.diagnostics import Diagnostic, Note, error
from dfc.compiler.facts import Facts
from dfc.compiler.outline import Name


def duplicate_step(facts: Facts) -> Iterator[Diagnostic]:
    """Report every step name but the first of its kind, with the place of the first."""
    first: dict[str, Name] = {}
    for name in sorted(facts.outline.names, key=lambda name: name.text.span.start):
        if not name.step or name.text.value in facts.scope.misnamed:
            continue
        earlier = first.setdefault(name.text.value, name)
        if earlier is not name:
            yield error(
                "DF105",
                f"two steps are named `{name.text.value}`",
                name.text.span,
                label="the name again",
                notes=(Note(message="first used here", span=earlier.text.span),),
                help="give each step a name of its own",
            )
