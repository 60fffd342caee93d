"""Activations: attempts of a step's work by its policy, up to its record of completion or failure."""

from __future__ import annotations

from dataclasses import replace

from dfc.compiler.plan import (
    DEFAULT_POLICY,
    AtomicNode,
    CallNode,
    Delivery,
    Form,
    HttpNode,
    Node,
    OnError,
    Policy,
    Request,
    RetryNode,
    SqlNode,
)
from dfc.executor import paths, retry
from dfc.executor.core.tree import (
    ACTIVATIONS,
    INTERRUPTIBLE,
    LISTENERS,
    CorruptJournal,
    Given,
    Job,
    Kind,
    Reach,
    State,
    Task,
    add_job,
    drop_job,
    frame_of,
    move_job,
    note_record,
    settle,
)
from dfc.executor.journal import (
    NOTHING,
    Attempted,
    Begun,
    Completed,
    Deferred,
    Due,
    Failed,
    Result,
    Retrying,
    Rows,
    StepError,
    Value,
)
from dfc.executor.states import JobState, TaskState


def policy_of(node: Node) -> Policy:
    """The policy of a node's activations."""
    match node:
        case SqlNode() | HttpNode() | AtomicNode() | RetryNode() | CallNode():
            return node.policy
        case _:
            return DEFAULT_POLICY


def begin_step(state: State, task: Task) -> None:
    """Begin a SQL step or a request."""
    node = task.node
    if isinstance(node, HttpNode):
        computed = not isinstance(node.request, Request)
        if computed:
            ask(state, task, Kind.REQUEST, paths.request(task.path))
        else:
            ask(state, task, Kind.RESPONSE, paths.response(task.path))
    else:
        ask(state, task, Kind.STATEMENT, task.path)


def ask(state: State, task: Task, kind: Kind, path: str, detail: object = None) -> None:
    """Have an activation done, unless it is recorded already, or its scope is being unwound."""
    turned = _forget_turns(state, task, path)
    record = state.records.pop(path, None)
    if isinstance(record, Completed | Failed):
        state.agenda.append(Reach(task, kind, record, False))
        return
    if task.scope.reason is not None:
        if path in state.begun or path in state.retrying:
            frame_of(task.scope).records.append(path)
        settle(state, task, TaskState.STOPPED)
        return
    job = add_job(state, task, kind, path, detail=detail)
    job.turned = turned
    if path in state.begun:
        state.begun.discard(path)
        job.state = JobState.RECORDING
        job.error = _ambiguous(task)
    elif (before := state.retrying.pop(path, None)) is not None:
        job.attempts, job.losses = before.attempts, before.losses
        job.seconds, job.error = max(0.0, before.seconds), before.error
        job.state = JobState.RETRYING
    elif _happens_once(job):
        job.state = JobState.BEGINNING


def _forget_turns(state: State, task: Task, path: str) -> bool:
    """Whether attempts have waited for their turns; what is recorded of that is forgotten with the frame."""
    if policy_of(task.node).rate_limit is None:
        return False
    before = state.retrying.get(path)
    attempts = 0 if before is None else before.attempts
    found = [turn for turn in paths.turns(path, attempts) if turn in state.records]
    for turn in found:
        del state.records[turn]
    frame_of(task.scope).records.extend(found)
    return bool(found)


def deferred(state: State, event: Deferred) -> None:
    """The turn of an attempt comes later: wait for it."""
    job = state.jobs.get(event.path)
    if job is None or job.kind not in ACTIVATIONS:
        raise CorruptJournal(f"an attempt of `{event.path}` waits for its turn that nobody asked for")
    frame_of(job.task.scope).records.append(paths.turn(job.path, job.attempts + 1))
    job.turned = True
    if job.state is JobState.STOPPING:
        stopped(state, event.path)
        return
    job.seconds = event.seconds
    move_job(state, job, JobState.RETRYING)


def _happens_once(job: Job) -> bool:
    """Whether the job has an effect that must not happen twice; the computing of a request has none."""
    at_most_once = policy_of(job.task.node).delivery is Delivery.AT_MOST_ONCE
    return at_most_once and job.kind in (Kind.STATEMENT, Kind.RESPONSE)


def _ambiguous(task: Task) -> StepError:
    return StepError(
        step=task.node.id,
        message=f"step `{task.node.id}` had begun when its worker was lost, and may have happened",
        sqlstate=retry.AMBIGUOUS,
        hint="It is not repeated because of `delivery => 'at_most_once'`. Look, and retry or compensate.",
    )


def attempted(state: State, event: Attempted) -> None:
    """An attempt has ended without a record: wait for another one, or record the failure."""
    job = state.jobs.get(event.path)
    if job is None:
        raise CorruptJournal(f"an attempt of `{event.path}` has ended that nobody asked for")
    if job.kind not in ACTIVATIONS:
        raise CorruptJournal(f"`{event.path}` is no activation that could be attempted")
    error = job.error = event.error
    seconds = _seconds_to_wait(state, job, event)
    lost = event.transient and retry.is_lost(error.sqlstate)
    if seconds is None:
        move_job(state, job, JobState.RECORDING)
        return
    if event.retry_after_seconds is not None:
        seconds = max(seconds, event.retry_after_seconds)
    job.seconds = seconds
    noted = lost or _happens_once(job) or seconds >= retry.RECORDED_SECONDS
    move_job(state, job, JobState.NOTING if noted else JobState.RETRYING)


def _seconds_to_wait(state: State, job: Job, event: Attempted) -> float | None:
    """How long to wait for the next attempt, None when there is none."""
    policy = policy_of(job.task.node)
    sqlstate = event.error.sqlstate
    if event.transient and retry.is_lost(sqlstate):
        # Of an attempt that may have had an effect that nobody sees, nothing is known.
        if _happens_once(job) and _leaves_traces(job):
            job.error = _ambiguous(job.task)
            return None
        job.losses += 1
        # What only asks for news runs nothing that could take a connection down.
        if job.losses >= retry.LOST_ATTEMPTS_MAX and job.kind not in LISTENERS:
            hint = f"The connection was lost in {job.losses} attempts: the step itself may be the cause."
            job.error = replace(event.error, hint=event.error.hint or hint)
            return None
        # It has to do with the server and not with the step, so a long `backoff` is not for losses.
        seconds = retry.delay(state.instance, job.path, job.losses, policy)
        return min(seconds, retry.BACKOFF_SECONDS_MAX)
    job.attempts += 1
    # What `retry_on` says of a request depends on its method and response: its runner has decided.
    decided = job.kind is Kind.RESPONSE
    if not (event.transient if decided else retry.repeats(policy, sqlstate, transient=event.transient)):
        return None
    if job.attempts >= retry.attempts_max(policy):
        return None
    return retry.delay(state.instance, job.path, job.attempts, policy)


def _leaves_traces(job: Job) -> bool:
    """Whether the effect of a lost attempt would be there without its checkpoint."""
    node = job.task.node
    return not (isinstance(node, SqlNode) and node.body.form is not Form.AUTOCOMMIT)


def noted(state: State, event: Retrying) -> None:
    """A failed attempt is recorded: wait."""
    job = state.jobs.get(event.path)
    if job is None or job.state is not JobState.NOTING:
        raise CorruptJournal(f"no failed attempt of `{event.path}` was to be recorded")
    job.seconds = event.seconds
    move_job(state, job, JobState.RETRYING)


def due(state: State, event: Due) -> None:
    """The wait for an attempt is over."""
    job = state.jobs.get(event.path)
    if job is None or job.state is not JobState.RETRYING:
        return
    move_job(state, job, JobState.BEGINNING if _happens_once(job) else JobState.RUNNING)


def begun(state: State, event: Begun) -> None:
    """That an attempt begins is recorded."""
    job = state.jobs.get(event.path)
    if job is None or job.state is not JobState.BEGINNING:
        raise CorruptJournal(f"no beginning of `{event.path}` was to be recorded")
    if job.task.scope.reason is not None:
        give_up(state, job)
        return
    move_job(state, job, JobState.RUNNING)


def stop(state: State, job: Job) -> bool:
    """Stop an activation whose scope is unwound, as far as it can be. Whether the shell has to be told."""
    match job.state:
        case JobState.RETRYING:
            give_up(state, job)
            return True
        case JobState.RUNNING if job.kind in INTERRUPTIBLE:
            job.state = JobState.STOPPING
            state.changed.pop(job.path, None)
            return True
        case _:
            return False


def stopped(state: State, path: str) -> None:
    """What was interrupted has ended, and has left no record."""
    job = state.jobs.get(path)
    if job is None:
        raise CorruptJournal(f"`{path}` has been stopped, and nobody had asked for it")
    give_up(state, job)


def give_up(state: State, job: Job) -> None:
    """The activation ends here, without a record; its task with it."""
    drop_job(state, job)
    if job.kind in ACTIVATIONS:
        # Its attempts may be recorded.
        frame_of(job.task.scope).records.append(job.path)
    if job.task.state is TaskState.OPEN and job.kind in ACTIVATIONS:
        settle(state, job.task, TaskState.STOPPED)


def recorded(state: State, event: Completed | Failed) -> None:
    """The record of an activation has come."""
    job = state.jobs.get(event.path)
    if job is None or job.kind not in ACTIVATIONS:
        raise CorruptJournal(f"`{event.path}` is recorded, and no such activation is under way")
    drop_job(state, job)
    state.agenda.append(Reach(job.task, job.kind, event, job.rider))


def reach(state: State, turn: Reach) -> None:
    """Take in the record of a step or request."""
    task, record = turn.task, turn.record
    note_record(task, record.path, record.number)
    if isinstance(record, Failed):
        fail(state, task, record.error)
    else:
        keep = task.node.id in state.kept
        settle(state, task, TaskState.COMPLETED, Given(record.path, record.result if keep else None))


def fail(state: State, task: Task, error: StepError) -> None:
    """A step has failed for good: what comes after it goes on, or does not."""
    policy = policy_of(task.node)
    if policy.on_error is OnError.CONTINUE and not isinstance(task.node, RetryNode):
        settle(state, task, TaskState.COMPLETED, Given(NOTHING, Value(json="null"), error))
    else:
        settle(state, task, TaskState.FAILED, error=error)


def request_of(task: Task) -> Request | Rows | None:
    """What a response answers; None where the computed requests were not brought back."""
    assert isinstance(task.node, HttpNode)
    if isinstance(task.node.request, Request):
        return task.node.request
    result: Result | None = task.work if isinstance(task.work, Rows) else None
    return result
