"""DF183: `$input.x` where the definition's `params` declare no input of that name."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.diagnostics import Diagnostic, error
from dfc.compiler.facts import Facts
from dfc.compiler.links import Of
from dfc.compiler.nearness import near
from dfc.compiler.plan import Use


def unknown_input(facts: Facts) -> Iterator[Diagnostic]:
    """Look at every reference to a field of the input, where it is known what the input holds."""
    if facts.params is None:
        return
    known = ", ".join(f"`{name}`" for name in facts.params)
    for unit, links in facts.scope.links.items():
        for link in links:
            reference, source = link.reference, link.only
            if source is None or source.of is not Of.INPUT or reference.use is not Use.VALUE:
                continue
            if reference.column is None or reference.column in facts.params:
                continue
            meant = near(reference.column, facts.params)
            yield error(
                "DF183",
                f"`$input.{reference.column}` is not a parameter of this workflow",
                facts.locate(unit, reference.start, reference.end),
                label="not declared",
                help=f"did you mean `$input.{meant.word}`?"
                if meant
                else f"declare it in `params`, beside {known}",
                fix=facts.with_column(unit, reference, meant),
            )
