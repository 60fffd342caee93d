"""When an attempt may be repeated, how often, and how long to wait before.

Two kinds of transient errors are told apart:

- *Conflicts* (serialization failure, deadlock, lock timeout, a cancel nobody asked for): the database is
  well, the attempt had bad luck. `ATTEMPTS_MAX` attempts, then the step has failed.
- *Losses* (connection lost, server restarting, out of connections or memory): nothing is known about the
  step. A restart of PostgreSQL must not fail a workflow, so losses do not use up attempts. They have a
  wide limit of their own, `LOST_ATTEMPTS_MAX`, because a statement that crashes its backend takes every
  other session with it and must not do so for ever. While the database is away nothing is counted at
  all: the driver reads the journal before it counts a loss, and waits until that succeeds. Nor is an
  attempt counted for which there was no connection (`ports.Unreachable`).

The counts live in the worker's memory; a worker that takes over begins at zero.
"""

from __future__ import annotations

from hashlib import blake2b

ATTEMPTS_MAX = 5
LOST_ATTEMPTS_MAX = 20
BACKOFF_SECONDS = 0.1
BACKOFF_SECONDS_MAX = 10.0

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


def delay(instance: str, path: str, attempt: int) -> float:
    """Seconds to wait after the `attempt`-th failed attempt (from 1).

    Exponential backoff with "equal jitter" (Marc Brooker, "Exponential Backoff And Jitter", AWS
    Architecture Blog, 2015): half of the exponential delay is certain, the other half is spread. The
    spread comes from a hash instead of a random number: equal arguments, equal seconds, and branches and
    instances that collided are still driven apart.
    """
    # 2 ** 1000 seconds are far above the limit, and float would overflow soon after.
    ceiling = min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS * 2.0 ** min(attempt - 1, 1000))
    seed = f"{instance}\0{path}\0{attempt}".encode("utf-8", "surrogatepass")
    spread = int.from_bytes(blake2b(seed, digest_size=8).digest(), "big") / 2.0**64
    return ceiling / 2 * (1 + spread)
