"""What the end of an HTTP attempt means: a result, a failure, or one more attempt. Pure.

| the attempt ended with | GET HEAD PUT DELETE OPTIONS | POST PATCH |
|---|---|---|
| no connection, TLS refused, nothing sent yet | again | again |
| connection lost, no answer in time, unreadable answer | again | `ambiguous` |
| the policy's `timeout`, once something was sent | again, at last `timeout` | `timeout` |
| 429 | again, at last the result | again, at last the result |
| 408, 425 | again, at last the result | the result |
| 503 with Retry-After | again, at last DF518 | again, at last DF518 |
| 502, 503, 504 | again, at last DF518 | `ambiguous` |
| any other status of 500 or more | DF518 | DF518 |
| any other status | the result | the result |

*Again* means up to `max_attempts` (5); the last attempt has the outcome that stands behind. A POST or PATCH
is repeated by itself only when surely nobody has processed it: without that, repeating may do its work
twice, and `ambiguous` says so. A 408 or 425 is an answer like any other 4xx: nothing is hidden by giving it
as the result. `retry_unsafe` lets POST and PATCH be treated as the others. A server that asks with
Retry-After for more than `retry_after_max` (300 s) is not asked again.

`retry_on` adds to this table, `no_retry_on` takes away, also from what `retry_on` and `retry_unsafe` add.
They name statuses (`503`, `404`, `5xx`; also of a POST: whoever names a status knows that it may be
repeated), error codes (`DF518`) and classes of them (`DF`), and with words

- `transient`: what the table repeats;
- `timeout`: no answer in time, that of the request or that of the policy;
- `ambiguous`: what would fail with that code;
- `all`: everything that would fail the step, and what the table repeats. A 4xx that is a result is not meant.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Collection
from dataclasses import dataclass
from email.utils import parsedate_tz
from enum import Enum, auto
from typing import Final

from dfc.compiler.plan import Policy
from dfc.executor import retry

AMBIGUOUS: Final = "ambiguous"
TIMEOUT: Final = "timeout"
HTTP_ERROR: Final = "DF518"
RETRY_AFTER_SECONDS_MAX: Final = 300.0
REPEATABLE: Final = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
TRANSIENT: Final = frozenset({408, 425, 429, 502, 503, 504})
# The standard has whole numbers only; some servers write fractions.
_SECONDS: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?", re.ASCII)


class Outcome(Enum):
    """What an attempt has come to."""

    RESULT = auto()
    AGAIN = auto()
    FAILED = auto()


class Loss(Enum):
    """How an attempt ended that has no response: by the transport, the time limit of the request, or that of
    the policy."""

    TRANSPORT = auto()
    NO_ANSWER = auto()
    STOPPED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """An outcome, the error code where it is not a result, and what to add to the message."""

    outcome: Outcome
    code: str = HTTP_ERROR
    retry_after_seconds: float | None = None
    remark: str = ""


def of_status(
    method: str, status: int, policy: Policy, attempt: int, retry_after_seconds: float | None
) -> Verdict:
    """What a response means that attempt number `attempt` (from 1) has got."""
    unprocessed = status == 429 or (status == 503 and retry_after_seconds is not None)
    unsafe = method not in REPEATABLE and not policy.retry_unsafe and not unprocessed
    again = status in TRANSIENT and not unsafe
    code = AMBIGUOUS if status in TRANSIENT and status >= 500 and unsafe else HTTP_ERROR
    labels = {str(status), f"{status // 100}xx"} | _labels(code, again=again, failing=status >= 500)
    remark = _remark(code)
    if _wanted(labels, policy, again) and attempt < attempts_max(policy):
        limit = retry_after_max(policy)
        if retry_after_seconds is None or retry_after_seconds <= limit:
            return Verdict(
                outcome=Outcome.AGAIN, code=code, retry_after_seconds=retry_after_seconds, remark=remark
            )
        asked = f"it asks to wait {retry_after_seconds:g} s, more than `retry_after_max` ({limit:g} s)"
        remark = f"{remark}; {asked}" if remark else asked
    if status < 500:
        return Verdict(outcome=Outcome.RESULT)
    return Verdict(outcome=Outcome.FAILED, code=code, remark=remark)


def of_loss(method: str, loss: Loss, policy: Policy, attempt: int, *, sent: bool) -> Verdict:
    """What it means that there is no response. `sent`: the request had begun to go out."""
    unsafe = sent and method not in REPEATABLE and not policy.retry_unsafe
    timed_out = loss is not Loss.TRANSPORT
    code = TIMEOUT if loss is Loss.STOPPED else AMBIGUOUS if unsafe else HTTP_ERROR
    labels = _labels(code, again=not unsafe, failing=True)
    labels |= ({TIMEOUT} if timed_out else set()) | ({AMBIGUOUS} if unsafe else set())
    again = _wanted(labels, policy, not unsafe) and attempt < attempts_max(policy)
    return Verdict(
        outcome=Outcome.AGAIN if again else Outcome.FAILED,
        code=code,
        remark=_remark(AMBIGUOUS if unsafe else code),
    )


def of_fault(code: str, policy: Policy, attempt: int) -> Verdict:
    """What a failure with this code means that is no matter of the transport: repeated only where named."""
    again = _wanted(_labels(code, again=False, failing=True), policy, False)
    again = again and attempt < attempts_max(policy)
    return Verdict(outcome=Outcome.AGAIN if again else Outcome.FAILED, code=code)


def attempts_max(policy: Policy) -> int:
    """How many attempts there are, where the end of one calls for another."""
    return retry.ATTEMPTS_MAX if policy.max_attempts is None else policy.max_attempts


def retry_after_max(policy: Policy) -> float:
    """How long at most a server is waited for that asks for it, in seconds."""
    return RETRY_AFTER_SECONDS_MAX if policy.retry_after_max is None else policy.retry_after_max.seconds


def retry_after(value: str | None, date: str | None, now: float) -> float | None:
    """The seconds that a Retry-After header asks to wait; None where it says nothing.

    A date counts against the response's own `date`, so that the clocks of both sides need not agree, else
    against `now` (seconds since 1970).
    """
    if value is None:
        return None
    text = value.strip()
    if _SECONDS.fullmatch(text):
        return float(text[:18])
    at = _instant(text)
    if at is None:
        return None
    sent = None if date is None else _instant(date)
    return max(0.0, at - (now if sent is None else sent))


def _instant(date: str) -> float | None:
    parsed = parsedate_tz(date)
    if parsed is None:
        return None
    try:
        return float(calendar.timegm(parsed[:9]) - (parsed[9] or 0))
    except (ValueError, OverflowError):
        return None


def _labels(code: str, *, again: bool, failing: bool) -> set[str]:
    """The words of `retry_on` that mean an outcome."""
    found = {"transient", "all"} if again else set[str]()
    if failing:
        found |= {code, code[:2], "all"} if code == code.upper() else {code, "all"}
    return found


def _wanted(labels: Collection[str], policy: Policy, again: bool) -> bool:
    named = {word.lower() for word in policy.retry_on or ()}
    refused = {word.lower() for word in policy.no_retry_on or ()}
    found = {label.lower() for label in labels}
    return (again or not named.isdisjoint(found)) and refused.isdisjoint(found)


def _remark(code: str) -> str:
    return "it may have been processed" if code == AMBIGUOUS else ""
