"""The moves that follow from one another, turn by turn: what begins, settles, ends and is closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from dfc.compiler.plan import (
    ArmsNode,
    AtomicNode,
    BreakNode,
    CallNode,
    CompensateNode,
    ConstantNode,
    HttpNode,
    IfNode,
    InstanceNode,
    JoinNode,
    LoopNode,
    MapNode,
    Node,
    RetryNode,
    ScheduleNode,
    SignalNode,
    SleepNode,
    SqlNode,
    TimeoutNode,
    TryNode,
    UntilNode,
    ValueNode,
)
from dfc.executor import paths
from dfc.executor.actions import Finish
from dfc.executor.core import activations, arms, branches, ending, limits, loops, maps, unwinding, waits
from dfc.executor.core.tree import (
    Arrive,
    Closed,
    Ended,
    Given,
    Kind,
    Reach,
    Role,
    Scope,
    Settled,
    State,
    Task,
    note_record,
    outcome_of,
    settle,
)
from dfc.executor.journal import NOTHING, Completed, Constant, Result, Shape, Value
from dfc.executor.states import TaskState


def run(state: State) -> None:
    """Make all moves that follow from what has happened, until nothing is left to do but by the shell."""
    agenda = state.agenda
    while agenda:
        turn = agenda.popleft()
        match turn:
            case Arrive():
                _arrive(state, turn.task)
            case Reach():
                _reach(state, turn)
            case Settled():
                _settled(state, turn.task)
            case Ended():
                _ended(state, turn.scope)
            case Closed():
                _closed(state, turn.scope)
            case _:
                assert_never(turn)


def _arrive(state: State, task: Task) -> None:
    """Everything before a task has settled: begin it, or settle it too."""
    scope = task.scope
    before = [scope.tasks[index] for index in scope.layout.after[task.index]]
    blamed = next((other for other in before if other.state is not TaskState.COMPLETED), None)
    if blamed is not None:
        # Of several the first that has failed, in written order; what was only stopped has no error.
        error = next((other.error for other in before if other.error is not None), None)
        to = TaskState.SKIPPED
        if isinstance(task.node, JoinNode):
            to = TaskState.STOPPED if error is None else TaskState.FAILED
        settle(state, task, to, error=error)
    elif isinstance(task.node, JoinNode):
        shapes: list[Shape] = [NOTHING if other.given is None else other.given.shape for other in before]
        settle(state, task, TaskState.COMPLETED, Given(tuple(shapes)))
    else:
        task.state = TaskState.OPEN
        _begin(state, task)


def _begin(state: State, task: Task) -> None:
    node = task.node
    match node:
        case SqlNode() | HttpNode():
            activations.begin_step(state, task)
        case ValueNode():
            branches.begin_value(state, task)
        case IfNode():
            branches.begin_if(state, task)
        case LoopNode():
            loops.begin_loop(state, task)
        case BreakNode():
            loops.begin_break(state, task)
        case ArmsNode():
            arms.begin_arms(state, task)
        case MapNode():
            state.maps[task.path] = task
            maps.begin_map(state, task)
        case AtomicNode():
            branches.begin_atomic(state, task)
        case RetryNode():
            loops.begin_retry(state, task)
        case TimeoutNode():
            limits.begin_limit(state, task)
        case TryNode():
            branches.begin_try(state, task)
        case CompensateNode():
            branches.begin_compensate(state, task)
        case ConstantNode(value=value):
            settle(state, task, TaskState.COMPLETED, Given(Constant(json=value), Value(json=value)))
        case SleepNode() | UntilNode() | ScheduleNode() | SignalNode() | CallNode() | InstanceNode():
            waits.begin_wait(state, task)
        case JoinNode():
            raise AssertionError("a join does not begin")
        case _:
            assert_never(node)


def _reach(state: State, turn: Reach) -> None:
    match turn.kind:
        case Kind.ITEMS | Kind.END_MAP:
            maps.reach_map(state, turn)
        case Kind.BREAK_VALUE if isinstance(turn.record, Completed):
            note_record(turn.task, turn.record.path, turn.record.number)
            loops.break_value(state, turn.task, turn.record.path)
        case Kind.REQUEST if isinstance(turn.record, Completed):
            note_record(turn.task, turn.record.path, turn.record.number)
            if turn.record.result is None:
                branches.read(state, turn.task, Given(turn.record.path))
            else:
                was_computed(state, turn.task, turn.record.result)
        case _:
            activations.reach(state, turn)


def was_computed(state: State, task: Task, result: Result) -> None:
    """What was to be computed first has been: the request, or what a wait is for."""
    if isinstance(task.node, HttpNode):
        task.work = result
        activations.ask(state, task, Kind.RESPONSE, paths.response(task.path))
    else:
        waits.computed(state, task, result)


def _settled(state: State, task: Task) -> None:
    scope = task.scope
    scope.commits = max(scope.commits, task.number)
    if task.given is not None and task.node.used:
        scope.values[task.node.id] = task.given
    for index in scope.layout.successors[task.index]:
        after = scope.tasks[index]
        after.waiting -= 1
        if after.waiting == 0:
            state.agenda.append(Arrive(after))
    scope.unsettled -= 1
    if isinstance(task.node, MapNode):
        state.maps.pop(task.path, None)
    elif isinstance(task.node, SignalNode | InstanceNode | CallNode):
        waits.silence(state, task)
    if scope.unsettled == 0:
        state.agenda.append(Ended(scope))


def _ended(state: State, scope: Scope) -> None:
    owner = scope.owner
    if owner is not None and scope.role is Role.ARM and arms.arm_ended(state, scope):
        return
    limited = owner is not None and scope.role is Role.BODY and isinstance(owner.node, TimeoutNode)
    if limited and limits.body_ended(state, scope):
        return
    unwinding.ended(state, scope)


_Close = Callable[[State, Task, Scope], None]

_CLOSING: dict[type[Node], _Close] = {
    IfNode: branches.close_if,
    TryNode: branches.close_try,
    CompensateNode: branches.close_compensate,
    LoopNode: loops.close_loop,
    RetryNode: loops.close_retry,
    ArmsNode: arms.close_arms,
    TimeoutNode: limits.close_limit,
    MapNode: maps.close_map,
    AtomicNode: branches.close_atomic,
}


def _closed(state: State, scope: Scope) -> None:
    scope.ended = True
    owner = scope.owner
    if owner is None:
        if state.plain and outcome_of(scope) is TaskState.COMPLETED:
            ending.end(state, Finish(status="completed"))
        else:
            ending.conclude(state)
        return
    owner.children.remove(scope)
    if scope.role is Role.UNDO:
        unwinding.undone(state, scope)
        return
    _CLOSING[type(owner.node)](state, owner, scope)
