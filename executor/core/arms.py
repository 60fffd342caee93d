"""What the order of events decides: races, groups that cancel, time limits.

Each decision is recorded first.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from dfc.compiler.plan import ArmsMode, ArmsNode, Form, OnError, SqlNode, TimeoutNode
from dfc.executor import paths, retry
from dfc.executor.actions import Interrupt
from dfc.executor.core.tree import (
    Ended,
    Given,
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
    outcome_of,
    pass_on,
    settle,
    take_over,
)
from dfc.executor.core.unwinding import unwind
from dfc.executor.journal import Decided, Shape, StepError, Timed
from dfc.executor.limited import WHOLE
from dfc.executor.states import JobState, TaskState


@dataclass(slots=True, eq=False)
class Arms:
    """What a race or group keeps. `decided` is the number of the arm that counts; `held` have completed and
    wait for the decision."""

    decided: int | None = None
    scopes: list[Scope] = field(default_factory=list[Scope])
    held: list[Scope] = field(default_factory=list[Scope])


READ_SECONDS = 0.1
"""How long a time limit that is over waits for results that are being brought back."""


@dataclass(slots=True, eq=False)
class Limit:
    """What a time limit keeps."""

    decided: bool = False
    held: Scope | None = None


def arms_of(task: Task) -> Arms:
    """What is kept about a race or group."""
    assert isinstance(task.work, Arms)
    return task.work


# Races and groups


def begin_arms(state: State, task: Task) -> None:
    """Begin all arms; of one that the records show as decided, the others only to see what they have done."""
    node = task.node
    assert isinstance(node, ArmsNode)
    work = task.work = Arms()
    path = paths.decision(task.path)
    state.deciders[path] = task
    decided = state.records.pop(path, None)
    if isinstance(decided, Decided):
        work.decided = json.loads(decided.value)["arm"]
        frame_of(task.scope).records.append(path)
    for number, arm in enumerate(node.arms):
        lost = work.decided is not None and number != work.decided
        scope = open_scope(
            state,
            arm,
            role=Role.ARM,
            owner=task,
            parent=task.scope,
            frame=task.scope.frame,
            number=number,
            boundary=True,
            reason=Reason.BEATEN if lost else None,
        )
        work.scopes.append(scope)


def carries_decision(state: State, task: Task) -> str | None:
    """The value of the decision that a statement carries along: it is alone in an arm of an open race.

    Then the winning is in its own transaction, and exactly one arm commits.
    """
    scope = task.scope
    if scope.role is not Role.ARM or len(scope.tasks) != 1 or scope.reason is not None:
        return None
    node, owner = task.node, scope.owner
    assert owner is not None and isinstance(owner.node, ArmsNode)
    if owner.node.mode is not ArmsMode.RACE or arms_of(owner).decided is not None:
        return None
    if not isinstance(node, SqlNode) or node.body.form is Form.AUTOCOMMIT:
        return None
    if node.policy.on_error is OnError.CONTINUE:
        return None
    return json.dumps({"arm": scope.number})


def won(state: State, task: Task, number: int) -> None:
    """A statement that carried the decision of its race along has committed."""
    owner = task.scope.owner
    assert owner is not None
    if arms_of(owner).decided is None:
        value = json.dumps({"arm": task.scope.number})
        arms_decided(state, owner, Decided(number=number, path=paths.decision(owner.path), value=value))


def arm_ended(state: State, scope: Scope) -> bool:
    """All tasks of an arm have settled. Whether it has to wait for the decision before it is closed."""
    task = scope.owner
    assert task is not None and isinstance(task.node, ArmsNode)
    work = arms_of(task)
    outcome = outcome_of(scope)
    deciding = TaskState.COMPLETED if task.node.mode is ArmsMode.RACE else TaskState.FAILED
    if work.decided is not None or outcome is not deciding or scope.reason is not None:
        return False
    work.held.append(scope)
    path = paths.decision(task.path)
    if path not in state.jobs:
        job = add_job(state, task, Kind.DECISION, path)
        job.value = json.dumps({"arm": scope.number})
    return True


def arms_decided(state: State, task: Task, decided: Decided) -> None:
    """The decision is recorded: one arm counts, the others are unwound."""
    work = arms_of(task)
    if (job := state.jobs.get(decided.path)) is not None:
        drop_job(state, job)
    if work.decided is not None:
        return
    work.decided = json.loads(decided.value)["arm"]
    frame_of(task.scope).records.append(decided.path)
    for scope in work.scopes:
        if scope.number == work.decided:
            continue
        if scope in work.held:
            scope.reason, scope.origin = scope.reason or Reason.BEATEN, True
        else:
            unwind(state, scope, Reason.BEATEN)
    for scope in work.held:
        state.agenda.append(Ended(scope))
    work.held = []


def close_arms(state: State, task: Task, scope: Scope) -> None:
    """An arm has come to its end."""
    node, work = task.node, arms_of(task)
    assert isinstance(node, ArmsNode)
    hand_up(task, scope)
    if any(not arm.ended for arm in work.scopes) or paths.decision(task.path) in task.jobs:
        return
    state.deciders.pop(paths.decision(task.path), None)
    if node.mode is ArmsMode.RACE:
        _end_race(state, task, work)
    else:
        _end_group(state, task, work)


def _end_race(state: State, task: Task, work: Arms) -> None:
    if work.decided is not None:
        pass_on(state, task, work.scopes[work.decided])
        return
    for scope in work.scopes:
        take_over(task, scope)
    error = next((scope.result.error for scope in work.scopes if scope.result.error is not None), None)
    failed = error is not None and all(outcome_of(scope) is TaskState.FAILED for scope in work.scopes)
    to = TaskState.FAILED if failed else TaskState.STOPPED
    settle(state, task, to, error=marked(error, *work.scopes) if failed else None)


def _end_group(state: State, task: Task, work: Arms) -> None:
    for scope in work.scopes:
        take_over(task, scope)
    if work.decided is not None:
        error = marked(work.scopes[work.decided].result.error, *work.scopes)
        settle(state, task, TaskState.FAILED, error=error)
        return
    shapes: list[Shape] = []
    for scope in work.scopes:
        given = scope.result.given
        if outcome_of(scope) is not TaskState.COMPLETED or given is None:
            error = next((arm.result.error for arm in work.scopes if arm.result.error is not None), None)
            to = TaskState.STOPPED if error is None else TaskState.FAILED
            settle(state, task, to, error=error)
            return
        shapes.append(given.shape)
    settle(state, task, TaskState.COMPLETED, Given(tuple(shapes)))


# Time limits


def begin_timeout(state: State, task: Task) -> None:
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


def _only_reads(task: Task) -> bool:
    """Whether the body of a time limit waits for nothing but results that are brought back."""
    found = False
    todo = [child for child in task.children if child.role is Role.BODY]
    while todo:
        for inner in todo.pop().tasks:
            kinds = {job.kind for job in inner.jobs.values()} - {Kind.LIMIT}
            if kinds - {Kind.READ}:
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
    if _only_reads(task):
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


def timeout_decided(state: State, task: Task, decided: Decided) -> None:
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


def close_timeout(state: State, task: Task, scope: Scope) -> None:
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
    seconds = f"{node.duration.seconds:g}"
    if node.id == WHOLE:
        message = f"the workflow has not come to its end within {seconds} seconds"
        hint = "Give `timeout` of df.start more time, or bound the step that takes so long with df.timeout."
    else:
        message = f"`{node.id}` has not come to its end within {seconds} seconds"
        hint = "Give `df.timeout` more time, or an `else` part that runs when the time is over."
    error = StepError(step=node.id, message=message, sqlstate=retry.TIMEOUT, hint=hint)
    settle(state, task, TaskState.FAILED, error=marked(error, scope))
