"""Sends HTTP requests: to addresses that the policy allows only, and records what came back.

A call is one attempt. What its end means (a result, a failure, one more attempt) is decided in
retry_http.py, whose docstring has the table; when the next attempt is made is the driver's."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import ssl
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import httpx

from dfc.compiler.plan import Policy, Request
from dfc.executor import limits, retry, retry_http
from dfc.executor.actions import Rider, SendHttp
from dfc.executor.claim import Claim
from dfc.executor.failures import StepFailed, Transient
from dfc.executor.journal import Rows, StepError
from dfc.executor.places import Places
from dfc.executor.ports import Answer
from dfc.executor.retry_http import Loss, Outcome, Verdict
from dfc.executor.runners.http_mock import SECONDS, HttpMock, MockTransport, NotMocked
from dfc.executor.runners.http_policy import Denied, OutboundPolicy, guarded_transport
from dfc.executor.runners.http_request import (
    Asked,
    BadRequest,
    Outgoing,
    filled,
    looks_like_json,
    requests_of,
    secrets_of,
)
from dfc.executor.runners.http_response import Received, as_json, received, shown
from dfc.executor.runners.http_secrets import SecretFault, look_up
from dfc.executor.secret_text import Redactor, names_in

__all__ = ["HttpSender", "OutboundPolicy"]

DENIED: Final = "DF510"
BAD_REQUEST: Final = "DF517"
TOO_LARGE: Final = "DF502"
NO_SECRET: Final = "DF320"
RESPONSES_KEPT_BYTES_MAX: Final = 4 * limits.HTTP_RESPONSES_BYTES_MAX
"""Bodies that are kept in memory for steps of many requests whose next attempt is awaited."""

_REFUSED_STREAM: Final = re.compile(
    r"StreamReset stream_id:\d+, error_code:(?:7|ErrorCodes.REFUSED_STREAM)\b"
)
"""How httpcore says what HTTP/2 has for a request that was not processed (RFC 9113, 8.7)."""
_AMBIGUOUS_HINT: Final = (
    "Ask the other side what it has done. Where repeating the request does no harm: retry_unsafe => true."
)
_log = logging.getLogger(__name__)


class ValueStore(Protocol):
    """Where responses are recorded (`store.PostgresStore`)."""

    async def record_value(
        self, claim: Claim, path: str, value: str, rider: Rider | None, *, keep: bool
    ) -> Answer:
        """Record the result of a step that is not SQL, given as JSON text.

        Raises FenceLost, AlreadyRecorded, Beaten, Transient.
        """
        ...


class _TooLarge(Exception):
    """More came back than may; the message names the limit."""


@dataclass(slots=True)
class _Kept:
    """The responses of a step of many requests that an attempt has got before it failed."""

    request: Request | Rows
    responses: dict[int, dict[str, Any]]
    size: int


@dataclass(slots=True, kw_only=True)
class _Attempt:
    """An attempt of an activation: its responses by number, and how many bytes they have."""

    claim: Claim
    action: SendHttp
    responses: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    secrets: Mapping[str, str] = field(default_factory=dict[str, str])
    redactor: Redactor = field(default_factory=lambda: Redactor({}))
    messages: Redactor = field(default_factory=lambda: Redactor({}))
    began: float = 0.0
    size: int = 0
    hopeless: bool = False
    overflowed: bool = False
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(limits.HTTP_REQUESTS_MAX))

    def deadline(self, policy: Policy) -> float | None:
        """When the time is up that a policy gives to the attempt, on the event loop's clock."""
        return None if policy.timeout is None else self.began + policy.timeout.seconds

    def failed(
        self,
        verdict: Verdict,
        message: str,
        *,
        detail: str | None = None,
        hint: str | None = None,
    ) -> StepFailed:
        """The failure that a verdict means."""
        self.hopeless |= verdict.outcome is Outcome.FAILED
        said = f"{message}; {verdict.remark}" if verdict.remark else message
        help = _AMBIGUOUS_HINT if verdict.code == retry_http.AMBIGUOUS else hint
        error = StepError(
            step=self.action.path,
            message=self.messages.text(said),
            sqlstate=verdict.code,
            detail=detail,
            hint=None if help is None else self.messages.text(help),
        )
        return StepFailed(
            error,
            retryable=verdict.outcome is Outcome.AGAIN,
            retry_after_seconds=verdict.retry_after_seconds,
        )

    def fault(
        self, code: str, message: str, hint: str | None = None, policy: Policy | None = None
    ) -> StepFailed:
        """A failure that is no matter of the transport."""
        verdict = retry_http.of_fault(code, policy or self.action.policy, self.action.attempt)
        return self.failed(verdict, message, hint=hint)

    def loss(self, asked: Asked, loss: Loss, what: str, *, sent: bool) -> StepFailed:
        """The failure that it means to have no response."""
        request = asked.request
        match loss:
            case Loss.TRANSPORT:
                pass
            case Loss.NO_ANSWER:
                what = f"no answer within {request.timeout_seconds} s"
            case Loss.STOPPED:
                limit = asked.policy.timeout
                what = f"not done within the step's timeout ({0 if limit is None else limit.seconds:g} s)"
        verdict = retry_http.of_loss(request.method, loss, asked.policy, self.action.attempt, sent=sent)
        return self.failed(verdict, f"{_called(request)}: {what}")

    def require_room(self) -> None:
        """Raises _TooLarge once the responses were too much: then no further request goes out."""
        if self.overflowed:
            raise _TooLarge("the responses of the step together are over `http_responses_bytes_max` (32 MiB)")


@dataclass(slots=True)
class _Exchange:
    """One request on its way: whether it has begun to go out, and how much has come back."""

    attempt: _Attempt
    sent: bool = False
    size: int = 0

    async def trace(self, event: str, _: Mapping[str, Any]) -> None:
        """Called by httpcore for everything that it does."""
        if event.endswith(".send_request_headers.started"):
            self.sent = True

    def receive(self, count: int) -> None:
        """Count bytes of the response. Raises _TooLarge over one of the limits."""
        self.size += count
        self.attempt.size += count
        if self.size > limits.HTTP_BODY_BYTES_MAX:
            raise _TooLarge("the response is over `http_body_bytes_max` (16 MiB)")
        self.attempt.overflowed |= self.attempt.size > limits.HTTP_RESPONSES_BYTES_MAX
        self.attempt.require_room()

    def forget(self) -> None:
        """Give back what a response took that is not kept."""
        self.attempt.size -= self.size
        self.size = 0


class HttpSender:
    """The HttpRunner of a worker.

    Of a step of many requests, the responses that an attempt has got are kept for the next one, which sends
    only the others; a worker that takes over sends them all. A response that has come is recorded however
    long the database is away: it is not fetched again for that. With a `mock` nothing reaches the network.
    """

    def __init__(self, store: ValueStore, policy: OutboundPolicy, *, mock: HttpMock | None = None) -> None:
        self._store = store
        mocked = None if mock is None else MockTransport(mock)
        context = ssl.create_default_context()
        self._reusing, self._fresh = (
            httpx.AsyncClient(
                transport=mocked
                or guarded_transport(policy, context, reuse=reuse, on_loopback=self._say_loopback),
                follow_redirects=False,
                trust_env=False,
            )
            for reuse in (True, False)
        )
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._places = Places(limits.HTTP_WORKER_REQUESTS_MAX)
        self._loopback_said = False
        for name in ("httpx", "httpcore", "hpack"):
            # They would log URLs and headers, with the secrets in them.
            logging.getLogger(name).setLevel(logging.WARNING)

    async def close(self) -> None:
        """Close the pooled connections."""
        await self._reusing.aclose()
        await self._fresh.aclose()

    def _say_loopback(self) -> None:
        if not self._loopback_said:
            self._loopback_said = True
            _log.warning(
                "HTTP steps may reach this machine (127.0.0.1, ::1, localhost) from the embedded database"
            )

    async def send(self, claim: Claim, action: SendHttp) -> Answer:
        """See `ports.HttpRunner`."""
        key = (claim.instance, action.path)
        attempt = _Attempt(claim=claim, action=action)
        kept = self._kept.pop(key, None)
        if kept is not None and action.attempt > 1 and kept.request == action.request:
            attempt.responses, attempt.size = kept.responses, kept.size
        attempt.began = asyncio.get_running_loop().time()
        try:
            value = await self._value(attempt)
        except StepFailed as failure:
            if failure.retryable and attempt.responses:
                self._keep(key, _Kept(action.request, attempt.responses, attempt.size))
            raise
        return await self._record(claim, action, value)

    def _keep(self, key: tuple[str, str], kept: _Kept) -> None:
        self._kept[key] = kept
        while sum(entry.size for entry in self._kept.values()) > RESPONSES_KEPT_BYTES_MAX:
            self._kept.popitem(last=False)

    async def _record(self, claim: Claim, action: SendHttp, value: str) -> Answer:
        """Record; while the database is away, wait: what was sent must not be sent again for that."""
        failures = 0
        while True:
            try:
                return await claim.under_its_token(
                    lambda: self._store.record_value(
                        claim, action.path, value, action.rider, keep=action.keep
                    )
                )
            except Transient:
                failures += 1
            await asyncio.sleep(retry.delay(claim.instance, action.path, failures))

    async def _value(self, attempt: _Attempt) -> str:
        action = attempt.action
        try:
            requests = requests_of(action.request, action.policy)
        except BadRequest as error:
            raise attempt.fault(BAD_REQUEST, str(error)) from None
        if not action.many and len(requests) != 1:
            message = f"the step gave {len(requests)} requests instead of one"
            raise attempt.fault(BAD_REQUEST, message)
        await self._look_up(attempt, requests)
        outcomes = await asyncio.gather(
            *(self._row(attempt, asked, number) for number, asked in enumerate(requests)),
            return_exceptions=True,
        )
        problems = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        for problem in problems:
            if not isinstance(problem, StepFailed):
                raise problem
        failures = [problem for problem in problems if isinstance(problem, StepFailed)]
        if failures:
            raise _gravest(failures)
        return as_json([attempt.responses[number] for number in range(len(requests))], many=action.many)

    async def _look_up(self, attempt: _Attempt, requests: Sequence[Asked]) -> None:
        """The secrets of all the requests, each asked for once an attempt."""
        names = frozenset[str]().union(*(secrets_of(asked.request) for asked in requests))
        if attempt.action.secrets is not None and isinstance(attempt.action.request, Rows):
            names &= attempt.action.secrets
        if not names:
            return
        try:
            async with asyncio.timeout_at(attempt.deadline(attempt.action.policy)):
                attempt.secrets = await look_up(names)
        except TimeoutError:
            raise attempt.loss(requests[0], Loss.STOPPED, "", sent=False) from None
        except SecretFault as error:
            if error.passing and attempt.action.attempt < retry_http.attempts_max(attempt.action.policy):
                raise attempt.failed(Verdict(outcome=Outcome.AGAIN, code=NO_SECRET), str(error)) from None
            raise attempt.fault(NO_SECRET, str(error), hint=_secret_hint(names)) from None
        attempt.redactor = Redactor(attempt.secrets)
        attempt.messages = Redactor(attempt.secrets, hosts=True)

    async def _row(self, attempt: _Attempt, asked: Asked, number: int) -> None:
        """One of the requests. Raises StepFailed; returns without a response where another has failed."""
        if number in attempt.responses:
            return
        request, policy = asked.request, asked.policy
        exchange = _Exchange(attempt)
        whole = asyncio.timeout_at(attempt.deadline(policy))
        try:
            outgoing = filled(request, attempt.secrets)
            async with whole, attempt.places, self._places.hold(attempt.claim.instance):
                if attempt.hopeless:
                    return
                attempt.require_room()
                async with asyncio.timeout(request.timeout_seconds):
                    response = await self._exchange(exchange, outgoing, self._identity(attempt, number))
            attempt.responses[number] = _judged(attempt, asked, response)
        except TimeoutError:
            loss = Loss.STOPPED if whole.expired() else Loss.NO_ANSWER
            raise attempt.loss(asked, loss, "", sent=exchange.sent) from None
        except httpx.TimeoutException:
            raise attempt.loss(asked, Loss.NO_ANSWER, "", sent=exchange.sent) from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            what = " ".join(str(error).split()) or type(error).__name__
            sent = exchange.sent and _REFUSED_STREAM.search(what) is None
            raise attempt.loss(asked, Loss.TRANSPORT, what, sent=sent) from None
        except _TooLarge as error:
            raise attempt.fault(TOO_LARGE, f"{_called(request)}: {error}", policy=policy) from None
        except Denied as error:
            hint = f"If it may go there: --allow-host {error.entry} (dfc worker, dfc up, dfc run)."
            raise attempt.fault(DENIED, str(error), hint, policy) from None
        except NotMocked as error:
            raise attempt.fault(DENIED, str(error), error.hint, policy) from None
        except httpx.InvalidURL as error:
            # What is wrong with a URL may be a part of a secret in it.
            what = "its URL is none with the secrets in it" if names_in(request.url) else str(error)
            message = f"the request cannot be sent: {what}"
            raise attempt.fault(BAD_REQUEST, message, policy=policy) from None
        except (BadRequest, UnicodeError, ValueError) as error:
            message = f"the request cannot be sent: {error}"
            raise attempt.fault(BAD_REQUEST, message, policy=policy) from None
        finally:
            if number not in attempt.responses:
                exchange.forget()

    def _identity(self, attempt: _Attempt, number: int) -> str:
        """What stays the same whenever this request is sent: 64 hexadecimal digits."""
        suffix = f"[{number}]" if attempt.action.many else ""
        return hashlib.sha256(f"{attempt.claim.instance}\0{attempt.action.path}{suffix}".encode()).hexdigest()

    async def _exchange(self, exchange: _Exchange, outgoing: Outgoing, identity: str) -> Received:
        attempt = exchange.attempt
        started = time.monotonic()
        # What must not be repeated goes out on a connection of its own: an idle one may be dead by now, and a
        # request lost on it would be ambiguous for nothing.
        client = self._reusing if outgoing.method in retry_http.REPEATABLE else self._fresh
        async with client.stream(
            outgoing.method,
            outgoing.url,
            content=outgoing.content,
            files=[(part.name, (part.filename, part.content, part.content_type)) for part in outgoing.fields]
            or None,
            headers=_headers(attempt.claim, outgoing, identity),
            timeout=outgoing.timeout_seconds,
            extensions={"trace": exchange.trace},
        ) as response:
            content = bytearray()
            async for part in response.aiter_bytes():
                exchange.receive(len(part))
                content += part
            seconds = response.extensions.get(SECONDS, time.monotonic() - started)
            return received(response, bytes(content), seconds, attempt.redactor)


def _judged(attempt: _Attempt, asked: Asked, response: Received) -> dict[str, Any]:
    """The response where it is the result. Raises StepFailed."""
    after = retry_http.retry_after(response.retry_after, response.date, time.time())
    request = asked.request
    verdict = retry_http.of_status(
        request.method, response.status, asked.policy, attempt.action.attempt, after
    )
    if verdict.outcome is Outcome.RESULT:
        return response.value
    message = f"{_called(request)} returned {response.status}"
    preview = " ".join(response.preview.split())
    raise attempt.failed(
        verdict, f"{message}: {preview}" if preview else message, detail=response.preview or None
    )


def _gravest(failures: Sequence[StepFailed]) -> StepFailed:
    """The failure of a step: one that is final outranks those that may pass; then the first counts.

    Where all may pass, the longest wait that a server has asked for is kept to.
    """
    for failure in failures:
        if not failure.retryable:
            return failure
    waits = [failure.retry_after_seconds for failure in failures if failure.retry_after_seconds is not None]
    failures[0].retry_after_seconds = max(waits, default=None)
    return failures[0]


def _headers(claim: Claim, outgoing: Outgoing, identity: str) -> list[tuple[bytes, bytes]]:
    given = [(name, value.strip(" \t")) for name, value in outgoing.headers]
    if outgoing.fields:
        given = [(name, value) for name, value in given if name.lower() != "content-type"]
        given.append(("Content-Type", f"multipart/form-data; boundary={_boundary(outgoing, identity)}"))
    names = {name.lower() for name, _ in given}
    trace = hashlib.sha256(claim.instance.encode()).hexdigest()[:32]
    ours = [
        ("Idempotency-Key", identity[:32]),
        ("traceparent", f"00-{trace}-{identity[32:48]}-01"),
        ("User-Agent", "dfc"),
    ]
    if outgoing.content is not None and looks_like_json(outgoing.content[:1024].decode(errors="replace")):
        ours.append(("Content-Type", "application/json"))
    given += [(name, value) for name, value in ours if name.lower() not in names]
    return [(name.encode(), value.encode()) for name, value in given]


def _boundary(outgoing: Outgoing, identity: str) -> str:
    """The same for every attempt, so that the whole request is; and in none of the parts."""
    boundary = f"dfc-{identity[:32]}"
    while any(boundary.encode() in part.content for part in outgoing.fields):
        boundary = f"dfc-{hashlib.sha256(boundary.encode()).hexdigest()[:32]}"
    return boundary


def _called(request: Request) -> str:
    """A request in messages. Its URL is shown as it was before secrets came in."""
    return f"HTTP {request.method} {shown(request.url)}"


def _secret_hint(names: frozenset[str]) -> str:
    name = min(names)
    return (
        f"Set DFC_SECRET_{name} in the worker's environment, or DFC_SECRETS_DIR to a folder with a file"
        f" {name}, or DFC_SECRET_COMMAND."
    )
