"""What the core wants done. The shell performs actions and answers each with events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dfc.compiler.plan import DEFAULT_POLICY, Block, Policy, Request, SqlBody
from dfc.executor import paths
from dfc.executor.journal import Result, Rows, Shape, StepError

Status = Literal["completed", "failed", "cancelled", "compensated"]

Sources = Mapping[str, Result | Shape]
"""Results that parameters refer to, by `Parameter.key`: what is at hand, or where it is to be found. One
that has not completed is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The end of the instance.

    `completed` has a `shape`, `failed` and `compensated` an `error`, `cancelled` a `reason`. `undo_errors`
    are
    those of the undo steps that failed.
    """

    status: Status
    shape: Shape | None = None
    error: StepError | None = None
    reason: str | None = None
    undo_errors: tuple[StepError, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EndItem:
    """Item `item` of the map at `path` has ended, with a `shape` or an `error`; `forget` are its records.

    Answered by ItemEnded.
    """

    path: str
    item: int
    shape: Shape | None
    error: StepError | None
    forget: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordDecision:
    """Record a decision under `path`, unless there is one. Answered by Decided, with the one that counts."""

    path: str
    value: str


Rider = Finish | EndItem | RecordDecision
"""What a checkpoint carries along in its transaction.

A Finish is left out when a cancel request has committed before. With an EndItem the result goes into the row
of the item, and no checkpoint of its own is written. A RecordDecision that comes too late rolls the step
back.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSql:
    """Run a statement and checkpoint it under `path`, in one transaction.

    `keep` says that the shell has to bring the result back, because a later node may want it. `attempt`
    counts from 1. `database` is where, None for the database of the workflows; elsewhere it carries no more
    along than the end of the instance.
    """

    path: str
    body: SqlBody
    sources: Sources
    rider: Rider | None
    keep: bool
    policy: Policy = DEFAULT_POLICY
    attempt: int = 1
    database: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAtomic:
    """Run the steps of a block in one transaction, each with its checkpoint. Answered by AtomicDone.

    `frame` is what stands in front of the paths of the block's nodes. `sources` are those from outside of it.
    """

    path: str
    frame: str
    block: Block
    sources: Sources
    policy: Policy = DEFAULT_POLICY
    attempt: int = 1
    database: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunItems:
    """Run the query of a map, and store its rows as items, `batch_size` rows each.

    The record at `<path>` says how many items there are (`row_count` of its result).
    """

    path: str
    body: SqlBody
    sources: Sources
    batch_size: int
    database: str | None = None
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreItems:
    """Store a result as the items of a map: rows, or the elements of a JSON array.

    Recorded as RunItems is.
    """

    path: str
    source: Result | Shape
    batch_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SendHttp:
    """Send the request, or each that a `<id>/request` step computed; record the answer under `path`.

    `secrets` are the names of secrets that computed requests may ask for: those in the text of the step
    (`secret_text.names_in`), so that no data can ask for others. None: any.
    """

    path: str
    request: Request | Rows
    many: bool
    rider: Rider | None
    keep: bool
    policy: Policy = DEFAULT_POLICY
    attempt: int = 1
    secrets: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFailure:
    """Record that an activation has failed for good. With `finish` the same transaction ends the instance."""

    path: str
    error: StepError
    finish: Finish | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordBeginning:
    """Record that an attempt that may happen once only begins now. Answered by Begun."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAttempt:
    """Record a failed or lost attempt and when the next one is due. Answered by Retrying."""

    path: str
    attempts: int
    losses: int
    seconds: float
    error: StepError


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTimer:
    """Record a timer that begins now. Answered by Timed; by the earlier one, if there is one.

    It runs for `seconds`, or to the moment that the text `until` says in the instance's time zone, or to the
    next tick of `cron` in `time_zone` (None: UTC). Answered by NoTime where there is no such moment.
    """

    path: str
    seconds: float = 0.0
    until: str | None = None
    cron: str | None = None
    time_zone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordWaited:
    """A wait for a moment is over: record `value` (JSON text) under `path`."""

    path: str
    value: str
    keep: bool
    rider: Rider | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeSignal:
    """Take the first signal of this name, and record it under `path`.

    Answered by NothingYet where there is none. `expired`: the time is over, which is recorded where there is
    none.
    """

    path: str
    name: str
    expired: bool
    keep: bool
    rider: Rider | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitInstance:
    """Record how another instance has ended. Answered by NothingYet while it has not, unless `expired`."""

    path: str
    instance: str
    expired: bool
    keep: bool
    rider: Rider | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallWorkflow:
    """Start a defined workflow, unless it is recorded under `child`, and record its result when it has ended.

    `input` is JSON text. Answered by NothingYet while it runs; its failure is that of the attempt.
    """

    path: str
    child: str
    workflow: str
    input: str | None
    keep: bool
    rider: Rider | None
    policy: Policy = DEFAULT_POLICY
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StopCall:
    """Cancel what a call has started, if it runs.

    Answered by NothingYet until it has ended, then by the record of the call, if it has completed, else by
    Stopped.
    """

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Nothing is to be done until something comes from outside: the shell is told, and says Called.

    `news` says for people what is waited for.
    """

    path: str
    news: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Record where a loop or retry stands, and delete the records under `forget`. Answered by Positioned."""

    path: str
    round: int
    carry: Mapping[str, Shape]
    forget: tuple[str, ...]
    seconds: float = 0.0
    error: StepError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchItems:
    """Fetch up to `limit` items of the map at `path` behind number `after`. Answered by ItemsFetched.

    Those that have ended are left out unless `ended`.
    """

    path: str
    after: int
    limit: int
    ended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EndMap:
    """All items have ended, or none is to begin any more: record the map's result under `path`.

    That is the array of the items' results, or their numbers when it is over the limits of a result.
    """

    path: str
    keep: bool
    rider: Rider | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadResult:
    """Bring back the result that a shape describes. Answered by ResultRead under `path`."""

    path: str
    shape: Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Answer `Due` after this many seconds. Holds no connection."""

    path: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupt:
    """Stop what runs under `path`; a statement's transaction rolls back.

    A Wait or a Listen is answered by nothing. Anything else is answered by what has come of it: its record if
    it had committed, else Stopped. Recordings are not interrupted.
    """

    path: str


Action = (
    RunSql
    | RunAtomic
    | RunItems
    | StoreItems
    | SendHttp
    | RecordFailure
    | RecordDecision
    | RecordBeginning
    | RecordAttempt
    | StartTimer
    | RecordWaited
    | TakeSignal
    | AwaitInstance
    | CallWorkflow
    | StopCall
    | Listen
    | Position
    | FetchItems
    | EndItem
    | EndMap
    | ReadResult
    | Wait
    | Interrupt
    | Finish
)


def key_of(action: Action) -> str:
    """The path of the job that an action is for, under which it is the only one at a time."""
    match action:
        case FetchItems(path=path):
            return paths.fetch(path)
        case EndItem(path=path, item=item):
            return paths.item(path, item)
        case Finish():
            return ""
        case _:
            return action.path
