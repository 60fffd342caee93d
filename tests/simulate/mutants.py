# pyright: reportPrivateUsage=false
"""Deliberate mistakes in the executor (and two in the schema) that the simulator has to notice.

Each is something that somebody might write. A mistake that the other safeguards make harmless is not
listed: it could not be noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from dfc.executor import decide, drive, retry
from dfc.executor.actions import Finish
from dfc.executor.journal import Attempted, Failed, StepError
from dfc.executor.ports import Transient
from dfc.executor.states import InstanceState, NodeState
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


def _first_branch_is_enough(link: Any) -> Any:
    def mutated(tasks: Any, last: Any) -> None:
        link(tasks, last)
        for task in tasks:
            if task.is_join:
                task.unsettled = 1

    return mutated


def _ends_at_first_failure(step: Any) -> Any:
    def mutated(state: Any, event: Any) -> Any:
        actions = step(state, event)
        if isinstance(event, Failed) and state.status is InstanceState.RUNNING:
            return (decide._end(state, Finish(status="failed", error=event.error)),)
        return actions

    return mutated


def _last_branch_is_blamed(arrive: Any) -> Any:
    def mutated(state: Any, task: Any) -> None:
        arrive(state, task)
        if task.is_join and task.error is not None:
            task.error = next(before.error for before in reversed(task.after) if before.error is not None)

    return mutated


def _failure_does_not_stop_the_chain(arrive: Any) -> Any:
    def mutated(state: Any, task: Any) -> None:
        if task.is_join:
            arrive(state, task)
        else:
            decide._move(state, task, NodeState.RUNNING)

    return mutated


def _finish_rides_while_others_run(finish: Any) -> Any:
    def mutated(state: Any, task: Any) -> Any:
        left, state.left = state.left, 1 if task is state.result or state.result.is_join else state.left
        try:
            return finish(state, task)
        finally:
            state.left = left

    return mutated


def _lost_answer_is_a_failure(attempt: Any) -> Any:
    async def mutated(self: Any, action: Any) -> Any:
        came = await attempt(self, action)
        if isinstance(came, Attempted) and retry.is_lost(came.error.sqlstate):
            return Attempted(path=came.path, error=came.error, transient=False)
        return came

    return mutated


def _journal_not_read_before_retry(look_up: Any) -> Any:
    async def mutated(self: Any, path: str) -> Any:
        # Only when it is about to give up.
        state = self._state.by_path[path].state
        return await look_up(self, path) if state is NodeState.RECORDING else None

    return mutated


def _takeover_ignores_journal(recover: Any) -> Any:
    async def mutated(self: Any) -> None:
        self._claim = replace(self._claim, resumed=False)
        await recover(self)

    return mutated


def _takeover_reads_cancel_last(recover: Any) -> Any:
    async def mutated(self: Any) -> None:
        reason, self._cancel_reason = self._cancel_reason, None
        await recover(self)
        if reason is not None:
            self.cancel(reason)

    return mutated


def _lost_fence_is_a_lost_connection(attempt: Any) -> Any:
    async def mutated(self: Any, action: Any) -> Any:
        try:
            return await attempt(self, action)
        except drive.FenceLost:
            error = StepError(step="", message="", sqlstate="08006")
            return Attempted(path=action.path, error=error, transient=True)

    return mutated


def _finish_is_not_repeated(end: Any) -> Any:
    async def mutated(self: Any, finish: Any) -> Any:
        with suppress(Transient):
            await self._store.finish(self._claim, finish)
        return drive.Outcome.ENDED

    return mutated


def _results_are_forgotten(record: Any) -> Any:
    def mutated(state: Any, event: Any) -> Any:
        actions = record(state, event)
        if not event.path.endswith("/request"):
            state.by_path[event.path].result = None
        return actions

    return mutated


def _not_at_all(_: Any) -> Any:
    def mutated(self: Any, reason: str) -> None:
        pass

    return mutated


def _never(_: Any) -> Any:
    def mutated(sqlstate: str) -> bool:
        return False

    return mutated


class _Nothing(Exception):
    """Caught where something else should be."""


MUTANTS = (
    Mutant(name="fence not checked", active=_nothing, rules=lambda: Rules(fence=False)),
    Mutant(name="checkpoint not unique", active=_nothing, rules=lambda: Rules(unique=False)),
    Mutant(
        name="join fires on the first branch",
        active=lambda: _replaced(decide, "_link", _first_branch_is_enough),
    ),
    Mutant(
        name="first failure ends the instance",
        active=lambda: _replaced(drive, "step", _ends_at_first_failure),
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
        name="finish rides while others run",
        active=lambda: _replaced(decide, "_finish_if_completed", _finish_rides_while_others_run),
    ),
    Mutant(
        name="a lost answer is a failure",
        active=lambda: _replaced(drive.Driver, "_attempt", _lost_answer_is_a_failure),
    ),
    Mutant(
        name="retry without reading the journal",
        active=lambda: _replaced(drive.Driver, "_look_up", _journal_not_read_before_retry),
    ),
    Mutant(
        name="take-over ignores the journal",
        active=lambda: _replaced(drive.Driver, "_recover", _takeover_ignores_journal),
    ),
    Mutant(
        name="take-over reads the cancel request last",
        active=lambda: _replaced(drive.Driver, "_recover", _takeover_reads_cancel_last),
    ),
    Mutant(
        name="cancel ignored",
        active=lambda: _replaced(drive.Driver, "cancel", _not_at_all),
    ),
    Mutant(
        name="lost connections use up attempts",
        active=lambda: _replaced(retry, "is_lost", _never),
    ),
    Mutant(
        name="refused connections use up attempts",
        active=lambda: _replaced(drive, "Unreachable", lambda _: _Nothing),
    ),
    Mutant(
        name="a lost fence is a lost connection",
        active=lambda: _replaced(drive.Driver, "_attempt", _lost_fence_is_a_lost_connection),
    ),
    Mutant(
        name="a lost finish is not repeated",
        active=lambda: _replaced(drive.Driver, "_end", _finish_is_not_repeated),
    ),
    Mutant(
        name="results are forgotten",
        active=lambda: _replaced(decide, "_record", _results_are_forgotten),
    ),
)
