"""A time limit for the whole instance, and what is said when a limit is over. Pure."""

from __future__ import annotations

from dfc.compiler.plan import Block, Duration, Plan, TimeoutNode
from dfc.executor import retry
from dfc.executor.journal import StepError

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


def error_of(node: TimeoutNode) -> StepError:
    """Why what is limited has failed: its time is over."""
    if node.id == WHOLE:
        what = "the workflow"
        hint = "Give `timeout` of df.start more time, or bound the step that takes so long with df.timeout."
    else:
        what = f"`{node.id}`"
        hint = "Give `df.timeout` more time, or an `else` part that runs when the time is over."
    message = f"{what} has not come to its end within {node.duration.seconds:g} seconds"
    return StepError(step=node.id, message=message, sqlstate=retry.TIMEOUT, hint=hint)
