"""What the core wants done. The shell performs actions and answers each with events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dfc.compiler.plan import Request, SqlBody
from dfc.executor.journal import Result, Rows, StepError

Status = Literal["completed", "failed", "cancelled"]

Shape = str | tuple["Shape", ...]
"""Where an instance's result comes from: the path of a checkpoint, or an array of shapes (a join's)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The end of the instance: `completed` has a `shape`, `failed` an `error`, `cancelled` a `reason`."""

    status: Status
    shape: Shape | None = None
    error: StepError | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSql:
    """Run a statement and checkpoint it under `path`, in one transaction.

    `sources` are the results its parameters refer to, by node id; one that has not completed is missing.
    With `finish` the same transaction ends the instance. `keep` says that the shell has to bring the result
    back, because a later node wants it.
    """

    path: str
    body: SqlBody
    sources: Mapping[str, Result]
    finish: Finish | None
    keep: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SendHttp:
    """Send the request, or each that a `<id>/request` step computed; record the answer under `path`."""

    path: str
    request: Request | Rows
    many: bool
    finish: Finish | None
    keep: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFailure:
    """Record that an activation has failed for good. With `finish` the same transaction ends the instance."""

    path: str
    error: StepError
    finish: Finish | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Answer `Due` after this many seconds. Holds no connection."""

    path: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupt:
    """Cancel what runs under `path`; its transaction rolls back. Answered by nothing."""

    path: str


Action = RunSql | SendHttp | RecordFailure | Wait | Interrupt | Finish
