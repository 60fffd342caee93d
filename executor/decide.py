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

from collections.abc import Iterable, Mapping

from dfc.compiler.plan import Block, HttpNode, Node, Plan, SqlBody, blocks_of, every_node, step_of_error
from dfc.executor.actions import Action, RunAtomic
from dfc.executor.core import again, ending, loops, unwinding, waits
from dfc.executor.core.agenda import run
from dfc.executor.core.asking import action_of
from dfc.executor.core.events import take
from dfc.executor.core.memory import remember
from dfc.executor.core.tree import (
    CorruptJournal,
    Given,
    InvalidPlan,
    Layout,
    Reason,
    Role,
    Scope,
    State,
    open_scope,
)
from dfc.executor.errors import read_error
from dfc.executor.journal import NOTHING, Decided, Event, Record, Result, Value
from dfc.executor.states import InstanceState, JobState

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
    run(state)
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
    run(state)
    state.changed.clear()
    return state


def step(state: State, event: Event) -> tuple[Action, ...]:
    """Take in what has happened; return what is to be done about it. Changes `state`.

    Raises CorruptJournal when the event does not fit.
    """
    if state.status is not InstanceState.RUNNING:
        return ()
    take(state, event)
    run(state)
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
