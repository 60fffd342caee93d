"""What the driver of an instance needs of the world. PostgreSQL's side and the simulator's keep to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dfc.compiler.plan import Plan
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
    Shape,
    Stopped,
    Timed,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The record of an activation, and whether its transaction also ended the instance.

    `decided` is the decision that it carried along, `item` the item that it ended (then `event` has the
    path of
    the activation, of which there is no record).

    An activation sent with `finish` comes back with `finished=False` when a cancel request had committed
    before: the effect stands, the instance goes on to be cancelled; `cancel_reason` says why.
    """

    event: Recorded
    finished: bool = False
    cancel_reason: str | None = None
    decided: Decided | None = None
    item: ItemEnded | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parking:
    """Until when an instance is given up, and what it waits for.

    `seconds` may be infinite. `cancel_known`: the driver knows of a cancel request, so that one does not
    count. `listening` are the paths of what waits for news, which count as a request then. `pausing`: it is
    given up because it is paused, until it is resumed; where that has come meanwhile, it is due at once.
    """

    seconds: float
    waiting_for: str
    cancel_known: bool
    listening: tuple[str, ...] = ()
    pausing: bool = False


class Store(Protocol):
    """The journal of one database. Every call raises FenceLost and Transient; what else is said there.

    A call of any port that ends without an answer, or is cancelled and leaves the server with it, says so to
    the claim (`Claim.doubt`). The token sent is that of the moment.
    """

    async def begin_again(self, claim: Claim, records: Sequence[str], maps: Sequence[str]) -> None:
        """Forget these records of an instance that is retried, and let failed items of maps begin anew.

        Idempotent: what is not retried any more keeps all it has.
        """
        ...

    async def settle(self, claim: Claim, token: bytes) -> None:
        """Give the fence another token, after all that was sent under the claim's and has committed.

        What is still under way under the old one is refused from then on. Idempotent.
        """
        ...

    async def history(self, claim: Claim, plan: Plan) -> list[Record]:
        """What lasts of the instance, in any order.

        The results of the nodes of `decide.kept_nodes(plan)` have to be brought back, unless they are large
        (`limits.KEPT_BYTES_MAX`); others may be None. Times are relative to now.
        """
        ...

    async def record_of(self, claim: Claim, path: str) -> Recorded | None:
        """The completion or failure of one activation, with its result; None while there is none."""
        ...

    async def result_of(self, claim: Claim, shape: Shape) -> Result:
        """The result that a shape describes: a record's own, or the assembled JSON value."""
        ...

    async def record_failure(self, claim: Claim, action: RecordFailure) -> Answer:
        """Record a failure. Raises AlreadyRecorded."""
        ...

    async def record_decision(self, claim: Claim, action: RecordDecision) -> Decided:
        """Record a decision, or give the one that there is."""
        ...

    async def record_beginning(self, claim: Claim, action: RecordBeginning) -> Begun:
        """Record that an attempt begins. Idempotent."""
        ...

    async def record_attempt(self, claim: Claim, action: RecordAttempt) -> Retrying:
        """Record a failed attempt; takes the place of the one before. Forgets a beginning."""
        ...

    async def start_timer(self, claim: Claim, action: StartTimer) -> Timed:
        """Record a timer, or give what is left of the one that there is.

        Raises StepFailed where there is no such moment.
        """
        ...

    async def record_waited(self, claim: Claim, action: RecordWaited) -> Answer | Deferred:
        """Record the end of a wait for a moment, unless the clock stands in front of it.

        Raises AlreadyRecorded.
        """
        ...

    async def take_signal(self, claim: Claim, action: TakeSignal) -> Answer | NothingYet:
        """Take a signal and record it; NothingYet where there is none. Raises AlreadyRecorded."""
        ...

    async def await_instance(self, claim: Claim, action: AwaitInstance) -> Answer | NothingYet:
        """Record how another instance has ended; NothingYet while it has not.

        Raises AlreadyRecorded; StepFailed where it is no instance of the submitter's.
        """
        ...

    async def call(self, claim: Claim, action: CallWorkflow) -> Answer | NothingYet:
        """Record what a called workflow has given; NothingYet while it runs. Started by the first call.

        Raises AlreadyRecorded; StepFailed where it has not completed, or cannot be started.
        """
        ...

    async def stop_call(self, claim: Claim, action: StopCall) -> Recorded | Stopped | NothingYet:
        """Have what was called come to its end. Idempotent."""
        ...

    async def position(self, claim: Claim, action: Position) -> Positioned:
        """Record a position, which takes the place of the one before, and forget records. Idempotent."""
        ...

    async def store_items(self, claim: Claim, action: StoreItems) -> Answer:
        """Store the items of a map, given as a result.

        Raises AlreadyRecorded; StepFailed where it is no array.
        """
        ...

    async def fetch_items(self, claim: Claim, action: FetchItems) -> ItemsFetched:
        """The next items of a map."""
        ...

    async def end_item(self, claim: Claim, action: EndItem) -> ItemEnded:
        """Put an item's outcome into its row, and forget its records. Idempotent."""
        ...

    async def end_map(self, claim: Claim, action: EndMap) -> Answer:
        """Record the result of a map. Raises AlreadyRecorded."""
        ...

    async def take_turn(self, claim: Claim, path: str, key: str, count: int, seconds: int) -> float:
        """Take a place under a rate limit of the submitter; how many seconds to wait before it is there.

        A place that is not there for `retry.RECORDED_SECONDS` is recorded under `path` (`paths.turn`), and
        given again to whoever asks for it again. That the attempt has begun is forgotten then.
        """
        ...

    async def park(self, claim: Claim, parking: Parking) -> None:
        """Give the instance up until its time has come or a request comes; anybody may claim it then."""
        ...

    async def finish(self, claim: Claim, finish: Finish) -> None:
        """End the instance and give up the fence."""
        ...

    async def wait(self, seconds: float) -> None:
        """Return after this time. Holds no connection."""
        ...


class Transaction(Protocol):
    """A transaction of several steps on one session of the submitter."""

    async def run(self, action: RunSql) -> Completed:
        """Run a statement and write its checkpoint; nothing is committed yet.

        Raises as SqlRunner.run does.
        """
        ...


class SqlRunner(Protocol):
    """Runs SQL steps on connections of their submitter."""

    async def run(self, claim: Claim, action: RunSql) -> Answer:
        """Run and checkpoint in one transaction, or outside of one where the statement's form says so.

        Raises FenceLost, AlreadyRecorded, Beaten, Transient, Unreachable; StepFailed for an error that is the
        statement's own, also for a time limit of its policy (sqlstate `timeout`).
        Cancelling the call cancels the statement on the server.
        """
        ...

    async def run_items(self, claim: Claim, action: RunItems) -> Answer:
        """Run the query of a map, and store its rows as items, in one transaction. Raises as `run`."""
        ...

    async def run_atomic(
        self, claim: Claim, action: RunAtomic, work: Callable[[Transaction], Awaitable[None]]
    ) -> AtomicDone:
        """Call `work` in a transaction, and commit when it returns. Raises as `run`, and what `work` raises.

        The transaction has ended, and its session is clean, when this returns or raises.
        """
        ...


class Elsewhere(Protocol):
    """What other databases know of an instance: effects there happen before they are recorded."""

    async def take_over(self, claim: Claim) -> bool:
        """Put up the fence wherever the instance may have something, and record what has happened there.

        What an earlier holder of the fence has under way there does not commit any more. Whether anything was
        recorded. Raises FenceLost, Transient.
        """
        ...

    async def recover(
        self, claim: Claim, action: RunSql | RunItems | RunAtomic, *, late: bool
    ) -> Answer | AtomicDone | None:
        """Find out whether an attempt without an answer has happened, and record it; None: it never will.

        `late`: nobody waits for it any more, and its record says so. Raises FenceLost, AlreadyRecorded,
        Transient.
        """
        ...

    async def translated(
        self, claim: Claim, database: str, sources: Mapping[str, Result]
    ) -> Mapping[str, Result]:
        """The results with the types that they have in a database; what is not known there is text."""
        ...


class HttpRunner(Protocol):
    """Sends HTTP requests."""

    async def send(self, claim: Claim, action: SendHttp) -> Answer:
        """Send, then record the response.

        Raises FenceLost, AlreadyRecorded, Transient (of the store, when recording), StepFailed.
        """
        ...
