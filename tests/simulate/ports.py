"""The ports over the model, Store, SqlRunner and HttpRunner of one claim: every call crosses the network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from dfc.compiler.plan import BreakNode, CallNode, Form, HttpNode, Plan
from dfc.executor.actions import (
    AwaitInstance,
    CallWorkflow,
    EndItem,
    EndMap,
    FetchItems,
    Finish,
    Position,
    RecordAttempt,
    RecordBeginning,
    RecordDecision,
    RecordFailure,
    RecordWaited,
    RunAtomic,
    RunItems,
    RunSql,
    SendHttp,
    StartTimer,
    StopCall,
    StoreItems,
    TakeSignal,
)
from dfc.executor.claim import Claim
from dfc.executor.failures import AlreadyRecorded, StepFailed, Transient, Unreachable
from dfc.executor.journal import (
    AtomicDone,
    Begun,
    Completed,
    Decided,
    Deferred,
    ItemEnded,
    ItemsFetched,
    NothingYet,
    Positioned,
    Record,
    Recorded,
    Result,
    Retrying,
    Rows,
    Shape,
    StepError,
    Stopped,
    Timed,
)
from dfc.executor.ports import Answer, Parking, Transaction
from tests.simulate.fates import error_of, http_result, sql_result
from tests.simulate.network import Network
from tests.simulate.places import where
from tests.simulate.plausible import HTTP_TROUBLE, matches
from tests.simulate.rows import Instance
from tests.simulate.shapes import Broken, batches, resolved, to_store
from tests.simulate.values import plain
from tests.simulate.watch import Watch

_T = TypeVar("_T")


class Ports:
    """The store and the runners of one claim. `kept`: the nodes whose results the core wants back."""

    def __init__(self, network: Network, claim: Claim, kept: frozenset[str]) -> None:
        self.network = network
        self.database = network.database
        self.kept = kept
        self.watch = Watch(network.database, claim)
        self.refusals: dict[str, int] = {}

    @property
    def instance(self) -> Instance:
        return self.watch.instance

    # Store

    async def begin_again(self, claim: Claim, records: Sequence[str], maps: Sequence[str]) -> None:
        await self._call(claim, lambda sent: self.database.begin_again(sent, records, maps))

    async def settle(self, claim: Claim, token: bytes) -> None:
        await self._call(claim, lambda sent: self.database.settle(sent, token))
        self.network.fired["settled"] += 1

    async def history(self, claim: Claim, plan: Plan) -> list[Record]:
        records = await self._call(claim, lambda sent: self.database.history(sent, self.kept))
        self.watch.note(records)
        self.network.random.shuffle(records)
        return records

    async def record_of(self, claim: Claim, path: str) -> Recorded | None:
        record = await self._call(claim, lambda sent: self.database.record_of(sent, path))
        if record is not None:
            self.watch.note([record])
        return record

    async def result_of(self, claim: Claim, shape: Shape) -> Result:
        return await self._call(claim, lambda sent: self.database.result_of(sent, shape))

    async def record_failure(self, claim: Claim, action: RecordFailure) -> Answer:
        answer = await self._call(claim, lambda sent: self.database.record_failure(sent, action))
        return self.watch.answer(answer)

    async def record_decision(self, claim: Claim, action: RecordDecision) -> Decided:
        decided = await self._call(claim, lambda sent: self.database.record_decision(sent, action))
        self.watch.note([decided])
        return decided

    async def record_beginning(self, claim: Claim, action: RecordBeginning) -> Begun:
        return await self._call(claim, lambda sent: self.database.record_beginning(sent, action.path))

    async def record_attempt(self, claim: Claim, action: RecordAttempt) -> Retrying:
        self.watch.counts(action.path, action.attempts + action.losses)
        noted = await self._call(claim, lambda sent: self.database.record_attempt(sent, action))
        self.watch.note([noted])
        return noted

    async def start_timer(self, claim: Claim, action: StartTimer) -> Timed:
        return await self._call(claim, lambda sent: self.database.start_timer(sent, action))

    async def position(self, claim: Claim, action: Position) -> Positioned:
        self.watch.stands(action.path, action.round)
        return await self._call(claim, lambda sent: self.database.position(sent, action))

    async def store_items(self, claim: Claim, action: StoreItems) -> Answer:
        instance = self.instance

        def serve(sent: Claim) -> Answer:
            self.database.check(sent)
            given = to_store(instance, action.source)
            values = batches(given, action.batch_size, action.path)
            return self.database.store_items(sent, action.path, values, seen={"": plain(given)})

        self.watch.starts(action.path, 1)
        return await self._guarded(claim, action.path, serve)

    async def fetch_items(self, claim: Claim, action: FetchItems) -> ItemsFetched:
        return await self._call(claim, lambda sent: self.database.fetch_items(sent, action))

    async def end_item(self, claim: Claim, action: EndItem) -> ItemEnded:
        ended = await self._call(claim, lambda sent: self.database.end_item(sent, action))
        self.watch.note([ended])
        return ended

    async def end_map(self, claim: Claim, action: EndMap) -> Answer:
        answer = await self._call(claim, lambda sent: self.database.end_map(sent, action))
        return self._brought(self.watch.answer(answer), action.keep)

    async def take_turn(self, claim: Claim, path: str, key: str, count: int, seconds: int) -> float:
        wait = await self._call(claim, lambda sent: self.database.take_turn(sent, path, key, count, seconds))
        self.network.fired["turn"] += 1
        return wait

    async def record_waited(self, claim: Claim, action: RecordWaited) -> Answer | Deferred:
        answer = await self._call(claim, lambda sent: self.database.record_waited(sent, action))
        if isinstance(answer, Deferred):
            self.network.fired["not yet"] += 1
            return answer
        return self._brought(self.watch.answer(answer), action.keep)

    async def take_signal(self, claim: Claim, action: TakeSignal) -> Answer | NothingYet:
        return await self._asked(claim, action, lambda sent: self.database.take_signal(sent, action))

    async def await_instance(self, claim: Claim, action: AwaitInstance) -> Answer | NothingYet:
        return await self._asked(claim, action, lambda sent: self.database.await_instance(sent, action))

    async def call(self, claim: Claim, action: CallWorkflow) -> Answer | NothingYet:
        return await self._asked(claim, action, lambda sent: self.database.call(sent, action))

    async def _asked(
        self,
        claim: Claim,
        action: TakeSignal | AwaitInstance | CallWorkflow,
        serve: Callable[[Claim], Answer | NothingYet],
    ) -> Answer | NothingYet:
        if action.path in self.watch.known:
            raise self.watch.say(f"`{action.path}` asks again though the journal shows its record")
        answer = await self._under(claim, action.path, serve)
        if isinstance(answer, NothingYet):
            return answer
        self.network.fired[type(action).__name__] += 1
        return self._brought(answer, action.keep)

    async def stop_call(self, claim: Claim, action: StopCall) -> Recorded | Stopped | NothingYet:
        came = await self._call(claim, lambda sent: self.database.stop_call(sent, action))
        self.network.fired["call stopped"] += 1
        self.watch.note([came])
        return came

    async def park(self, claim: Claim, parking: Parking) -> None:
        if self.watch.running:
            raise self.watch.say(f"it is parked while {sorted(self.watch.running)} run")
        await self._call(claim, lambda sent: self.database.park(sent, parking))
        self.network.fired["parked listening"] += bool(parking.listening)
        self.network.fired["parked"] += 1
        self.network.fired["given up for a pause"] += parking.pausing

    async def finish(self, claim: Claim, finish: Finish) -> None:
        self.watch.finishes(finish)
        await self._call(claim, lambda sent: self.database.finish(sent, finish))

    async def wait(self, seconds: float) -> None:
        if seconds < 0:
            raise Broken("a wait of negative length")
        late = self.network.random.choice((0.0, 0.0, 0.5, 5.0)) * self.network.random.random()
        await asyncio.sleep(seconds + late)

    # SqlRunner

    async def run(self, claim: Claim, action: RunSql) -> Answer:
        path, instance = action.path, self.instance
        self.watch.starts(path, action.attempt)
        seconds = self._seconds(action)

        def serve(sent: Claim) -> Answer:
            self.database.check(sent)
            result, seen = self.executed(action, {})
            answer = self.database.checkpoint(sent, path, result, rider=action.rider, seen=seen)
            instance.history.effects[path] += 1
            return answer

        if action.body.form is Form.AUTOCOMMIT:
            return self._brought(await self._autocommit(claim, action, seconds), action.keep)
        return self._brought(await self._guarded(claim, path, serve, seconds), action.keep)

    async def _autocommit(self, claim: Claim, action: RunSql, seconds: float) -> Answer:
        """The effect first, then the record: a transaction each."""

        def affect(sent: Claim) -> tuple[Rows, dict[str, Any]]:
            self.database.check(sent)
            done = self.executed(action, {})
            self.instance.history.effects[action.path] += 1
            return done

        result, seen = await self._guarded(claim, action.path, affect, seconds)

        def record(sent: Claim) -> Answer:
            return self.database.checkpoint(sent, action.path, result, rider=action.rider, seen=seen)

        return await self._recorded(claim, action.path, record)

    async def run_items(self, claim: Claim, action: RunItems) -> Answer:
        self.watch.starts(action.path, action.attempt)
        instance = self.instance

        def serve(sent: Claim) -> Answer:
            self.database.check(sent)
            self._fate(action.path)
            seen = {key: plain(resolved(instance, source)) for key, source in action.sources.items()}
            rows = instance.fates.number("items", action.path) % 6
            result = sql_result(instance.fates, action.path, action.body, seen, self.nonce(), rows)
            values = batches(result, action.batch_size, action.path)
            answer = self.database.store_items(sent, action.path, values, seen=seen)
            instance.history.effects[action.path] += 1
            return answer

        return await self._guarded(claim, action.path, serve, instance.fates.of(action.path).seconds)

    async def run_atomic(
        self, claim: Claim, action: RunAtomic, work: Callable[[Transaction], Awaitable[None]]
    ) -> AtomicDone:
        self.watch.starts(action.path, action.attempt)
        transaction = ModelTransaction(self, claim)
        self._refuse(action.path)
        self.watch.running.add(action.path)
        try:
            await work(transaction)
            records = await self.call_statement(
                claim, lambda sent: self.database.commit(sent, transaction.steps)
            )
        finally:
            self.watch.running.discard(action.path)
        done = AtomicDone(path=action.path, records=records)
        self.watch.note([done])
        return done

    # HttpRunner

    async def send(self, claim: Claim, action: SendHttp) -> Answer:
        path, instance = action.path, self.instance
        self.watch.starts(path, action.attempt)
        asked = str(action.request.cells) if isinstance(action.request, Rows) else action.request.url
        self.watch.running.add(path)
        try:
            await asyncio.sleep(self.network.random.random() * 0.1)
            instance.history.sent.setdefault(path, []).append(asked)
            try:
                self._fate(path)
            except StepFailed as failure:
                # Whether a request may be sent again is its runner's judgement.
                words = action.policy.retry_on is not None
                failure.retryable = words and matches(action.policy, failure.error.sqlstate)
                raise
            except Transient as problem:
                error = error_of(path, HTTP_TROUBLE)
                after = self.network.random.choice((None, None, 0.5))
                raise StepFailed(error, retryable=True, retry_after_seconds=after) from problem
            instance.history.effects[path] += 1
            seconds = instance.fates.of(path).seconds
            await asyncio.sleep(seconds + self.network.random.random() * 0.1)
        finally:
            self.watch.running.discard(path)
        result = http_result(instance.fates, path, action.request, action.many)

        def record(sent: Claim) -> Answer:
            return self.database.checkpoint(sent, path, result, rider=action.rider)

        return self._brought(await self._recorded(claim, path, record), action.keep)

    # What they share

    async def _call(self, claim: Claim, work: Callable[[Claim], _T]) -> _T:
        return await self.network.call_for(claim, work)

    async def call_statement(self, claim: Claim, work: Callable[[Claim], _T], seconds: float = 0.0) -> _T:
        return await self.network.call_for(claim, work, seconds, statement=True)

    def nonce(self) -> str:
        return f"{self.network.random.getrandbits(32):08x}"

    def executed(self, action: RunSql, fresh: Mapping[str, Completed]) -> tuple[Rows, dict[str, Any]]:
        """What a statement gives, and what it has seen of its sources. `fresh`: not committed yet."""
        path, instance = action.path, self.instance
        limit = action.policy.timeout
        if limit is not None and instance.fates.of(path).seconds >= limit.seconds:
            self.network.fired["time limit"] += 1
            raise StepFailed(StepError(step=where(path).node, message="time limit", sqlstate="timeout"))
        self._fate(path)
        seen = {key: plain(resolved(instance, source, fresh)) for key, source in action.sources.items()}
        node = instance.places.node(path)
        many = isinstance(node, HttpNode) and node.many
        rows = instance.fates.number("rows", path) % 3 if many else None
        if isinstance(node, HttpNode | BreakNode) and not many:
            rows = 1
        if isinstance(node, CallNode):
            cells = (json.dumps({"seen": sorted(seen)}),)
            return Rows(columns=("input",), types=(3802,), cells=cells, row_count=1), seen
        return sql_result(instance.fates, path, action.body, seen, self.nonce(), rows), seen

    def _seconds(self, action: RunSql) -> float:
        seconds, limit = self.instance.fates.of(action.path).seconds, action.policy.timeout
        return seconds if limit is None else min(seconds, limit.seconds)

    def _refuse(self, path: str) -> None:
        if self.network.strikes("refused", 0.1):
            # No connection for this step, for longer than any number of attempts would last.
            self.refusals[path] = self.network.random.choice((1, 3, 24))
        if self.refusals.get(path, 0) > 0:
            self.refusals[path] -= 1
            raise Unreachable("too many connections", "53300")

    async def _guarded(
        self, claim: Claim, path: str, serve: Callable[[Claim], _T], seconds: float = 0.0
    ) -> _T:
        self._refuse(path)
        return await self._under(claim, path, serve, seconds)

    async def _recorded(self, claim: Claim, path: str, record: Callable[[Claim], Answer]) -> Answer:
        """The record of what has been done already: a token that has changed since must not cost it."""
        return await claim.under_its_token(lambda: self._under(claim, path, record))

    async def _under(self, claim: Claim, path: str, serve: Callable[[Claim], _T], seconds: float = 0.0) -> _T:
        self.watch.running.add(path)
        try:
            answer = await self.call_statement(claim, serve, seconds)
        except (Transient, AlreadyRecorded):
            self.watch.should_know(path)
            raise
        finally:
            self.watch.running.discard(path)
        if isinstance(answer, Answer):
            self.watch.answer(answer)
        return answer

    def _brought(self, answer: Answer, keep: bool) -> Answer:
        """The answer without a result that nobody wants."""
        event = answer.event
        if keep or not isinstance(event, Completed):
            return answer
        event = Completed(number=event.number, path=event.path, result=None)
        return Answer(
            event=event,
            finished=answer.finished,
            cancel_reason=answer.cancel_reason,
            decided=answer.decided,
            item=answer.item,
        )

    def _fate(self, path: str) -> None:
        """Let the activation's own trouble happen. Its transaction is rolled back."""
        instance = self.instance
        fate = instance.fates.of(path)
        execution = instance.executions.get(path, 0)
        instance.executions[path] = execution + 1
        if fate.for_ever:
            assert fate.error is not None
            self.network.fired["conflict"] += 1
            raise Transient(f"{path} fails", fate.error)
        if execution < len(fate.transients):
            self.network.fired["conflict"] += 1
            raise Transient("bad luck", fate.transients[execution])
        execution -= len(fate.transients)
        if fate.error is not None and (fate.errors is None or execution < fate.errors):
            self.network.fired["step fails"] += 1
            raise StepFailed(error_of(path, fate.error))


class ModelTransaction:
    """A transaction of several steps: nothing of it is to be seen before its commit."""

    def __init__(self, ports: Ports, claim: Claim) -> None:
        self.ports = ports
        self.claim = claim
        self.steps: list[tuple[str, Rows, Mapping[str, Any]]] = []
        self.lost = False

    async def run(self, action: RunSql) -> Completed:
        """See `ports.Transaction`."""
        ports = self.ports
        assert not self.lost, "a transaction goes on after its connection was lost"
        fresh = {path: Completed(number=0, path=path, result=result) for path, result, _ in self.steps}

        def serve(sent: Claim) -> tuple[Rows, Mapping[str, Any]]:
            ports.database.check(sent)
            return ports.executed(action, fresh)

        self.lost = True
        seconds = ports.instance.fates.of(action.path).seconds
        result, seen = await ports.call_statement(self.claim, serve, seconds)
        self.lost = False
        self.steps.append((action.path, result, seen))
        number = ports.database.journal + len(self.steps)
        return Completed(number=number, path=action.path, result=result if action.keep else None)
