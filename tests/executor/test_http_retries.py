"""What the end of an HTTP attempt means: the table of retry_http.py, and how real connections end."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import RequestReceived, StreamEnded
from hypothesis import given
from hypothesis import strategies as st

from dfc.compiler.plan import Duration, Policy
from dfc.executor import retry_http
from dfc.executor.failures import StepFailed
from dfc.executor.journal import Rows
from dfc.executor.retry_http import REPEATABLE, TRANSIENT, Loss, Outcome, of_fault, of_loss, of_status
from dfc.executor.runners.http import HttpSender
from tests.executor.http_site import (
    CLAIM,
    OPEN,
    Recorder,
    Site,
    action,
    failure,
    marked,
    perform,
    plain,
    request,
    rows,
    send,
    serving,
    wire,
)

METHODS = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "POST", "PATCH")
NONE = Policy()
UNSAFE = Policy(retry_unsafe=True)
ONCE = Policy(max_attempts=1)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as found:
        yield found


def seconds(number: float) -> Duration:
    return Duration(microseconds=round(number * 1e6))


# The decision


@pytest.mark.parametrize("method", METHODS)
def test_the_table_of_statuses(method: str) -> None:
    safe = method in REPEATABLE
    for status in range(100, 600):
        first = of_status(method, status, NONE, 1, None)
        last = of_status(method, status, NONE, 5, None)
        again = status in TRANSIENT and (safe or status == 429)
        assert (first.outcome is Outcome.AGAIN) == again, status
        assert (last.outcome is Outcome.RESULT) == (status < 500), status
        if status >= 500:
            ambiguous = not safe and status in TRANSIENT
            assert last.code == ("ambiguous" if ambiguous else "DF518"), status
            assert ("may have been processed" in last.remark) == ambiguous


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_is_surely_not_processed_is_repeated(method: str) -> None:
    assert of_status(method, 503, NONE, 1, 2.0).retry_after_seconds == 2.0
    assert of_status(method, 503, NONE, 1, 2.0).outcome is Outcome.AGAIN
    assert of_status(method, 503, NONE, 5, 2.0).code == "DF518"
    assert of_status(method, 502, NONE, 1, 2.0).code == "ambiguous"
    assert of_loss(method, Loss.TRANSPORT, NONE, 1, sent=False).outcome is Outcome.AGAIN
    lost = of_loss(method, Loss.NO_ANSWER, NONE, 1, sent=True)
    assert (lost.outcome, lost.code) == (Outcome.FAILED, "ambiguous")
    for status in (408, 425, 502, 503, 504):
        assert of_status(method, status, UNSAFE, 1, None).outcome is Outcome.AGAIN
    assert of_loss(method, Loss.TRANSPORT, UNSAFE, 1, sent=True).outcome is Outcome.AGAIN
    assert of_loss(method, Loss.TRANSPORT, UNSAFE, 5, sent=True).code == "DF518"


def test_a_time_limit_of_the_policy_has_its_own_code() -> None:
    assert of_loss("GET", Loss.STOPPED, NONE, 1, sent=True).outcome is Outcome.AGAIN
    assert of_loss("GET", Loss.STOPPED, ONCE, 1, sent=True).code == "timeout"
    stopped = of_loss("POST", Loss.STOPPED, NONE, 1, sent=True)
    assert (stopped.outcome, stopped.code) == (Outcome.FAILED, "timeout")
    assert "may have been processed" in stopped.remark
    assert of_loss("POST", Loss.STOPPED, NONE, 1, sent=False).outcome is Outcome.AGAIN


@pytest.mark.parametrize(
    ("words", "method", "status", "again"),
    [
        (("404",), "GET", 404, True),
        (("404",), "POST", 404, True),
        (("404",), "GET", 403, False),
        (("4xx",), "GET", 404, True),
        (("202",), "GET", 202, True),
        (("5xx",), "GET", 500, True),
        (("5XX",), "POST", 500, True),
        (("503",), "POST", 503, True),
        (("df518",), "GET", 500, True),
        (("DF",), "GET", 500, True),
        (("ambiguous",), "POST", 502, True),
        (("ambiguous",), "POST", 500, False),
        (("transient",), "POST", 502, False),
        (("transient",), "GET", 500, False),
        (("all",), "GET", 500, True),
        (("all",), "POST", 502, True),
        (("all",), "GET", 404, False),
        (("timeout",), "GET", 500, False),
        (("40001", "40"), "GET", 500, False),
    ],
)
def test_retry_on(words: tuple[str, ...], method: str, status: int, again: bool) -> None:
    verdict = of_status(method, status, Policy(retry_on=words), 1, None)
    assert (verdict.outcome is Outcome.AGAIN) == again
    forbidden = Policy(retry_on=words, no_retry_on=(str(status),), retry_unsafe=True)
    assert of_status(method, status, forbidden, 1, None).outcome is not Outcome.AGAIN


@pytest.mark.parametrize("words", [("503",), ("5xx",), ("transient",), ("all",), ("DF518",)])
def test_no_retry_on(words: tuple[str, ...]) -> None:
    verdict = of_status("GET", 503, Policy(no_retry_on=words), 1, None)
    assert (verdict.outcome, verdict.code) == (Outcome.FAILED, "DF518")
    assert of_status("GET", 429, Policy(no_retry_on=("429",)), 1, None).outcome is Outcome.RESULT


def test_words_for_what_has_no_response() -> None:
    def again(method: str, loss: Loss, **policy: tuple[str, ...]) -> bool:
        return of_loss(method, loss, Policy(**policy), 1, sent=True).outcome is Outcome.AGAIN  # type: ignore[arg-type]

    assert again("POST", Loss.NO_ANSWER, retry_on=("timeout",))
    assert again("POST", Loss.STOPPED, retry_on=("timeout",))
    assert not again("POST", Loss.TRANSPORT, retry_on=("timeout",))
    assert again("POST", Loss.TRANSPORT, retry_on=("ambiguous",))
    assert again("POST", Loss.STOPPED, retry_on=("ambiguous",))
    assert again("POST", Loss.TRANSPORT, retry_on=("all",))
    assert not again("POST", Loss.TRANSPORT, retry_on=("transient", "5xx"))
    assert not again("GET", Loss.NO_ANSWER, no_retry_on=("timeout",))
    assert not again("GET", Loss.STOPPED, no_retry_on=("timeout",))
    assert again("GET", Loss.TRANSPORT, no_retry_on=("timeout", "5xx"))
    assert not again("GET", Loss.TRANSPORT, no_retry_on=("transient",))
    assert of_fault("DF510", NONE, 1).outcome is Outcome.FAILED
    assert of_fault("DF510", Policy(retry_on=("all",)), 1).outcome is Outcome.AGAIN
    assert of_fault("DF510", Policy(retry_on=("DF510",)), 5).outcome is Outcome.FAILED


def test_a_server_that_asks_for_too_long_is_not_asked_again() -> None:
    assert of_status("GET", 503, NONE, 1, 300.0).outcome is Outcome.AGAIN
    refused = of_status("GET", 503, NONE, 1, 301.0)
    assert (refused.outcome, refused.code) == (Outcome.FAILED, "DF518")
    assert refused.remark == "it asks to wait 301 s, more than `retry_after_max` (300 s)"
    assert of_status("GET", 429, NONE, 1, 301.0).outcome is Outcome.RESULT
    short = Policy(retry_after_max=seconds(1.5))
    assert of_status("POST", 503, short, 1, 2.0).outcome is Outcome.FAILED
    assert of_status("POST", 503, short, 1, 1.5).outcome is Outcome.AGAIN
    assert (
        of_status("GET", 503, Policy(retry_after_max=Duration(days=1)), 1, 86_400.0).outcome is Outcome.AGAIN
    )


@pytest.mark.parametrize(
    ("value", "date", "found"),
    [
        (None, None, None),
        ("0", None, 0.0),
        (" 120 ", None, 120.0),
        ("1.5", None, 1.5),
        ("-1", None, None),
        ("soon", None, None),
        ("", None, None),
        ("٣", None, None),
        ("9" * 40, None, float("9" * 18)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:27 GMT", 10.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:27 1994", 10.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", None, 37.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", "nonsense", 37.0),
        ("Sun, 06 Nov 1994 08:48:00 GMT", None, 0.0),
        ("Sun, 99 Nov 1994 99:99:99 GMT", None, None),
    ],
)
def test_retry_after(value: str | None, date: str | None, found: float | None) -> None:
    noon = 784_111_740.0  # 1994-11-06 08:49:00
    measured = retry_http.retry_after(value, date, noon)
    if value is not None and "99 Nov" in value:
        assert measured is None or measured >= 0
    else:
        assert measured == found


@given(st.text(max_size=40), st.none() | st.text(max_size=40), st.floats(0, 2e9))
def test_retry_after_takes_any_text(value: str, date: str | None, now: float) -> None:
    found = retry_http.retry_after(value, date, now)
    assert found is None or found >= 0


# What attempts say


def test_4xx_is_a_result_and_5xx_a_failure(site: Site) -> None:
    site.reply = plain(404)
    assert send(request(site.url(), "POST"))["status"] == 404
    site.reply = plain(500, b"why\n  so")
    failed = failure(request(site.url("/a?key=s3cret#f")))
    url = f"http://127.0.0.1:{site.port}/a"
    assert failed.error.message == f"HTTP GET {url} returned 500: why so"
    assert (failed.error.sqlstate, failed.error.detail) == ("DF518", "why\n  so")
    assert not failed.retryable


def test_the_preview_of_a_body_is_short(site: Site) -> None:
    site.reply = plain(500, "é".encode() * 1000)
    detail = failure(request(site.url())).error.detail or ""
    assert 505 < len(detail.encode()) <= 512 and detail.endswith("é…")
    site.reply = plain(500, "é".encode() * 256)
    assert failure(request(site.url())).error.detail == "é" * 256
    site.reply = plain(500, b"\0\1")
    failed = failure(request(site.url()))
    assert failed.error.detail is None and failed.error.message.endswith("returned 500")


@pytest.mark.parametrize("status", [429, 503])
def test_the_last_attempt_makes_a_result_or_a_failure(site: Site, status: int) -> None:
    site.reply = plain(status, Retry_After="7")
    found = perform(*(action(request(site.url()), attempt=attempt) for attempt in range(1, 6)))
    for failed in found[:4]:
        assert isinstance(failed, StepFailed) and failed.retryable and failed.retry_after_seconds == 7
    if status == 429:
        assert found[4]["status"] == 429
    else:
        assert found[4].error.sqlstate == "DF518" and not found[4].retryable
    assert failure(request(site.url(), "POST"), step=Policy(max_attempts=6), attempt=5).retryable
    assert len(site.seen) == 6


def test_retry_after_as_a_date(site: Site) -> None:
    now = time.time()
    # The server's clock is an hour behind; only the difference counts.
    site.reply = lambda handler, _: _dated(handler, now - 3600, now - 3600 + 42)
    assert failure(request(site.url(), "POST")).retry_after_seconds == 42
    site.reply = lambda handler, _: _dated(handler, now, now + 3600)
    failed = failure(request(site.url(), "POST"))
    assert not failed.retryable and "`retry_after_max` (300 s)" in failed.error.message


def _dated(handler: BaseHTTPRequestHandler, date: float, after: float) -> None:
    handler.send_response_only(503)
    handler.send_header("Date", formatdate(date, usegmt=True))
    handler.send_header("Retry-After", formatdate(after, usegmt=True))
    handler.send_header("Content-Length", "0")
    handler.end_headers()


# How connections end


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def talking(talk: Talk) -> AsyncGenerator[int, None]:
    """A server that does with each connection what it is told; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def attempt_at(port: int, method: str, step: Policy = NONE, limit: int = 30) -> Any:
    """One attempt: what was recorded, or the failure."""
    recorder = Recorder()
    sender = HttpSender(recorder, OPEN)
    try:
        sent = request(f"http://127.0.0.1:{port}/", method, seconds=limit)
        await sender.send(CLAIM, action(sent, policy=step))
        return recorder.values[-1]
    except StepFailed as failed:
        return failed
    finally:
        await sender.close()


async def _reset_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    _reset(writer)


async def _close_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def _half_a_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    await writer.drain()


async def _half_a_body_and_a_reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _half_a_body(reader, writer)
    _reset(writer)


async def _half_a_chunk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nff\r\nx")
    await writer.drain()


async def _nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    await writer.drain()


async def _broken_gzip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope")
    await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with RST."""
    found = writer.get_extra_info("socket")
    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.mark.parametrize(
    "talk",
    [
        _reset_at_once,
        _close_at_once,
        _half_a_body,
        _half_a_body_and_a_reset,
        _half_a_chunk,
        _nonsense,
        _broken_gzip,
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_broken_answer(talk: Talk, method: str) -> None:
    async def go() -> Any:
        async with talking(talk) as port:
            return await attempt_at(port, method), await attempt_at(port, method, UNSAFE)

    failed, unsafe = asyncio.run(go())
    assert isinstance(failed, StepFailed) and isinstance(unsafe, StepFailed)
    assert (failed.retryable, unsafe.retryable) == (method == "GET", True)
    assert failed.error.sqlstate == ("DF518" if method == "GET" else "ambiguous")
    assert failed.error.message.startswith(f"HTTP {method} http://127.0.0.1:")
    assert ("retry_unsafe" in (failed.error.hint or "")) == (method == "POST")


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        for method in ("GET", "POST"):
            failed = failure(request(f"http://127.0.0.1:{free.getsockname()[1]}/", method))
            assert failed.retryable and failed.error.sqlstate == "DF518"


def test_tls_refused() -> None:
    """A server that speaks no TLS, and one whose certificate nobody has vouched for: nothing was sent."""

    async def go() -> Any:
        seen: list[bytes] = []

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(await reader.read(100))
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()

        async with talking(talk) as port:
            recorder = Recorder()
            sender = HttpSender(recorder, OPEN)
            try:
                with pytest.raises(StepFailed) as caught:
                    await sender.send(CLAIM, action(request(f"https://127.0.0.1:{port}/", "POST")))
            finally:
                await sender.close()
            return caught.value, seen

    failed, seen = asyncio.run(go())
    assert failed.retryable and failed.error.sqlstate == "DF518"
    assert not any(b"POST" in part for part in seen)


CERTIFICATE = Path(__file__).with_name("localhost.pem")
"""Of `localhost`, with its key; nobody but a test that says so trusts it."""


@asynccontextmanager
async def talking_tls(talk: Talk, *protocols: str) -> AsyncGenerator[int, None]:
    """The same over TLS; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    if protocols:
        context.set_alpn_protocols(list(protocols))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def posted_at(url: str) -> Any:
    """One attempt of a POST: what was recorded, or the failure."""
    recorder = Recorder()
    sender = HttpSender(recorder, OPEN)
    try:
        await sender.send(CLAIM, action(request(url, "POST", "{}")))
        return recorder.values[-1]
    except StepFailed as failed:
        return failed
    finally:
        await sender.close()


def test_a_certificate_that_nobody_vouches_for() -> None:
    async def go() -> Any:
        read: list[bytes] = []

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            read.append(await reader.read(100))

        async with talking_tls(talk) as port:
            return await posted_at(f"https://localhost:{port}/"), read

    failed, read = asyncio.run(go())
    assert failed.retryable and "certificate" in failed.error.message.lower()
    assert not any(read)


class Http2:
    """Speaks HTTP/2, and does with a request what it is told."""

    def __init__(self, answer: Callable[[H2Connection, int], None]) -> None:
        self.answer = answer
        self.requests = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        h2 = H2Connection(H2Configuration(client_side=False))
        h2.initiate_connection()
        writer.write(h2.data_to_send())
        while data := await reader.read(65536):
            for event in h2.receive_data(data):
                if isinstance(event, RequestReceived):
                    self.requests += 1
                if isinstance(event, StreamEnded):
                    self.answer(h2, event.stream_id)
            writer.write(h2.data_to_send())
            await writer.drain()


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))


def _well(h2: H2Connection, stream: int) -> None:
    h2.send_headers(stream, [(":status", "201"), ("content-type", "text/plain")])
    h2.send_data(stream, b"two", end_stream=True)


def _refused(h2: H2Connection, stream: int) -> None:
    h2.reset_stream(stream, ErrorCodes.REFUSED_STREAM)


def _broken(h2: H2Connection, stream: int) -> None:
    h2.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)


def test_http2(trusted: None) -> None:
    async def go(answer: Callable[[H2Connection, int], None]) -> tuple[Any, int]:
        server = Http2(answer)
        async with talking_tls(server, "h2") as port:
            return await posted_at(f"https://localhost:{port}/"), server.requests

    found, requests = asyncio.run(go(_well))
    assert (found["status"], found["body"], requests) == (201, "two", 1)
    refused, requests = asyncio.run(go(_refused))  # the standard's word for: not processed
    assert refused.retryable and requests == 1
    broken, _ = asyncio.run(go(_broken))
    assert (broken.retryable, broken.error.sqlstate) == (False, "ambiguous")


# Time limits and interruption


async def _silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _drop_by_drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("talk", [_silence, _drop_by_drop])
def test_the_time_limit_of_a_request(talk: Talk) -> None:
    async def go() -> Any:
        async with talking(talk) as port:
            return await attempt_at(port, "GET", limit=1), await attempt_at(port, "POST", limit=1)

    got, posted = asyncio.run(go())
    assert got.retryable and got.error.message.endswith("no answer within 1 s")
    assert (posted.retryable, posted.error.sqlstate) == (False, "ambiguous")


@pytest.mark.parametrize("talk", [_silence, _drop_by_drop])
def test_the_time_limit_of_the_step(talk: Talk) -> None:
    async def go() -> Any:
        async with talking(talk) as port:
            limit = Policy(timeout=seconds(0.2))
            return await attempt_at(port, "GET", limit), await attempt_at(port, "POST", limit)

    began = time.monotonic()
    got, posted = asyncio.run(go())
    assert time.monotonic() - began < 10
    assert (got.retryable, got.error.sqlstate) == (True, "timeout")
    assert "the step's timeout (0.2 s)" in got.error.message
    assert (posted.retryable, posted.error.sqlstate) == (False, "timeout")
    assert "may have been processed" in posted.error.message


def test_the_time_limit_of_the_step_bounds_all_its_requests(site: Site) -> None:
    gone = threading.Event()

    def reply(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        if handler.path != "/0":
            gone.wait(20)
        plain(200)(handler, body)

    site.reply = reply
    sent = rows(*(wire(url=site.url(f"/{number}")) for number in range(40)))
    try:
        failed = failure(sent, many=True, step=Policy(timeout=seconds(0.5)))
    finally:
        gone.set()
    assert (failed.retryable, failed.error.sqlstate) == (True, "timeout")


@pytest.mark.parametrize("talk", [_silence, _drop_by_drop])
def test_an_interrupted_request_stops_at_once(talk: Talk) -> None:
    async def go() -> None:
        ended = asyncio.Event()
        began = asyncio.Event()

        async def watched(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            began.set()
            try:
                await talk(reader, writer)
            finally:
                ended.set()

        async with talking(watched) as port:
            sender = HttpSender(Recorder(), OPEN)
            sent = action(request(f"http://127.0.0.1:{port}/", "POST"))
            task = asyncio.create_task(sender.send(CLAIM, sent))
            await began.wait()
            await asyncio.sleep(0.05)
            task.cancel()
            done, _ = await asyncio.wait([task], timeout=5)
            assert done and task.cancelled()
            await asyncio.wait_for(ended.wait(), 5)  # the connection is closed, not left behind
            await sender.close()

    asyncio.run(go())


# Steps of many requests


def test_the_next_attempt_sends_only_what_has_no_response(site: Site) -> None:
    def reply(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        fails = handler.path in ("/2", "/5") and len(site.seen) <= 8
        plain(503, Retry_After=handler.path[1:])(handler, body) if fails else plain(200, body)(handler, body)

    site.reply = reply
    cells = [wire(url=site.url(f"/{number}"), method="PUT", body=str(number)) for number in range(8)]
    first, second = perform(action(rows(*cells), many=True), action(rows(*cells), many=True, attempt=2))
    assert first.retryable and first.retry_after_seconds == 5
    assert "/2 returned 503" in first.error.message
    assert [response["body"] for response in second] == [str(number) for number in range(8)]
    assert sorted(path for _, path, _, _ in site.seen[8:]) == ["/2", "/5"]


def test_a_step_that_begins_anew_keeps_nothing(site: Site) -> None:
    site.reply = lambda handler, body: plain(503 if handler.path == "/1" else 200)(handler, body)
    cells = [wire(url=site.url(f"/{number}")) for number in range(2)]
    other = [wire(url=site.url(f"/{number}"), body="other") for number in range(2)]
    perform(action(rows(*cells), many=True), action(rows(*cells), many=True))
    assert len(site.seen) == 4
    perform(action(rows(*cells), many=True), action(rows(*other), many=True, attempt=2))
    assert len(site.seen) == 8


def test_a_failure_that_is_final_ends_the_step(site: Site) -> None:
    site.reply = lambda handler, body: plain(500 if handler.path == "/1" else 503)(handler, body)
    sent = rows(*(wire(url=site.url(f"/{number}")) for number in range(200)))
    failed = failure(sent, many=True)
    assert not failed.retryable and "/1 returned 500" in failed.error.message
    assert len(site.seen) < 100


def test_the_last_attempt_of_many(site: Site) -> None:
    site.reply = lambda handler, body: plain(429 if handler.path == "/1" else 200)(handler, body)
    sent = rows(*(wire(url=site.url(f"/{number}")) for number in range(3)))
    assert [response["status"] for response in send(sent, many=True, attempt=5)] == [200, 429, 200]


def test_responses_that_are_kept_are_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfc.executor.runners.http.RESPONSES_KEPT_BYTES_MAX", 250)

    def reply(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        plain(503 if handler.path == "/1" else 200, b"x" * 100)(handler, body)

    site.reply = reply
    sent = rows(*(wire(url=site.url(f"/{number}")) for number in range(3)))
    perform(
        action(sent, many=True, path="a"),
        action(sent, many=True, path="b"),
        action(sent, many=True, path="b", attempt=2),
        action(sent, many=True, path="a", attempt=2),
    )
    assert len(site.seen) == 3 + 3 + 1 + 3


# Policies that the call of a computed request has


def policed(site: Site, method: str = "POST", **policy: Any) -> Rows:
    """A computed request with policies of its own."""
    fields = {"url": site.url(), "method": method, "body": None, "headers": None, "timeout_seconds": 30}
    return rows(marked({"http": fields, "policy": policy}))


def _until_the_other_side_gives_up(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    handler.rfile.read()


def test_a_computed_request_has_its_own_policy(site: Site) -> None:
    site.reply = plain(502)
    assert not failure(policed(site)).retryable
    assert failure(policed(site, retry_unsafe=True)).retryable
    assert failure(policed(site, retry_on=["502"])).retryable
    assert not failure(policed(site, "GET", no_retry_on=["5xx"])).retryable
    assert failure(policed(site, "GET", max_attempts=3), attempt=2).retryable
    assert not failure(policed(site, "GET", max_attempts=2), attempt=2).retryable
    assert not failure(policed(site), step=Policy(no_retry_on=("all",), retry_unsafe=True)).retryable
    site.reply = plain(503, Retry_After="3")
    assert not failure(policed(site, retry_after_max=[0, 0, 2_000_000])).retryable
    site.reply = _until_the_other_side_gives_up
    stopped = failure(policed(site, timeout=[0, 0, 100_000]))
    assert (stopped.error.sqlstate, stopped.retryable) == ("timeout", False)


@pytest.mark.parametrize(
    "policy",
    [
        {"rate_limit": "1/second"},
        {"on_error": "continue"},
        {"backoff": [0, 0, 1]},
        {"max_attempts": 6},
        {"max_attempts": 0},
        {"max_attempts": "3"},
        {"retry_on": "503"},
        {"retry_on": [503]},
        {"timeout": [1, 2]},
        {"timeout": ["a", 0, 0]},
        {"retry_unsafe": "yes"},
        {"strange": True},
    ],
)
def test_what_has_to_be_said_of_the_step(site: Site, policy: dict[str, Any]) -> None:
    failed = failure(policed(site, **policy))
    assert failed.error.sqlstate == "DF517" and not failed.retryable and site.seen == []
