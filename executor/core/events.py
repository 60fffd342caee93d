"""What an event means: each is handed to the module that has asked for it."""

from __future__ import annotations

from typing import assert_never

from dfc.compiler.plan import ArmsNode, HttpNode, LoopNode, RetryNode, TimeoutNode
from dfc.executor import paths
from dfc.executor.core import activations, arms, branches, limits, loops, maps, unwinding, waits
from dfc.executor.core.agenda import was_computed
from dfc.executor.core.tree import LISTENERS, CorruptJournal, Kind, Reach, Reason, Role, State, drop_job
from dfc.executor.core.truth import truth
from dfc.executor.journal import (
    AtomicDone,
    Attempted,
    Begun,
    Called,
    CancelRequested,
    Child,
    Completed,
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
    ResultRead,
    Retrying,
    Stopped,
    Timed,
)
from dfc.executor.states import JobState, TaskState


def take(state: State, event: Event) -> None:
    """Take in what has happened. Raises CorruptJournal when it does not fit."""
    match event:
        case Completed() | Failed():
            _record(state, event)
        case Deferred():
            _deferred(state, event)
        case Attempted():
            _attempted(state, event)
        case Due():
            _due(state, event)
        case Stopped():
            _stopped(state, event.path)
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
            _noted(state, event)
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


def _stopped(state: State, path: str) -> None:
    job = state.jobs.get(path)
    if job is not None and (job.kind in LISTENERS or job.kind is Kind.STOP_CALL):
        waits.stopped(state, job)
    else:
        activations.stopped(state, path)


def _attempted(state: State, event: Attempted) -> None:
    job = state.jobs.get(event.path)
    if job is not None and job.state is JobState.STOPPING:
        _stopped(state, event.path)
    else:
        activations.attempted(state, event)


def _noted(state: State, event: Retrying) -> None:
    job = state.jobs.get(event.path)
    if job is not None and job.state is JobState.NOTING and job.task.scope.reason is not None:
        _stopped(state, event.path)
    else:
        activations.noted(state, event)


def _due(state: State, event: Due) -> None:
    job = state.jobs.get(event.path)
    if job is None or job.state is not JobState.RETRYING:
        return
    match job.kind:
        case Kind.LIMIT:
            limits.time_is_up(state, job)
        case Kind.TIMER:
            waits.time_is_up(state, job)
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
            loops.forget_late(job.task, event.path)
        return
    match task.node:
        case LoopNode():
            loops.broken(state, task, event)
        case ArmsNode():
            arms.arms_decided(state, task, event)
        case TimeoutNode():
            limits.limit_decided(state, task, event)
        case _:
            raise CorruptJournal(f"`{task.path}` decides nothing")


def _timed(state: State, event: Timed) -> None:
    job = state.jobs.get(event.path)
    if job is None:
        return
    if job.task.state is not TaskState.OPEN:
        loops.forget_late(job.task, event.path)
    if job.kind is Kind.LIMIT:
        limits.timed(state, job, event)
    else:
        waits.timed(state, job, event)


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
        was_computed(state, task, event.result)
    else:
        branches.was_read(state, job, event.result)
