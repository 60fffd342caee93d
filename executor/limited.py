"""A plan with a time limit for the whole instance. Pure."""

from __future__ import annotations

from dfc.compiler.plan import Block, Duration, Plan, TimeoutNode

WHOLE = "(workflow)"
"""The id of the limit, which no step can have."""


def limited(plan: Plan, seconds: float | None) -> Plan:
    """The plan in a time limit of `seconds`, as `df.timeout` around all of it; None: no limit."""
    if seconds is None:
        return plan
    whole = TimeoutNode(
        id=WHOLE,
        after=(),
        body=Block(nodes=plan.nodes, result=plan.result),
        duration=Duration(microseconds=round(seconds * 1_000_000)),
    )
    return Plan(nodes=(whole,), result=WHOLE, format=plan.format)
