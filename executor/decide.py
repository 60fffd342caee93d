"""The core: what to do next, given what has happened. A fold over events, without clock, chance or I/O.

    state = begin(plan)
    actions = step(state, event)

`decide` is the fold over a whole journal. `step` changes the state it is given: a state is used linearly,
by one owner, and the one before an event is gone after it. (A copy per event would make a plan of 10,000
steps quadratic.) All walks are loops and touch each edge of the plan a bounded number of times.

The plan's nodes become activations, one for each checkpoint that can be written; an HTTP step whose
request is SQL is two in a row. Joins are activations without work: they settle as soon as all their
branches have. An instance has ended when everything is settled; the order in which independent records
arrive changes nothing, because whatever depends on several of them waits for all and then looks at them
in written order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

from dfc.compiler.plan import HttpNode, JoinNode, Node, Plan, Request, SqlBody, SqlNode
from dfc.executor import retry
from dfc.executor.actions import (
    Action,
    Finish,
    Interrupt,
    RecordFailure,
    RunSql,
    SendHttp,
    Wait,
)
from dfc.executor.journal import (
    Attempted,
    CancelRequested,
    Completed,
    Due,
    Event,
    Failed,
    Result,
    Rows,
    Shape,
    StepError,
)
from dfc.executor.states import (
    INSTANCE_TRANSITIONS,
    NODE_TRANSITIONS,
    OPEN,
    SETTLED,
    InstanceState,
    NodeState,
)


class InvalidPlan(ValueError):
    """The plan is not one that the verifier lets pass: an id twice, or a reference to a later node."""


class CorruptJournal(ValueError):
    """An event does not fit the plan or what has happened before. No state is to be trusted after this."""


@dataclass(slots=True, eq=False)
class _Task:
    """An activation: its place in the plan, then where it stands."""

    index: int
    path: str
    step: str
    work: SqlBody | Request | None
    """None for a join, and for a response whose request is the rows of the activation before it."""
    is_join: bool
    after: tuple[_Task, ...]
    many: bool = False
    successors: list[_Task] = field(default_factory=list["_Task"])
    reads: tuple[_Task, ...] = ()
    readers: int = 0
    """How many unsettled activations still want the result; at 0 it is dropped."""

    state: NodeState = NodeState.WAITING
    unsettled: int = 0
    conflicts: int = 0
    losses: int = 0
    wait_seconds: float = 0.0
    result: Result | None = None
    error: StepError | None = None
    shape: Shape | None = None


@dataclass(slots=True, eq=False)
class State:
    """Where an instance stands. Made by `begin`, changed by `step`, opaque to everybody else."""

    instance: str
    tasks: list[_Task]
    by_path: dict[str, _Task]
    """Activations by path. Joins are not in it: nothing is ever recorded for them."""
    result: _Task
    status: InstanceState = InstanceState.RUNNING
    left: int = 0
    """Activations with work that are not settled."""
    open: int = 0
    unsettled: int = 0
    """All activations that are not settled, joins included."""
    finish: Finish | None = None


def begin(plan: Plan, *, instance: str = "") -> State:
    """The state before any event. `instance` only spreads the waiting times of retries.

    Raises InvalidPlan.
    """
    last: dict[str, _Task] = {}
    tasks: list[_Task] = []
    by_path: dict[str, _Task] = {}
    for node in plan.nodes:
        if node.id in last:
            raise InvalidPlan(f"the plan has two nodes `{node.id}`")
        after = tuple(_earlier(last, node, id) for id in dict.fromkeys(node.after))
        for task in _tasks_of(node, after, len(tasks)):
            if not task.is_join and by_path.setdefault(task.path, task) is not task:
                raise InvalidPlan(f"two activations of the plan are called `{task.path}`")
            tasks.append(task)
            last[node.id] = task
    if plan.result not in last:
        raise InvalidPlan(f"the plan's result, `{plan.result}`, is not one of its nodes")
    _link(tasks, last)
    state = State(
        instance=instance,
        tasks=tasks,
        by_path=by_path,
        result=last[plan.result],
        left=len(by_path),
        unsettled=len(tasks),
    )
    for task in tasks:
        if not task.after:
            _arrive(state, task)
    if not state.unsettled:
        _conclude(state)
    return state


def step(state: State, event: Event) -> tuple[Action, ...]:
    """Take in what has happened; return what is to be done about it. Changes `state`.

    Raises CorruptJournal when the event does not fit.
    """
    match event:
        case Completed():
            return _record(state, event)
        case Failed():
            return _record(state, event)
        case CancelRequested(reason=reason):
            return _cancel(state, reason)
        case Attempted():
            return _attempted(state, event)
        case Due(path=path):
            if state.status is not InstanceState.RUNNING:
                return ()
            task = _find(state, path)
            _move(state, task, NodeState.RUNNING)
            return (_action(state, task),)
        case _:
            assert_never(event)


def pending(state: State) -> tuple[Action, ...]:
    """Everything that is open now, in the plan's order: what somebody who begins here has to do."""
    if state.finish is not None:
        return (state.finish,)
    return tuple(_action(state, task) for task in state.tasks if task.state in OPEN)


def decide(plan: Plan, journal: Iterable[Event], *, instance: str = "") -> tuple[Action, ...]:
    """What is to be done after these events. Equal arguments, equal actions.

    Raises InvalidPlan, CorruptJournal.
    """
    state = begin(plan, instance=instance)
    for event in journal:
        step(state, event)
    return pending(state)


def step_of(state: State, path: str) -> str:
    """The id of the node that an activation belongs to. Raises CorruptJournal for an unknown path."""
    return _find(state, path).step


def kept_paths(plan: Plan) -> frozenset[str]:
    """The paths whose results later activations want: those that a journal has to bring back in full."""
    return frozenset(task.path for task in begin(plan).tasks if task.readers)


def kept_nodes(plan: Plan) -> frozenset[str]:
    """The nodes whose results later activations want."""
    return frozenset(path.partition("/")[0] for path in kept_paths(plan))


def view(state: State) -> dict[str, str]:
    """What lasts of a state: the state of each activation, where one that is open is just `open`.

    Whether an attempt runs, waits or is about to be recorded as failed is known to one process only.
    """
    lasting = {task.path: "open" if task.state in OPEN else task.state.value for task in state.tasks}
    return lasting | {"": state.status.value}


# From plan to activations


def _earlier(last: dict[str, _Task], node: Node, id: str) -> _Task:
    task = last.get(id)
    if task is None:
        raise InvalidPlan(f"node `{node.id}` of the plan comes after `{id}`, which is not before it")
    return task


def _tasks_of(node: Node, after: tuple[_Task, ...], index: int) -> list[_Task]:
    match node:
        case SqlNode():
            return [_Task(index, node.id, node.id, node.body, False, after)]
        case JoinNode():
            return [_Task(index, node.id, node.id, None, True, after)]
        case HttpNode(request=Request() as request):
            return [_Task(index, f"{node.id}/response", node.id, request, False, after, node.many)]
        case HttpNode(request=body):
            first = _Task(index, f"{node.id}/request", node.id, body, False, after)
            second = _Task(index + 1, f"{node.id}/response", node.id, None, False, (first,), node.many)
            return [first, second]
        case _:
            assert_never(node)


def _link(tasks: list[_Task], last: dict[str, _Task]) -> None:
    for task in tasks:
        task.unsettled = len(task.after)
        for before in task.after:
            before.successors.append(task)
        if isinstance(task.work, SqlBody):
            names = dict.fromkeys(parameter.source for parameter in task.work.parameters)
            for name in names:
                if name not in last:
                    raise InvalidPlan(f"step `{task.step}` refers to `{name}`, which is no node of the plan")
                if last[name].is_join:
                    raise InvalidPlan(f"step `{task.step}` refers to `{name}`, which is a join")
            task.reads = tuple(last[name] for name in names)
        elif task.work is None and not task.is_join:
            task.reads = task.after
        for source in task.reads:
            source.readers += 1


# Moves


def _find(state: State, path: str) -> _Task:
    task = state.by_path.get(path)
    if task is None:
        raise CorruptJournal(f"the plan has no activation `{path}`")
    return task


def _move(state: State, task: _Task, to: NodeState) -> None:
    was = task.state
    if to not in NODE_TRANSITIONS[was]:
        raise CorruptJournal(f"activation `{task.path}` is {was} and cannot become {to}")
    task.state = to
    state.open += (to in OPEN) - (was in OPEN)
    if to in SETTLED:
        state.unsettled -= 1
        state.left -= not task.is_join


def _record(state: State, event: Completed | Failed) -> tuple[Action, ...]:
    task = _find(state, event.path)
    if task.state is NodeState.WAITING:
        raise CorruptJournal(f"activation `{task.path}` is recorded before what it comes after")
    match event:
        case Completed(result=result):
            if task.readers > 0 and result is None:
                raise CorruptJournal(f"the result of `{task.path}` is referred to, and was not brought back")
            _move(state, task, NodeState.COMPLETED)
            task.shape = task.path
            task.error = None
            task.result = result if task.readers > 0 else None
        case Failed(error=error):
            _move(state, task, NodeState.FAILED)
            task.error = error
        case _:
            assert_never(event)
    started = _settle(state, task)
    if state.status is not InstanceState.RUNNING:
        return ()
    if not state.unsettled:
        return (_conclude(state),)
    started.sort(key=lambda task: task.index)
    return tuple(_action(state, task) for task in started)


def _settle(state: State, task: _Task) -> list[_Task]:
    """Tell those after a settled activation; return the activations that may start now."""
    started: list[_Task] = []
    settled = [task]
    while settled:
        now = settled.pop()
        for source in now.reads:
            _release(source)
        for successor in now.successors:
            successor.unsettled -= 1
            if successor.unsettled == 0:
                _arrive(state, successor)
                (settled if successor.state in SETTLED else started).append(successor)
    return started


def _arrive(state: State, task: _Task) -> None:
    """Everything before this activation is settled: start it, or settle it too."""
    blame = next((before for before in task.after if before.state is not NodeState.COMPLETED), None)
    if blame is not None:
        _move(state, task, NodeState.FAILED if task.is_join else NodeState.SKIPPED)
        task.error = blame.error
    elif task.is_join:
        _move(state, task, NodeState.COMPLETED)
        task.shape = _shape_of(task)
    else:
        _move(state, task, NodeState.RUNNING)


def _shape_of(join: _Task) -> Shape:
    return tuple(branch.shape for branch in join.after if branch.shape is not None)


def _release(source: _Task) -> None:
    """One reader less; a result without readers is dropped, since it may be large."""
    source.readers -= 1
    if source.readers == 0:
        source.result = None


def _cancel(state: State, reason: str) -> tuple[Action, ...]:
    if state.status is not InstanceState.RUNNING:
        return ()
    interrupts = tuple(Interrupt(path=task.path) for task in state.tasks if task.state in OPEN)
    return (*interrupts, _end(state, Finish(status="cancelled", reason=reason)))


def _attempted(state: State, event: Attempted) -> tuple[Action, ...]:
    if state.status is not InstanceState.RUNNING:
        return ()
    task = _find(state, event.path)
    if task.state is not NodeState.RUNNING:
        raise CorruptJournal(f"activation `{task.path}` is {task.state}, and an attempt of it has ended")
    if event.transient:
        if retry.is_lost(event.error.sqlstate):
            task.losses += 1
            count, limit = task.losses, retry.LOST_ATTEMPTS_MAX
        else:
            task.conflicts += 1
            count, limit = task.conflicts, retry.ATTEMPTS_MAX
        if count < limit:
            _move(state, task, NodeState.RETRYING)
            task.wait_seconds = retry.delay(state.instance, task.path, count)
            return (_action(state, task),)
    task.error = event.error
    _move(state, task, NodeState.RECORDING)
    return (_action(state, task),)


# Actions and the end


def _action(state: State, task: _Task) -> Action:
    """What the shell has to do for an open activation."""
    if task.state is NodeState.RETRYING:
        return Wait(path=task.path, seconds=task.wait_seconds)
    if task.state is NodeState.RECORDING:
        assert task.error is not None
        return RecordFailure(path=task.path, error=task.error, finish=_finish_if_failed(state, task))
    finish = _finish_if_completed(state, task)
    keep = task.readers > 0
    match task.work:
        case SqlBody() as body:
            sources = {source.step: source.result for source in task.reads if source.result is not None}
            return RunSql(path=task.path, body=body, sources=sources, rider=finish, keep=keep)
        case Request() as request:
            return SendHttp(path=task.path, request=request, many=task.many, rider=finish, keep=keep)
        case None:
            rows = task.after[0].result
            if not isinstance(rows, Rows):
                raise CorruptJournal(f"the result of `{task.after[0].path}` is not rows")
            return SendHttp(path=task.path, request=rows, many=task.many, rider=finish, keep=keep)
        case _:
            assert_never(task.work)


def _conclude(state: State) -> Finish:
    """Everything is settled: the end that the result node's state calls for."""
    return _end(state, _outcome(state.result.shape, state.result.error))


def _outcome(shape: Shape | None, error: StepError | None) -> Finish:
    if error is not None:
        return Finish(status="failed", error=error)
    return Finish(status="completed", shape=shape)


def _end(state: State, finish: Finish) -> Finish:
    to = InstanceState(finish.status)
    assert to in INSTANCE_TRANSITIONS[state.status], (state.status, to)
    state.status = to
    state.finish = finish
    return finish


def _finish_if_completed(state: State, task: _Task) -> Finish | None:
    """The end that follows when this activation completes, if one follows at once."""
    if state.left != 1 or state.status is not InstanceState.RUNNING:
        return None
    # Nothing with work is left besides it: what is not settled are joins above it.
    outcomes: dict[int, tuple[Shape | None, StepError | None]] = {task.index: (task.path, None)}
    joins: dict[int, _Task] = {}
    stack = list(task.successors)
    while stack:
        join = stack.pop()
        if join.index not in joins:
            joins[join.index] = join
            stack.extend(join.successors)
    for index in sorted(joins):
        branches = [outcomes.get(b.index, (b.shape, b.error)) for b in joins[index].after]
        error = next((error for _, error in branches if error is not None), None)
        shape = None if error else tuple(shape for shape, _ in branches if shape is not None)
        outcomes[index] = (shape, error)
    result = state.result
    return _outcome(*outcomes.get(result.index, (result.shape, result.error)))


def _finish_if_failed(state: State, task: _Task) -> Finish | None:
    """The end that follows when this activation fails, if one follows at once."""
    if state.open != 1 or state.status is not InstanceState.RUNNING:
        return None
    # It alone is open, so everything that waits, waits for it, and fails or is skipped with it.
    now = state.result
    while now.state is NodeState.WAITING:
        now = next(before for before in now.after if before.state is not NodeState.COMPLETED)
    return _outcome(now.shape, now.error)
