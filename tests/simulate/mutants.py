# pyright: reportPrivateUsage=false
"""Deliberate mistakes in the executor (and some in the schema) that the simulator has to notice.

Each is something that somebody might write. A mistake that the other safeguards make harmless is not listed:
it could not be noticed. Those in the core are in `mutants_core`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from dfc.executor import drive, perform, retry
from dfc.executor.failures import Transient
from dfc.executor.journal import Attempted, Failed, Stopped
from dfc.executor.states import InstanceState
from tests.simulate.database import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A mistake: what is changed while it is active, and the schema's rules with it.

    `seed` is one that shows it; when the plans have changed, another one does. `rare` names a case in
    tests/simulate/rare, of a mistake that random plans show too seldom.
    """

    name: str
    seed: int
    active: Callable[[], AbstractContextManager[None]]
    rules: Callable[[], Rules] = Rules
    rare: str | None = None


@contextmanager
def replaced(place: Any, name: str, make: Callable[[Any], Any]) -> Generator[None]:
    """While it is active, `place.name` is what `make` makes of it."""
    original = getattr(place, name)
    setattr(place, name, make(original))
    try:
        yield
    finally:
        setattr(place, name, original)


def changed(place: Any, name: str, make: Callable[[Any], Any]) -> Callable[[], AbstractContextManager[None]]:
    """`replaced`, to be entered later."""
    return lambda: replaced(place, name, make)


@contextmanager
def nothing() -> Generator[None]:
    """Nothing is changed but the rules."""
    yield


def _ends_at_first_failure(step: Any) -> Any:
    def mutated(state: Any, event: Any) -> Any:
        actions = step(state, event)
        if isinstance(event, Failed) and state.status is InstanceState.RUNNING:
            finish = drive.Finish(status="failed", error=event.error)
            state.status, state.finish = InstanceState.FAILED, finish
            return (finish,)
        return actions

    return mutated


def _lost_answer_is_a_failure(activate: Any) -> Any:
    async def mutated(self: Any, action: Any, step_id: str) -> Any:
        came = await activate(self, action, step_id)
        event = came.events[0] if came.events else None
        if isinstance(event, Attempted) and retry.is_lost(event.error.sqlstate):
            return perform.Came((replace(event, transient=False),))
        return came

    return mutated


def _journal_not_read(look_up: Any) -> Any:
    async def mutated(self: Any, action: Any) -> Any:
        return None

    return mutated


def _interrupted_is_stopped(came_of: Any) -> Any:
    async def mutated(self: Any, action: Any) -> Any:
        return Stopped(path=action.path)

    return mutated


def _takeover_ignores_journal(recover: Any) -> Any:
    async def mutated(self: Any) -> None:
        self._claim = replace(self._claim, resumed=False)
        await recover(self)

    return mutated


def _takeover_forgets_cancel(recover: Any) -> Any:
    async def mutated(self: Any) -> None:
        self._cancel_reason = None
        await recover(self)

    return mutated


def _finish_is_not_repeated(finish: Any) -> Any:
    async def mutated(self: Any, how: Any) -> None:
        with suppress(Transient):
            await self._store.finish(self._claim, how)

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


def _nothing_is_settled(_: Any) -> Any:
    async def mutated(performer: Any) -> None:
        performer._claim.in_doubt = False

    return mutated


SHELL = (
    Mutant(name="fence not checked", seed=12, active=nothing, rules=lambda: Rules(fence=False)),
    Mutant(
        name="checkpoint not unique, and nothing is settled",
        seed=40,
        active=changed(perform.Performer, "settled", _nothing_is_settled),
        rules=lambda: Rules(unique=False),
    ),
    Mutant(name="two winners", seed=222, active=nothing, rules=lambda: Rules(first_decision=False)),
    Mutant(name="half of a transaction commits", seed=6, active=nothing, rules=lambda: Rules(atomic=False)),
    Mutant(name="parked never wakes", seed=3, active=nothing, rules=lambda: Rules(parked_wake=False)),
    Mutant(
        name="failed attempts are not recorded",
        seed=9,
        active=nothing,
        rules=lambda: Rules(attempts_last=False),
    ),
    Mutant(
        name="what was lost may commit at any time",
        seed=40,
        active=changed(perform.Performer, "settled", _nothing_is_settled),
    ),
    Mutant(
        name="first failure ends the instance",
        seed=16,
        active=changed(drive, "step", _ends_at_first_failure),
    ),
    Mutant(
        name="a lost answer is a failure",
        seed=7,
        active=changed(perform.Performer, "_activate", _lost_answer_is_a_failure),
    ),
    Mutant(
        name="retry without reading the journal",
        seed=68,
        active=changed(perform.Performer, "_look_up_activation", _journal_not_read),
    ),
    Mutant(
        name="what was interrupted is not looked up",
        seed=40,
        active=changed(perform.Performer, "came_of", _interrupted_is_stopped),
    ),
    Mutant(
        name="take-over ignores the journal",
        seed=9,
        active=changed(drive.Driver, "_recover", _takeover_ignores_journal),
    ),
    Mutant(
        name="take-over forgets the cancel request",
        seed=4,
        active=changed(drive.Driver, "_recover", _takeover_forgets_cancel),
    ),
    Mutant(name="cancel ignored", seed=9, active=changed(drive.Driver, "cancel", _not_at_all)),
    Mutant(name="lost connections use up attempts", seed=20, active=changed(retry, "is_lost", _never)),
    Mutant(
        name="refused connections use up attempts",
        seed=210,
        active=changed(perform, "Unreachable", lambda _: _Nothing),
    ),
    Mutant(
        name="a lost finish is not repeated",
        seed=17,
        active=changed(perform.Performer, "finish", _finish_is_not_repeated),
    ),
)
