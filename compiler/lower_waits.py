"""The nodes of what waits: a text is known while compiling, or computed by the statement that it became."""

from __future__ import annotations

from typing import assert_never

from dfc.compiler.ast import (
    CallWorkflow,
    Sleep,
    Text,
    Waiting,
    WaitInstance,
    WaitSchedule,
    WaitSignal,
    WaitUntil,
)
from dfc.compiler.plan import (
    CallNode,
    Duration,
    InstanceNode,
    Policy,
    ScheduleNode,
    SignalNode,
    SleepNode,
    SqlBody,
    UntilNode,
)
from dfc.compiler.plan import Waiting as WaitingNode


def waiting_node(
    tree: Waiting, id: str, after: tuple[str, ...], computed: SqlBody | None, policy: Policy
) -> WaitingNode:
    """The node of a wait. `computed` is the statement of its text, where that has references."""
    match tree:
        case Sleep(duration=duration):
            known = Duration() if isinstance(duration, Text) else duration
            return SleepNode(id=id, after=after, duration=known if computed is None else computed)
        case WaitUntil():
            return UntilNode(id=id, after=after, at=tree.at.value if computed is None else computed)
        case WaitSchedule():
            return ScheduleNode(id=id, after=after, cron=tree.cron.value, time_zone=tree.time_zone)
        case WaitSignal():
            return SignalNode(id=id, after=after, name=tree.name.value, timeout=tree.timeout)
        case CallWorkflow():
            given = tree.input if computed is None else computed
            return CallNode(id=id, after=after, workflow=tree.workflow.value, input=given, policy=policy)
        case WaitInstance():
            instance = tree.instance.value if computed is None else computed
            return InstanceNode(id=id, after=after, instance=instance, timeout=tree.timeout)
        case _:
            assert_never(tree)
