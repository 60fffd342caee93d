"""Unwinding: a scope ends before its work is done, or fails, and what has to be undone at its end runs.

What happens when (docs/reference/what-happens.md has the table): open work is stopped, then undos that are
registered at the boundary run one by one, the last committed first, and then the owner of the scope goes on
(a try with `catch` or `finally`, a race with its winner, ...).
"""

from __future__ import annotations

import json

from dfc.compiler.plan import (
    ArmsMode,
    ArmsNode,
    CompensateNode,
    LoopNode,
    MapNode,
    OnError,
    RetryNode,
    TimeoutNode,
    TryNode,
    every_node,
)
from dfc.executor import paths
from dfc.executor.actions import Interrupt
from dfc.executor.core import activations, waits
from dfc.executor.core.tree import (
    ACTIVATIONS,
    Closed,
    CorruptJournal,
    Job,
    Kind,
    Reason,
    Role,
    Scope,
    State,
    Task,
    Undo,
    add_job,
    drop_job,
    frame_of,
    open_scope,
    outcome_of,
    settle,
)
from dfc.executor.journal import Decided
from dfc.executor.states import JobState, TaskState

END = paths.decision("")
"""The path of the decision how the instance ends, recorded before its undos run."""


def unwind(state: State, scope: Scope, reason: Reason) -> None:
    """End a scope before its work is done: stop what runs, let nothing begin.

    What was decided about a scope counts, whether it is unwound from outside already or not: who takes over
    does not know which came first.
    """
    if scope.origin:
        return
    before = scope.reason
    todo: list[tuple[Scope, bool]] = [(scope, True)]
    while todo:
        here, origin = todo.pop()
        if here.ended or here.reason is not before or here.origin or (here.shielded and not origin):
            continue
        here.reason, here.origin = reason, origin
        for task in here.tasks:
            if task.state is TaskState.OPEN:
                for job in list(task.jobs.values()):
                    _stop(state, job)
                todo.extend([(child, False) for child in reversed(task.children)])
                if task.state is TaskState.OPEN and not task.jobs and not task.children:
                    settle(state, task, TaskState.STOPPED)


def _stop(state: State, job: Job) -> None:
    """Stop a job, as far as it can be. Recordings come to their end."""
    if job.state is JobState.LISTENING:
        waits.hush(state, job)
    elif job.kind is Kind.CALL and job.state is JobState.RETRYING and waits.has_called(job.task):
        state.interrupts.append(Interrupt(path=job.path))
        waits.stopped(state, job)
    elif job.kind in ACTIVATIONS:
        if activations.stop(state, job):
            state.interrupts.append(Interrupt(path=job.path))
    elif job.state is JobState.RETRYING:
        if job.kind is Kind.POSITION:
            # What is stopped between two rounds has no round that would say so at its end.
            frame_of(job.task.scope).records.append(job.path)
        state.interrupts.append(Interrupt(path=job.path))
        drop_job(state, job)


def ended(state: State, scope: Scope) -> None:
    """All tasks of a scope have settled: undo what has to be undone here, then close it."""
    chosen = _to_undo(scope)
    if not chosen:
        state.agenda.append(Closed(scope))
        return
    gone = {id(undo) for undo in chosen}
    scope.undos = [undo for undo in scope.undos if id(undo) not in gone]
    scope.undoing = sorted(chosen, key=lambda undo: undo.number)
    if scope.role is Role.ROOT:
        status = "cancelled" if scope.reason is Reason.CANCEL else "failed"
        if not isinstance(state.records.pop(END, None), Decided):
            job = add_job(state, scope.result, Kind.DECISION, END)
            job.value = json.dumps({"status": status})
            return
    undo_next(state, scope)


def _to_undo(scope: Scope) -> list[Undo]:
    """Which of the undos that are registered at a scope run at its end."""
    if not scope.undos:
        return []
    outcome = outcome_of(scope)
    node = None if scope.owner is None else scope.owner.node
    match scope.role, node:
        case Role.ROOT, _:
            # All may have completed before a cancel request that counts all the same.
            runs = outcome is not TaskState.COMPLETED or scope.reason is not None
        case Role.BODY, TryNode() if scope.reason is Reason.BREAK:
            runs = True
        case (Role.UNDO, _) | (Role.BODY, TryNode()):
            runs = outcome is not TaskState.COMPLETED
        case Role.BODY, RetryNode():
            runs = outcome is TaskState.FAILED
        case Role.BODY, TimeoutNode():
            runs = scope.origin
        case Role.ARM, ArmsNode(mode=ArmsMode.RACE):
            runs = scope.origin or outcome is TaskState.FAILED
        case Role.ARM, ArmsNode():
            # One that has completed has done so before the decision or after it: nobody knows later.
            runs = scope.origin and outcome is not TaskState.COMPLETED
        case Role.ITEM, MapNode(on_error=OnError.CONTINUE):
            runs = outcome is TaskState.FAILED
        case Role.BODY, LoopNode():
            runs = scope.origin and scope.reason is Reason.BREAK
        case _:
            runs = False
    if not runs or scope.reason is not Reason.BREAK:
        return list(scope.undos) if runs else []
    round = _left_round(scope)
    return [undo for undo in scope.undos if not _leads_to_break(round, undo)]


def _left_round(scope: Scope) -> Scope:
    """The round around that a break leaves."""
    here = scope
    while not here.origin:
        assert here.owner is not None
        here = here.owner.scope
    return here


def _leads_to_break(round: Scope, undo: Undo) -> bool:
    """Whether a compensation stands on the way to the break that ended the round, and not beside it.

    The break may not have been reached yet: where it stands is in the decision.
    """
    path = _break_of(round)
    id = paths.node_of(path)
    line: list[Task] = [undo.task]
    while line[-1].scope is not round:
        owner = line[-1].scope.owner
        assert owner is not None
        line.append(owner)
    line.reverse()
    for task, inside in zip(line, [*line[1:], None], strict=True):
        holder = _holder(task.scope, id)
        if holder != task.index:
            return holder is not None and _is_before(task.scope, task.index, holder)
        if inside is None or not path.startswith(inside.scope.frame) or _holder(inside.scope, id) is None:
            # Another part of what holds the break: one that came before it, or one that runs beside it.
            return not isinstance(task.node, ArmsNode | MapNode)
    return False


def _holder(scope: Scope, id: str) -> int | None:
    """The place of the node of a block that is, or holds, the one with this id."""
    for index, node in enumerate(scope.layout.nodes):
        if any(inner.id == id for inner in every_node((node,))):
            return index
    return None


def _is_before(scope: Scope, index: int, other: int) -> bool:
    """Whether a node of a block comes before another one."""
    stack, seen = [other], {other}
    while stack:
        for before in scope.layout.after[stack.pop()]:
            if before not in seen:
                seen.add(before)
                stack.append(before)
    return index in seen


def _break_of(round: Scope) -> str:
    """The path of the break that ended a round."""
    assert round.owner is not None
    broken = getattr(round.owner.work, "broken", None)
    assert isinstance(broken, Decided), "a round is left when that is decided"
    return str(json.loads(broken.value)["node"])


def undo_next(state: State, scope: Scope) -> None:
    """Run the next undo of a scope, or close it."""
    if not scope.undoing:
        state.agenda.append(Closed(scope))
        return
    undo = scope.undoing.pop()
    assert isinstance(undo.task.node, CompensateNode)
    undo_scope = open_scope(
        state,
        undo.task.node.undo,
        role=Role.UNDO,
        owner=undo.task,
        parent=undo.body,
        frame=undo.task.scope.frame,
        boundary=True,
        shielded=True,
    )
    undo_scope.undoes_for = scope


def undone(state: State, scope: Scope) -> None:
    """An undo has come to its end; one that failed is noted, and the others go on."""
    around = scope.undoes_for
    if around is None:
        raise CorruptJournal("an undo belongs to nothing")
    state.undone += 1
    if outcome_of(scope) is TaskState.FAILED and scope.result.error is not None:
        state.undo_errors.append(scope.result.error)
    undo_next(state, around)
