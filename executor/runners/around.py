"""What goes around a statement in its exchange: the guard, the policy's settings and limits, the commit.

The guard comes first, because it resets everything. Settings follow as SET LOCAL, and the time limit last:
PostgreSQL begins to count anew with each message, so it is the statement's own. A level of isolation can only
be chosen before the first query, so the transaction begins with an explicit BEGIN then, in the same exchange.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dfc.compiler.plan import DEFAULT_POLICY, Policy
from dfc.compiler.plan_settings import instead_of, why_not
from dfc.executor.claim import Claim, Place
from dfc.executor.compose import DF, MARKERS
from dfc.executor.failures import StepFailed
from dfc.executor.journal import StepError
from dfc.executor.limits import ATOMIC_IDLE_SECONDS_MAX
from dfc.executor.runners.step import Limit, Step, token
from dfc.executor.session import Message

LIMIT_SECONDS_MAX: Final = (2**31 - 1) / 1000
"""The longest statement_timeout that PostgreSQL knows; a longer time limit is none."""

# Never named statements: the step before could have put one of its own in the place of the guard.
_GUARD: Final = {schema: f"SELECT {schema}.begin_step($1, $2)" for schema in (DF, MARKERS)}
_GUARD_AT: Final = {schema: f"SELECT {schema}.begin_step($1, $2, $3)" for schema in (DF, MARKERS)}
_LOCK_FENCE: Final = "SELECT df.commit_steps($1, $2, $3)"
_LOCK_ELSEWHERE: Final = "SELECT df_markers.commit_steps($1, $2, $3)"
_SET_LOCAL: Final = "SELECT pg_catalog.set_config($1, $2, true)"
_SET: Final = "SELECT pg_catalog.set_config($1, $2, false)"
_CHECK_CONSTRAINTS: Final = Message("SET CONSTRAINTS ALL IMMEDIATE")
"""Deferred checks belong to the statement's time, but PostgreSQL does not count that of the commit."""

_READ_COMMITTED: Final = "read committed"
_BEGIN: Final = {
    level: Message(f"BEGIN ISOLATION LEVEL {level.upper()}, READ WRITE, NOT DEFERRABLE")
    for level in (_READ_COMMITTED, "repeatable read", "serializable")
}
_COMMIT: Final = Message("COMMIT")

_SAVE: Final = Message("SAVEPOINT dfc_step")
_RELEASE: Final = Message("RELEASE SAVEPOINT dfc_step")
BACK: Final = (Message("ROLLBACK TO SAVEPOINT dfc_step"), _RELEASE)
"""Makes a transaction of several steps what it was before the step that has failed."""

_INVALID: Final = "22023"


@dataclass(frozen=True, slots=True)
class Around:
    """The messages of an exchange before and after the statement.

    `guard` is the index of df.begin_step among them, `settings` are the indexes of those that set something.
    """

    before: tuple[Message, ...]
    after: tuple[Message, ...] = ()
    guard: int | None = None
    settings: Mapping[int, str] = field(default_factory=dict[int, str])


def statement_limit(step: Step, now: float) -> Limit | None:
    """The time limit of a step that begins now."""
    return _limit(step.policy, now, f"step `{step.path}` has taken longer than its timeout of")


def _limit(policy: Policy, now: float, message: str) -> Limit | None:
    if policy.timeout is None:
        return None
    seconds = policy.timeout.seconds
    if seconds > LIMIT_SECONDS_MAX:
        return None
    return Limit(seconds, now + seconds, f"{message} {seconds:g} s")


def atomic_limit(path: str, policy: Policy, now: float, seconds_max: float) -> Limit:
    """The time limit of a transaction of several steps that begins now."""
    own = _limit(policy, now, f"atomic `{path}` has taken longer than its timeout of")
    if own is not None and own.seconds <= seconds_max:
        return own
    message = f"atomic `{path}` has taken longer than atomic_seconds_max, {seconds_max:g} s"
    return Limit(seconds_max, now + seconds_max, message)


def guard(claim: Claim, schema: str = DF) -> Message:
    """The guard in front of a step."""
    return Message(_GUARD[schema], (claim.search_path, claim.time_zone))


def alone(step: Step, limit: Limit | None, now: float, *, describing: bool = False) -> Around:
    """A transaction of the step's own. To describe its statement, the level of isolation does not matter."""
    if step.policy is DEFAULT_POLICY:
        return Around((guard(step.claim, step.schema),), guard=0)
    isolation = None if describing else isolation_of(step.policy)
    before = (
        [guard(step.claim, step.schema)] if isolation is None else begin(step.claim, isolation, step.schema)
    )
    first = len(before)
    before += [set_local(name, value) for name, value in step.policy.settings]
    after: list[Message] = []
    if limit is not None:
        before.append(set_local("statement_timeout", str(limit.left_ms(now))))
        after.append(_CHECK_CONSTRAINTS)
    if isolation is not None:
        after.append(_COMMIT)
    names = {first + index: name for index, (name, _) in enumerate(step.policy.settings)}
    return Around(tuple(before), tuple(after), first - 1, names)


def outside(step: Step, limit: Limit | None, now: float) -> Around:
    """What makes a session ready for a statement outside of a transaction: settings that outlast this one."""
    claim, policy = step.claim, step.policy
    before = [
        guard(claim, step.schema),
        set_session("search_path", claim.search_path),
        set_session("TimeZone", claim.time_zone),
    ]
    first = len(before)
    before += [set_session(name, value) for name, value in policy.settings]
    if policy.isolation is not None:
        before.append(set_session("default_transaction_isolation", policy.isolation))
    if limit is not None:
        before.append(set_session("statement_timeout", str(limit.left_ms(now))))
    names = {first + index: name for index, (name, _) in enumerate(policy.settings)}
    return Around(tuple(before), guard=0, settings=names)


def begin(claim: Claim, isolation: str, schema: str = DF) -> list[Message]:
    """The beginning of a transaction at this level; the guard is the last of them."""
    return [_BEGIN[isolation], Message(_GUARD_AT[schema], (claim.search_path, claim.time_zone, isolation))]


def opening(claim: Claim, policy: Policy, schema: str = DF) -> Around:
    """The beginning of a transaction of several steps."""
    before = begin(claim, policy.isolation or _READ_COMMITTED, schema)
    first = len(before)
    before += [set_local(name, value) for name, value in policy.settings]
    idle = str(int(ATOMIC_IDLE_SECONDS_MAX * 1000))
    before.append(set_local("idle_in_transaction_session_timeout", idle))
    names = {first + index: name for index, (name, _) in enumerate(policy.settings)}
    return Around(tuple(before), guard=first - 1, settings=names)


def within(
    step: Step, limit: Limit, now: float, others: Sequence[tuple[str, str | None]], *, saved: bool
) -> Around:
    """What goes around a step in a transaction of several.

    `others` are settings of the step before, and what they have to be; `saved` puts a savepoint in front.
    """
    before = [_SAVE] if saved else []
    before += [set_local(name, value) for name, value in others]
    first = len(before)
    before += [set_local(name, value) for name, value in step.policy.settings]
    before.append(set_local("statement_timeout", str(limit.left_ms(now))))
    names = {first + index: name for index, (name, _) in enumerate(step.policy.settings)}
    return Around(tuple(before), (_RELEASE,) if saved else (), settings=names)


def commit(
    claim: Claim, path: str, limit: Limit, now: float, place: Place | None = None
) -> tuple[Message, ...]:
    """The end of the transaction of several steps at `path`: deferred checks, then the fence."""
    lock = Message(_LOCK_FENCE, (token(claim, path), claim.instance, path))
    if place is not None:
        lock = Message(_LOCK_ELSEWHERE, (place.key, claim.instance, str(place.epoch)))
    return (set_local("statement_timeout", str(limit.left_ms(now))), _CHECK_CONSTRAINTS, lock, _COMMIT)


def set_local(name: str, value: str | None) -> Message:
    """Set something until the end of the transaction; None is what it was when the session began."""
    return Message(_SET_LOCAL, (name, value))


def set_session(name: str, value: str) -> Message:
    """Set something until the guard of the next step."""
    return Message(_SET, (name, value))


def isolation_of(policy: Policy) -> str | None:
    """The level of isolation that the policy asks for, where it is not the usual one."""
    level = policy.isolation
    if level is None or level == _READ_COMMITTED:
        return None
    if level not in _BEGIN:
        raise AssertionError(level)
    return level


def check_settings(path: str, policy: Policy) -> None:
    """Refuse settings that a step cannot have. What its role may not set, PostgreSQL refuses itself."""
    for name, _ in policy.settings:
        why = why_not(name)
        if why is None:
            continue
        instead = instead_of(name)
        raise StepFailed(
            StepError(
                step=path,
                message=f"step `{path}` cannot have the setting `{name}`: {why}",
                sqlstate=_INVALID,
                hint=None if instead is None else f"{instead[0].upper()}{instead[1:]}.",
            )
        )
