"""The end of an instance, and whether a record that is about to be written brings it about."""

from __future__ import annotations

import json

from dfc.compiler.plan import AtomicNode, CompensateNode, IfNode, JoinNode, RetryNode, TimeoutNode, TryNode
from dfc.executor.actions import Finish
from dfc.executor.core.tree import Given, Job, Reason, Role, Scope, State, Task, outcome_of
from dfc.executor.journal import NOTHING, Decided, Shape, StepError
from dfc.executor.states import INSTANCE_TRANSITIONS, SETTLED, InstanceState, TaskState


def conclude(state: State) -> None:
    """Everything has come to its end: the end that the workflow's own scope calls for."""
    root = state.top
    result = root.result
    errors = tuple(state.undo_errors)
    if root.reason is Reason.CANCEL:
        finish = Finish(status="cancelled", reason=state.cancel_reason, undo_errors=errors)
    elif outcome_of(root) is TaskState.COMPLETED:
        finish = completed(result.given)
    else:
        error = result.error or StepError(step="", message="the workflow was stopped", sqlstate="XX000")
        compensated = (root.undoing is not None or error.undone) and not errors
        finish = Finish(status="compensated" if compensated else "failed", error=error, undo_errors=errors)
    end(state, finish)


def end(state: State, finish: Finish) -> None:
    """The instance has ended for the core."""
    to = InstanceState(finish.status)
    assert to in INSTANCE_TRANSITIONS[state.status], (state.status, to)
    state.status = to
    state.finish = finish


def completed(given: Given | None) -> Finish:
    """The end of a workflow that has done its work."""
    return Finish(status="completed", shape=NOTHING if given is None else given.shape)


def finish_if_completed(state: State, job: Job, path: str) -> Finish | None:
    """The end that follows at once when this activation, the only thing under way, completes."""
    if len(state.jobs) != 1 or state.status is not InstanceState.RUNNING or state.plain:
        return None
    task, shape = job.task, path
    here: Shape = shape
    registers = False
    while True:
        outcome = _after(task, here)
        if outcome is None:
            return None
        scope, here, error = outcome
        if error is not None:
            # Only what is plainly at the top fails at once: everything else may be caught or undone.
            plain = not scope.undos and not error.undone and not registers
            if scope.role is Role.ROOT and plain and scope.reason is None:
                return Finish(status="failed", error=error)
            return None
        if scope.role is Role.ROOT:
            return Finish(status="completed", shape=here) if scope.reason is None else None
        if not _passes_on(scope):
            return None
        assert scope.owner is not None
        task = scope.owner
        # Its completion is what registers an undo, or hands undos on.
        registers = registers or bool(scope.undos) or isinstance(task.node, CompensateNode)


def _passes_on(scope: Scope) -> bool:
    """Whether the completion of a scope is that of its owner, with nothing to be recorded in between."""
    owner = scope.owner
    if owner is None or scope.reason is not None:
        return False
    match owner.node:
        case IfNode():
            return scope.role is not Role.CONDITION
        case RetryNode() | AtomicNode():
            return True
        case TimeoutNode():
            return not owner.jobs
        case TryNode():
            return scope.role is Role.BODY and owner.node.final is None
        case CompensateNode():
            return scope.role is Role.BODY
        case _:
            return False


def _after(task: Task, shape: Shape) -> tuple[Scope, Shape, StepError | None] | None:
    """What a scope comes to when this task, the last of it with work, completes; None when more follows."""
    scope = task.scope
    outcomes: dict[int, tuple[Shape, StepError | None]] = {task.index: (shape, None)}
    joins: set[int] = set()
    stack = list(scope.layout.successors[task.index])
    while stack:
        index = stack.pop()
        if not isinstance(scope.tasks[index].node, JoinNode):
            return None
        if index not in joins:
            joins.add(index)
            stack.extend(scope.layout.successors[index])
    if scope.unsettled != 1 + len(joins):
        return None
    for index in sorted(joins):
        parts: list[Shape] = []
        error: StepError | None = None
        for before in scope.layout.after[index]:
            part, problem = outcomes.get(before) or _settled(scope.tasks[before])
            error = error or problem
            parts.append(part)
        outcomes[index] = (tuple(parts), error)
    known = outcomes.get(scope.layout.result) or _settled(scope.result)
    return scope, known[0], known[1]


def _settled(task: Task) -> tuple[Shape, StepError | None]:
    given = task.given
    return (NOTHING if given is None else given.shape), task.error


def finish_if_failed(state: State, job: Job, error: StepError) -> Finish | None:
    """The end that follows at once when this activation, the only thing under way, fails."""
    scope = job.task.scope
    if len(state.jobs) != 1 or state.status is not InstanceState.RUNNING or state.plain:
        return None
    if scope.role is not Role.ROOT or scope.undos or scope.reason is not None:
        return None
    # It alone is under way, so everything that waits, waits for it, and fails or is skipped with it.
    now = scope.result
    while now.state is TaskState.WAITING:
        before = [scope.tasks[index] for index in scope.layout.after[now.index]]
        now = next(task for task in before if task.state is not TaskState.COMPLETED)
    if now is job.task:
        return Finish(status="failed", error=error)
    if now.state not in SETTLED:
        return None
    if now.error is None:
        return completed(now.given)
    return None if now.error.undone else Finish(status="failed", error=now.error)


def decided_end(record: Decided) -> str:
    """How an instance ends by the decision that was recorded before its undos."""
    return str(json.loads(record.value)["status"])
