"""HTTP steps against a real server on the loopback address."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import pytest

from dfc.compiler.plan import Request
from dfc.executor import limits
from dfc.executor.actions import Finish, SendHttp
from dfc.executor.journal import Completed, Rows
from dfc.executor.ports import Answer, Claim, StepFailed, Transient
from dfc.executor.runners.http import HttpSender, OutboundPolicy
from dfc.executor.runners.http_request import BadRequest, parse

CLAIM = Claim(
    instance="0198c0de-0000-7000-8000-000000000001",
    token=b"t" * 16,
    submitted_by="anna",
    database=None,
    search_path="public",
    time_zone="UTC",
    cancel_reason=None,
    resumed=False,
)

Reply = Callable[[BaseHTTPRequestHandler, bytes], None]


@dataclass
class Site:
    """A web server that answers as it is told and remembers what it was asked."""

    port: int
    reply: Reply
    seen: list[tuple[str, str, dict[str, str], bytes]] = field(
        default_factory=list[tuple[str, str, dict[str, str], bytes]]
    )

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


def plain(status: int, body: bytes = b"ok", /, **headers: str) -> Reply:
    def reply(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)

    return reply


@pytest.fixture
def site() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            found.seen.append((self.command, self.path, headers, body))
            found.reply(self, body)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = answer

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        # The default of 5 resets connections when the executor opens its 16 at once.
        request_queue_size = 128
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    found = Site(port=server.server_address[1], reply=plain(200))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


class Recorder:
    """Keeps what would be recorded."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.values: list[Any] = []

    async def record_value(
        self, claim: Claim, path: str, value: str, finish: Finish | None, *, keep: bool
    ) -> Answer:
        if self.failures:
            self.failures -= 1
            raise Transient("the database is away", "08006")
        self.values.append(json.loads(value))
        return Answer(event=Completed(number=1, path=path, result=None))


OPEN = OutboundPolicy(allow_loopback=True)


def send(
    *requests: Request | Rows,
    policy: OutboundPolicy = OPEN,
    recorder: Recorder | None = None,
    many: bool = False,
) -> Any:
    """Send one after the other through one client; what the last recorded."""
    recorder = recorder or Recorder()

    async def go() -> None:
        sender = HttpSender(recorder, policy)
        try:
            for request in requests:
                action = SendHttp(path="hook/response", request=request, many=many, rider=None, keep=False)
                await sender.send(CLAIM, action)
        finally:
            await sender.close()

    asyncio.run(go())
    return recorder.values[-1]


def request(
    url: str, method: str = "GET", body: str | None = None, seconds: int = 30, **headers: str
) -> Request:
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Request(url=url, method=method, body=body, headers=pairs, timeout_seconds=seconds)


def wire(**fields: object) -> str:
    given = {"url": "http://h/", "method": "GET", "body": None, "headers": None, "timeout_seconds": 30}
    text = json.dumps({"http": {**given, **fields}})
    return f"/*dfc:1:{len(text)}*/{text}"


def test_the_response_object(site: Site) -> None:
    site.reply = plain(201, "né".encode(), X_Odd="1", Content_Type="text/plain; charset=utf-8")
    found = send(request(site.url("/a?b=c"), "POST", '{"x": 1}'))
    assert list(found) == ["status", "body", "encoding", "headers", "ok", "duration_ms"]
    assert (found["status"], found["body"], found["encoding"], found["ok"]) == (201, "né", "text", True)
    assert found["headers"]["x-odd"] == "1"
    [(method, path, headers, body)] = site.seen
    assert (method, path, body) == ("POST", "/a?b=c", b'{"x": 1}')
    assert headers["content-type"] == "application/json"
    assert headers["host"] == f"127.0.0.1:{site.port}"
    assert len(headers["idempotency-key"]) == 32 and headers["traceparent"].startswith("00-")


def test_the_key_is_stable_and_given_headers_win(site: Site) -> None:
    send(request(site.url()), request(site.url()), request(site.url(), Idempotency_Key="mine"))
    first, second, third = (headers["idempotency-key"] for _, _, headers, _ in site.seen)
    assert (first == second, third) == (True, "mine")
    send(request(site.url(), "POST", "plain"), request(site.url(), "POST", "[1]", Content_Type="x/y"))
    assert "content-type" not in site.seen[3][2]
    assert site.seen[4][2]["content-type"] == "x/y"


@pytest.mark.parametrize("body", [b"a\0b", b"\xff\xfe\xfd", b"caf\xe9"])
def test_what_is_not_text_is_base64(site: Site, body: bytes) -> None:
    site.reply = plain(200, body)
    found = send(request(site.url()))
    assert (found["encoding"], base64.b64decode(found["body"])) == ("base64", body)


def test_charset_and_redirects(site: Site) -> None:
    site.reply = plain(302, b"caf\xe9", Content_Type="text/plain; charset=latin-1", Location="/else")
    found = send(request(site.url()))
    assert (found["status"], found["ok"], found["body"], len(site.seen)) == (302, False, "café", 1)


def test_4xx_is_a_result_and_5xx_a_failure(site: Site) -> None:
    site.reply = plain(404)
    assert send(request(site.url(), "POST"))["status"] == 404
    site.reply = plain(500, b"why")
    with pytest.raises(StepFailed) as caught:
        send(request(site.url()))
    assert (caught.value.error.sqlstate, caught.value.error.detail) == ("DF518", "why")


@pytest.mark.parametrize(
    ("method", "status", "headers", "becomes"),
    [
        *(("GET", status, {}, Transient) for status in (408, 425, 429, 502, 503, 504)),
        ("POST", 429, {}, Transient),
        ("PATCH", 503, {"Retry_After": "0"}, Transient),
        ("POST", 503, {}, StepFailed),
        ("POST", 502, {}, StepFailed),
    ],
)
def test_what_is_tried_again(
    site: Site, method: str, status: int, headers: dict[str, str], becomes: type[Exception]
) -> None:
    site.reply = plain(status, **headers)
    with pytest.raises(becomes) as caught:
        send(request(site.url(), method))
    if isinstance(caught.value, StepFailed):
        assert caught.value.error.sqlstate == "ambiguous"


def test_the_last_attempt_makes_a_result_or_a_failure(site: Site) -> None:
    def attempts(status: int) -> Any:
        site.reply = plain(status)
        recorder = Recorder()

        async def go() -> None:
            sender = HttpSender(recorder, OPEN)
            action = SendHttp(path="p", request=request(site.url()), many=False, rider=None, keep=False)
            try:
                for _ in range(4):
                    with pytest.raises(Transient):
                        await sender.send(CLAIM, action)
                await sender.send(CLAIM, action)
            finally:
                await sender.close()

        asyncio.run(go())
        return recorder.values[-1]

    assert attempts(429)["status"] == 429
    with pytest.raises(StepFailed, match="answered 503"):
        attempts(503)


def test_a_broken_answer_is_ambiguous_for_post(site: Site) -> None:
    def drop(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.close_connection = True

    site.reply = drop
    with pytest.raises(StepFailed) as caught:
        send(request(site.url(), "POST"))
    assert caught.value.error.sqlstate == "ambiguous"
    with pytest.raises(Transient):
        send(request(site.url()))
    with pytest.raises(Transient):  # nobody listens: surely not processed
        send(request("http://127.0.0.1:1/", "POST"))


def test_time_limit(site: Site) -> None:
    gone = threading.Event()

    def wait(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        gone.wait(20)

    site.reply = wait
    try:
        with pytest.raises(Transient, match=r"no answer within 1 s"):
            send(request(site.url(), seconds=1))
    finally:
        gone.set()


def test_the_body_limit_is_kept_while_streaming(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HTTP_BODY_BYTES_MAX", 1000)
    site.reply = plain(200, b"x" * 1000)
    assert len(send(request(site.url()))["body"]) == 1000
    site.reply = plain(200, b"x" * 1001)
    with pytest.raises(StepFailed, match="http_body_bytes_max"):
        send(request(site.url()))


def test_an_answer_is_not_fetched_again_when_recording_fails(site: Site) -> None:
    send(request(site.url(), "POST"), recorder=Recorder(failures=2))
    assert len(site.seen) == 1


def test_requests_from_rows(site: Site) -> None:
    cells = [wire(url=site.url(f"/{n}"), method="POST", body=str(n)) for n in range(20)]
    rows = Rows(columns=("http",), types=(25,), cells=tuple(cells), row_count=20)
    site.reply = lambda handler, body: plain(200, body)(handler, body)
    found = send(rows, many=True)
    assert [response["body"] for response in found] == [str(n) for n in range(20)]
    assert len({headers["idempotency-key"] for _, _, headers, _ in site.seen}) == 20
    assert send(Rows(columns=("h",), types=(25,), cells=(), row_count=0), many=True) == []
    with pytest.raises(StepFailed, match="0 requests instead of one"):
        send(Rows(columns=("h",), types=(25,), cells=(), row_count=0))


@pytest.mark.parametrize(
    "cell",
    [
        None,
        "",
        "SELECT 1",
        wire() + " ",
        " " + wire(),
        wire(url=1),
        wire(url="file:///etc/passwd"),
        wire(url="http://h/\r\nX: y"),
        wire(method="get"),
        wire(method="GET / HTTP/1.1\r\nX: y"),
        wire(headers={"a": "b\r\nc: d"}),
        wire(headers={"a\r\n": "b"}),
        wire(headers={"Transfer-Encoding": "chunked"}),
        wire(headers={"Host": "other"}),
        wire(headers=["a"]),
        wire(headers={"a": {}}),
        wire(body={}),
        wire(body="\ud800"),
        wire(timeout_seconds=0),
        wire(timeout_seconds=True),
        wire(timeout_seconds=float("nan")),
        wire(timeout_seconds=1e9),
        wire(extra=1),
        "/*dfc:1:2*/{}",
        "/*dfc:1:9*/" + "[" * 9,
        "/*dfc:1:100000*/" + "[" * 100000,
    ],
)
def test_hostile_requests_are_refused(cell: str | None) -> None:
    with pytest.raises(BadRequest):
        parse(cell)


DENIED = [
    ("127.0.0.1", "127.0.0.1"),
    ("localhost", "::1"),
    ("x", "10.1.2.3"),
    ("x", "172.16.0.1"),
    ("x", "192.168.1.1"),
    ("x", "169.254.169.254"),
    ("x", "100.64.0.1"),
    ("x", "100.100.100.200"),
    ("x", "168.63.129.16"),
    ("x", "0.0.0.0"),
    ("x", "224.0.0.1"),
    ("x", "240.0.0.1"),
    ("x", "255.255.255.255"),
    ("x", "192.0.2.1"),
    ("x", "::"),
    ("x", "::ffff:127.0.0.1"),
    ("x", "::ffff:169.254.169.254"),
    ("x", "::127.0.0.1"),
    ("x", "64:ff9b::7f00:1"),
    ("x", "64:ff9b:1::7f00:1"),
    ("x", "2002:7f00:1::1"),
    ("x", "2002:a9fe:a9fe::"),
    ("x", "2001:0:7f00:1::"),
    ("x", "fe80::1%eth0"),
    ("x", "fd00:ec2::254"),
    ("x", "ff02::1"),
    ("x", "2001:db8::1"),
    ("x", "fec0::1"),
]


@pytest.mark.parametrize(("host", "address"), DENIED)
def test_addresses_that_are_denied(host: str, address: str) -> None:
    assert OutboundPolicy().reason_against(host, 80, address) is not None
    assert OutboundPolicy(allow_hosts=("x",)).reason_against("x", 80, address) is not None
    assert OutboundPolicy(allow_hosts=(f"{host}:80",)).reason_against(host, 80, address) is None
    assert OutboundPolicy(allow_hosts=(f"{host}:81",)).reason_against(host, 80, address) is not None
    # The entry with the port decides, wherever in the list the other stands.
    assert OutboundPolicy(allow_hosts=(host, f"{host}:80")).reason_against(host, 80, address) is None


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822", "2002:5db8:d822::1"]
)
def test_public_addresses_are_open_to_listed_names_only(address: str) -> None:
    listed = OutboundPolicy(allow_hosts=("example.org",))
    assert listed.reason_against("example.org", 443, address) is None
    for policy in (OutboundPolicy(), OutboundPolicy(allow_loopback=True), listed):
        for host in ("other.example.org", "example.org.evil", address):
            assert policy.reason_against_host(host, 443) is not None
            assert policy.reason_against(host, 443, address) is not None


def test_the_allow_list() -> None:
    policy = OutboundPolicy(
        allow_hosts=("Intern.example:1", "name.example", "[fd00::1]:8080", "10.0.0.5", "FD00:0::2")
    )
    assert policy.reason_against("intern.example.", 1, "10.0.0.1") is None
    assert policy.reason_against("intern.example.", 2, "10.0.0.1") is not None
    assert policy.reason_against("Name.example.", 1, "93.184.216.34") is None
    assert policy.reason_against("name.example", 1, "10.0.0.1") is not None
    assert policy.reason_against("fd00::1", 8080, "fd00::1") is None
    assert policy.reason_against("fd00::1", 8081, "fd00::1") is not None
    assert policy.reason_against("[fd00::2]", 1, "fd00::2") is None
    assert policy.reason_against("10.0.0.5", 7, "10.0.0.5") is None
    assert policy.reason_against("intern.example.evil", 1, "10.0.0.1") is not None


def test_the_embedded_databases_loopback() -> None:
    policy = OutboundPolicy(allow_loopback=True)
    for host, address in [("localhost", "::1"), ("a.localhost", "127.0.0.1"), ("127.0.0.9", "127.0.0.9")]:
        assert policy.reason_against(host, 1, address) is None
    assert policy.reason_against("[::ffff:127.0.0.1]", 1, "::ffff:127.0.0.1") is None
    assert policy.reason_against("localhost", 1, "10.0.0.1") is not None
    # Others are not even looked up, whatever they would turn out to be.
    assert policy.reason_against_host("x", 1) is not None
    assert policy.reason_against("x", 1, "127.0.0.1") is not None


def test_a_host_that_is_not_listed_is_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def look(self: asyncio.BaseEventLoop, host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        raise OSError("no such name")

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", look)
    with pytest.raises(StepFailed) as caught:
        send(request("http://secret.example/"))
    assert (caught.value.error.sqlstate, asked) == ("DF510", [])
    assert "--allow-host secret.example " in (caught.value.error.hint or "")
    with pytest.raises(Transient):
        send(request("http://secret.example/"), policy=OutboundPolicy(allow_hosts=("secret.example",)))
    assert asked == ["secret.example"]


def test_a_name_for_the_loopback_address_is_denied(site: Site) -> None:
    for policy in (OutboundPolicy(), OutboundPolicy(allow_hosts=("localhost",))):
        with pytest.raises(StepFailed) as caught:
            send(request(f"http://localhost:{site.port}/"), policy=policy)
        assert caught.value.error.sqlstate == "DF510"
        assert f"--allow-host localhost:{site.port}" in (caught.value.error.hint or "")
    assert site.seen == []
    allowed = OutboundPolicy(allow_hosts=(f"localhost:{site.port}",))
    assert send(request(f"http://localhost:{site.port}/"), policy=allowed)["status"] == 200
    assert site.seen[0][2]["host"] == f"localhost:{site.port}"


def test_the_first_request_to_this_machine_says_so(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    send(request(site.url()), request(site.url(), "POST"))
    assert [record.message for record in caplog.records if "this machine" in record.message] == [
        "HTTP steps may reach this machine (127.0.0.1, ::1, localhost) from the embedded database"
    ]
    caplog.clear()
    send(request(site.url()), policy=OutboundPolicy(allow_hosts=(f"127.0.0.1:{site.port}",)))
    assert not caplog.records


def _rows_to(site: Site, count: int) -> Rows:
    cells = tuple(wire(url=site.url(f"/{n}")) for n in range(count))
    return Rows(columns=("http",), types=(25,), cells=cells, row_count=count)


def test_the_limit_of_all_responses_ends_the_step_before_all_are_fetched(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HTTP_RESPONSES_BYTES_MAX", 2000)
    site.reply = plain(200, b"x" * 1000)
    assert len(send(_rows_to(site, 2), many=True)) == 2
    site.seen.clear()
    with pytest.raises(StepFailed, match="http_responses_bytes_max") as caught:
        send(_rows_to(site, 100), many=True)
    assert caught.value.error.sqlstate == "DF502"
    assert len(site.seen) <= 2 + limits.HTTP_REQUESTS_MAX


def test_a_response_that_is_not_kept_does_not_count(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HTTP_RESPONSES_BYTES_MAX", 2000)
    recorder = Recorder()

    async def go() -> None:
        sender = HttpSender(recorder, OPEN)
        action = SendHttp(path="p", request=request(site.url()), many=False, rider=None, keep=False)
        try:
            site.reply = plain(503, b"x" * 900)
            for _ in range(4):
                with pytest.raises(Transient):
                    await sender.send(CLAIM, action)
            site.reply = plain(200, b"x" * 900)
            await sender.send(CLAIM, action)
        finally:
            await sender.close()

    asyncio.run(go())
    assert recorder.values[0]["status"] == 200


def test_a_step_of_many_slow_requests_blocks_no_other(site: Site) -> None:
    gone = threading.Event()
    recorder = Recorder()

    def reply(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        if handler.path != "/fast":
            gone.wait(30)
        plain(200)(handler, body)

    site.reply = reply

    async def go() -> None:
        sender = HttpSender(recorder, OPEN)
        slow = SendHttp(path="slow", request=_rows_to(site, 40), many=True, rider=None, keep=False)
        fast = SendHttp(path="fast", request=request(site.url("/fast")), many=False, rider=None, keep=False)
        try:
            waiting = asyncio.create_task(sender.send(CLAIM, slow))
            while len(site.seen) < limits.HTTP_REQUESTS_MAX:  # noqa: ASYNC110 - a thread of the server's counts
                await asyncio.sleep(0.01)
            await asyncio.wait_for(sender.send(CLAIM, fast), 20)
            assert not waiting.done() and len(site.seen) == limits.HTTP_REQUESTS_MAX + 1
            gone.set()
            await waiting
        finally:
            gone.set()
            await sender.close()

    asyncio.run(go())
    assert [len(value) for value in recorder.values] == [6, 40]


class Closing:
    """A server that says keep-alive, and closes each connection when its second request has come."""

    def __init__(self) -> None:
        self.connections = 0
        self.seen: list[str] = []
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        for number in range(2):
            head = await reader.readuntil(b"\r\n\r\n") if number == 0 else await reader.read(1)
            if number == 0:
                self.seen.append(head.split(b" ", 1)[0].decode())
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_must_not_be_repeated_goes_out_on_a_fresh_connection(method: str) -> None:
    recorder = Recorder()

    async def go() -> int:
        async with Closing() as server:
            sender = HttpSender(recorder, OPEN)
            try:
                for number in range(3):
                    sent = request(f"http://127.0.0.1:{server.port}/", method)
                    path = f"hook{number}/response"
                    await sender.send(
                        CLAIM, SendHttp(path=path, request=sent, many=False, rider=None, keep=False)
                    )
            finally:
                await sender.close()
            return server.connections

    assert asyncio.run(go()) == 3
    assert [value["status"] for value in recorder.values] == [200, 200, 200]


def test_codes_of_http_steps_are_not_the_compilers() -> None:
    root = Path(__file__).parent.parent.parent
    ours = set(re.findall(r'"(DF\d{3})"', (root / "executor/runners/http.py").read_text()))
    theirs = {
        code
        for path in (root / "compiler").rglob("*.py")
        for code in re.findall(r"DF\d{3}", path.read_text())
    }
    assert ours == {"DF502", "DF510", "DF517", "DF518"}
    assert not ours & theirs
