"""The fold law: the state that comes of the events is the state that comes of the rows.

Whoever held an instance before has not been told of what he did last. His state, brought up to date with what
the rows show of that, has to be the one that is rebuilt from the rows alone.
"""

from __future__ import annotations

from dfc.compiler.plan import RetryNode
from dfc.executor.actions import FetchItems
from dfc.executor.core.arms import Arms
from dfc.executor.core.asking import action_of
from dfc.executor.core.tree import Given, Job, Kind, Reason, Role, Scope, State
from dfc.executor.decide import begin, step, view
from dfc.executor.journal import (
    AtomicDone,
    Begun,
    CancelRequested,
    Completed,
    Due,
    Event,
    ItemEnded,
    Positioned,
    ResultRead,
    Retrying,
    Stopped,
    Timed,
)
from dfc.executor.states import JobState
from tests.simulate.database import Database
from tests.simulate.rows import Instance
from tests.simulate.shapes import Broken, items_of, result_of

LATE = 1e12


def check_fold(database: Database, instance: Instance, state: State) -> bool:
    """Compare; `state` is spent afterwards. Whether there was anything to compare. Raises Broken."""
    _catch_up(database, instance, state)
    if state.finish is not None and instance.cancel is not None:
        # It had decided on the end before the request came.
        return False
    if instance.cancel is not None:
        # Whether a part was entered of which nothing is recorded, only its driver knows.
        if _unwinding(state) or any(_in_item(job) or _behind_a_pause(job) for job in state.jobs.values()):
            return False
        step(state, CancelRequested(reason=instance.cancel))
        _catch_up(database, instance, state)
    if any(_is_only_meant(job) for job in state.jobs.values()):
        return False
    if instance.cancel is not None and _lost_after_its_end(state):
        return False
    rebuilt = begin(
        instance.plan,
        database.live(instance),
        instance=instance.id,
        cancel_reason=instance.cancel,
        input=instance.input,
    )
    _catch_up(database, instance, rebuilt)
    if any(job.kind is Kind.STOP_CALL for job in rebuilt.jobs.values()):
        # Whether what was called has ended already is asked anew.
        return False
    ours, theirs = view(state), view(rebuilt)
    if ours != theirs:
        different = {
            path: (ours.get(path), theirs.get(path))
            for path in ours.keys() | theirs.keys()
            if ours.get(path) != theirs.get(path)
        }
        raise Broken(f"{instance.id}: (from the events, from the rows): {different}")
    return True


def _is_only_meant(job: Job) -> bool:
    """Whether something is about to be recorded that only its driver knows. Who takes over decides anew."""
    if job.state in (JobState.BEGINNING, JobState.NOTING, JobState.RECORDING):
        return True
    if job.kind in (Kind.TIMER, Kind.WAITED, Kind.STOP_CALL):
        # Of a wait that has been stopped, what was about to be recorded is waited for.
        return job.kind is Kind.WAITED or job.task.scope.reason is not None
    recordings = (Kind.DECISION, Kind.END_ITEM, Kind.END_MAP, Kind.POSITION)
    return job.kind in recordings and job.state is JobState.RUNNING


def _in_item(job: Job) -> bool:
    """Whether it stands in an item of a map."""
    here: Scope | None = job.task.scope
    while here is not None and here.role is not Role.ITEM:
        here = None if here.owner is None else here.owner.scope
    return here is not None


def _behind_a_pause(job: Job) -> bool:
    """Whether it stands in a further round of a retry of which nothing is recorded, as in its pause."""
    here: Scope | None = job.task.scope
    while here is not None:
        owner = here.owner
        again = owner is not None and isinstance(owner.node, RetryNode) and here.number > 1
        if again and here.role is Role.BODY and not here.records:
            return True
        here = None if owner is None else owner.scope
    return False


def _unwinding(state: State) -> bool:
    """Whether a part is unwound already: at its own border, and not at that of the whole."""
    todo = [state.top]
    while todo:
        scope = todo.pop()
        if scope.reason not in (None, Reason.CANCEL) or (scope.origin and scope is not state.top):
            return True
        todo += [child for task in scope.tasks for child in task.children]
    return False


def _lost_after_its_end(state: State) -> bool:
    """Whether an arm that the request had ended already has lost its race afterwards.

    Its undos run with those of the whole then. Who takes over sees the decision first, and runs them in front
    of the end of the race: the same ones, in the same order among themselves.
    """
    todo = [state.top]
    while todo:
        for task in todo.pop().tasks:
            work = task.work
            if isinstance(work, Arms) and work.decided is not None:
                losers = [scope for scope in work.scopes if scope.number != work.decided]
                if any(scope.ended and scope.reason is Reason.CANCEL for scope in losers):
                    return True
            todo += task.children
    return False


def _catch_up(database: Database, instance: Instance, state: State) -> None:
    while state.finish is None:
        found = next(
            (events for job in state.jobs.values() if (events := _missed(database, instance, state, job))), ()
        )
        for event in found:
            step(state, event)
        if not found:
            break
    if state.finish is None:
        _stop(state)


def _stop(state: State) -> None:
    """What was interrupted has come to nothing."""
    stopping = [path for path, job in state.jobs.items() if job.state is JobState.STOPPING]
    for path in stopping:
        step(state, Stopped(path=path))


def _missed(database: Database, instance: Instance, state: State, job: Job) -> tuple[Event, ...]:
    """What the rows show of what was asked for."""
    # Where the clock has been set, what had been due may not be any more: then let all of it be due.
    path, now = job.path, LATE if database.was_set else database.now()
    record = instance.records.get(path)
    if record is not None:
        return (record,)
    match job.kind:
        case Kind.READ:
            assert isinstance(job.detail, Given)
            return (ResultRead(path=path, result=result_of(instance, job.detail.shape)),)
        case Kind.FETCH:
            action = action_of(state, job)
            assert isinstance(action, FetchItems)
            return (items_of(instance, action),)
        case Kind.POSITION if job.state is JobState.RETRYING and instance.positions[path].due <= now:
            return (Due(path=path),)
        case Kind.ATOMIC:
            body = instance.places.node(path)
            frame = path.removesuffix(body.id)
            inner = [instance.records.get(frame + id) for id in instance.places.inside(body)]
            done = tuple(record for record in inner if isinstance(record, Completed))
            return (AtomicDone(path=path, records=done),) if done else ()
        case Kind.LIMIT | Kind.TIMER if job.state is JobState.RUNNING and path in instance.timers:
            return (Timed(path=path, seconds=instance.timers[path].due - now),)
        case Kind.TIMER if _is_due(instance, path, now):
            return (Due(path=path),)
        case Kind.POSITION if job.state is JobState.RUNNING and path in instance.positions:
            row = instance.positions[path]
            if row.round != getattr(job.detail, "round", None):
                return ()
            return (
                Positioned(
                    path=path, round=row.round, carry=row.carry, seconds=row.due - now, error=row.error
                ),
            )
        case Kind.END_ITEM:
            map, _, number = path.removesuffix("]").rpartition("[")
            return _ended(instance, map, int(number))
        case Kind.STATEMENT if job.rider:
            return _ridden(instance, job)
        case _:
            return _attempts(instance, job, now)


def _ended(instance: Instance, map: str, number: int) -> tuple[Event, ...]:
    return (ItemEnded(path=map, item=number),) if instance.item(map, number).ended else ()


def _ridden(instance: Instance, job: Job) -> tuple[Event, ...]:
    """A statement that has ended its item has left no record of its own."""
    scope = job.task.scope
    if scope.owner is None or scope.owner.path not in instance.items or not scope.number:
        return ()
    ended = _ended(instance, scope.owner.path, scope.number)
    return (Completed(number=0, path=job.path, result=None), *ended) if ended else ()


def _attempts(instance: Instance, job: Job, now: float) -> tuple[Event, ...]:
    row = instance.attempts.get(job.path)
    if (
        job.state is JobState.NOTING
        and row is not None
        and (row.attempts, row.losses) == (job.attempts, job.losses)
    ):
        return (
            Retrying(
                path=job.path,
                attempts=row.attempts,
                losses=row.losses,
                seconds=max(0.0, row.due - now),
                error=row.error,
            ),
        )
    if job.state is JobState.BEGINNING and job.path in instance.begun:
        return (Begun(path=job.path),)
    return ()


def _is_due(instance: Instance, path: str, now: float) -> bool:
    return path in instance.timers and instance.timers[path].due <= now
