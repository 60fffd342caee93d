# pyright: reportPrivateUsage=false
"""Deliberate mistakes in the executor (and some in the schema) that the simulator has to notice.

Each is something that somebody might write. A mistake that the other safeguards make harmless is not
listed: it could not be noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from dfc.compiler.plan import CompensateNode, JoinNode, TryNode
from dfc.executor import decide, drive, perform, retry
from dfc.executor.actions import FetchItems
from dfc.executor.core import arms, asking, branches, loops, maps, tree, unwinding
from dfc.executor.journal import Attempted, Decided, StepError
from dfc.executor.ports import FenceLost, Transient
from dfc.executor.states import TaskState
from tests.simulate.database import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A mistake: what is changed while it is active, and the schema's rules with it."""

    name: str
    active: Callable[[], AbstractContextManager[None]]
    rules: Callable[[], Rules] = Rules


@contextmanager
def _replaced(place: Any, name: str, make: Callable[[Any], Any]) -> Generator[None]:
    original = getattr(place, name)
    setattr(place, name, make(original))
    try:
        yield
    finally:
        setattr(place, name, original)


@contextmanager
def _nothing() -> Generator[None]:
    yield


def _first_branch_is_enough(lay_out: Any) -> Any:
    def mutated(block: Any) -> Any:
        layout = lay_out(block)
        for index, node in enumerate(layout.nodes):
            if isinstance(node, JoinNode):
                for before in layout.after[index][1:]:
                    layout.successors[before].remove(index)
                layout.after[index] = layout.after[index][:1]
        return layout

    return mutated


def _last_branch_is_blamed(arrive: Any) -> Any:
    def mutated(state: Any, task: Any) -> None:
        arrive(state, task)
        if isinstance(task.node, JoinNode) and task.error is not None:
            before = [task.scope.tasks[index] for index in task.scope.layout.after[task.index]]
            task.error = next(other.error for other in reversed(before) if other.error is not None)

    return mutated


def _failure_does_not_stop_the_chain(arrive: Any) -> Any:
    def mutated(state: Any, task: Any) -> None:
        if isinstance(task.node, JoinNode):
            arrive(state, task)
        else:
            task.state = TaskState.OPEN
            decide._begin(state, task)

    return mutated


def _lost_answer_is_a_failure(activate: Any) -> Any:
    async def mutated(self: Any, action: Any, step_id: str) -> Any:
        came = await activate(self, action, step_id)
        events = tuple(
            replace(event, transient=False)
            if isinstance(event, Attempted) and retry.is_lost(event.error.sqlstate)
            else event
            for event in came.events
        )
        return replace(came, events=events)

    return mutated


def _nobody_looks(_: Any) -> Any:
    async def mutated(self: Any, action: Any) -> None:
        return None

    return mutated


def _interrupted_has_done_nothing(_: Any) -> Any:
    async def mutated(self: Any, action: Any) -> Any:
        return perform.Stopped(path=action.path)

    return mutated


def _takeover_ignores_journal(recover: Any) -> Any:
    async def mutated(self: Any) -> None:
        self._claim = replace(self._claim, resumed=False)
        await recover(self)

    return mutated


def _lost_fence_is_a_lost_connection(activate: Any) -> Any:
    async def mutated(self: Any, action: Any, step_id: str) -> Any:
        try:
            return await activate(self, action, step_id)
        except FenceLost:
            error = StepError(step="", message="", sqlstate="08006")
            return perform.Came((Attempted(path=action.path, error=error, transient=True),))

    return mutated


def _finish_is_not_repeated(_: Any) -> Any:
    async def mutated(self: Any, finish: Any) -> None:
        with suppress(Transient):
            await self._store.finish(self._claim, finish)

    return mutated


def _not_at_all(_: Any) -> Any:
    def mutated(*_: Any) -> None:
        pass

    return mutated


def _never(_: Any) -> Any:
    def mutated(*_: Any) -> bool:
        return False

    return mutated


def _decided_at_once(_: Any) -> Any:
    def mutated(state: Any, scope: Any) -> bool:
        task = scope.owner
        if arms.arms_of(task).decided is None and tree.outcome_of(scope) is TaskState.COMPLETED:
            value = f'{{"arm": {scope.number}}}'
            arms.arms_decided(state, task, Decided(number=0, path=f"{task.path}/decision", value=value))
        return False

    return mutated


def _time_acts_at_once(_: Any) -> Any:
    def mutated(state: Any, job: Any) -> None:
        task = job.task
        tree.drop_job(state, job)
        value = '{"timed_out": true}'
        arms.timeout_decided(state, task, Decided(number=0, path=f"{task.path}/decision", value=value))

    return mutated


def _first_committed_first(ended: Any) -> Any:
    def mutated(state: Any, scope: Any) -> None:
        for undo in scope.undos:
            undo.number = -undo.number
        ended(state, scope)

    return mutated


def _always_undoable(close: Any) -> Any:
    def mutated(state: Any, task: Any, scope: Any) -> None:
        if tree.outcome_of(scope) is not TaskState.COMPLETED:
            tree.boundary_of(task.scope).undos.append(tree.Undo(scope.commits, task, scope))
        close(state, task, scope)

    return mutated


def _never_undoable(_: Any) -> Any:
    def mutated(state: Any, task: Any, scope: Any) -> None:
        tree.pass_on(state, task, scope)

    return mutated


def _finally_only_when_calm(close: Any) -> Any:
    def mutated(state: Any, task: Any, scope: Any) -> None:
        if task.scope.reason is not None:
            tree.pass_on(state, task, scope)
        else:
            close(state, task, scope)

    return mutated


def _losers_keep_what_they_did(choose: Any) -> Any:
    def mutated(scope: Any) -> Any:
        return [] if scope.role is tree.Role.ARM else choose(scope)

    return mutated


def _undo_can_be_cancelled(open_scope: Any) -> Any:
    def mutated(*arguments: Any, **named: Any) -> Any:
        return open_scope(*arguments, **{**named, "shielded": False})

    return mutated


def _cancel_stops_undo(_: Any) -> Any:
    def mutated(state: Any, reason: str) -> None:
        state.cancel_reason = state.cancel_reason or reason
        unwinding.unwind(state, state.top, tree.Reason.CANCEL)
        for task in [job.task for job in list(state.jobs.values())]:
            if not task.scope.ended:
                unwinding.unwind(state, task.scope, tree.Reason.CANCEL)

    return mutated


def _counts_a_round_twice(begin: Any) -> Any:
    def mutated(state: Any, task: Any) -> None:
        path = f"{task.path}/round"
        position = state.records.get(path)
        if position is not None:
            state.records[path] = replace(position, round=position.round + 1)
        begin(state, task)

    return mutated


def _fetches_ended_items(running: Any) -> Any:
    def mutated(state: Any, job: Any) -> Any:
        action = running(state, job)
        return replace(action, ended=True) if isinstance(action, FetchItems) else action

    return mutated


def _skips_an_item(fetched: Any) -> Any:
    def mutated(state: Any, job: Any, event: Any) -> None:
        fetched(state, job, replace(event, items=event.items[1:]))

    return mutated


def _forgets_beginnings(remember: Any) -> Any:
    def mutated(records: Any) -> Any:
        return replace(remember(records), begun=frozenset[str]())

    return mutated


def _forgets_attempts(remember: Any) -> Any:
    def mutated(records: Any) -> Any:
        return replace(remember(records), retrying={})

    return mutated


def _always_true(_: Any) -> Any:
    def mutated(result: Any) -> bool:
        return True

    return mutated


class _Nothing(Exception):
    """Caught where something else should be."""


def _closing(node: type, make: Callable[[Any], Any]) -> Callable[[], AbstractContextManager[None]]:
    """A mistake in what follows when a part of such a node has come to its end."""

    @contextmanager
    def active() -> Generator[None]:
        original = decide._CLOSING[node]
        decide._CLOSING[node] = make(original)
        try:
            yield
        finally:
            decide._CLOSING[node] = original

    return active


MUTANTS = (
    Mutant(name="fence not checked", active=_nothing, rules=lambda: Rules(fence=False)),
    Mutant(name="checkpoint not unique", active=_nothing, rules=lambda: Rules(unique=False)),
    Mutant(name="the last decision counts", active=_nothing, rules=lambda: Rules(first_decision=False)),
    Mutant(
        name="a transaction of several steps commits in part",
        active=_nothing,
        rules=lambda: Rules(atomic=False),
    ),
    Mutant(name="what is parked is never woken", active=_nothing, rules=lambda: Rules(parked_wake=False)),
    Mutant(
        name="join fires on the first branch",
        active=lambda: _replaced(tree, "lay_out", _first_branch_is_enough),
    ),
    Mutant(
        name="error of the last branch instead of the first",
        active=lambda: _replaced(decide, "_arrive", _last_branch_is_blamed),
    ),
    Mutant(
        name="a chain goes on after a failure",
        active=lambda: _replaced(decide, "_arrive", _failure_does_not_stop_the_chain),
    ),
    Mutant(
        name="a lost answer is a failure",
        active=lambda: _replaced(perform.Performer, "_activate", _lost_answer_is_a_failure),
    ),
    Mutant(
        name="retry without reading the journal",
        active=lambda: _replaced(perform.Performer, "_look_up_activation", _nobody_looks),
    ),
    Mutant(
        name="an interrupted step has done nothing",
        active=lambda: _replaced(perform.Performer, "came_of", _interrupted_has_done_nothing),
    ),
    Mutant(
        name="take-over ignores the journal",
        active=lambda: _replaced(drive.Driver, "_recover", _takeover_ignores_journal),
    ),
    Mutant(name="cancel ignored", active=lambda: _replaced(drive.Driver, "cancel", _not_at_all)),
    Mutant(name="lost connections use up attempts", active=lambda: _replaced(retry, "is_lost", _never)),
    Mutant(
        name="refused connections use up attempts",
        active=lambda: _replaced(perform, "Unreachable", lambda _: _Nothing),
    ),
    Mutant(
        name="a lost fence is a lost connection",
        active=lambda: _replaced(perform.Performer, "_activate", _lost_fence_is_a_lost_connection),
    ),
    Mutant(
        name="a lost finish is not repeated",
        active=lambda: _replaced(perform.Performer, "finish", _finish_is_not_repeated),
    ),
    Mutant(
        name="a race is decided without a record",
        active=lambda: _replaced(arms, "arm_ended", _decided_at_once),
    ),
    Mutant(
        name="a time limit acts before its decision is recorded",
        active=lambda: _replaced(arms, "time_is_up", _time_acts_at_once),
    ),
    Mutant(name="the losers of a race run on", active=lambda: _replaced(arms, "unwind", _not_at_all)),
    Mutant(
        name="undos run first committed first",
        active=lambda: _replaced(unwinding, "ended", _first_committed_first),
    ),
    Mutant(
        name="losers keep what they have done",
        active=lambda: _replaced(unwinding, "_to_undo", _losers_keep_what_they_did),
    ),
    Mutant(name="a cancel stops undos", active=lambda: _replaced(decide, "_cancel", _cancel_stops_undo)),
    Mutant(
        name="undos can be cut short",
        active=lambda: _replaced(unwinding, "open_scope", _undo_can_be_cancelled),
    ),
    Mutant(
        name="a loop counts a round twice after a take-over",
        active=lambda: _replaced(loops, "begin_loop", _counts_a_round_twice),
    ),
    Mutant(
        name="items that have ended run again after a take-over",
        active=lambda: _replaced(asking, "_running", _fetches_ended_items),
    ),
    Mutant(name="an item is skipped", active=lambda: _replaced(maps, "fetched", _skips_an_item)),
    Mutant(
        name="an attempt that may happen once begins again",
        active=lambda: _replaced(decide, "remember", _forgets_beginnings),
    ),
    Mutant(
        name="attempts are counted anew after a take-over",
        active=lambda: _replaced(decide, "remember", _forgets_attempts),
    ),
    Mutant(name="every condition holds", active=lambda: _replaced(branches, "truth", _always_true)),
    Mutant(name="what has not completed is undone", active=_closing(CompensateNode, _always_undoable)),
    Mutant(name="undos are forgotten", active=_closing(CompensateNode, _never_undoable)),
    Mutant(name="no finally when it is cut short", active=_closing(TryNode, _finally_only_when_calm)),
)
