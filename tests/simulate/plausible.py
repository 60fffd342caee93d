"""Whether a step may have failed with an error, given its fate and its policy."""

from __future__ import annotations

from dataclasses import replace

from dfc.compiler.plan import (
    AtomicNode,
    CallNode,
    Delivery,
    HttpNode,
    MapNode,
    Node,
    Parameter,
    Policy,
    SqlNode,
    ValueNode,
)
from dfc.executor.journal import StepError
from tests.simulate.fates import LOSSES, Fate
from tests.simulate.places import nodes_in, where
from tests.simulate.rows import Instance

NO_VALUE = ("P0002", "22004", "42703", "42809")
ATTEMPTS_MAX = 5
LOST_ATTEMPTS_MAX = 20
HTTP_TROUBLE = "DF518"
"""What a request fails with that may be sent again."""


def plausible(instance: Instance, path: str, node: Node, error: StepError) -> str | None:
    """What speaks against it; None for nothing."""
    if isinstance(node, AtomicNode):
        frame = path.removesuffix(node.id)
        # Its attempts are those of all its steps together.
        policy = replace(node.policy, max_attempts=1)
        reasons = [_step(instance, frame + inner.id, policy, inner, error, path) for inner in _inside(node)]
        if any(isinstance(inner, ValueNode) for inner in nodes_in(node.body)):
            reasons.append(None if error.sqlstate in NO_VALUE else "no value is missing")
        return None if None in reasons else "; ".join(str(reason) for reason in reasons)
    if isinstance(node, MapNode) and isinstance(node.items, Parameter):
        # Over what is no array.
        return None if error.sqlstate == "22023" else "it only stores items"
    if isinstance(node, CallNode) and not path.endswith("/request"):
        return _call(instance, path, node, error)
    policy = node.policy if isinstance(node, SqlNode | HttpNode | CallNode) else Policy()
    return _step(instance, path, policy, node, error)


def _call(instance: Instance, path: str, node: CallNode, error: StepError) -> str | None:
    """A call fails as its last instance has, when there may be no further one."""
    if error.message != "child":
        return _lost(instance, path) if error.sqlstate in LOSSES else "no instance has failed so"
    started = len(instance.called.get(path, ()))
    again = node.policy.retry_on is not None and matches(node.policy, error.sqlstate)
    most = node.policy.max_attempts or ATTEMPTS_MAX
    return f"it may be called again after {started}" if again and started < most else None


def _inside(node: AtomicNode) -> list[SqlNode]:
    return [inner for inner in nodes_in(node.body) if isinstance(inner, SqlNode)]


def _step(
    instance: Instance, path: str, policy: Policy, node: Node, error: StepError, outer: str = ""
) -> str | None:
    """`outer` is the path of the transaction that the step is in."""
    fate = instance.fates.of(path)
    ran = instance.executions.get(path, 0)
    if error.step not in (node.id, where(outer).node):
        return f"it is not of `{node.id}`"
    if error.sqlstate == "ambiguous":
        return None if policy.delivery is Delivery.AT_MOST_ONCE else "it may be repeated"
    if error.sqlstate == "timeout":
        limit = policy.timeout
        return None if limit is not None and fate.seconds >= limit.seconds else "it is fast enough"
    attempts = policy.max_attempts or ATTEMPTS_MAX
    if path.endswith("/response") and error.sqlstate == HTTP_TROUBLE:
        return _often(fate, ran, attempts)
    if fate.for_ever and error.sqlstate in LOSSES:
        return _lost(instance, outer or path)
    if error.sqlstate in fate.transients or (fate.for_ever and error.sqlstate == fate.error):
        return _often(fate, ran, attempts)
    if error.sqlstate == fate.error and not fate.for_ever:
        if ran <= len(fate.transients):
            return "its error has not come yet"
        again = policy.retry_on is not None and matches(policy, error.sqlstate)
        return _often(fate, ran, attempts, fate.errors) if again else None
    return f"its fate is {fate}"


def _lost(instance: Instance, path: str) -> str | None:
    """Losses are counted one by one, whoever drives the instance; the last one is the failure."""
    known = max((entry.number for entry in instance.history.all(path, "retrying")), default=0)
    return None if known >= LOST_ATTEMPTS_MAX - 1 else f"it was lost {known} times only"


def _often(fate: Fate, ran: int, attempts: int, errors: int | None = 0) -> str | None:
    if ran < attempts:
        return f"it was executed {ran} times only"
    if errors is not None and not fate.for_ever and len(fate.transients) + errors < attempts:
        return "its trouble ends before its attempts do"
    return None


def matches(policy: Policy, sqlstate: str) -> bool:
    """Whether a retry or a step is to be tried again after an error that is not bad luck."""
    words = policy.retry_on
    lucky = sqlstate[:2] in ("40", "08", "53", "57", "55")
    return words is None or any(
        word in ("all", sqlstate, sqlstate[:2] if len(sqlstate) == 5 else sqlstate)
        or (word == "transient" and lucky)
        for word in words
    )
