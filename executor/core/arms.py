"""Races, and groups that cancel: which arm counts is decided by the order of events, and recorded first."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from dfc.compiler.plan import ArmsMode, ArmsNode, Form, OnError, SqlNode
from dfc.executor import paths
from dfc.executor.core.tree import (
    Ended,
    Given,
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
    open_scope,
    outcome_of,
    pass_on,
    settle,
    take_over,
)
from dfc.executor.core.unwinding import unwind
from dfc.executor.journal import Decided, Shape
from dfc.executor.states import TaskState


@dataclass(slots=True, eq=False)
class Arms:
    """What a race or group keeps. `decided` is the number of the arm that counts; `held` have completed and
    wait for the decision."""

    decided: int | None = None
    scopes: list[Scope] = field(default_factory=list[Scope])
    held: list[Scope] = field(default_factory=list[Scope])


def arms_of(task: Task) -> Arms:
    """What is kept about a race or group."""
    assert isinstance(task.work, Arms)
    return task.work


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
