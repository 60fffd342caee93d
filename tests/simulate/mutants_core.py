# pyright: reportPrivateUsage=false
"""Deliberate mistakes in the core: control flow, undo, what who takes over has to know."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from dfc.compiler.plan import ArmsMode, CompensateNode, JoinNode, MapNode, RetryNode, TryNode
from dfc.executor import decide, drive
from dfc.executor.actions import FetchItems
from dfc.executor.core import (
    activations,
    agenda,
    arms,
    asking,
    branches,
    ending,
    events,
    limits,
    loops,
    maps,
    tree,
    unwinding,
)
from dfc.executor.core.tree import Reason, Role
from dfc.executor.journal import Decided, Positioned, StepError
from dfc.executor.states import TaskState
from tests.simulate.mutants import Mutant, changed, replaced

_MODULES = (
    decide,
    activations,
    agenda,
    arms,
    asking,
    branches,
    ending,
    events,
    limits,
    loops,
    maps,
    tree,
    unwinding,
)


def _everywhere(name: str, make: Callable[[Any], Any]) -> Callable[[], AbstractContextManager[None]]:
    """A function of the core changed in every module that uses it."""

    @contextmanager
    def active() -> Generator[None]:
        with ExitStack() as stack:
            for module in _MODULES:
                if hasattr(module, name):
                    stack.enter_context(replaced(module, name, make))
            yield

    return active


def _closing(kind: type, make: Callable[[Any], Any]) -> Callable[[], AbstractContextManager[None]]:
    """What closes a part of a kind of node, changed."""

    @contextmanager
    def active() -> Generator[None]:
        original = agenda._CLOSING[kind]
        agenda._CLOSING[kind] = make(original)
        try:
            yield
        finally:
            agenda._CLOSING[kind] = original

    return active


def _scopes(state: Any) -> list[Any]:
    found: list[Any] = []
    todo: list[Any] = [state.top]
    while todo:
        scope = todo.pop()
        found.append(scope)
        todo += [child for task in scope.tasks for child in task.children]
    return found


# What comes after what


def _first_branch_is_enough(open_scope: Any) -> Any:
    def mutated(*arguments: Any, **named: Any) -> Any:
        scope = open_scope(*arguments, **named)
        for task in scope.tasks:
            if isinstance(task.node, JoinNode):
                task.waiting = 1
        return scope

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
            agenda._begin(state, task)

    return mutated


def _finish_rides_while_others_run(finish_if_completed: Any) -> Any:
    def mutated(state: Any, job: Any, path: str) -> Any:
        scope, jobs = job.task.scope, state.jobs
        unsettled = scope.unsettled
        joins = [task for task in scope.tasks if isinstance(task.node, JoinNode) and task.waiting]
        state.jobs, scope.unsettled = {path: job}, 1 + len(joins)
        try:
            return finish_if_completed(state, job, path)
        finally:
            state.jobs, scope.unsettled = jobs, unsettled

    return mutated


def _continue_is_ignored(fail: Any) -> Any:
    def mutated(state: Any, task: Any, error: Any) -> None:
        tree.settle(state, task, TaskState.FAILED, error=error)

    return mutated


def _every_condition_holds(_: Any) -> Any:
    def mutated(result: Any) -> bool:
        return True

    return mutated


# Decisions


def _race_is_decided_in_memory(arm_ended: Any) -> Any:
    def mutated(state: Any, scope: Any) -> bool:
        waits = arm_ended(state, scope)
        path = f"{scope.owner.path}/decision"
        if waits and path in state.jobs:
            value = state.jobs[path].value
            arms.arms_decided(state, scope.owner, Decided(number=0, path=path, value=value))
        return waits

    return mutated


def _group_waits(arm_ended: Any) -> Any:
    def mutated(state: Any, scope: Any) -> bool:
        return scope.owner.node.mode is ArmsMode.RACE and arm_ended(state, scope)

    return mutated


def _time_is_up_in_memory(time_is_up: Any) -> Any:
    def mutated(state: Any, job: Any) -> None:
        time_is_up(state, job)
        path = f"{job.task.path}/decision"
        value = state.jobs[path].value
        limits.limit_decided(state, job.task, Decided(number=0, path=path, value=value))

    return mutated


def _not_unwound(_: Any) -> Any:
    def mutated(state: Any, scope: Any, reason: Any) -> None:
        pass

    return mutated


def _losers_keep_what_they_did(to_undo: Any) -> Any:
    def mutated(scope: Any) -> Any:
        return [] if scope.role is Role.ARM else to_undo(scope)

    return mutated


def _own_decision_counts(decided: Any) -> Any:
    def mutated(state: Any, event: Any) -> None:
        job = state.jobs.get(event.path)
        if job is not None and job.value:
            event = replace(event, value=job.value)
        decided(state, event)

    return mutated


# Undo, catch, finally


def _undone_in_order_of_commit(undo_next: Any) -> Any:
    def mutated(state: Any, scope: Any) -> None:
        if scope.undoing:
            scope.undoing.append(scope.undoing.pop(0))
        undo_next(state, scope)

    return mutated


def _incomplete_is_undone(close: Any) -> Any:
    def mutated(state: Any, task: Any, scope: Any) -> None:
        if tree.outcome_of(scope) is not TaskState.COMPLETED:
            tree.boundary_of(task.scope).undos.append(tree.Undo(scope.commits, task, scope))
        close(state, task, scope)

    return mutated


def _nothing_is_undone(_: Any) -> Any:
    def mutated(state: Any, task: Any, scope: Any) -> None:
        tree.pass_on(state, task, scope)

    return mutated


def _an_undo_can_be_stopped(open_scope: Any) -> Any:
    def mutated(*arguments: Any, **named: Any) -> Any:
        if named["role"] is Role.UNDO:
            named["shielded"] = False
        return open_scope(*arguments, **named)

    return mutated


def _takeover_forgets_undos(begin: Any) -> Any:
    def mutated(*arguments: Any, **named: Any) -> Any:
        state = begin(*arguments, **named)
        for scope in _scopes(state):
            scope.undos = []
        return state

    return mutated


def _undos_are_not_handed_up(_: Any) -> Any:
    def mutated(task: Any, scope: Any) -> None:
        scope.undos = []

    return mutated


def _rounds_keep_their_undos(end_round: Any) -> Any:
    def mutated(state: Any, task: Any, work: Any, body: Any) -> None:
        tree.hand_up(task, body)
        end_round(state, task, work, body)

    return mutated


def _attempts_are_not_undone(to_undo: Any) -> Any:
    def mutated(scope: Any) -> Any:
        of_retry = scope.role is Role.BODY and isinstance(scope.owner.node, RetryNode)
        return [] if of_retry else to_undo(scope)

    return mutated


def _failed_undo_stops_the_others(undone: Any) -> Any:
    def mutated(state: Any, scope: Any) -> None:
        if tree.outcome_of(scope) is TaskState.FAILED and scope.undoes_for is not None:
            scope.undoes_for.undoing = []
        undone(state, scope)

    return mutated


def _cancel_stops_undos(cancel: Any) -> Any:
    def mutated(state: Any, reason: str) -> None:
        cancel(state, reason)
        for scope in _scopes(state):
            if scope.role is Role.UNDO:
                unwinding.unwind(state, scope, Reason.CANCEL)

    return mutated


def _no_finally_on_cancel(close_try: Any) -> Any:
    def mutated(state: Any, task: Any, scope: Any) -> None:
        if scope.role is Role.BODY and scope.reason is Reason.CANCEL:
            tree.take_over(task, scope)
            tree.hand_up(task, scope)
            branches._settle_as(state, task, scope)
        else:
            close_try(state, task, scope)

    return mutated


def _cancel_is_caught(close_try: Any) -> Any:
    def mutated(state: Any, task: Any, scope: Any) -> None:
        stopped = tree.outcome_of(scope) is TaskState.STOPPED
        if scope.role is Role.BODY and stopped and scope.reason is Reason.CANCEL:
            error = StepError(step=task.node.id, message="cancelled", sqlstate="cancelled")
            scope.result.error = error
            reason, task.scope.reason = task.scope.reason, None
            close_try(state, task, scope)
            task.scope.reason = reason
        else:
            close_try(state, task, scope)

    return mutated


# Rounds, items, attempts


def _carried_rows_are_forgotten(fold: Any) -> Any:
    def mutated(state: Any, task: Any, work: Any) -> None:
        fold(state, task, work)
        job = state.jobs.get(f"{task.path}/round")
        if job is not None and job.detail is not None:
            kept = [path for shape in job.detail.carry.values() for path in loops.paths_in(shape)]
            job.detail = replace(job.detail, forget=(*job.detail.forget, *kept))

    return mutated


def _old_rounds_stay(fold: Any) -> Any:
    def mutated(state: Any, task: Any, work: Any) -> None:
        fold(state, task, work)
        job = state.jobs.get(f"{task.path}/round")
        if job is not None and job.detail is not None:
            job.detail = replace(job.detail, forget=())

    return mutated


def _takeover_counts_a_round_twice(begin_loop: Any) -> Any:
    def mutated(state: Any, task: Any) -> None:
        position = state.records.get(f"{task.path}/round")
        if isinstance(position, Positioned):
            state.records[f"{task.path}/round"] = replace(position, round=position.round + 1)
        begin_loop(state, task)

    return mutated


def _ended_items_run_again(_: Any) -> Any:
    def mutated(**named: Any) -> Any:
        named["ended"] = True
        return FetchItems(**named)

    return mutated


def _an_item_is_skipped(_: Any) -> Any:
    def mutated(**named: Any) -> Any:
        named["after"] += 1 if named["after"] else 0
        return FetchItems(**named)

    return mutated


def _items_begin_after_a_failure(close_map: Any) -> Any:
    def mutated(state: Any, task: Any, scope: Any) -> None:
        close_map(state, task, scope)
        maps.items_of(task).stopping = False

    return mutated


def _takeover_forgets_beginnings(remember: Any) -> Any:
    def mutated(records: Any) -> Any:
        return replace(remember(records), begun=frozenset())

    return mutated


def _takeover_forgets_attempts(remember: Any) -> Any:
    def mutated(records: Any) -> Any:
        return replace(remember(records), retrying={})

    return mutated


def _takeover_forgets_losses(remember: Any) -> Any:
    def mutated(records: Any) -> Any:
        memory = remember(records)
        retrying = {path: replace(known, losses=0) for path, known in memory.retrying.items()}
        return replace(memory, retrying=retrying)

    return mutated


def _finally_loses_to_a_break(_: Any) -> Any:
    def mutated(loop: Any, work: Any) -> None:
        return None

    return mutated


def _all_is_beside_the_break(_: Any) -> Any:
    def mutated(round: Any, undo: Any) -> bool:
        return False

    return mutated


CORE = (
    Mutant(
        name="join fires on the first branch",
        seed=29,
        active=_everywhere("open_scope", _first_branch_is_enough),
    ),
    Mutant(
        name="error of the last branch instead of the first",
        seed=105,
        active=changed(agenda, "_arrive", _last_branch_is_blamed),
    ),
    Mutant(
        name="a chain goes on after a failure",
        seed=8,
        active=changed(agenda, "_arrive", _failure_does_not_stop_the_chain),
    ),
    Mutant(
        name="finish rides while others run",
        seed=24,
        active=changed(ending, "finish_if_completed", _finish_rides_while_others_run),
    ),
    Mutant(
        name="on_error continue is ignored",
        seed=5,
        active=changed(activations, "fail", _continue_is_ignored),
    ),
    Mutant(
        name="every condition holds", seed=1358, active=changed(branches, "truth", _every_condition_holds)
    ),
    Mutant(
        name="race decided without a record",
        seed=12,
        active=changed(arms, "arm_ended", _race_is_decided_in_memory),
    ),
    Mutant(name="all or cancel waits", seed=12, active=changed(arms, "arm_ended", _group_waits)),
    Mutant(
        name="time limit acts before it is recorded",
        seed=40,
        active=changed(limits, "time_is_up", _time_is_up_in_memory),
    ),
    Mutant(name="siblings ignore a break", seed=19, active=changed(loops, "unwind", _not_unwound)),
    Mutant(name="losers of a race run on", seed=9, active=changed(arms, "unwind", _not_unwound)),
    Mutant(
        name="a loser has committed and is not undone",
        seed=1488,
        active=changed(unwinding, "_to_undo", _losers_keep_what_they_did),
    ),
    Mutant(
        name="a decision counts though a rival was first",
        seed=226,
        active=changed(events, "_decided", _own_decision_counts),
    ),
    Mutant(
        name="undone in the order of commits",
        seed=18,
        active=changed(unwinding, "undo_next", _undone_in_order_of_commit),
    ),
    Mutant(
        name="what has not completed is undone",
        seed=2,
        active=_closing(CompensateNode, _incomplete_is_undone),
    ),
    Mutant(name="nothing is undone", seed=18, active=_closing(CompensateNode, _nothing_is_undone)),
    Mutant(
        name="an undo can be stopped",
        seed=73,
        active=changed(unwinding, "open_scope", _an_undo_can_be_stopped),
    ),
    Mutant(
        name="take-over forgets undos",
        seed=18,
        active=changed(drive, "begin", _takeover_forgets_undos),
    ),
    Mutant(
        name="undos end with their part",
        seed=18,
        active=_everywhere("hand_up", _undos_are_not_handed_up),
    ),
    Mutant(
        name="undos of a round outlive it",
        seed=391,
        active=changed(loops, "_end_round", _rounds_keep_their_undos),
    ),
    Mutant(
        name="a failed attempt is not undone",
        seed=5169,
        active=changed(unwinding, "_to_undo", _attempts_are_not_undone),
    ),
    Mutant(
        name="a failed undo stops the others",
        seed=298,
        active=changed(unwinding, "undone", _failed_undo_stops_the_others),
    ),
    Mutant(
        name="cancel stops undos",
        seed=908,
        active=changed(events, "_cancel", _cancel_stops_undos),
    ),
    Mutant(
        name="no finally on cancel",
        seed=71,
        active=_closing(TryNode, _no_finally_on_cancel),
    ),
    Mutant(
        name="cancel is caught",
        seed=9,
        active=_closing(TryNode, _cancel_is_caught),
    ),
    Mutant(
        name="what is carried on is forgotten",
        seed=391,
        active=changed(loops, "_fold", _carried_rows_are_forgotten),
    ),
    Mutant(name="old rounds stay", seed=13, active=changed(loops, "_fold", _old_rounds_stay)),
    Mutant(
        name="a round is counted twice after a take-over",
        seed=13,
        active=changed(loops, "begin_loop", _takeover_counts_a_round_twice),
    ),
    Mutant(
        name="items run again after a take-over",
        seed=9,
        active=changed(asking, "FetchItems", _ended_items_run_again),
    ),
    Mutant(
        name="an item is skipped",
        seed=663,
        active=changed(asking, "FetchItems", _an_item_is_skipped),
    ),
    Mutant(
        name="items begin after one has failed",
        seed=48,
        active=_closing(MapNode, _items_begin_after_a_failure),
    ),
    Mutant(
        name="an attempt that may happen once is repeated",
        seed=86,
        active=changed(decide, "remember", _takeover_forgets_beginnings),
    ),
    Mutant(
        name="attempts begin at zero after a take-over",
        seed=9,
        active=changed(decide, "remember", _takeover_forgets_attempts),
    ),
    Mutant(
        name="losses begin at zero after a take-over",
        seed=9,
        active=changed(decide, "remember", _takeover_forgets_losses),
    ),
    Mutant(
        name="an error in a finally is lost to a break",
        seed=1,
        rare="an_error_in_a_finally_behind_a_break",
        active=changed(loops, "_left_in_error", _finally_loses_to_a_break),
    ),
    Mutant(
        name="what leads to a break is undone",
        seed=57,
        active=changed(unwinding, "_leads_to_break", _all_is_beside_the_break),
    ),
)
