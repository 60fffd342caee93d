"""What the driver of an instance needs of the world. PostgreSQL's side and the simulator's keep to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from dfc.compiler.plan import Plan
from dfc.executor.actions import Finish, RecordFailure, RunSql, SendHttp
from dfc.executor.journal import Recorded, StepError


class FenceLost(Exception):
    """Another worker owns the instance now, or nobody does: drop it, do nothing more."""


class AlreadyRecorded(Exception):
    """The activation has a checkpoint already (an earlier attempt has committed): read the journal."""


class StepFailed(Exception):
    """The step itself failed; its transaction is rolled back. `error` says why."""

    def __init__(self, error: StepError) -> None:
        super().__init__(error.message)
        self.error = error


class Transient(Exception):
    """An attempt had no effect, or it is not known whether it had (lost connection): read the journal."""

    def __init__(self, message: str, sqlstate: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class Unreachable(Transient):
    """There was no connection for the attempt (none free, login refused): surely nothing was sent.

    The driver waits and tries again for as long as it takes; such attempts are not counted.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An instance that this worker owns until the fence says otherwise.

    `token` is the fence's secret; an activation's token is sha256(token || path). `cancel_reason` is set when
    a cancel was requested before the claim. `resumed` says that checkpoints may exist.
    """

    instance: str
    token: bytes
    submitted_by: str
    database: str | None
    search_path: str
    time_zone: str
    cancel_reason: str | None
    resumed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The record of an activation, and whether its transaction also ended the instance.

    An activation sent with `finish` comes back with `finished=False` when a cancel request had committed
    before: the effect stands, the instance goes on to be cancelled; `cancel_reason` says why.
    """

    event: Recorded
    finished: bool = False
    cancel_reason: str | None = None


class Store(Protocol):
    """The journal of one database."""

    async def history(self, claim: Claim, plan: Plan) -> list[Recorded]:
        """The instance's records in journal order. Raises FenceLost, Transient.

        The results of `decide.kept_paths(plan)` have to be brought back; others may be None.
        """
        ...

    async def record_of(self, claim: Claim, path: str) -> Recorded | None:
        """The record of one activation, with its result; None while there is none.

        Raises FenceLost, Transient.
        """
        ...

    async def record_failure(self, claim: Claim, action: RecordFailure) -> Answer:
        """Record a failure. Raises FenceLost, AlreadyRecorded, Transient."""
        ...

    async def finish(self, claim: Claim, finish: Finish) -> None:
        """End the instance and give up the fence. Raises FenceLost, Transient."""
        ...

    async def wait(self, seconds: float) -> None:
        """Return after this time. Holds no connection."""
        ...


class SqlRunner(Protocol):
    """Runs SQL steps on connections of their submitter."""

    async def run(self, claim: Claim, action: RunSql) -> Answer:
        """Run and checkpoint in one transaction.

        Raises FenceLost, AlreadyRecorded, Transient, Unreachable; StepFailed for an error that is the
        statement's own.
        Cancelling the call cancels the statement on the server.
        """
        ...


class HttpRunner(Protocol):
    """Sends HTTP requests."""

    async def send(self, claim: Claim, action: SendHttp) -> Answer:
        """Send, then record the response.

        Raises FenceLost, AlreadyRecorded, Transient (surely not processed, or safe to repeat), StepFailed.
        """
        ...
