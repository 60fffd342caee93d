"""What waits for something outside of its instance: a moment, a signal, another instance.

A wait for a moment is a timer, recorded when it begins and answered by a record when it is over. Who waits
for news *listens*: it asks whether there is some, and asks again when the shell has been told that something
has come (`Called`). Of several that listen to one signal only the first in written order asks at a time, so
that it gets the first one.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

from dfc.compiler.plan import (
    CallNode,
    InstanceNode,
    Node,
    ScheduleNode,
    SignalNode,
    SleepNode,
    SqlBody,
    UntilNode,
)
from dfc.executor import paths
from dfc.executor.actions import (
    AwaitInstance,
    CallWorkflow,
    Interrupt,
    RecordWaited,
    StartTimer,
    TakeSignal,
)
from dfc.executor.core import activations, ending
from dfc.executor.core.tree import (
    Given,
    Job,
    Kind,
    State,
    Task,
    add_job,
    drop_job,
    frame_of,
    move_job,
    note_record,
    settle,
)
from dfc.executor.journal import Child, Completed, Failed, NoTime, Result, Rows, StepError, Timed
from dfc.executor.states import JobState, TaskState

NO_VALUE: Final = "22004"
BAD_VALUE: Final = "22023"
_FRAME: Final = re.compile(r"([^/\[\]]+)\[(\d+)\]/")


@dataclass(slots=True, eq=False)
class Wait:
    """What a wait keeps: what its argument has come to, when it is over (text of a moment), and how many
    instances a call may have started."""

    computed: str | None = None
    at: str | None = None
    children: int = 0


def computed_of(node: Node) -> SqlBody | None:
    """The query that gives the argument of a wait; None where it is known, or the node is none."""
    match node:
        case SleepNode(duration=SqlBody() as body):
            return body
        case UntilNode(at=SqlBody() as body):
            return body
        case CallNode(input=SqlBody() as body):
            return body
        case InstanceNode(instance=SqlBody() as body):
            return body
        case _:
            return None


def begin_wait(state: State, task: Task) -> None:
    """Compute the argument where it has to be, then begin to wait."""
    task.work = Wait()
    if computed_of(task.node) is not None:
        activations.ask(state, task, Kind.REQUEST, paths.request(task.path))
    else:
        _begin(state, task)


def computed(state: State, task: Task, result: Result) -> None:
    """The argument is there."""
    text = result.cells[0] if isinstance(result, Rows) and result.cells else None
    problem = _problem(task.node, text)
    if problem is not None:
        settle(state, task, TaskState.FAILED, error=problem)
        return
    _wait(task).computed = text
    _begin(state, task)


def _problem(node: Node, text: str | None) -> StepError | None:
    """What is wrong with a computed argument. Without an input there simply is none."""
    if text is None:
        if isinstance(node, CallNode):
            return None
        hint = "Give it a value, or decide with df.if whether to wait."
        message = f"`{node.id}` is to wait, and what for is NULL"
        return StepError(step=node.id, message=message, sqlstate=NO_VALUE, hint=hint)
    if isinstance(node, SleepNode):
        seconds = _seconds(text)
        if seconds is None or seconds < 0:
            message = f"`{node.id}` is to sleep {text} seconds. Sleep duration must be non-negative"
            return StepError(step=node.id, message=message, sqlstate=BAD_VALUE, hint="Give it 0 or more.")
    return None


def _seconds(text: str) -> float | None:
    try:
        return float(Decimal(text))
    except InvalidOperation:
        return None


def _wait(task: Task) -> Wait:
    assert isinstance(task.work, Wait)
    return task.work


def _begin(state: State, task: Task) -> None:
    """Go on from what the records show."""
    path, node = task.path, task.node
    kind = _kind(node)
    timer = paths.timer(path)
    timed = state.records.pop(timer, None)
    frame = frame_of(task.scope)
    if kind is Kind.WAITED or _timeout(node) is not None:
        frame.records.append(timer)
    if kind is Kind.INSTANCE:
        frame.records.append(paths.awaited(path))
    _remember_children(state, task)
    known = path in state.records
    if not known and task.scope.reason is not None and _wait(task).children:
        # Its child may run, and has to come to its end first.
        _stop_call(state, task)
        return
    if known or task.scope.reason is not None:
        activations.ask(state, task, kind, path)
        return
    if kind is not Kind.WAITED:
        activations.ask(state, task, kind, path)
        _listen(state, state.jobs[path])
    if kind is Kind.WAITED or _timeout(node) is not None:
        _start_timer(state, task, timed)


def _kind(node: Node) -> Kind:
    match node:
        case SignalNode():
            return Kind.SIGNAL
        case InstanceNode():
            return Kind.INSTANCE
        case CallNode():
            return Kind.CALL
        case _:
            return Kind.WAITED


def _timeout(node: Node) -> float | None:
    if isinstance(node, SignalNode | InstanceNode) and node.timeout is not None:
        return node.timeout.seconds
    return None


# Timers


def _start_timer(state: State, task: Task, timed: object) -> None:
    path = paths.timer(task.path)
    if isinstance(timed, Timed):
        _wait(task).at = timed.at
        job = add_job(state, task, Kind.TIMER, path, JobState.RETRYING)
        job.seconds = max(0.0, timed.seconds)
    else:
        add_job(state, task, Kind.TIMER, path)


def timer_of(job: Job) -> StartTimer:
    """The timer of a wait as an action."""
    node, found = job.task.node, _wait(job.task)
    match node:
        case SleepNode():
            return StartTimer(path=job.path, seconds=_sleep(node, found))
        case UntilNode(at=at):
            until = found.computed if isinstance(at, SqlBody) else at
            assert until is not None
            return StartTimer(path=job.path, until=until)
        case ScheduleNode():
            return StartTimer(path=job.path, cron=node.cron, time_zone=node.time_zone)
        case _:
            seconds = _timeout(node)
            assert seconds is not None
            return StartTimer(path=job.path, seconds=seconds)


def _sleep(node: SleepNode, found: Wait) -> float:
    if isinstance(node.duration, SqlBody):
        seconds = _seconds(found.computed or "")
        assert seconds is not None, "it has been looked at"
        return seconds
    return node.duration.seconds


def timed(state: State, job: Job, event: Timed) -> None:
    """The timer of a wait is recorded: wait for it, if nothing has come meanwhile."""
    task = job.task
    if task.state is not TaskState.OPEN or task.scope.reason is not None:
        drop_job(state, job)
        if task.state is TaskState.OPEN and not task.jobs:
            settle(state, task, TaskState.STOPPED)
        return
    _wait(task).at = event.at
    job.seconds = max(0.0, event.seconds)
    move_job(state, job, JobState.RETRYING)


def no_time(state: State, job: Job, event: NoTime) -> None:
    """There is no such moment: the wait has failed."""
    task = job.task
    drop_job(state, job)
    if task.state is not TaskState.OPEN:
        return
    if task.scope.reason is not None:
        settle(state, task, TaskState.STOPPED)
        return
    failing = add_job(state, task, Kind.WAITED, task.path, JobState.RECORDING)
    failing.error = event.error


def time_is_up(state: State, job: Job) -> None:
    """The time of a wait is over."""
    task = job.task
    drop_job(state, job)
    waiting = state.jobs.get(task.path)
    if waiting is not None:
        waiting.expired = True
        _again(state, waiting)
    else:
        activations.ask(state, task, Kind.WAITED, task.path)


def not_yet(state: State, job: Job, seconds: float) -> None:
    """The time of a wait is not over after all: the clock has been set back meanwhile. Wait on."""
    task = job.task
    if job.state is JobState.STOPPING:
        activations.stopped(state, job.path)
        return
    drop_job(state, job)
    timer = add_job(state, task, Kind.TIMER, paths.timer(task.path), JobState.RETRYING)
    timer.seconds = seconds


def waited(state: State, job: Job) -> RecordWaited:
    """The end of a wait for a moment as an action."""
    node, found = job.task.node, _wait(job.task)
    match node:
        case SleepNode():
            seconds = _sleep(node, found)
            shown = str(int(seconds)) if seconds == int(seconds) else repr(seconds)
            value = f'{{"slept": true, "seconds": {shown}}}'
        case ScheduleNode():
            value = f'{{"scheduled": true, "at": {json.dumps(found.at)}}}'
        case _:
            value = f'{{"waited": true, "at": {json.dumps(found.at)}}}'
    return RecordWaited(
        path=job.path,
        value=value,
        keep=node.id in state.kept,
        rider=ending.finish_if_completed(state, job, job.path),
    )


# Listening


def _key(task: Task) -> str:
    """What a wait listens to: those that listen to the same ask one after the other."""
    return f"signal {task.node.name}" if isinstance(task.node, SignalNode) else task.path


def _place(state: State, job: Job) -> tuple[tuple[int, int], ...]:
    """Where a job stands in written order: of rounds and items the lower number comes first."""
    frames = [(state.written.get(id, 0), int(number)) for id, number in _FRAME.findall(job.path)]
    return (*frames, (state.written.get(job.task.node.id, 0), 0))


def _listen(state: State, job: Job) -> None:
    """A job begins to listen: it asks, unless somebody comes before it."""
    key = _key(job.task)
    state.listeners.setdefault(key, {})[job.path] = job
    if job.state is JobState.RUNNING:
        move_job(state, job, JobState.LISTENING)
        _ask_first(state, key)


def _ask_first(state: State, key: str) -> None:
    """Let the first of those that listen to the same ask, unless one of them is asking."""
    listeners = state.listeners.get(key, {})
    asking = next((job for job in listeners.values() if job.state is not JobState.LISTENING), None)
    if asking is not None:
        asking.again = True
        return
    if listeners:
        first = min(listeners.values(), key=lambda job: _place(state, job))
        first.again = first.last = False
        move_job(state, first, JobState.RUNNING)


def called(state: State) -> None:
    """Something has come for the instance: all that listen ask again."""
    for key in list(state.listeners):
        _ask_first(state, key)
    for job in list(state.jobs.values()):
        if job.kind is Kind.STOP_CALL:
            _again(state, job)


def _again(state: State, job: Job) -> None:
    """Have a job ask, again where it does so now."""
    if job.kind is Kind.STOP_CALL:
        if job.state is JobState.LISTENING:
            move_job(state, job, JobState.RUNNING)
        else:
            job.again = True
    else:
        _ask_first(state, _key(job.task))


def nothing_yet(state: State, job: Job) -> None:
    """There is nothing for a job that has asked."""
    if job.state is JobState.STOPPING:
        stopped(state, job)
        return
    move_job(state, job, JobState.LISTENING)
    again, job.again = job.again, False
    if job.kind is Kind.STOP_CALL:
        if again:
            _again(state, job)
        return
    key = _key(job.task)
    if again:
        _ask_first(state, key)
        return
    # There is none at all, so nobody's turn is taken by those whose time is over.
    expired = [other for other in state.listeners.get(key, {}).values() if other.expired]
    if expired and not any(other.state is JobState.RUNNING for other in expired):
        late = min(expired, key=lambda other: _place(state, other))
        move_job(state, late, JobState.RUNNING)
        late.last = True


def silence(state: State, task: Task) -> None:
    """A task has settled: it listens no more, and its timer does not count."""
    _leave(state, task)
    timer = task.jobs.get(paths.timer(task.path))
    if timer is not None and timer.state is JobState.RETRYING:
        state.interrupts.append(Interrupt(path=timer.path))
        drop_job(state, timer)


def _leave(state: State, task: Task) -> None:
    """A task listens no more: whoever listens to the same may ask."""
    key = _key(task)
    listeners = state.listeners.get(key)
    if listeners is not None and listeners.pop(task.path, None) is not None:
        if listeners:
            _ask_first(state, key)
        else:
            del state.listeners[key]


def hush(state: State, job: Job) -> None:
    """What listens is unwound. The child of a call has to come to its end first."""
    if job.kind is Kind.STOP_CALL:
        return
    state.interrupts.append(Interrupt(path=job.path))
    stopped(state, job)


def stopped(state: State, job: Job) -> None:
    """What listened has ended without a record."""
    if job.kind is Kind.CALL:
        drop_job(state, job)
        _leave(state, job.task)
        _stop_call(state, job.task)
    elif job.kind is Kind.STOP_CALL:
        drop_job(state, job)
        settle(state, job.task, TaskState.STOPPED)
    else:
        activations.give_up(state, job)


def news_of(job: Job) -> str:
    """What a job listens for, for people."""
    task = job.task
    match task.node:
        case SignalNode(name=name):
            return f"signal {name}"
        case CallNode(workflow=workflow):
            return f"workflow {workflow}"
        case InstanceNode(instance=instance):
            return f"instance {_wait(task).computed if isinstance(instance, SqlBody) else instance}"
        case _:
            return job.path


def asking_of(state: State, job: Job) -> TakeSignal | CallWorkflow | AwaitInstance:
    """What a job that listens asks, as an action."""
    task = job.task
    node = task.node
    keep = node.id in state.kept
    rider = ending.finish_if_completed(state, job, job.path)
    match node:
        case SignalNode():
            return TakeSignal(path=job.path, name=node.name, expired=job.last, keep=keep, rider=rider)
        case InstanceNode(instance=instance):
            other = _wait(task).computed if isinstance(instance, SqlBody) else instance
            assert other is not None
            return AwaitInstance(path=job.path, instance=other, expired=job.last, keep=keep, rider=rider)
        case CallNode():
            given = _wait(task).computed if isinstance(node.input, SqlBody) else node.input
            _note_child(task, job.attempts + 1)
            return CallWorkflow(
                path=job.path,
                child=paths.child(job.path, job.attempts + 1),
                workflow=node.workflow,
                input=given,
                policy=node.policy,
                attempt=job.attempts + 1,
                keep=keep,
                rider=rider,
            )
        case _:
            raise AssertionError(f"`{job.path}` listens to nothing")


# Calls


def _remember_children(state: State, task: Task) -> None:
    """The instances that a call has started, as the records show."""
    number = 1
    while isinstance(state.records.get(path := paths.child(task.path, number)), Child):
        del state.records[path]
        _note_child(task, number)
        number += 1


def _note_child(task: Task, number: int) -> None:
    """What says which instance an attempt has started is forgotten with the frame."""
    found = _wait(task)
    if number > found.children:
        found.children = number
        frame_of(task.scope).records.append(paths.child(task.path, number))


def has_called(task: Task) -> bool:
    """Whether a call has started an instance, or may have: an attempt that was lost leaves one that runs."""
    return _wait(task).children > 0


def _stop_call(state: State, task: Task) -> None:
    """The task goes on until its child has ended. Lost attempts of it may be recorded."""
    frame_of(task.scope).records.append(task.path)
    add_job(state, task, Kind.STOP_CALL, task.path)


def reach(state: State, task: Task, record: Completed | Failed) -> None:
    """The record of a wait is there."""
    note_record(task, record.path, record.number)
    if isinstance(record, Failed):
        activations.fail(state, task, record.error)
    else:
        keep = task.node.id in state.kept
        settle(state, task, TaskState.COMPLETED, Given(record.path, record.result if keep else None))
