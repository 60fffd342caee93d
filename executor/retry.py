"""When an attempt may be repeated, how often, and how long to wait before.

Two kinds of transient errors are told apart:

- *Conflicts* (serialization failure, deadlock, lock timeout, a cancel nobody asked for; of a request what its
  runner calls repeatable): the other side is well, the attempt had bad luck. `ATTEMPTS_MAX` attempts unless
  the step's policy says otherwise, then the step has failed.
- *Losses* (connection lost, server restarting, out of connections or memory): nothing is known about the
  step. A restart of PostgreSQL must not fail a workflow, so losses do not use up attempts. They have a
  wide limit of their own, `LOST_ATTEMPTS_MAX`, because a statement that crashes its backend takes every
  other session with it and must not do so for ever. While the database is away nothing is counted at
  all: the driver reads the journal before it counts a loss, and waits until that succeeds. Nor is an
  attempt counted for which there was no connection (`failures.Unreachable`).

A wait of `RECORDED_SECONDS` or more is recorded with its attempt, so that it survives the worker; shorter
ones are known to the worker alone, and one that takes over begins anew. Losses are always recorded, so that
they are counted whoever drives the instance: what takes the worker down may be the statement itself. One
waits `BACKOFF_SECONDS_MAX` after a loss at most.
"""

from __future__ import annotations

from hashlib import blake2b

from dfc.compiler.plan import DEFAULT_POLICY, Policy

ATTEMPTS_MAX = 5
LOST_ATTEMPTS_MAX = 20
BACKOFF_SECONDS = 0.1
BACKOFF_SECONDS_MAX = 10.0
RECORDED_SECONDS = 1.0

TIMEOUT = "timeout"
AMBIGUOUS = "ambiguous"

_LOST_STATES = frozenset({"57P01", "57P02", "57P03"})
_LOST_CLASSES = frozenset({"08", "53"})
# 53400, a configuration limit, stays what it is until somebody changes the configuration.
_PERMANENT_STATES = frozenset({"53400"})
_CONFLICT_STATES = frozenset({"40001", "40003", "40P01", "55P03", "57014"})


def is_lost(sqlstate: str) -> bool:
    """Whether the SQLSTATE says that the connection or the server went away, or had no room."""
    return sqlstate in _LOST_STATES or (sqlstate[:2] in _LOST_CLASSES and sqlstate not in _PERMANENT_STATES)


def is_transient(sqlstate: str) -> bool:
    """Whether an attempt that ended with this SQLSTATE had no effect and may succeed when repeated.

    57014 (query cancelled) counts: the driver never asks about a statement that it has cancelled itself.
    """
    return sqlstate in _CONFLICT_STATES or is_lost(sqlstate)


def matches(rules: tuple[str, ...] | None, sqlstate: str, *, transient: bool) -> bool:
    """Whether an error is among those that `retry_on` or `no_retry_on` name: by SQLSTATE, class or word."""
    return any(
        rule in ("all", sqlstate)
        or (len(rule) == 2 and sqlstate.startswith(rule) and len(sqlstate) == 5)
        or (rule == "transient" and transient)
        for rule in rules or ()
    )


def repeats(policy: Policy, sqlstate: str, *, transient: bool) -> bool:
    """Whether an attempt that ended so may be repeated at all. `no_retry_on` wins over everything."""
    if matches(policy.no_retry_on, sqlstate, transient=transient):
        return False
    return transient or matches(policy.retry_on, sqlstate, transient=transient)


def attempts_max(policy: Policy) -> int:
    """How many attempts end in a failure."""
    return policy.max_attempts or ATTEMPTS_MAX


def delay(instance: str, path: str, attempt: int, policy: Policy = DEFAULT_POLICY) -> float:
    """Seconds to wait after the `attempt`-th failed attempt (from 1).

    Exponential backoff with "equal jitter" (Marc Brooker, "Exponential Backoff And Jitter", AWS
    Architecture Blog, 2015): half of the exponential delay is certain, the other half is spread. The
    spread comes from a hash instead of a random number: equal arguments, equal seconds, and branches and
    instances that collided are still driven apart.
    """
    base = BACKOFF_SECONDS if policy.backoff is None else policy.backoff.seconds
    longest = max(BACKOFF_SECONDS_MAX, base) if policy.max_backoff is None else policy.max_backoff.seconds
    # 2 ** 1000 seconds are far above the limit, and float would overflow soon after.
    ceiling = min(longest, base * 2.0 ** min(attempt - 1, 1000))
    if policy.jitter is False:
        return ceiling
    seed = f"{instance}\0{path}\0{attempt}".encode("utf-8", "surrogatepass")
    spread = int.from_bytes(blake2b(seed, digest_size=8).digest(), "big") / 2.0**64
    return ceiling / 2 * (1 + spread)
