"""The states of tasks, jobs and instances, and the only moves between them.

A task is a node of the plan where it runs; a job is what the shell does for it: an attempt of an activation,
a record to write, a time to wait for. `decide` makes every move through these tables; the database's CHECK
constraints and the documentation are tested against them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class TaskState(StrEnum):
    """Where a task stands. `STOPPED`: it was unwound before its end; `SKIPPED`: it never began."""

    WAITING = "waiting"
    OPEN = "open"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    STOPPED = "stopped"


class JobState(StrEnum):
    """Where a job stands.

    `BEGINNING`: that an attempt begins has to be recorded first. `RUNNING`: the core has asked for it; when
    the shell really starts is the shell's affair. `NOTING`: a failed attempt has to be recorded. `RETRYING`:
    it waits for its next attempt, or for its time. `LISTENING`: it has asked for news from outside, and there
    was none. `RECORDING`: it has failed for good, and this still has to be recorded. `STOPPING`: it was
    interrupted, and what has come of it is not known yet.
    """

    BEGINNING = "beginning"
    RUNNING = "running"
    NOTING = "noting"
    RETRYING = "retrying"
    LISTENING = "listening"
    RECORDING = "recording"
    STOPPING = "stopping"


class InstanceState(StrEnum):
    """Where an instance stands for the core; it leaves `RUNNING` when its `Finish` has been decided."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    COMPENSATED = "compensated"


SETTLED = frozenset({TaskState.COMPLETED, TaskState.FAILED, TaskState.SKIPPED, TaskState.STOPPED})
"""States that nothing leaves."""

TASK_TRANSITIONS: Mapping[TaskState, frozenset[TaskState]] = {
    TaskState.WAITING: frozenset(
        {
            TaskState.OPEN,
            TaskState.SKIPPED,
            TaskState.COMPLETED,  # joins only: they have no work of their own
            TaskState.FAILED,  # joins only
            TaskState.STOPPED,  # joins only
        }
    ),
    TaskState.OPEN: frozenset({TaskState.COMPLETED, TaskState.FAILED, TaskState.STOPPED}),
    TaskState.COMPLETED: frozenset(),
    TaskState.FAILED: frozenset(),
    TaskState.SKIPPED: frozenset(),
    TaskState.STOPPED: frozenset(),
}

# A record wins over what this process believes: the commit of an attempt whose connection was lost may become
# visible while a retry is waited for, or while its failure is being recorded. That ends the job.
JOB_TRANSITIONS: Mapping[JobState, frozenset[JobState]] = {
    JobState.BEGINNING: frozenset({JobState.RUNNING}),
    JobState.RUNNING: frozenset(
        {JobState.NOTING, JobState.RETRYING, JobState.LISTENING, JobState.RECORDING, JobState.STOPPING}
    ),
    JobState.LISTENING: frozenset({JobState.RUNNING}),
    JobState.NOTING: frozenset({JobState.RETRYING}),
    JobState.RETRYING: frozenset({JobState.BEGINNING, JobState.RUNNING}),
    JobState.RECORDING: frozenset(),
    JobState.STOPPING: frozenset(),
}

INSTANCE_TRANSITIONS: Mapping[InstanceState, frozenset[InstanceState]] = {
    InstanceState.RUNNING: frozenset(
        {
            InstanceState.COMPLETED,
            InstanceState.FAILED,
            InstanceState.CANCELLED,
            InstanceState.COMPENSATED,
        }
    ),
    InstanceState.COMPLETED: frozenset(),
    InstanceState.FAILED: frozenset(),
    InstanceState.CANCELLED: frozenset(),
    InstanceState.COMPENSATED: frozenset(),
}
