"""How a call of a port can fail (ports.py), for whoever tells the failures apart without calling any."""

from __future__ import annotations

from dfc.executor.journal import StepError


class FenceLost(Exception):
    """Another worker owns the instance now, or nobody does: drop it, do nothing more."""


class AlreadyRecorded(Exception):
    """The activation has a checkpoint already (an earlier attempt has committed): read the journal."""


class Beaten(Exception):
    """The decision that a step carried along came too late: it is rolled back, a rival has won."""


class StepFailed(Exception):
    """The step itself failed; its transaction is rolled back. `error` says why.

    `retryable`: the runner's own judgement (HTTP) that the attempt may be repeated, beyond what the SQLSTATE
    says. `retry_after_seconds`: how long the other side asked to wait.
    """

    def __init__(
        self, error: StepError, *, retryable: bool = False, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.retryable = retryable
        self.retry_after_seconds = retry_after_seconds


class Transient(Exception):
    """An attempt had no effect, or it is not known whether it had (lost connection): read the journal."""

    def __init__(self, message: str, sqlstate: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class Unreachable(Transient):
    """There was no connection for the attempt (none free, login refused): surely nothing was sent.

    The driver waits and tries again for as long as it takes; such attempts are not counted.
    """
