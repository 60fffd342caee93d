"""DF133: a policy given by a step and again by the call inside of it."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.diagnostics import Diagnostic, Note, error
from dfc.compiler.facts import Facts


def policy_twice(facts: Facts) -> Iterator[Diagnostic]:
    """Look at the policies of steps around calls that have policies."""
    for found in facts.policies.twice:
        yield error(
            "DF133",
            f"the policy `{found.key}` is given twice",
            found.again,
            label="the second time",
            notes=(Note(message="first given here", span=found.first),),
            help="leave one of them out",
        )
