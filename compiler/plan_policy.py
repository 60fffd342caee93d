"""How a step of a plan is attempted: lengths of time, policies and their words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """An interval as PostgreSQL keeps it. In seconds a month has 30 days, as in `extract(epoch ...)`."""

    months: int = 0
    days: int = 0
    microseconds: int = 0

    @property
    def seconds(self) -> float:
        """The length in seconds."""
        return (self.months * 30 + self.days) * 86_400 + self.microseconds / 1e6


class OnError(StrEnum):
    """What the failure of a step, or of an item of a map, does to what comes after it."""

    FAIL = "fail"
    CONTINUE = "continue"


class Delivery(StrEnum):
    """What happens to an attempt that a crash has left without an outcome: repeated, or given up."""

    AT_LEAST_ONCE = "at_least_once"
    AT_MOST_ONCE = "at_most_once"


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """At most `count` beginnings in `seconds`, over all workers, for the steps that share a key."""

    count: int
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a step is attempted, and what its failure means. None: not given, the default of its kind counts.

    `retry_on` and `no_retry_on` hold SQLSTATEs (`40001`), classes (`40`), HTTP status (`503`, `5xx`) and the
    words `timeout`, `transient`, `ambiguous`, `all`. `settings` are set for the statement's transaction.
    `database` is where it runs; None: where its instance does.
    """

    max_attempts: int | None = None
    backoff: Duration | None = None
    max_backoff: Duration | None = None
    jitter: bool | None = None
    retry_on: tuple[str, ...] | None = None
    no_retry_on: tuple[str, ...] | None = None
    timeout: Duration | None = None
    on_error: OnError = OnError.FAIL
    rate_limit: RateLimit | None = None
    rate_key: str | None = None
    delivery: Delivery = Delivery.AT_LEAST_ONCE
    database: str | None = None
    isolation: str | None = None
    settings: tuple[tuple[str, str], ...] = ()
    retry_unsafe: bool = False
    retry_after_max: Duration | None = None


DEFAULT_POLICY = Policy()


def is_database(name: str) -> bool:
    """Whether a database can have this name."""
    return 0 < len(name.encode("utf-8", "surrogatepass")) <= 63 and "\0" not in name
