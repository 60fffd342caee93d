"""Values, ifs, tries, compensations and transactions of several steps."""

from __future__ import annotations

from dataclasses import replace

from dfc.compiler.plan import (
    AtomicNode,
    Block,
    CompensateNode,
    IfNode,
    TryNode,
    ValueNode,
    error_source,
    every_node,
)
from dfc.executor import paths
from dfc.executor.core import activations
from dfc.executor.core.tree import (
    Given,
    Job,
    Kind,
    Role,
    Scope,
    State,
    Task,
    Undo,
    add_job,
    boundary_of,
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
from dfc.executor.core.truth import truth, truth_of
from dfc.executor.core.values import lone_value, look_up, value_of
from dfc.executor.errors import error_json
from dfc.executor.failures import StepFailed
from dfc.executor.journal import NOTHING, AtomicDone, Constant, Result, StepError, Value
from dfc.executor.states import TaskState

# A reference that stands alone


def begin_value(state: State, task: Task) -> None:
    """Take the value; bring it back first where it is not at hand."""
    assert isinstance(task.node, ValueNode)
    try:
        value = lone_value(state, task.scope, task.node)
    except StepFailed as problem:
        settle(state, task, TaskState.FAILED, error=problem.error)
        return
    if value is not None:
        settle(state, task, TaskState.COMPLETED, value)
        return
    given = look_up(state, task.scope, task.node.parameter)
    assert given is not None
    read(state, task, given)


def _take(state: State, task: Task, given: Given) -> None:
    assert isinstance(task.node, ValueNode)
    try:
        settle(state, task, TaskState.COMPLETED, value_of(task.node, given))
    except StepFailed as problem:
        settle(state, task, TaskState.FAILED, error=problem.error)


def read(state: State, task: Task, given: Given) -> None:
    """Ask for a result that is not at hand; `was_read` goes on with it."""
    add_job(state, task, Kind.READ, paths.read(task.path), detail=given)


def was_read(state: State, job: Job, result: Result) -> None:
    """A result has been brought back."""
    given = job.detail
    assert isinstance(given, Given)
    if given.result is None:
        given.result = result
    task = job.task
    drop_job(state, job)
    if isinstance(task.node, ValueNode):
        _take(state, task, replace(given, result=result))
    elif isinstance(task.node, IfNode):
        choose(state, task, truth(result))


# If


def begin_if(state: State, task: Task) -> None:
    """Begin with the condition."""
    assert isinstance(task.node, IfNode)
    _part(state, task, task.node.condition, Role.CONDITION, task.scope)


def _part(state: State, task: Task, block: Block, role: Role, parent: Scope) -> Scope:
    return open_scope(state, block, role=role, owner=task, parent=parent, frame=task.scope.frame)


def close_if(state: State, task: Task, scope: Scope) -> None:
    """The condition or the branch has come to its end."""
    if scope.role is not Role.CONDITION or outcome_of(scope) is not TaskState.COMPLETED:
        pass_on(state, task, scope)
        return
    take_over(task, scope)
    given = scope.result.given
    assert given is not None
    known = truth_of(given)
    if known is None:
        read(state, task, given)
    else:
        choose(state, task, known)


def choose(state: State, task: Task, holds: bool) -> None:
    """Begin the branch that the condition calls for."""
    assert isinstance(task.node, IfNode)
    block = task.node.then if holds else task.node.otherwise
    if block is None:
        settle(state, task, TaskState.COMPLETED, Given(NOTHING, Value(json="null")))
    else:
        _part(state, task, block, Role.THEN if holds else Role.ELSE, task.scope)


# Try


def begin_try(state: State, task: Task) -> None:
    """Begin with the body."""
    assert isinstance(task.node, TryNode)
    open_scope(
        state,
        task.node.body,
        role=Role.BODY,
        owner=task,
        parent=task.scope,
        frame=task.scope.frame,
        boundary=True,
    )


def close_try(state: State, task: Task, scope: Scope) -> None:
    """A part has come to its end: go on with the next one."""
    node = task.node
    assert isinstance(node, TryNode)
    take_over(task, scope)
    hand_up(task, scope)
    if scope.role is Role.FINALLY:
        _after_finally(state, task, scope)
        return
    outcome = outcome_of(scope)
    if scope.role is Role.BODY and outcome is TaskState.FAILED:
        error = scope.result.error
        assert error is not None
        catch = _part(state, task, node.catch, Role.CATCH, scope)
        text = error_json(error)
        catch.values[error_source(node.id)] = Given(Constant(json=text), Value(json=text))
        return
    if node.final is None:
        _settle_as(state, task, scope)
        return
    final = open_scope(
        state,
        node.final,
        role=Role.FINALLY,
        owner=task,
        parent=scope,
        frame=task.scope.frame,
        shielded=True,
    )
    task.work = (scope, final)


def _settle_as(state: State, task: Task, scope: Scope) -> None:
    """The outcome of the body or of the catch is that of the task; an error keeps the one before it."""
    error = scope.result.error
    body = scope.parent
    if error is not None and scope.role is Role.CATCH and body is not None:
        error = marked(_caused(error, body.result.error), body)
    settle(state, task, outcome_of(scope), scope.result.given, error)


def _after_finally(state: State, task: Task, scope: Scope) -> None:
    work = task.work
    assert isinstance(work, tuple)
    before = scope.parent
    assert before is not None
    error = scope.result.error
    if outcome_of(scope) is not TaskState.FAILED or error is None:
        _settle_as(state, task, before)
        return
    first = before.result.error
    if before.role is Role.CATCH and before.parent is not None:
        body = before.parent.result.error
        first = body if first is None else _caused(first, body)
    # It is not lost where a break or a time limit leaves the try.
    settle(state, task, TaskState.FAILED, error=replace(_caused(error, first), final=True))


def _caused(error: StepError, cause: StepError | None) -> StepError:
    if cause is None:
        return error
    if error.cause is not None:
        return replace(error, cause=_caused(error.cause, cause))
    return replace(error, cause=cause)


# Compensation


def begin_compensate(state: State, task: Task) -> None:
    """Begin with what may have to be undone."""
    assert isinstance(task.node, CompensateNode)
    _part(state, task, task.node.body, Role.BODY, task.scope)


def close_compensate(state: State, task: Task, scope: Scope) -> None:
    """What has completed can be undone from now on.

    Where nothing is recorded, nothing was done, and who takes over could not tell that it was.
    """
    if outcome_of(scope) is TaskState.COMPLETED and scope.commits > 0:
        boundary_of(task.scope).undos.append(Undo(scope.commits, task, scope))
    pass_on(state, task, scope)


# A transaction of several steps


def begin_atomic(state: State, task: Task) -> None:
    """Begin the transaction, or take its records as they are: there are all of them or none."""
    node = task.node
    assert isinstance(node, AtomicNode)
    frame = task.scope.frame
    if any(frame + inner.id in state.records for inner in every_node(node.body.nodes)):
        if task.path in state.retrying:
            frame_of(task.scope).records.append(task.path)
        _open_atomic(state, task)
        return
    activations.ask(state, task, Kind.ATOMIC, task.path)


def _open_atomic(state: State, task: Task) -> None:
    assert isinstance(task.node, AtomicNode)
    _part(state, task, task.node.body, Role.BODY, task.scope)


def atomic_done(state: State, event: AtomicDone) -> None:
    """The transaction has committed: go through its steps."""
    job = state.jobs[event.path]
    drop_job(state, job)
    if job.attempts or job.losses:
        frame_of(job.task.scope).records.append(job.path)
    for record in event.records:
        state.records[record.path] = record
    _open_atomic(state, job.task)


def close_atomic(state: State, task: Task, scope: Scope) -> None:
    """All steps of the transaction have been gone through."""
    pass_on(state, task, scope)
