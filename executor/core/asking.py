"""What the shell has to do for a job, as an action."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from dfc.compiler.plan import (
    AtomicNode,
    Block,
    BreakNode,
    HttpNode,
    MapNode,
    OnError,
    Parameter,
    SqlBody,
    SqlNode,
    ValueNode,
    every_node,
)
from dfc.executor import paths
from dfc.executor.actions import (
    Action,
    EndItem,
    EndMap,
    FetchItems,
    Listen,
    Position,
    ReadResult,
    RecordAttempt,
    RecordBeginning,
    RecordDecision,
    RecordFailure,
    Rider,
    RunAtomic,
    RunItems,
    RunSql,
    SendHttp,
    StartTimer,
    StopCall,
    StoreItems,
    Wait,
)
from dfc.executor.core import arms, ending, maps, waits
from dfc.executor.core.activations import policy_of, request_of
from dfc.executor.core.tree import CorruptJournal, Given, Job, Kind, Scope, State
from dfc.executor.core.values import look_up, sources_of
from dfc.executor.journal import NOTHING, Cell, Loose, Result, Shape
from dfc.executor.secret_text import names_in
from dfc.executor.states import JobState


def action_of(state: State, job: Job) -> Action:
    """The action for a job that the shell is to be at work on, or to wait for."""
    match job.state:
        case JobState.RETRYING:
            return Wait(path=job.path, seconds=job.seconds)
        case JobState.BEGINNING:
            return RecordBeginning(path=job.path)
        case JobState.NOTING:
            assert job.error is not None
            return RecordAttempt(
                path=job.path,
                attempts=job.attempts,
                losses=job.losses,
                seconds=job.seconds,
                error=job.error,
            )
        case JobState.RECORDING:
            assert job.error is not None
            goes_on = policy_of(job.task.node).on_error is OnError.CONTINUE
            finish = None if goes_on else ending.finish_if_failed(state, job, job.error)
            return RecordFailure(path=job.path, error=job.error, finish=finish)
        case JobState.RUNNING:
            return _running(state, job)
        case JobState.LISTENING:
            return Listen(path=job.path, news=waits.news_of(job))
        case JobState.STOPPING:
            raise CorruptJournal(f"`{job.path}` is being stopped")
        case _:
            assert_never(job.state)


def _running(state: State, job: Job) -> Action:
    match job.kind:
        case Kind.STATEMENT | Kind.REQUEST | Kind.BREAK_VALUE:
            return _statement(state, job)
        case Kind.RESPONSE:
            return _response(state, job)
        case Kind.ATOMIC:
            return _atomic(state, job)
        case Kind.ITEMS:
            return _items(state, job)
        case Kind.END_MAP:
            keep = job.task.node.id in state.kept
            rider = ending.finish_if_completed(state, job, job.path)
            return EndMap(path=job.path, keep=keep, rider=rider)
        case Kind.END_ITEM:
            return _end_item(job)
        case Kind.FETCH:
            work = maps.items_of(job.task)
            limit = maps.page_size(job.task)
            return FetchItems(path=job.task.path, after=work.fetched, limit=limit, ended=work.undos)
        case Kind.DECISION:
            return RecordDecision(path=job.path, value=job.value)
        case Kind.LIMIT:
            return StartTimer(path=job.path, seconds=job.seconds)
        case Kind.TIMER:
            return waits.timer_of(job)
        case Kind.WAITED:
            return waits.waited(state, job)
        case Kind.SIGNAL | Kind.INSTANCE | Kind.CALL:
            return waits.asking_of(state, job)
        case Kind.STOP_CALL:
            return StopCall(path=job.path)
        case Kind.POSITION:
            return _position(job)
        case Kind.READ:
            assert isinstance(job.detail, Given)
            return ReadResult(path=job.path, shape=job.detail.shape)
        case _:
            assert_never(job.kind)


def _statement(state: State, job: Job) -> RunSql:
    node, scope = job.task.node, job.task.scope
    match node:
        case SqlNode():
            body = node.body
        case HttpNode(request=SqlBody() as body):
            pass
        case BreakNode(value=SqlBody() as body):
            pass
        case _:
            computed = waits.computed_of(node)
            if computed is None:
                raise CorruptJournal(f"`{job.path}` is no statement")
            body = computed
    keep = job.kind is Kind.REQUEST or node.id in state.kept
    # Requests and values are computed where the workflows are: what is written into them needs schema df.
    policy = policy_of(node)
    database = (policy.database or state.database) if job.kind is Kind.STATEMENT else None
    rider = _rider(state, job, database) if job.kind is Kind.STATEMENT else None
    job.rider = rider is not None
    return RunSql(
        path=job.path,
        body=body,
        sources=sources_of(state, scope, body.parameters),
        rider=rider,
        keep=keep,
        policy=policy,
        attempt=job.attempts + 1,
        database=database,
    )


def _rider(state: State, job: Job, database: str | None) -> Rider | None:
    """What the transaction of a statement ends besides it: an item, a race, the instance.

    What happens in another database has happened before its record: neither item nor race can end with it.
    """
    task = job.task
    if database is not None:
        return ending.finish_if_completed(state, job, job.path)
    if maps.carries_end(task):
        owner = task.scope.owner
        assert owner is not None
        # Its attempts may be recorded, and what they have waited for.
        forget = (job.path,) if job.attempts or job.losses else ()
        if job.turned:
            forget += tuple(paths.turns(job.path, job.attempts))
        return EndItem(path=owner.path, item=task.scope.number, shape=job.path, error=None, forget=forget)
    decision = arms.carries_decision(state, task)
    if decision is not None:
        owner = task.scope.owner
        assert owner is not None
        return RecordDecision(path=paths.decision(owner.path), value=decision)
    return ending.finish_if_completed(state, job, job.path)


def _response(state: State, job: Job) -> SendHttp:
    node = job.task.node
    assert isinstance(node, HttpNode)
    request = request_of(job.task)
    if request is None:
        raise CorruptJournal(f"the requests of `{job.path}` are not rows")
    return SendHttp(
        path=job.path,
        request=request,
        many=node.many,
        rider=ending.finish_if_completed(state, job, job.path),
        keep=node.id in state.kept,
        policy=node.policy,
        attempt=job.attempts + 1,
        secrets=names_in(node.request.sql) if isinstance(node.request, SqlBody) else None,
    )


def _atomic(state: State, job: Job) -> RunAtomic:
    node, scope = job.task.node, job.task.scope
    assert isinstance(node, AtomicNode)
    return RunAtomic(
        path=job.path,
        frame=scope.frame,
        block=node.body,
        sources=sources_of(state, scope, _parameters(node.body)),
        policy=node.policy,
        attempt=job.attempts + 1,
        database=node.policy.database or state.database,
    )


def statements_of(block: Block, frame: str) -> list[str]:
    """The paths of all statements of a block under a frame, those in the parts of its ifs too."""
    return [frame + node.id for node in every_node(block.nodes) if isinstance(node, SqlNode)]


def _parameters(block: Block) -> Iterator[Parameter]:
    """The references of all statements and values of a block."""
    for node in every_node(block.nodes):
        if isinstance(node, SqlNode):
            yield from node.body.parameters
        elif isinstance(node, ValueNode):
            yield node.parameter


def _items(state: State, job: Job) -> RunItems | StoreItems:
    node, scope = job.task.node, job.task.scope
    assert isinstance(node, MapNode)
    if isinstance(node.items, SqlBody):
        return RunItems(
            path=job.path,
            body=node.items,
            sources=sources_of(state, scope, node.items.parameters),
            batch_size=node.batch_size,
            attempt=job.attempts + 1,
            database=state.database,
        )
    given = look_up(state, scope, node.items)
    source: Result | Shape = NOTHING
    if given is not None and given.error is None:
        # A cell is a value, and no row.
        of_cell = isinstance(given.shape, Cell | Loose)
        source = given.shape if given.result is None or of_cell else given.result
    return StoreItems(path=job.path, source=source, batch_size=node.batch_size)


def _end_item(job: Job) -> EndItem:
    scope = job.detail
    assert isinstance(scope, Scope)
    given = scope.result.given
    error = scope.result.error
    keeps = maps.items_of(job.task).undos
    return EndItem(
        path=job.task.path,
        item=scope.number,
        shape=None if error is not None else (NOTHING if given is None else given.shape),
        error=error,
        forget=() if keeps else tuple(scope.records),
    )


def _position(job: Job) -> Position:
    assert isinstance(job.detail, Position)
    return job.detail
