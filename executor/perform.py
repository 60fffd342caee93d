"""Performs single actions through the ports, and says what came of them as events.

After an attempt whose outcome is unknown the journal is read before anything else is done. Until the store
answers, no attempt is counted: a database that is away fails nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, assert_never

from dfc.executor import paths, retry, sqlstates
from dfc.executor.actions import (
    Action,
    AwaitInstance,
    CallWorkflow,
    EndItem,
    EndMap,
    FetchItems,
    Finish,
    Position,
    ReadResult,
    RecordAttempt,
    RecordBeginning,
    RecordDecision,
    RecordFailure,
    RecordWaited,
    RunAtomic,
    RunItems,
    RunSql,
    SendHttp,
    Sources,
    StartTimer,
    StopCall,
    StoreItems,
    TakeSignal,
)
from dfc.executor.claim import Claim
from dfc.executor.core.asking import statements_of
from dfc.executor.crashpoints import Crashpoints, Nature, Point, nature_of, point_of
from dfc.executor.decide import begin_atomic, pending, step
from dfc.executor.failures import AlreadyRecorded, Beaten, FenceLost, StepFailed, Transient, Unreachable
from dfc.executor.journal import (
    AtomicDone,
    Attempted,
    Batch,
    CancelRequested,
    Completed,
    Decided,
    Deferred,
    Event,
    ItemEnded,
    Items,
    NothingYet,
    NoTime,
    Recorded,
    Result,
    ResultRead,
    Rows,
    Shape,
    StepError,
    Stopped,
    Value,
)
from dfc.executor.ports import Answer, Elsewhere, HttpRunner, SqlRunner, Store, Transaction
from dfc.executor.shapes import held

Asking = TakeSignal | AwaitInstance | CallWorkflow
Activation = RunSql | RunAtomic | RunItems | StoreItems | SendHttp | EndMap | RecordWaited | Asking
Recording = (
    RecordDecision
    | RecordBeginning
    | RecordAttempt
    | StartTimer
    | Position
    | FetchItems
    | EndItem
    | ReadResult
    | StopCall
)
Work = Activation | Recording | RecordFailure
Interruptible = RunSql | RunAtomic | RunItems | SendHttp | Asking
Beginning = (
    RunSql
    | RunAtomic
    | RunItems
    | StoreItems
    | SendHttp
    | RecordWaited
    | Asking
    | StartTimer
    | RecordBeginning
)
"""What begins something new: it has to wait while the instance is paused. The rest says what has happened."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Came:
    """What came of an action: events in the order in which they count, or the end of the instance."""

    events: tuple[Event, ...] = ()
    finished: bool = False


class _NotYet(Exception):
    """The turn under a rate limit is in `seconds`: nothing has been begun, and no lane waits for it."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def is_news(action: Work, came: Came) -> bool:
    """Whether who asked has taken away what told others of the instance to ask, or may have."""
    if not isinstance(action, Asking | StopCall):
        return False
    match came.events:
        case (NothingYet(others=others),):
            return others
        case _:
            return True


class Performer:
    """Performs the actions of one claimed instance.

    `pause` waits, and ends the caller when it has to stop.
    """

    def __init__(
        self,
        claim: Claim,
        store: Store,
        sql: SqlRunner,
        http: HttpRunner,
        *,
        pause: Callable[[float], Awaitable[None]],
        elsewhere: Elsewhere | None = None,
        crashpoints: Crashpoints | None = None,
    ) -> None:
        self._claim = claim
        claim.settled = self.settled
        self._store = store
        self._sql = sql
        self._http = http
        self._elsewhere = elsewhere
        self._pause = pause
        self._crashpoints = crashpoints
        # Of steps that somebody wants to know about: how their effects and their records belong together.
        self._natures: dict[str, Nature] = {}

    async def perform(self, action: Work, step_id: str) -> Came:
        """Do one thing. Raises FenceLost."""
        came = await self._perform(action, step_id)
        self._made(action, came.events)
        if came.finished and self._crashpoints is not None:
            self._crashpoints.ended(self._claim.instance)
        return came

    def passed(self, point: Point) -> None:
        """Say what has committed to who wants to know."""
        if self._crashpoints is not None:
            self._crashpoints.passed(self._claim.instance, point)

    def _made(self, action: Action, events: Sequence[Event]) -> None:
        if self._crashpoints is None:
            return
        if isinstance(action, RunSql | SendHttp) and (nature := nature_of(action)) is not None:
            self._natures[action.path] = nature
        failed = self._natures.get(action.path) if isinstance(action, RecordFailure | RecordAttempt) else None
        if (point := point_of(action, events, failed)) is not None:
            self.passed(point)

    async def _perform(self, action: Work, step_id: str) -> Came:
        match action:
            case RecordFailure():
                return await self._record_failure(action)
            case (
                RecordDecision()
                | RecordBeginning()
                | RecordAttempt()
                | StartTimer()
                | Position()
                | FetchItems()
                | EndItem()
                | ReadResult()
                | StopCall()
            ):
                return Came((await self._record(action, step_id),))
            case _:
                return await self._activate(action, step_id)

    async def came_of(self, action: Interruptible) -> Event:
        """What has come of an attempt that was interrupted: it may have committed all the same."""
        await self.settled()
        if isinstance(action, RunAtomic):
            known: Event | None = await self._look_up_atomic(action)
        else:
            known = await self.look_up(action.path)
        if known is None and isinstance(action, RunSql | RunItems | RunAtomic):
            came = await self._recovered(action, late=True)
            known = came.events[-1] if came is not None and came.events else None
        return known or Stopped(path=action.path)

    async def take_over(self) -> bool:
        """Find out what earlier holders of the fence have done elsewhere; whether that was anything."""
        elsewhere = self._elsewhere
        if elsewhere is None or not self._claim.databases:
            return False
        return await self.insist(lambda: elsewhere.take_over(self._claim))

    async def finish(self, finish: Finish) -> None:
        """End the instance, however long it takes to reach the store. Raises FenceLost."""
        await self.insist(lambda: self._store.finish(self._claim, finish))
        self._made(finish, ())

    async def insist(self, ask: Callable[[], Awaitable[_T]], path: str = "") -> _T:
        """The store's answer, however long it takes to get one. Raises FenceLost."""
        failures = 0
        while True:
            try:
                return await self._claim.under_its_token(ask)
            except Transient:
                failures += 1
            await self.settled()
            await self._pause(retry.delay(self._claim.instance, path, failures))

    async def settled(self) -> None:
        """Return when nothing that was sent, and not answered, can have an effect any more.

        A statement whose connection is lost may be under way on the server, and commit at any time: also
        when it has been repeated, and its checkpoint forgotten. So the fence gets another token before
        anything else is believed, as in a take-over. Raises FenceLost.
        """
        claim = self._claim
        if not claim.in_doubt:
            return
        async with claim.settling:
            token = claim.next_token()
            failures = 0
            while claim.in_doubt:
                try:
                    await self._store.settle(claim, token)
                    claim.token, claim.in_doubt = token, False
                except Transient:
                    failures += 1
                    await self._pause(retry.delay(claim.instance, "", failures))

    async def look_up(self, path: str) -> Recorded | None:
        """What the journal says about an activation; waits for a store that does not answer."""
        return await self.insist(lambda: self._store.record_of(self._claim, path))

    # Activations

    async def _activate(self, action: Activation, step_id: str) -> Came:
        claim = self._claim
        refusals = 0
        while True:
            token = claim.token
            try:
                answer = await self._attempt(action)
                if isinstance(answer, NothingYet | Deferred):
                    return Came((answer,))
                return self._answered(answer)
            except StepFailed as failure:
                return Came(
                    (
                        Attempted(
                            path=action.path,
                            error=replace(failure.error, step=step_id),
                            transient=failure.retryable,
                            retry_after_seconds=failure.retry_after_seconds,
                        ),
                    )
                )
            except _NotYet as later:
                return Came((Deferred(path=action.path, seconds=later.seconds),))
            except Unreachable:
                refusals += 1
            except Beaten:
                return await self._beaten(action)
            except Transient as problem:
                message, sqlstate = str(problem), problem.sqlstate
                break
            except AlreadyRecorded:
                if isinstance(action, RunSql) and isinstance(action.rider, EndItem):
                    return _item_has_ended(action, action.rider)
                message = "the step has a checkpoint that its journal does not show"
                sqlstate = sqlstates.RECORDED
                break
            except FenceLost as problem:
                if isinstance(action, SendHttp):
                    raise  # its runner has looked whether the token has moved: the request is not sent again
                if await claim.moved(token):
                    continue  # another loss has cost this attempt its token: nothing of it has happened
                if not isinstance(action, RunSql | RunItems | RunAtomic):
                    raise
                # A step can make its own session say so (it may call df.checkpoint itself). Were it believed,
                # the instance would be dropped while its fence stays ours. The store knows: it raises below.
                message, sqlstate = str(problem), sqlstates.FENCE_LOST
                break
            await self._pause(retry.delay(claim.instance, action.path, refusals))
        await self.settled()
        known = await self._look_up_activation(action)
        if known is not None:
            return Came((known,))
        if isinstance(action, RunSql | RunItems | RunAtomic):
            recovered = await self._recovered(action, late=False)
            if recovered is not None:
                return recovered
        error = StepError(step=step_id, message=message, sqlstate=sqlstate)
        return Came((Attempted(path=action.path, error=error, transient=True),))

    async def _recovered(self, action: RunSql | RunItems | RunAtomic, *, late: bool) -> Came | None:
        """What an attempt in another database has come to that has no record here; recorded now."""
        elsewhere = self._elsewhere
        if action.database is None or elsewhere is None:
            return None
        try:
            found = await self.insist(lambda: elsewhere.recover(self._claim, action, late=late))
        except AlreadyRecorded:
            known = await self._look_up_activation(action)
            return None if known is None else Came((known,))
        return None if found is None else self._answered(found)

    async def _attempt(self, action: Activation) -> Answer | AtomicDone | NothingYet | Deferred:
        match action:
            case RunSql():
                await self._take_turn(action)
                ready = replace(action, sources=await self._at_hand(action.sources))
                return await self._sql.run(self._claim, ready)
            case RunItems():
                ready = replace(action, sources=await self._at_hand(action.sources))
                return await self._sql.run_items(self._claim, ready)
            case RunAtomic():
                await self._take_turn(action)
                return await self._run_atomic(action)
            case StoreItems():
                return await self._store.store_items(self._claim, action)
            case SendHttp():
                await self._take_turn(action)
                return await self._http.send(self._claim, action)
            case EndMap():
                return await self._store.end_map(self._claim, action)
            case RecordWaited():
                return await self._store.record_waited(self._claim, action)
            case TakeSignal():
                return await self._store.take_signal(self._claim, action)
            case AwaitInstance():
                return await self._store.await_instance(self._claim, action)
            case CallWorkflow():
                return await self._store.call(self._claim, action)
            case _:
                assert_never(action)

    async def _take_turn(self, action: RunSql | RunAtomic | SendHttp) -> None:
        """Return when the turn has come. Raises _NotYet where that takes its time."""
        limit = action.policy.rate_limit
        if limit is None or (isinstance(action, RunSql) and paths.is_request(action.path)):
            return
        key = action.policy.rate_key or f"step {paths.node_of(action.path)}"
        count, seconds = limit.count, limit.seconds
        path = paths.turn(action.path, action.attempt)
        wait = await self.insist(lambda: self._store.take_turn(self._claim, path, key, count, seconds))
        if wait >= retry.RECORDED_SECONDS:
            raise _NotYet(wait)
        if wait > 0:
            await self._pause(wait)

    async def _at_hand(self, sources: Sources) -> dict[str, Result]:
        return {source: await self._result(value) for source, value in sources.items()}

    async def _result(self, value: Result | Shape) -> Result:
        match value:
            case Rows() | Value() | Items() | Batch():
                return value
            case _:
                known = held(value)
                return known or await self.insist(lambda: self._store.result_of(self._claim, value))

    async def _run_atomic(self, action: RunAtomic) -> AtomicDone:
        sources: Mapping[str, Result] = await self._at_hand(action.sources)
        if action.database is not None and self._elsewhere is not None:
            sources = await self._elsewhere.translated(self._claim, action.database, sources)

        async def work(transaction: Transaction) -> None:
            state = begin_atomic(action, sources)
            todo: deque[Action] = deque(pending(state))
            while todo:
                wanted = todo.popleft()
                match wanted:
                    case RunSql():
                        todo.extend(step(state, await transaction.run(wanted)))
                    case Finish(status="completed"):
                        return
                    case Finish(error=StepError() as error):
                        raise StepFailed(error)
                    case _:
                        raise AssertionError(f"{wanted} inside of a transaction")

        return await self._sql.run_atomic(self._claim, action, work)

    async def _beaten(self, action: Activation) -> Came:
        """A rival has won: its decision comes first."""
        rider = action.rider if isinstance(action, RunSql) else None
        assert isinstance(rider, RecordDecision)
        decided = await self.insist(lambda: self._store.record_decision(self._claim, rider))
        return Came((decided, Stopped(path=action.path)))

    async def _look_up_activation(self, action: Activation) -> Event | None:
        if isinstance(action, RunAtomic):
            return await self._look_up_atomic(action)
        return await self.look_up(action.path)

    async def _look_up_atomic(self, action: RunAtomic) -> AtomicDone | None:
        """All records of the transaction, if it has committed."""
        records: list[Completed] = []
        for path in statements_of(action.block, action.frame):
            record = await self.look_up(path)
            if isinstance(record, Completed):
                records.append(record)
        return AtomicDone(path=action.path, records=tuple(records)) if records else None

    def _answered(self, answer: Answer | AtomicDone) -> Came:
        if isinstance(answer, AtomicDone):
            return Came((answer,))
        if answer.finished:
            return Came(finished=True)
        events: list[Event] = []
        if answer.cancel_reason is not None:
            # It had committed before the record: after the record alone the core might want another end.
            events.append(CancelRequested(reason=answer.cancel_reason))
        if answer.decided is not None:
            events.append(answer.decided)
        events.append(answer.event)
        if answer.item is not None:
            events.append(answer.item)
        return Came(tuple(events))

    # Recordings

    async def _record_failure(self, action: RecordFailure) -> Came:
        failures = 0
        while True:
            try:
                return self._answered(
                    await self.insist(lambda: self._store.record_failure(self._claim, action), action.path)
                )
            except AlreadyRecorded:
                failures += 1
            if (record := await self.look_up(action.path)) is not None:
                return Came((record,))
            await self._pause(retry.delay(self._claim.instance, action.path, failures))

    async def _record(self, action: Recording, step_id: str) -> Event:
        """Recordings are idempotent: they are repeated until the store has answered."""
        claim, store = self._claim, self._store
        match action:
            case RecordDecision():
                return await self.insist(lambda: store.record_decision(claim, action), action.path)
            case RecordBeginning():
                return await self.insist(lambda: store.record_beginning(claim, action), action.path)
            case RecordAttempt():
                return await self.insist(lambda: store.record_attempt(claim, action), action.path)
            case StartTimer():
                try:
                    return await self.insist(lambda: store.start_timer(claim, action), action.path)
                except StepFailed as failure:
                    return NoTime(path=action.path, error=replace(failure.error, step=step_id))
            case StopCall():
                token = claim.token
                came = await self.insist(lambda: store.stop_call(claim, action), action.path)
                if isinstance(came, NothingYet) and claim.token != token:
                    # An answer was lost, and with it whether others have to ask again.
                    return replace(came, others=True)
                return came
            case Position():
                return await self.insist(lambda: store.position(claim, action), action.path)
            case FetchItems():
                return await self.insist(lambda: store.fetch_items(claim, action), action.path)
            case EndItem():
                return await self.insist(lambda: store.end_item(claim, action), action.path)
            case ReadResult(path=path, shape=shape):
                result = await self.insist(lambda: store.result_of(claim, shape), action.path)
                return ResultRead(path=path, result=result)
            case _:
                assert_never(action)


def _item_has_ended(action: RunSql, rider: EndItem) -> Came:
    """An earlier attempt has committed, and its item with it; the effect of this one is rolled back."""
    event = Completed(number=0, path=action.path, result=None)
    return Came((event, ItemEnded(path=rider.path, item=rider.item)))


__all__ = ["Asking", "Beginning", "Came", "Decided", "Interruptible", "Performer", "Work", "is_news"]
