# pyright: reportPrivateUsage=false
"""Deliberate mistakes about what waits: for moments, signals, other instances, and for polls to succeed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dfc.executor import decide, drive
from dfc.executor.core import loops, waits
from dfc.executor.core.tree import Kind
from dfc.executor.journal import Child, Timed
from tests.simulate.database import Rules
from tests.simulate.mutants import Mutant, changed
from tests.simulate.mutants import nothing as _nothing


def _sleeps_half(timer_of: Any) -> Any:
    def mutated(job: Any) -> Any:
        action = timer_of(job)
        return replace(action, seconds=action.seconds / 2)

    return mutated


def _is_over_at_once(start_timer: Any) -> Any:
    def mutated(state: Any, task: Any, timed: Any) -> None:
        if isinstance(timed, Timed):
            timed = replace(timed, seconds=0.0)
        start_timer(state, task, timed)

    return mutated


def _news_is_missed(called: Any) -> Any:
    def mutated(state: Any) -> None:
        """Nobody asks again."""

    return mutated


def _child_is_left_alone(stop_call: Any) -> Any:
    def mutated(state: Any, task: Any) -> None:
        waits.settle(state, task, waits.TaskState.STOPPED)

    return mutated


def _child_is_not_waited_for(nothing_yet: Any) -> Any:
    def mutated(state: Any, job: Any) -> None:
        if job.kind is Kind.STOP_CALL:
            waits.stopped(state, job)
        else:
            nothing_yet(state, job)

    return mutated


def _children_are_forgotten(remember: Any) -> Any:
    def mutated(records: Any) -> Any:
        return remember([record for record in records if not isinstance(record, Child)])

    return mutated


def _same_child_for_all_attempts(asking_of: Any) -> Any:
    def mutated(state: Any, job: Any) -> Any:
        action = asking_of(state, job)
        if hasattr(action, "child"):
            return replace(action, child=waits.paths.child(job.path, 1))
        return action

    return mutated


def _polls_without_pause(poll_later: Any) -> Any:
    def mutated(state: Any, task: Any, work: Any) -> None:
        poll_later(state, task, work)
        job = state.jobs[waits.paths.position(task.path)]
        job.seconds = 0.0
        job.detail = replace(job.detail, seconds=0.0)

    return mutated


def _polls_until_false(looked: Any) -> Any:
    def mutated(state: Any, task: Any, truth: bool) -> None:
        looked(state, task, not truth if loops.polls(task.node) else truth)

    return mutated


def _polls_pile_up(poll_later: Any) -> Any:
    def mutated(state: Any, task: Any, work: Any) -> None:
        poll_later(state, task, work)
        job = state.jobs[waits.paths.position(task.path)]
        job.detail = replace(job.detail, forget=())

    return mutated


def _parks_deaf(parking: Any) -> Any:
    def mutated(**given: Any) -> Any:
        return parking(**{**given, "listening": ()})

    return mutated


def _listens_on(silence: Any) -> Any:
    def mutated(state: Any, task: Any) -> None:
        """What has settled still stands among those that listen."""

    return mutated


WAITS: tuple[Mutant, ...] = (
    Mutant(name="a wait is too short", seed=9, active=changed(waits, "timer_of", _sleeps_half)),
    Mutant(name="a take-over ends a wait", seed=82, active=changed(waits, "_start_timer", _is_over_at_once)),
    Mutant(
        name="nobody asks when news has come",
        seed=11,
        rare="a_signal_with_a_time_limit",
        active=changed(waits, "called", _news_is_missed),
    ),
    Mutant(
        name="a call that is stopped is left alone",
        seed=46,
        active=changed(waits, "_stop_call", _child_is_left_alone),
    ),
    Mutant(
        name="the end of what was called is not waited for",
        seed=46,
        active=changed(waits, "nothing_yet", _child_is_not_waited_for),
    ),
    Mutant(
        name="what was called is forgotten in a take-over",
        seed=163,
        active=changed(decide, "remember", _children_are_forgotten),
    ),
    Mutant(
        name="another attempt looks at the first instance",
        seed=2,
        active=changed(waits, "asking_of", _same_child_for_all_attempts),
    ),
    Mutant(name="polls do not pause", seed=18, active=changed(loops, "_poll_later", _polls_without_pause)),
    Mutant(name="polls wait for false", seed=9, active=changed(loops, "looked", _polls_until_false)),
    Mutant(name="polls pile up", seed=18, active=changed(loops, "_poll_later", _polls_pile_up)),
    Mutant(name="what is parked does not listen", seed=7, active=changed(drive, "Parking", _parks_deaf)),
    Mutant(name="what has settled listens on", seed=82, active=changed(waits, "silence", _listens_on)),
    Mutant(name="news wakes nobody", seed=7, active=_nothing, rules=lambda: Rules(news_wake=False)),
    Mutant(name="a signal is taken twice", seed=113, active=_nothing, rules=lambda: Rules(consumed=False)),
    Mutant(name="a call starts more than one", seed=2, active=_nothing, rules=lambda: Rules(one_child=False)),
    Mutant(
        name="a clock that is set back leaves who is parked alone",
        seed=311,
        active=_nothing,
        rules=lambda: Rules(set_back=False),
    ),
    Mutant(
        name="a length of time does not begin anew",
        seed=129,
        active=_nothing,
        rules=lambda: Rules(begin_anew=False),
    ),
    Mutant(
        name="a moment that was reached counts", seed=523, active=_nothing, rules=lambda: Rules(moments=False)
    ),
)
