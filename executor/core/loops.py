"""Loops with their breaks, and retries of a whole part: rounds, one after the other, in bounded state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from dfc.compiler.plan import BreakNode, LoopNode, Node, RetryNode, SqlBody, TryNode
from dfc.executor import paths, retry
from dfc.executor.actions import Position
from dfc.executor.core import activations
from dfc.executor.core.branches import read
from dfc.executor.core.tree import (
    CorruptJournal,
    Given,
    Job,
    Kind,
    Reason,
    Role,
    Scope,
    State,
    Task,
    add_job,
    drop_job,
    frame_of,
    hand_up,
    move_job,
    open_scope,
    outcome_of,
    pass_on,
    settle,
)
from dfc.executor.core.truth import truth_of
from dfc.executor.core.unwinding import unwind
from dfc.executor.journal import (
    Batch,
    Cell,
    Completed,
    Constant,
    Decided,
    Loose,
    Positioned,
    Shape,
    StepError,
)
from dfc.executor.quoting import read_json
from dfc.executor.shapes import held, read_shape, shape_json
from dfc.executor.states import JobState, TaskState

FOLDED_ROUNDS = 8
"""After so many rounds their records are forgotten, in one go."""

EMPTY_ROUND = "DF519"
EMPTY_ROUND_HINT = (
    "Let a step of the body run in every round (a query that reads what the loop waits for), give the loop a "
    "condition, or leave it with `df.break`."
)


@dataclass(slots=True, eq=False)
class Rounds:
    """What a loop or retry keeps. `forgettable` are the records of rounds that are over."""

    round: int = 1
    carry: dict[str, Given] = field(default_factory=dict[str, Given])
    forgettable: list[str] = field(default_factory=list[str])
    over: int = 0
    """Rounds whose records are in `forgettable`."""
    body: Scope | None = None
    broken: Decided | None = None
    break_task: Task | None = None
    error: StepError | None = None


def rounds_of(task: Task) -> Rounds:
    """What is kept about a loop or retry."""
    assert isinstance(task.work, Rounds)
    return task.work


# Loops


def begin_loop(state: State, task: Task) -> None:
    """Begin, or go on in the round that the records show."""
    work = task.work = Rounds()
    position = state.records.pop(paths.position(task.path), None)
    if isinstance(position, Positioned):
        work.round = position.round
        carry = {node: _carried(state, shape) for node, shape in position.carry.items()}
        work.carry = _numbered(task, carry)
        work.forgettable = [path for shape in position.carry.values() for path in paths_in(shape)]
    if (
        polls(task.node)
        and isinstance(position, Positioned)
        and task.scope.reason is None
        and position.seconds > 0
    ):
        job = add_job(state, task, Kind.POSITION, paths.position(task.path), JobState.RETRYING)
        job.seconds = position.seconds
        return
    decision = paths.decision(task.path)
    state.deciders[decision] = task
    decided = state.records.pop(decision, None)
    if isinstance(decided, Decided):
        work.broken = decided
    _open_round(state, task, work)


def polls(node: Node) -> bool:
    """Whether it is a loop that waits for its own result to be true."""
    return isinstance(node, LoopNode) and node.every is not None


def _carried(state: State, shape: Shape) -> Given:
    record = state.records.get(shape) if isinstance(shape, str) else None
    return Given(shape, record.result if isinstance(record, Completed) else held(shape))


def paths_in(shape: Shape) -> list[str]:
    """The paths of the records that a shape consists of."""
    found: list[str] = []
    todo: list[Shape] = [shape]
    while todo:
        part = todo.pop()
        match part:
            case str():
                found.append(part)
            case Cell(path=path):
                found.append(path)
            case tuple():
                todo.extend(part)
            case Constant() | Loose() | Batch():
                pass
    return found


def _is_broken(work: Rounds) -> bool:
    """Whether a break of this round is recorded."""
    return work.broken is not None and json.loads(work.broken.value)["round"] == work.round


def _open_round(state: State, task: Task, work: Rounds) -> None:
    assert isinstance(task.node, LoopNode)
    work.body = open_scope(
        state,
        task.node.body,
        role=Role.BODY,
        owner=task,
        parent=task.scope,
        frame=paths.frame(task.path, work.round),
        number=work.round,
        boundary=True,
        reason=Reason.BREAK if _is_broken(work) else None,
    )
    work.body.carry = work.carry


def close_loop(state: State, task: Task, scope: Scope) -> None:
    """A round, or the condition behind it, has come to its end."""
    work = rounds_of(task)
    body = work.body
    assert body is not None
    outcome = outcome_of(scope)
    broken = _is_broken(work)
    error = _left_in_error(task, work) if broken else None
    if scope is not body:
        body.values.update(scope.values)  # what the condition has given is of the round, too
        body.commits = max(body.commits, scope.commits)
    if outcome is TaskState.COMPLETED and scope.role is Role.BODY and not broken:
        condition = task.node.condition if isinstance(task.node, LoopNode) else None
        if condition is not None:
            open_scope(state, condition, role=Role.WHILE, owner=task, parent=scope, frame=scope.frame)
            return
        if polls(task.node):
            _look_at_condition(state, task, work, scope)
            return
        _next_round(state, task, work)
    elif outcome is TaskState.COMPLETED and not broken:
        _look_at_condition(state, task, work, scope)
    elif broken and error is None:
        _leave(state, task, work)
    else:
        hand_up(task, body)
        # What it has given is seen where its failure is taken care of.
        _carry_on(state, task, work, body)
        task.scope.values.update(work.carry)
        task.number = max(task.number, body.commits, scope.commits)
        work.forgettable += body.records
        _end(state, task, work)
        settle(state, task, TaskState.FAILED if broken else outcome, error=error or scope.result.error)


def _left_in_error(loop: Task, work: Rounds) -> StepError | None:
    """The error of a `finally` on the way from the break out of the loop, the outermost one's."""
    found: StepError | None = None
    here = None if work.break_task is None else work.break_task.scope.owner
    while here is not None and here is not loop:
        if isinstance(here.node, TryNode) and here.error is not None and here.error.final:
            found = here.error
        here = here.scope.owner
    return found


def _look_at_condition(state: State, task: Task, work: Rounds, scope: Scope) -> None:
    given = scope.result.given
    assert given is not None
    known = truth_of(given)
    if known is None:
        read(state, task, given)
    else:
        looked(state, task, known)


def looked(state: State, task: Task, truth: bool) -> None:
    """What decides whether another round follows is known."""
    work = rounds_of(task)
    if polls(task.node):
        if truth:
            _end_polls(state, task, work)
        else:
            _poll_later(state, task, work)
    elif truth:
        _next_round(state, task, work)
    else:
        assert work.body is not None
        _end_round(state, task, work, work.body)
        _finish(state, task, work, work.body.result.given)


def _next_round(state: State, task: Task, work: Rounds) -> None:
    body = work.body
    assert body is not None
    if not body.records:
        message = f"loop `{task.node.id}` has had a round without any step, and would repeat it for ever"
        error = StepError(step=task.node.id, message=message, sqlstate=EMPTY_ROUND, hint=EMPTY_ROUND_HINT)
        _end(state, task, work)
        settle(state, task, TaskState.FAILED, error=error)
        return
    _end_round(state, task, work, body)
    work.round += 1
    _fold(state, task, work)
    _open_round(state, task, work)


def _poll_later(state: State, task: Task, work: Rounds) -> None:
    """What was polled for is not there yet: wait, and leave nothing of the round."""
    node, body = task.node, work.body
    assert isinstance(node, LoopNode) and node.every is not None and body is not None
    task.number = max(task.number, body.commits)
    work.round += 1
    path = paths.position(task.path)
    job = add_job(state, task, Kind.POSITION, path)
    job.seconds = node.every.seconds
    forget = _over(work, body)
    job.detail = Position(path=path, round=work.round, carry={}, forget=forget, seconds=job.seconds)


def _end_polls(state: State, task: Task, work: Rounds) -> None:
    """What was polled for is there."""
    assert work.body is not None
    work.forgettable += work.body.records
    _end(state, task, work)
    pass_on(state, task, work.body)


def _end_round(state: State, task: Task, work: Rounds, body: Scope) -> None:
    """A round is over: its values are carried on, its undos end with it."""
    assert isinstance(task.node, LoopNode)
    task.number = max(task.number, body.commits)
    _carry_on(state, task, work, body)
    if task.node.keep_undos and body.undos:
        hand_up(task, body)
    else:
        work.forgettable += body.records
        work.over += 1
    body.undos = []


def _carry_on(state: State, task: Task, work: Rounds, body: Scope) -> None:
    """What a round has given goes behind what is carried on from earlier ones, in written order."""

    def place(entry: tuple[str, Given]) -> tuple[int, int, int]:
        node, given = entry
        if given.round is None:
            return (state.written.get(node, 0), 1, 0)
        loop, number = given.round
        return (state.written[loop], 0, number)  # the loop itself stands behind what is in it

    last = sorted(body.values.items(), key=place)
    carry = {node: given for node, given in work.carry.items() if node not in body.values}
    work.carry = _numbered(task, {**carry, **dict(last)})


def _numbered(task: Task, carry: Mapping[str, Given]) -> dict[str, Given]:
    """What a loop has given, each with its place."""
    loop = task.node.id
    return {node: replace(given, round=(loop, place)) for place, (node, given) in enumerate(carry.items())}


def _fold(state: State, task: Task, work: Rounds) -> None:
    """Now and then, have the records of rounds that are over forgotten, but for what is carried on."""
    path = paths.position(task.path)
    if work.over < FOLDED_ROUNDS or path in state.jobs:
        return
    carry = {node: given.shape for node, given in work.carry.items() if given.error is None}
    kept = {path for shape in carry.values() for path in paths_in(shape)}
    forget = tuple(path for path in work.forgettable if path not in kept)
    job = add_job(state, task, Kind.POSITION, path)
    job.detail = Position(path=path, round=work.round, carry=carry, forget=forget)
    work.forgettable = [path for path in dict.fromkeys(work.forgettable) if path in kept]
    work.over = 0


def _over(work: Rounds, body: Scope) -> tuple[str, ...]:
    """What there is to forget where nothing of a round is carried on."""
    forget = (*work.forgettable, *body.records)
    work.forgettable = []
    return forget


def forget_late(task: Task, path: str) -> None:
    """Something is recorded of a task whose round, attempt or item may be over: a later one forgets it."""
    frame = frame_of(task.scope)
    while frame.ended and (owner := frame.owner) is not None:
        if isinstance(owner.work, Rounds) and owner.state is TaskState.OPEN:
            owner.work.forgettable.append(path)
            return
        frame = frame_of(owner.scope)
    frame.records.append(path)


def _leave(state: State, task: Task, work: Rounds) -> None:
    """The loop has been broken out of."""
    assert work.broken is not None and work.body is not None
    decided = cast(dict[str, object], read_json(work.broken.value))
    value = read_shape(decided["value"])
    _end_round(state, task, work, work.body)
    _finish(state, task, work, Given(value, held(value)))


def _finish(state: State, task: Task, work: Rounds, given: Given | None) -> None:
    """The loop has come to its end."""
    task.scope.values.update(work.carry)
    _end(state, task, work)
    settle(state, task, TaskState.COMPLETED, given)


def _end(state: State, task: Task, work: Rounds) -> None:
    """What is left of the rounds is forgotten with the frame around the loop."""
    state.deciders.pop(paths.decision(task.path), None)
    frame_of(task.scope).records += [*work.forgettable, paths.position(task.path), paths.decision(task.path)]


# Breaks


def begin_break(state: State, task: Task) -> None:
    """Compute the value, then have the break recorded."""
    assert isinstance(task.node, BreakNode)
    if isinstance(task.node.value, SqlBody):
        activations.ask(state, task, Kind.BREAK_VALUE, task.path)
    else:
        _break(state, task, Constant(json=task.node.value))


def break_value(state: State, task: Task, path: str) -> None:
    """The value has been computed."""
    _break(state, task, Cell(path=path, column=None))


def _break(state: State, task: Task, value: Shape) -> None:
    assert isinstance(task.node, BreakNode)
    loop = task.scope.owner
    while loop is not None and not (isinstance(loop.node, LoopNode) and loop.node.id == task.node.loop):
        loop = loop.scope.owner
    if loop is None:
        raise CorruptJournal(f"`{task.path}` is in no loop `{task.node.loop}`")
    work = rounds_of(loop)
    if work.broken is not None:
        if json.loads(work.broken.value)["node"] == task.path:
            work.break_task = task
        settle(state, task, TaskState.STOPPED)
        return
    if task.scope.reason is not None:
        settle(state, task, TaskState.STOPPED)
        return
    path = paths.decision(loop.path)
    if path in state.jobs:
        # Another break of the same round is about to win; what is unwound then ends this one.
        return
    job = add_job(state, task, Kind.DECISION, path)
    node = json.dumps(task.path, ensure_ascii=False)
    job.value = f'{{"round": {work.round}, "node": {node}, "value": {shape_json(value)}}}'


def broken(state: State, loop: Task, decided: Decided) -> None:
    """A break is recorded: leave the round."""
    work = rounds_of(loop)
    work.broken = decided
    node = json.loads(decided.value)["node"]
    job = state.jobs.get(decided.path)
    if job is not None:
        if job.task.path == node:
            work.break_task = job.task
        drop_job(state, job)
        settle(state, job.task, TaskState.STOPPED)
    for child in list(loop.children):
        if not child.ended:
            unwind(state, child, Reason.BREAK)


# Retries


def begin_retry(state: State, task: Task) -> None:
    """Begin, or go on with the attempt that the records show."""
    work = task.work = Rounds()
    position = state.records.pop(paths.position(task.path), None)
    if not isinstance(position, Positioned):
        _open_attempt(state, task, work)
        return
    work.round, work.error = position.round, position.error
    if task.scope.reason is not None and not _has_begun(state, paths.frame(task.path, work.round)):
        _end(state, task, work)
        settle(state, task, TaskState.STOPPED)
        return
    if position.seconds > 0 and task.scope.reason is None:
        job = add_job(state, task, Kind.POSITION, paths.position(task.path), JobState.RETRYING)
        job.seconds = position.seconds
    else:
        _open_attempt(state, task, work)


def _has_begun(state: State, frame: str) -> bool:
    """Whether anything is recorded under a frame."""
    return any(
        path.startswith(frame) for known in (state.records, state.retrying, state.begun) for path in known
    )


def _open_attempt(state: State, task: Task, work: Rounds) -> None:
    assert isinstance(task.node, RetryNode)
    work.body = open_scope(
        state,
        task.node.body,
        role=Role.BODY,
        owner=task,
        parent=task.scope,
        frame=paths.frame(task.path, work.round),
        number=work.round,
        boundary=True,
    )


def close_retry(state: State, task: Task, scope: Scope) -> None:
    """An attempt has come to its end."""
    node, work, error = task.node, rounds_of(task), scope.result.error
    assert isinstance(node, RetryNode)
    if outcome_of(scope) is not TaskState.FAILED or error is None or not _again(node, work, error, scope):
        hand_up(task, scope)
        work.forgettable += scope.records
        _end(state, task, work)
        pass_on(state, task, scope)
        return
    path = paths.position(task.path)
    seconds = retry.delay(state.instance, path, work.round, node.policy)
    work.round += 1
    work.error = error
    job = add_job(state, task, Kind.POSITION, path)
    job.seconds = seconds
    job.detail = Position(
        path=path,
        round=work.round,
        carry={},
        forget=_over(work, scope),
        seconds=seconds,
        error=error,
    )


def _again(node: RetryNode, work: Rounds, error: StepError, scope: Scope) -> bool:
    if scope.reason is not None or work.round >= retry.attempts_max(node.policy):
        return False
    transient = retry.is_transient(error.sqlstate)
    if retry.matches(node.policy.no_retry_on, error.sqlstate, transient=transient):
        return False
    return node.policy.retry_on is None or retry.matches(
        node.policy.retry_on, error.sqlstate, transient=transient
    )


def positioned(state: State, job: Job, event: Positioned) -> None:
    """A failed attempt of a retry, or a poll without success, is recorded: wait."""
    if job.task.scope.reason is not None:
        drop_job(state, job)
        _end(state, job.task, rounds_of(job.task))
        settle(state, job.task, TaskState.STOPPED)
        return
    job.seconds = event.seconds
    move_job(state, job, JobState.RETRYING)


def attempt_due(state: State, job: Job) -> None:
    """The wait for the next attempt of a retry, or for the next poll, is over."""
    drop_job(state, job)
    if polls(job.task.node):
        _open_round(state, job.task, rounds_of(job.task))
    else:
        _open_attempt(state, job.task, rounds_of(job.task))
