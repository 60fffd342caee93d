"""Sends HTTP requests: to addresses that the policy allows only, and records what came back."""

from __future__ import annotations

import asyncio
import base64
import codecs
import hashlib
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol

import httpx

from dfc.compiler.plan import Request
from dfc.executor import limits, retry
from dfc.executor.actions import Finish, SendHttp
from dfc.executor.journal import StepError
from dfc.executor.ports import Answer, Claim, StepFailed, Transient
from dfc.executor.runners.http_policy import Denied, OutboundPolicy, guarded_transport
from dfc.executor.runners.http_request import BadRequest, requests_of

__all__ = ["HttpSender", "OutboundPolicy"]

AMBIGUOUS: Final = "ambiguous"
DENIED: Final = "DF510"
BAD_REQUEST: Final = "DF517"
TOO_LARGE: Final = "DF502"
HTTP_ERROR: Final = "DF518"
RETRY_AFTER_SECONDS_MAX: Final = 300.0
ACTIVATIONS_KEPT_MAX: Final = 4096

_log = logging.getLogger(__name__)

_REPEATABLE: Final = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
_TRANSIENT: Final = frozenset({408, 425, 429, 502, 503, 504})
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
# A transient error that is not a lost database connection: it uses up the attempts of the step.
_AGAIN: Final = "40003"


class ValueStore(Protocol):
    """Where responses are recorded (`store.PostgresStore`)."""

    async def record_value(
        self, claim: Claim, path: str, value: str, finish: Finish | None, *, keep: bool
    ) -> Answer:
        """See `store.PostgresStore.record_value`."""
        ...


@dataclass(slots=True)
class _Row:
    """One request of an activation: attempts so far, bytes received, the answer once it is there."""

    attempts: int = 0
    received: int = 0
    response: dict[str, Any] | None = None
    not_before: float = 0.0


@dataclass(slots=True)
class _Activation:
    """The requests of one step by number; the bytes of responses held for them, and whether they were
    ever too many."""

    rows: dict[int, _Row] = field(default_factory=dict[int, _Row])
    received: int = 0
    overflowed: bool = False
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(limits.HTTP_REQUESTS_MAX))

    def receive(self, row: _Row, count: int, path: str) -> None:
        """Count bytes of a response. Raises StepFailed over one of the limits."""
        row.received += count
        self.received += count
        if row.received > limits.HTTP_BODY_BYTES_MAX:
            raise _failed(path, TOO_LARGE, "the response is over `http_body_bytes_max` (16 MiB)")
        self.overflowed |= self.received > limits.HTTP_RESPONSES_BYTES_MAX
        self.require_room(path)

    def require_room(self, path: str) -> None:
        """Raises StepFailed once the responses were too much: then no further request goes out."""
        if self.overflowed:
            message = "the responses of the step together are over `http_responses_bytes_max` (32 MiB)"
            raise _failed(path, TOO_LARGE, message)

    def forget(self, row: _Row) -> None:
        """Give back what a response took that is not kept."""
        self.received -= row.received
        row.received = 0


class HttpSender:
    """The HttpRunner of a worker. Answers that have come are kept until they are recorded, so that trouble
    with the database or with another row of the same step does not send a request twice."""

    def __init__(self, store: ValueStore, policy: OutboundPolicy) -> None:
        self._store = store
        self._reusing, self._fresh = (
            httpx.AsyncClient(
                transport=guarded_transport(policy, reuse=reuse, on_loopback=self._say_loopback),
                follow_redirects=False,
                trust_env=False,
            )
            for reuse in (True, False)
        )
        self._activations: OrderedDict[tuple[str, str], _Activation] = OrderedDict()
        self._places = asyncio.Semaphore(limits.HTTP_WORKER_REQUESTS_MAX)
        self._loopback_said = False

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
        activation = self._activations.setdefault(key, _Activation())
        self._activations.move_to_end(key)
        while len(self._activations) > ACTIVATIONS_KEPT_MAX:
            self._activations.popitem(last=False)
        try:
            value = await self._value(claim, action, activation)
            answer = await self._record(claim, action, value)
        except Transient:
            raise
        except BaseException:
            self._activations.pop(key, None)
            raise
        self._activations.pop(key, None)
        return answer

    async def _record(self, claim: Claim, action: SendHttp, value: str) -> Answer:
        """Record; while the database is away, wait: what was sent must not be sent again for that."""
        failures = 0
        while True:
            try:
                return await self._store.record_value(
                    claim,
                    action.path,
                    value,
                    action.rider if isinstance(action.rider, Finish) else None,
                    keep=action.keep,
                )
            except Transient:
                failures += 1
            await asyncio.sleep(retry.delay(claim.instance, action.path, failures))

    async def _value(self, claim: Claim, action: SendHttp, activation: _Activation) -> str:
        try:
            requests = requests_of(action.request)
        except BadRequest as error:
            raise _failed(action.path, BAD_REQUEST, str(error)) from None
        if not action.many and len(requests) != 1:
            raise _failed(action.path, BAD_REQUEST, f"the step gave {len(requests)} requests instead of one")
        numbers = range(len(requests))
        for number in numbers:
            activation.rows.setdefault(number, _Row())
        outcomes = await asyncio.gather(
            *(self._row(claim, action, activation, requests[number], number) for number in numbers),
            return_exceptions=True,
        )
        problems = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        # A failure that is final outranks one that may pass; cancelling and faults outrank both.
        for kind in (StepFailed, Transient):
            strange = [problem for problem in problems if not isinstance(problem, (StepFailed, Transient))]
            found = strange or [problem for problem in problems if isinstance(problem, kind)]
            if found:
                raise found[0]
        responses = [activation.rows[number].response for number in numbers]
        return json.dumps(responses if action.many else responses[0], ensure_ascii=False)

    async def _row(
        self, claim: Claim, action: SendHttp, activation: _Activation, request: Request, number: int
    ) -> None:
        row = activation.rows[number]
        if row.response is not None:
            return
        wait = row.not_before - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        suffix = f"[{number}]" if action.many else ""
        identity = hashlib.sha256(f"{claim.instance}\0{action.path}{suffix}".encode()).hexdigest()
        try:
            async with activation.places, self._places, asyncio.timeout(request.timeout_seconds):
                activation.require_room(action.path)
                row.attempts += 1
                response = await self._exchange(
                    claim, request, identity, lambda count: activation.receive(row, count, action.path)
                )
            _judge(action.path, request, response, row)
            row.response = response
        except (httpx.TransportError, TimeoutError, httpx.DecodingError) as error:
            raise _transport(action.path, request, error, row) from None
        except Denied as error:
            raise _failed(
                action.path,
                DENIED,
                str(error),
                hint=f"If it may go there: --allow-host {error.entry} (dfc worker, dfc up, dfc run).",
            ) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError, ValueError) as error:
            raise _failed(action.path, BAD_REQUEST, f"the request cannot be sent: {error}") from None
        finally:
            if row.response is None:
                activation.forget(row)

    async def _exchange(
        self, claim: Claim, request: Request, identity: str, receive: Callable[[int], None]
    ) -> dict[str, Any]:
        started = time.monotonic()
        body = None if request.body is None else request.body.encode()
        # What must not be repeated goes out on a connection of its own: an idle one may be dead by now, and a
        # request lost on it would be ambiguous for nothing.
        client = self._reusing if request.method in _REPEATABLE else self._fresh
        async with client.stream(
            request.method,
            request.url,
            content=body,
            headers=_headers(claim, request, identity),
            timeout=request.timeout_seconds,
        ) as response:
            content = bytearray()
            async for part in response.aiter_bytes():
                receive(len(part))
                content += part
            text, encoding = _stored(bytes(content), response.charset_encoding)
            return {
                "status": response.status_code,
                "body": text,
                "encoding": encoding,
                "headers": {name.lower(): _clean(value) for name, value in response.headers.items()},
                "ok": 200 <= response.status_code < 300,
                "duration_ms": round((time.monotonic() - started) * 1000),
            }


def _headers(claim: Claim, request: Request, identity: str) -> list[tuple[str, str]]:
    given = list(request.headers)
    names = {name.lower() for name, _ in given}
    trace = hashlib.sha256(claim.instance.encode()).hexdigest()[:32]
    ours = [
        ("Idempotency-Key", identity[:32]),
        ("traceparent", f"00-{trace}-{identity[32:48]}-01"),
        ("User-Agent", "dfc"),
    ]
    if request.body is not None and request.body.lstrip()[:1] in ("{", "["):
        ours.append(("Content-Type", "application/json"))
    return given + [(name, value) for name, value in ours if name.lower() not in names]


def _judge(path: str, request: Request, response: dict[str, Any], row: _Row) -> None:
    """Nothing where the response is the step's result. Raises Transient, StepFailed."""
    status: int = response["status"]
    if status < 400:
        return
    after = _retry_after(response["headers"].get("retry-after"))
    repeatable = request.method in _REPEATABLE
    unprocessed = status == 429 or (status == 503 and after is not None)
    if status in _TRANSIENT and (repeatable or unprocessed) and row.attempts < retry.ATTEMPTS_MAX:
        row.not_before = time.monotonic() + (after or 0.0)
        raise Transient(f"{request.method} {_shown(request.url)} answered {status}", _AGAIN)
    if status < 500:
        return
    detail = response["body"][:1000] if response["encoding"] == "text" else None
    message = f"{request.method} {_shown(request.url)} answered {status}"
    if status in _TRANSIENT and not repeatable and not unprocessed:
        raise _failed(path, AMBIGUOUS, f"{message}: it may have been processed", detail=detail)
    raise _failed(path, HTTP_ERROR, message, detail=detail)


def _transport(path: str, request: Request, error: Exception, row: _Row) -> Exception:
    what = " ".join(str(error).split()) or type(error).__name__
    message = f"{request.method} {_shown(request.url)}: {what}"
    if isinstance(error, TimeoutError):
        message = f"{request.method} {_shown(request.url)}: no answer within {request.timeout_seconds} s"
    if request.method in _REPEATABLE or isinstance(error, _NOT_SENT):
        if row.attempts >= retry.ATTEMPTS_MAX:
            return _failed(path, HTTP_ERROR, message)
        return Transient(message, _AGAIN)
    return _failed(path, AMBIGUOUS, f"{message}: it may have been processed")


def _retry_after(value: str | None) -> float | None:
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), RETRY_AFTER_SECONDS_MAX) if seconds == seconds else None


def _stored(content: bytes, charset: str | None) -> tuple[str, str]:
    """The body as text where PostgreSQL can hold it as such, otherwise base64."""
    try:
        codec = codecs.lookup(charset or "utf-8").name
        text = content.decode(codec)
        if "\0" not in text:
            text.encode()
            return text, "text"
    except (LookupError, UnicodeError, ValueError):
        pass
    return base64.b64encode(content).decode(), "base64"


def _clean(value: str) -> str:
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _shown(url: str) -> str:
    """A URL for messages: without user, password, query and fragment, which may hold secrets."""
    try:
        parsed = httpx.URL(url)
        return f"{parsed.scheme}://{parsed.netloc.decode().rpartition('@')[2]}{parsed.path}"
    except (httpx.InvalidURL, UnicodeError):
        return "the URL"


def _failed(
    path: str, code: str, message: str, *, detail: str | None = None, hint: str | None = None
) -> StepFailed:
    return StepFailed(StepError(step=path, message=message, sqlstate=code, detail=detail, hint=hint))
