"""The states of activations and instances, and the only moves between them.

An activation is one checkpoint's worth of work: a SQL step, the request of an HTTP step, its response. A
join is treated as an activation without work. `decide` makes every move through these tables; the
database's CHECK constraints and the documentation are tested against them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class NodeState(StrEnum):
    """Where an activation stands.

    `RUNNING` says that the core has asked for it; when the shell really starts is the shell's affair.
    `RECORDING` says that it has failed for good and that this still has to be recorded.
    """

    WAITING = "waiting"
    RUNNING = "running"
    RETRYING = "retrying"
    RECORDING = "recording"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"


class InstanceState(StrEnum):
    """Where an instance stands for the core; it leaves `RUNNING` when its `Finish` has been decided."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


SETTLED = frozenset({NodeState.COMPLETED, NodeState.FAILED, NodeState.SKIPPED})
"""States that nothing leaves."""

OPEN = frozenset({NodeState.RUNNING, NodeState.RETRYING, NodeState.RECORDING})
"""States in which the shell has something to do."""

# A record wins over what this process believes: the commit of an attempt whose connection was lost may
# become visible while a retry is waited for, or while its failure is being recorded.
NODE_TRANSITIONS: Mapping[NodeState, frozenset[NodeState]] = {
    NodeState.WAITING: frozenset(
        {
            NodeState.RUNNING,
            NodeState.SKIPPED,
            NodeState.COMPLETED,  # joins only: they have no work of their own
            NodeState.FAILED,  # joins only
        }
    ),
    NodeState.RUNNING: frozenset(
        {NodeState.RETRYING, NodeState.RECORDING, NodeState.COMPLETED, NodeState.FAILED}
    ),
    NodeState.RETRYING: frozenset({NodeState.RUNNING, NodeState.COMPLETED, NodeState.FAILED}),
    NodeState.RECORDING: frozenset({NodeState.COMPLETED, NodeState.FAILED}),
    NodeState.COMPLETED: frozenset(),
    NodeState.FAILED: frozenset(),
    NodeState.SKIPPED: frozenset(),
}

INSTANCE_TRANSITIONS: Mapping[InstanceState, frozenset[InstanceState]] = {
    InstanceState.RUNNING: frozenset(
        {InstanceState.COMPLETED, InstanceState.FAILED, InstanceState.CANCELLED}
    ),
    InstanceState.COMPLETED: frozenset(),
    InstanceState.FAILED: frozenset(),
    InstanceState.CANCELLED: frozenset(),
}
