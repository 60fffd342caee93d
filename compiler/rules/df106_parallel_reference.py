"""DF106: a `$name` whose step runs at the same time, in another branch."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.ast import FanOut, Race
from dfc.compiler.diagnostics import Diagnostic, Note, error
from dfc.compiler.facts import Facts
from dfc.compiler.links import Why


def parallel_reference(facts: Facts) -> Iterator[Diagnostic]:
    """Look at every reference that stands for nothing because a parallel branch gives the name."""
    for loose in facts.scope.loose:
        if loose.why is not Why.PARALLEL or loose.name is None or loose.branch is None:
            continue
        reference = loose.reference
        group = facts.outline.forks[loose.branch.fork].tree
        operator = "|=>" if isinstance(group, FanOut) else "|" if isinstance(group, Race) else "&"
        yield error(
            "DF106",
            f"`${reference.name}` is not certain to have run here",
            facts.locate(loose.unit, reference.start, reference.end),
            label=f"bound in another {'arm' if operator == '|' else 'branch'} of the `{operator}`",
            notes=(Note(message=f"`{reference.name}` is bound here", span=loose.name.text.span),),
            help="move the step behind the group of branches",
        )
