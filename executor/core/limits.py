"""Time limits: that the time was over before the body had ended is a decision, recorded before it counts."""

from __future__ import annotations

import json
from dataclasses import dataclass

from dfc.compiler.plan import TimeoutNode
from dfc.executor import limited, paths
from dfc.executor.actions import Interrupt
from dfc.executor.core.tree import (
    Ended,
    Job,
    Kind,
    Reason,
    Role,
    Scope,
    State,
    Task,
    add_job,
    drop_job,
    frame_of,
    hand_up,
    marked,
    move_job,
    open_scope,
    pass_on,
    settle,
    take_over,
)
from dfc.executor.core.unwinding import unwind
from dfc.executor.journal import Decided, Timed
from dfc.executor.states import JobState, TaskState

READ_SECONDS = 0.1
"""How long a time limit that is over waits for results that are being brought back."""


@dataclass(slots=True, eq=False)
class Limit:
    """What a time limit keeps."""

    decided: bool = False
    held: Scope | None = None


def begin_limit(state: State, task: Task) -> None:
    """Begin the body, and the time that it has."""
    node = task.node
    assert isinstance(node, TimeoutNode)
    work = task.work = Limit()
    decision, timer = paths.decision(task.path), paths.timer(task.path)
    state.deciders[decision] = task
    work.decided = isinstance(state.records.pop(decision, None), Decided)
    timed = state.records.pop(timer, None)
    # Whether the timer is recorded already or only asked for: it is forgotten with its round.
    frame_of(task.scope).records.append(timer)
    if work.decided:
        frame_of(task.scope).records.append(decision)
    open_scope(
        state,
        node.body,
        role=Role.BODY,
        owner=task,
        parent=task.scope,
        frame=task.scope.frame,
        boundary=True,
        reason=Reason.TIMEOUT if work.decided else None,
    )
    if work.decided or task.scope.reason is not None:
        return
    if isinstance(timed, Timed):
        job = add_job(state, task, Kind.LIMIT, timer, JobState.RETRYING)
        job.seconds = max(0.0, timed.seconds)
    else:
        job = add_job(state, task, Kind.LIMIT, timer)
        job.seconds = node.duration.seconds


def _only_reads(state: State, task: Task) -> bool:
    """Whether the body of a time limit waits for nothing but what is brought back of what has been done."""
    found = False
    todo = [child for child in task.children if child.role is Role.BODY]
    while todo:
        for inner in todo.pop().tasks:
            kinds = {job.kind for job in inner.jobs.values()} - {Kind.LIMIT}
            # The items of a map that has ended come once more, for what is to be undone in them.
            reads = {Kind.READ, Kind.FETCH} if inner.path in state.records else {Kind.READ}
            if kinds - reads:
                return False
            found = found or bool(kinds)
            todo.extend(inner.children)
    return found


def timed(state: State, job: Job, event: Timed) -> None:
    """The timer is recorded: wait for it, if the body has not ended meanwhile."""
    work = job.task.work
    if (
        job.task.state is not TaskState.OPEN
        or job.task.scope.reason is not None
        or not isinstance(work, Limit)
    ):
        drop_job(state, job)
        return
    job.seconds = max(0.0, event.seconds)
    move_job(state, job, JobState.RETRYING)


def time_is_up(state: State, job: Job) -> None:
    """The time is over: have that recorded."""
    task = job.task
    if _only_reads(state, task):
        # What is read has been done before: the body may have ended long ago.
        job.seconds = READ_SECONDS
        state.changed[job.path] = job
        return
    drop_job(state, job)
    decision = add_job(state, task, Kind.DECISION, paths.decision(task.path))
    decision.value = json.dumps({"timed_out": True})


def body_ended(state: State, scope: Scope) -> bool:
    """All tasks of a limited body have settled. Whether it has to wait for a decision that is under way."""
    task = scope.owner
    assert task is not None
    work = task.work
    assert isinstance(work, Limit)
    if paths.decision(task.path) not in state.jobs:
        return False
    work.held = scope
    return True


def limit_decided(state: State, task: Task, decided: Decided) -> None:
    """That the time was over is recorded, so the body does not count, whatever has become of it."""
    work = task.work
    assert isinstance(work, Limit)
    if (job := state.jobs.get(decided.path)) is not None:
        drop_job(state, job)
    work.decided = True
    frame_of(task.scope).records.append(decided.path)
    if work.held is not None:
        work.held.reason, work.held.origin = work.held.reason or Reason.TIMEOUT, True
        state.agenda.append(Ended(work.held))
        work.held = None
        return
    for child in task.children:
        if child.role is Role.BODY and not child.ended:
            unwind(state, child, Reason.TIMEOUT)


def close_limit(state: State, task: Task, scope: Scope) -> None:
    """The body, or what runs in its place, has come to its end."""
    node, work = task.node, task.work
    assert isinstance(node, TimeoutNode) and isinstance(work, Limit)
    hand_up(task, scope)
    if scope.role is Role.ELSE or not work.decided:
        timer = task.jobs.get(paths.timer(task.path))
        if timer is not None and timer.state is JobState.RETRYING:
            state.interrupts.append(Interrupt(path=timer.path))
            drop_job(state, timer)
        state.deciders.pop(paths.decision(task.path), None)
        pass_on(state, task, scope)
        return
    take_over(task, scope)
    error = scope.result.error
    if error is not None and error.final:
        settle(state, task, TaskState.FAILED, error=marked(error, scope))
        return
    if node.otherwise is not None:
        open_scope(
            state,
            node.otherwise,
            role=Role.ELSE,
            owner=task,
            parent=task.scope,
            frame=task.scope.frame,
        )
        return
    settle(state, task, TaskState.FAILED, error=marked(limited.error_of(node), scope))
