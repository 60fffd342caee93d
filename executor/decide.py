"""The core: what to do next, given what has happened. A fold over events, without clock, chance or I/O.

    state = begin(plan, records)
    actions = step(state, event)

`begin` rebuilds the state from the records that last; `step` takes in one event after the other. `step`
changes the state it is given: a state is used linearly, by one owner, and the one before an event is gone
after it. (A copy per event would make a plan of 10,000 steps quadratic.) All walks are loops over an agenda.

The state is a function of the *set* of records: their order changes nothing. What does depend on an order
(the winner of a race, a time limit, a break, the branch whose failure stops the others) is a decision,
recorded before anything acts on it. So whoever takes over comes to the same state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import assert_never

from dfc.compiler.plan import (
    ArmsNode,
    AtomicNode,
    Block,
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
    Plan,
    RetryNode,
    ScheduleNode,
    SignalNode,
    SleepNode,
    SqlBody,
    SqlNode,
    TimeoutNode,
    TryNode,
    UntilNode,
    ValueNode,
    Waiting,
    blocks_of,
    every_node,
    step_of_error,
)
from dfc.executor import paths
from dfc.executor.actions import Action, Finish, RunAtomic
from dfc.executor.core import activations, again, arms, branches, ending, loops, maps, unwinding, waits
from dfc.executor.core.asking import action_of
from dfc.executor.core.tree import (
    LISTENERS,
    Arrive,
    Closed,
    CorruptJournal,
    Ended,
    Given,
    InvalidPlan,
    Kind,
    Layout,
    Reach,
    Reason,
    Role,
    Scope,
    Settled,
    State,
    Task,
    drop_job,
    note_record,
    open_scope,
    outcome_of,
    remember,
    settle,
)
from dfc.executor.core.truth import truth
from dfc.executor.errors import read_error
from dfc.executor.journal import (
    NOTHING,
    AtomicDone,
    Attempted,
    Begun,
    Called,
    CancelRequested,
    Child,
    Completed,
    Constant,
    Decided,
    Deferred,
    Due,
    Event,
    Failed,
    ItemEnded,
    ItemsFetched,
    NothingYet,
    NoTime,
    Positioned,
    Record,
    Result,
    ResultRead,
    Retrying,
    Shape,
    Stopped,
    Timed,
    Value,
)
from dfc.executor.states import InstanceState, JobState, TaskState

__all__ = [
    "CorruptJournal",
    "InvalidPlan",
    "State",
    "begin",
    "begin_atomic",
    "decide",
    "forgotten",
    "kept_nodes",
    "pending",
    "step",
    "step_of",
    "view",
]


def begin(
    plan: Plan,
    records: Iterable[Record] = (),
    *,
    instance: str = "",
    cancel_reason: str | None = None,
    input: str | None = None,
    database: str | None = None,
    trace: bool = False,
) -> State:
    """The state that the records show; `pending` says what is to be done about it.

    `instance` spreads the waiting times of retries; `input` is JSON text, `database` where steps run that
    do not say where. `trace`: `forgotten` will be asked. Raises InvalidPlan, CorruptJournal.
    """
    memory = remember(list(records))
    state = State(
        instance=instance,
        kept=kept_nodes(plan),
        written=written_order(plan),
        input=None if input is None else Value(json=input),
        database=database,
        records=dict(memory.records),
        retrying=dict(memory.retrying),
        begun=set(memory.begun),
        cancel_reason=cancel_reason,
        opened=[] if trace else None,
    )
    end = state.records.get(unwinding.END)
    cancelled = cancel_reason is not None
    if isinstance(end, Decided):
        cancelled = ending.decided_end(end) == "cancelled"
    state.root = open_scope(
        state,
        Block(nodes=plan.nodes, result=plan.result),
        role=Role.ROOT,
        owner=None,
        parent=None,
        frame="",
        boundary=True,
        reason=Reason.CANCEL if cancelled else None,
    )
    _run(state)
    state.changed.clear()
    state.interrupts.clear()
    return state


def begin_atomic(action: RunAtomic, sources: Mapping[str, Result]) -> State:
    """The state of a transaction of several steps, to be driven on one session up to its Finish."""
    kept = frozenset([node.id for node in every_node(action.block.nodes)])
    state = State(instance="", kept=kept, plain=True)
    outside = Scope(Layout((), [], [], 0), action.frame, Role.ROOT, None, None)
    for source, result in sources.items():
        outside.values[source] = Given(NOTHING, result)
        failed = step_of_error(source)
        if failed is not None and isinstance(result, Value):
            error = read_error(failed, result.json)
            if error is not None:
                outside.values.setdefault(failed, Given(NOTHING, Value(json="null"), error))
    state.root = open_scope(
        state,
        action.block,
        role=Role.ROOT,
        owner=None,
        parent=outside,
        frame=action.frame,
        boundary=True,
    )
    _run(state)
    state.changed.clear()
    return state


def step(state: State, event: Event) -> tuple[Action, ...]:
    """Take in what has happened; return what is to be done about it. Changes `state`.

    Raises CorruptJournal when the event does not fit.
    """
    if state.status is not InstanceState.RUNNING:
        return ()
    _take(state, event)
    _run(state)
    if state.finish is not None:
        return (*_drain_interrupts(state), state.finish)
    made = [action_of(state, job) for job in state.changed.values() if job.state is not JobState.STOPPING]
    state.changed.clear()
    return (*_drain_interrupts(state), *made)


def _drain_interrupts(state: State) -> list[Action]:
    drained: list[Action] = list(state.interrupts)
    state.interrupts.clear()
    return drained


def pending(state: State) -> tuple[Action, ...]:
    """Everything that is open now: what somebody who begins here has to do."""
    if state.finish is not None:
        return (state.finish,)
    return tuple([action_of(state, job) for job in state.jobs.values() if job.state is not JobState.STOPPING])


def decide(plan: Plan, records: Iterable[Record], *, instance: str = "") -> tuple[Action, ...]:
    """What is to be done, given these records. Equal arguments, equal actions.

    Raises InvalidPlan, CorruptJournal.
    """
    return pending(begin(plan, records, instance=instance))


def forgotten(state: State, records: Iterable[Record]) -> again.Forgotten:
    """What to forget of the records of an instance that has failed, so that it goes on from there.

    `state` has been begun with them and `trace`, and has come as far as they go.
    """
    return again.forgotten(state, records, state.opened or ())


def step_of(state: State, path: str) -> str | None:
    """The id of the node that a job belongs to; None when nothing is under way at that path any more."""
    job = state.jobs.get(path)
    return None if job is None else job.task.node.id


def view(state: State) -> dict[str, str]:
    """What lasts of a state: where each task of the open scopes stands.

    Whether an attempt runs, waits or is about to be recorded as failed is known to one process only; so is
    which items of a map are at hand.
    """
    found: dict[str, str] = {"": state.status.value}
    todo: list[Scope] = [] if state.root is None else [state.root]
    while todo:
        scope = todo.pop()
        for task in scope.tasks:
            found[task.path] = task.state.value
            todo.extend([child for child in task.children if child.role is not Role.ITEM])
    return found


def written_order(plan: Plan) -> dict[str, int]:
    """Where each node stands in written order; one with blocks stands behind what is in them."""
    order: list[str] = []
    todo: list[Node] = list(plan.nodes)
    while todo:
        node = todo.pop()
        order.append(node.id)
        for _, block in blocks_of(node):
            todo += block.nodes
    return {id: place for place, id in enumerate(reversed(order))}


def kept_nodes(plan: Plan) -> frozenset[str]:
    """The nodes whose results later activations or conditions want: a journal has to bring them back."""
    kept: set[str] = set()
    todo: list[tuple[Block, bool]] = [(Block(nodes=plan.nodes, result=plan.result), False)]
    while todo:
        block, wanted = todo.pop()
        for node in block.nodes:
            mine = node.used or (wanted and node.id == block.result)
            if mine or (isinstance(node, HttpNode) and isinstance(node.request, SqlBody)):
                kept.add(node.id)
            if waits.computed_of(node) is not None:
                kept.add(node.id)
            for role, inner in blocks_of(node):
                asks = loops.polls(node) or role in ("condition", "while")
                todo.append((inner, asks or (mine and role != "undo")))
    return frozenset(kept)


# Events


def _take(state: State, event: Event) -> None:
    match event:
        case Completed() | Failed():
            _record(state, event)
        case Deferred():
            _deferred(state, event)
        case Attempted():
            activations.attempted(state, event)
        case Due():
            _due(state, event)
        case Stopped():
            _stopped(state, event)
        case Called():
            waits.called(state)
        case NothingYet():
            if (job := state.jobs.get(event.path)) is not None:
                waits.nothing_yet(state, job)
        case NoTime():
            if (job := state.jobs.get(event.path)) is not None:
                waits.no_time(state, job, event)
        case Child():
            raise CorruptJournal(f"`{event.path}` is told of as it happens")
        case CancelRequested():
            _cancel(state, event.reason)
        case Decided():
            _decided(state, event)
        case Begun():
            activations.begun(state, event)
        case Retrying():
            activations.noted(state, event)
        case Timed():
            _timed(state, event)
        case Positioned():
            _positioned(state, event)
        case AtomicDone():
            branches.atomic_done(state, event)
        case ItemsFetched():
            if (job := state.jobs.get(paths.fetch(event.path))) is not None:
                maps.fetched(state, job, event)
        case ItemEnded():
            _item_ended(state, event)
        case ResultRead():
            _read(state, event)
        case _:
            assert_never(event)


def _record(state: State, event: Completed | Failed) -> None:
    job = state.jobs.get(event.path)
    if job is not None and job.rider and isinstance(event, Completed):
        if maps.carries_end(job.task):
            maps.ridden(job)
        elif job.task.scope.role is Role.ARM:
            # Its decision is in the same transaction, whoever told us of the record.
            arms.won(state, job.task, event.number)
    if job is not None and job.kind is Kind.STOP_CALL:
        drop_job(state, job)
        state.agenda.append(Reach(job.task, Kind.CALL, event, False))
        return
    activations.recorded(state, event)


def _stopped(state: State, event: Stopped) -> None:
    job = state.jobs.get(event.path)
    if job is not None and (job.kind in LISTENERS or job.kind is Kind.STOP_CALL):
        waits.stopped(state, job)
    else:
        activations.stopped(state, event.path)


def _due(state: State, event: Due) -> None:
    job = state.jobs.get(event.path)
    if job is None or job.state is not JobState.RETRYING:
        return
    match job.kind:
        case Kind.TIMER if isinstance(job.task.node, Waiting):
            waits.time_is_up(state, job)
        case Kind.TIMER:
            arms.time_is_up(state, job)
        case Kind.POSITION:
            loops.attempt_due(state, job)
        case _:
            activations.due(state, event)


def _deferred(state: State, event: Deferred) -> None:
    job = state.jobs.get(event.path)
    if job is not None and job.kind is Kind.WAITED:
        waits.not_yet(state, job, event.seconds)
    else:
        activations.deferred(state, event)


def _cancel(state: State, reason: str) -> None:
    if state.cancel_reason is None:
        state.cancel_reason = reason
    root = state.top
    # Who has begun to undo goes through with it.
    decided = unwinding.END in state.jobs or unwinding.END in state.records
    if root.undoing is None and not root.ended and not decided:
        unwinding.unwind(state, root, Reason.CANCEL)


def _decided(state: State, event: Decided) -> None:
    if event.path == unwinding.END:
        job = state.jobs.get(event.path)
        if job is not None:
            drop_job(state, job)
            unwinding.undo_next(state, state.top)
        return
    task = state.deciders.get(event.path)
    if task is None or task.state is not TaskState.OPEN:
        if (job := state.jobs.get(event.path)) is not None:
            drop_job(state, job)
        return
    match task.node:
        case LoopNode():
            loops.broken(state, task, event)
        case ArmsNode():
            arms.arms_decided(state, task, event)
        case TimeoutNode():
            arms.timeout_decided(state, task, event)
        case _:
            raise CorruptJournal(f"`{task.path}` decides nothing")


def _timed(state: State, event: Timed) -> None:
    job = state.jobs.get(event.path)
    if job is None:
        return
    if isinstance(job.task.node, Waiting):
        waits.timed(state, job, event)
    else:
        arms.timed(state, job, event)


def _positioned(state: State, event: Positioned) -> None:
    job = state.jobs.get(event.path)
    if job is None:
        return
    if isinstance(job.task.node, RetryNode) or loops.polls(job.task.node):
        loops.positioned(state, job, event)
    else:
        drop_job(state, job)


def _item_ended(state: State, event: ItemEnded) -> None:
    if paths.item(event.path, event.item) in state.jobs:
        maps.item_ended(state, event)
        return
    task = state.maps.get(event.path)
    if task is not None:
        maps.item_ridden(state, task, event.item)


def _read(state: State, event: ResultRead) -> None:
    job = state.jobs.get(event.path)
    if job is None:
        return
    task = job.task
    if isinstance(task.node, LoopNode):
        drop_job(state, job)
        loops.looked(state, task, truth(event.result))
    elif isinstance(task.node, HttpNode) or waits.computed_of(task.node) is not None:
        drop_job(state, job)
        _computed(state, task, event.result)
    else:
        branches.was_read(state, job, event.result)


def _computed(state: State, task: Task, result: Result) -> None:
    """What was to be computed first has been: the request, or what a wait is for."""
    if isinstance(task.node, HttpNode):
        task.work = result
        activations.ask(state, task, Kind.RESPONSE, paths.response(task.path))
    else:
        waits.computed(state, task, result)


# The agenda


def _run(state: State) -> None:
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
            arms.begin_timeout(state, task)
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
                _computed(state, turn.task, turn.record.result)
        case _:
            activations.reach(state, turn)


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
    if limited and arms.body_ended(state, scope):
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
    TimeoutNode: arms.close_timeout,
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
