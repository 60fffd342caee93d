"""Maps: a body once an item, so many at a time.

The items stand in their table; only those under way are here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

from dfc.compiler.plan import (
    Block,
    CallNode,
    CompensateNode,
    Form,
    MapNode,
    OnError,
    SqlNode,
    TryNode,
    every_node,
    item_source,
)
from dfc.executor import paths
from dfc.executor.core import activations
from dfc.executor.core.tree import (
    Given,
    Job,
    Kind,
    Reach,
    Role,
    Scope,
    State,
    Task,
    add_job,
    drop_job,
    frame_of,
    hand_up,
    note_record,
    open_scope,
    outcome_of,
    settle,
)
from dfc.executor.core.values import map_given
from dfc.executor.journal import (
    NOTHING,
    Completed,
    Failed,
    Item,
    ItemEnded,
    ItemsFetched,
    StepError,
)
from dfc.executor.states import JobState, TaskState

PAGE_ITEMS = 64
"""Items fetched at once, at least."""


@dataclass(slots=True, eq=False)
class Items:
    """What a map keeps. `waiting` are fetched items that have not begun, `active` those under way by number.

    `exhausted`: there are no further ones. `stopping`: no new item begins. `errors` are the failures that
    this process knows, by number. `undos`: the body has compensations, so its records are kept.
    """

    undos: bool
    cleans: bool = False
    """The body has a `finally`, which runs also when the map is unwound."""
    waiting: deque[Item] = field(default_factory=deque[Item])
    active: dict[int, Scope] = field(default_factory=dict[int, Scope])
    fetched: int = 0
    exhausted: bool = False
    stopping: bool = False
    errors: dict[int, StepError] = field(default_factory=dict[int, StepError])
    recorded: frozenset[int] = frozenset()
    """The items of which there were records at the beginning."""
    ridden: set[int] = field(default_factory=set[int])
    """Items whose end was carried along by their only statement."""


def items_of(task: Task) -> Items:
    """What is kept about a map."""
    assert isinstance(task.work, Items)
    return task.work


def begin_map(state: State, task: Task) -> None:
    """Begin with the storing of the items, unless the map's own record is there."""
    node = task.node
    assert isinstance(node, MapNode)
    cleans = any(
        isinstance(inner, CallNode) or (isinstance(inner, TryNode) and inner.final is not None)
        for inner in every_node(node.body.nodes)
    )
    task.work = Items(_has_undos(node.body), cleans, recorded=_recorded_items(state, task.path))
    if isinstance(state.records.get(task.path), Completed | Failed) and not items_of(task).undos:
        if state.records.pop(paths.items(task.path), None) is not None:
            frame_of(task.scope).records.append(paths.items(task.path))
        activations.ask(state, task, Kind.END_MAP, task.path)
    else:
        activations.ask(state, task, Kind.ITEMS, paths.items(task.path))


def _has_undos(block: Block) -> bool:
    return any(isinstance(node, CompensateNode) for node in every_node(block.nodes))


def _recorded_items(state: State, path: str) -> frozenset[int]:
    found: set[int] = set()
    for kind in (state.records, state.retrying, state.begun):
        for known in kind:
            number = paths.frame_number(known, path)
            if number is not None:
                found.add(number)
    return frozenset(found)


def reach_map(state: State, turn: Reach) -> None:
    """The items are stored, or the map's own record is there."""
    task, record = turn.task, turn.record
    note_record(task, record.path, record.number)
    if isinstance(record, Failed):
        settle(state, task, TaskState.FAILED, error=record.error)
    elif turn.kind is Kind.ITEMS:
        pump(state, task)
    else:
        assert isinstance(task.node, MapNode)
        given = map_given(state, record.path, task.node)
        if task.node.id in state.kept and given.result is None:
            given.result = record.result
        settle(state, task, TaskState.COMPLETED, given)


def pump(state: State, task: Task) -> None:
    """Begin items while there is room, fetch more when they run out, and end the map when all have ended."""
    node, work = task.node, items_of(task)
    assert isinstance(node, MapNode)
    if task.state is not TaskState.OPEN:
        return
    unwinding = task.scope.reason is not None
    while work.waiting and len(work.active) < node.max_parallel:
        item = work.waiting.popleft()
        if item.number in work.recorded or not (unwinding or work.stopping):
            _begin_item(state, task, work, item)
    fetch = paths.fetch(task.path)
    wanted = not work.exhausted and not work.waiting and fetch not in state.jobs
    if wanted and (not (unwinding or work.stopping) or _has_more_recorded(work, unwinding)):
        add_job(state, task, Kind.FETCH, fetch)
    if work.active or work.waiting or fetch in state.jobs or task.jobs:
        return
    if unwinding:
        record = state.records.pop(task.path, None)
        if isinstance(record, Failed | Completed):
            state.agenda.append(Reach(task, Kind.END_MAP, record, False))
        else:
            settle(state, task, TaskState.STOPPED)
    elif work.errors and node.on_error is OnError.FAIL:
        _fail(state, task, work)
    else:
        activations.ask(state, task, Kind.END_MAP, task.path)


def _has_more_recorded(work: Items, unwinding: bool) -> bool:
    """Whether items that have begun before have not been fetched yet, and have to come to their end.

    When the map is unwound, only for what is undone or cleaned up in them, and for what they have called.
    """
    if unwinding and not (work.undos or work.cleans):
        return False
    return any(number > work.fetched for number in work.recorded)


def _fail(state: State, task: Task, work: Items) -> None:
    record = state.records.pop(task.path, None)
    if isinstance(record, Failed | Completed):
        state.agenda.append(Reach(task, Kind.END_MAP, record, False))
        return
    job = add_job(state, task, Kind.END_MAP, task.path, JobState.RECORDING)
    job.error = replace(work.errors[min(work.errors)], final=False)


def _begin_item(state: State, task: Task, work: Items, item: Item) -> None:
    node = task.node
    assert isinstance(node, MapNode)
    scope = open_scope(
        state,
        node.body,
        role=Role.ITEM,
        owner=task,
        parent=task.scope,
        frame=paths.frame(task.path, item.number),
        number=item.number,
        boundary=True,
    )
    scope.values[item_source(node.id)] = Given(NOTHING, item.value)
    work.active[item.number] = scope


def page_size(task: Task) -> int:
    """How many items are fetched at once."""
    assert isinstance(task.node, MapNode)
    return max(PAGE_ITEMS, 2 * task.node.max_parallel)


def fetched(state: State, job: Job, event: ItemsFetched) -> None:
    """More items have come."""
    task = job.task
    drop_job(state, job)
    if task.state is not TaskState.OPEN:
        return
    work = items_of(task)
    if event.first_error is not None:
        work.errors.setdefault(event.first_failed, event.first_error)
        assert isinstance(task.node, MapNode)
        work.stopping = work.stopping or task.node.on_error is OnError.FAIL
    work.waiting.extend(event.items)
    if event.items:
        work.fetched = event.items[-1].number
    work.exhausted = len(event.items) < page_size(task)
    pump(state, task)


def carries_end(task: Task) -> bool:
    """Whether a statement is all that an item does, so that its transaction can end the item as well."""
    scope = task.scope
    if scope.role is not Role.ITEM or len(scope.tasks) != 1 or scope.reason is not None:
        return False
    node = task.node
    return (
        isinstance(node, SqlNode)
        and node.body.form is not Form.AUTOCOMMIT
        and node.policy.on_error is OnError.FAIL
    )


def ridden(job: Job) -> None:
    """The statement of an item has carried its end along."""
    scope = job.task.scope
    assert scope.owner is not None
    items_of(scope.owner).ridden.add(scope.number)
    if job.losses:
        # Where it was an earlier attempt that has, what is recorded of this one stays.
        frame_of(scope.owner.scope).records.append(job.path)


def close_map(state: State, task: Task, scope: Scope) -> None:
    """An item has come to its end: put its outcome into its row."""
    work = items_of(task)
    hand_up(task, scope)
    task.number = max(task.number, scope.commits)
    outcome = outcome_of(scope)
    if work.undos or outcome is TaskState.STOPPED:
        frame_of(task.scope).records += scope.records
    if outcome is TaskState.STOPPED:
        _forget_item(state, task, scope.number)
        return
    if outcome is TaskState.FAILED:
        assert scope.result.error is not None and isinstance(task.node, MapNode)
        work.errors[scope.number] = scope.result.error
        work.stopping = work.stopping or task.node.on_error is OnError.FAIL
    if scope.number not in work.ridden:
        add_job(state, task, Kind.END_ITEM, paths.item(task.path, scope.number), detail=scope)


def item_ended(state: State, event: ItemEnded) -> None:
    """The outcome of an item is in its row."""
    job = state.jobs.get(paths.item(event.path, event.item))
    if job is not None:
        task = job.task
        drop_job(state, job)
        _forget_item(state, task, event.item)


def item_ridden(state: State, task: Task, number: int) -> None:
    """The outcome of an item came with its only statement."""
    work = items_of(task)
    if number in work.ridden:
        work.ridden.discard(number)
        _forget_item(state, task, number)


def _forget_item(state: State, task: Task, number: int) -> None:
    work = items_of(task)
    work.active.pop(number, None)
    if len(work.errors) > 1:
        # Only the first failure counts, and there may be a million.
        first = min(work.errors)
        work.errors = {first: work.errors[first]}
    pump(state, task)
