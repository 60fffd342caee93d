"""DF311: `$name` of a step that goes on after an error: where it has failed, the reference fails too."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.diagnostics import Diagnostic, Note, lint
from dfc.compiler.facts import Facts
from dfc.compiler.links import Of
from dfc.compiler.plan import Use


def failing_reference(facts: Facts) -> Iterator[Diagnostic]:
    """Look at every reference without `?`."""
    for unit, links in facts.scope.links.items():
        for link in links:
            source, reference = link.only, link.reference
            if source is None or source.of is not Of.RESULT or reference.optional:
                continue
            if reference.use is Use.ERROR or not facts.policies.goes_on(source.unit):
                continue
            written = facts.text(unit).value[reference.start : reference.end]
            yield lint(
                "DF311",
                f"`{written}` fails where `{reference.name}` has failed",
                facts.locate(unit, reference.start, reference.end),
                label="the step goes on after an error",
                notes=(Note(message="it is this", span=facts.outline.units[source.unit].tree.span),),
                help=f"write `{facts.with_question_mark(unit, reference)}`, which is NULL then",
                fix=facts.questioned(unit, reference, safe=False),
            )
