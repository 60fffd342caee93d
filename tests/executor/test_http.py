"""HTTP steps against a real server on the loopback address."""

from __future__ import annotations

import asyncio
import base64
import gzip
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Self

import pytest

from dfc.executor import limits
from dfc.executor.failures import StepFailed
from dfc.executor.journal import Rows
from dfc.executor.runners.http import HttpSender, OutboundPolicy
from dfc.executor.runners.http_request import BadRequest, read
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


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as found:
        yield found


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
    perform(
        action(request(site.url())),
        action(request(site.url()), attempt=2),
        action(request(site.url(), Idempotency_Key="mine")),
    )
    first, second, third = (headers["idempotency-key"] for _, _, headers, _ in site.seen)
    assert (first == second, third) == (True, "mine")
    perform(
        action(request(site.url(), "POST", "plain")),
        action(request(site.url(), "POST", "[1]", Content_Type="x/y")),
    )
    assert "content-type" not in site.seen[3][2]
    assert site.seen[4][2]["content-type"] == "x/y"


@pytest.mark.parametrize("body", [b"a\0b", b"\xff\xfe\xfd", b"caf\xe9"])
def test_what_is_not_text_is_base64(site: Site, body: bytes) -> None:
    site.reply = plain(200, body)
    found = send(request(site.url()))
    assert (found["encoding"], base64.b64decode(found["body"])) == ("base64", body)


def test_a_lone_surrogate_is_base64(site: Site) -> None:
    site.reply = plain(200, b"\\ud800", Content_Type="text/plain; charset=unicode_escape")
    found = send(request(site.url()))
    assert (found["encoding"], base64.b64decode(found["body"])) == ("base64", b"\\ud800")
    site.reply = plain(200, b'{"a": "\\ud800"}')  # JSON's escape is text as it stands
    assert send(request(site.url()))["body"] == '{"a": "\\ud800"}'


@pytest.mark.parametrize("charset", ["zlib", "no-such", "rot13", "base64", "undefined", "idna"])
def test_a_charset_that_decodes_nothing_is_base64(site: Site, charset: str) -> None:
    site.reply = plain(200, b"caf\xe9.", Content_Type=f"text/plain; charset={charset}")
    assert send(request(site.url()))["encoding"] == "base64"


def test_a_packed_body_is_unpacked_and_its_size_counts_unpacked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HTTP_BODY_BYTES_MAX", 1000)
    site.reply = plain(200, gzip.compress(b"x" * 1000), Content_Encoding="gzip")
    assert send(request(site.url()))["body"] == "x" * 1000
    assert "gzip" in site.seen[0][2]["accept-encoding"]
    site.reply = plain(200, gzip.compress(b"x" * 1001), Content_Encoding="gzip")
    assert failure(request(site.url())).error.sqlstate == "DF502"


def test_header_values_are_utf8(site: Site) -> None:
    send(request(site.url(), X_Name="  Jürgen\t ", X_Path="/ü"))
    headers = site.seen[0][2]
    assert headers["x-name"].encode("latin-1").decode() == "Jürgen"
    assert headers["x-path"].encode("latin-1").decode() == "/ü"


def test_charset_and_redirects(site: Site) -> None:
    site.reply = plain(302, b"caf\xe9", Content_Type="text/plain; charset=latin-1", Location="/else")
    found = send(request(site.url()))
    assert (found["status"], found["ok"], found["body"], len(site.seen)) == (302, False, "café", 1)


def test_the_body_limit_is_kept_while_streaming(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HTTP_BODY_BYTES_MAX", 1000)
    site.reply = plain(200, b"x" * 1000)
    assert len(send(request(site.url()))["body"]) == 1000
    site.reply = plain(200, b"x" * 1001)
    with pytest.raises(StepFailed, match="http_body_bytes_max"):
        send(request(site.url()))


def test_the_body_of_a_request_is_limited(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HTTP_BODY_BYTES_MAX", 1000)
    assert send(request(site.url(), "POST", "é" * 500))["status"] == 200
    failed = failure(request(site.url(), "POST", "é" * 501))
    assert failed.error.sqlstate == "DF517" and "http_body_bytes_max" in failed.error.message
    assert len(site.seen) == 1


def test_an_answer_is_not_fetched_again_when_recording_fails(site: Site) -> None:
    send(request(site.url(), "POST"), recorder=Recorder(failures=2))
    assert len(site.seen) == 1


def test_requests_from_rows(site: Site) -> None:
    cells = [wire(url=site.url(f"/{n}"), method="POST", body=str(n)) for n in range(20)]
    site.reply = lambda handler, body: plain(200, body)(handler, body)
    found = send(rows(*cells), many=True)
    assert [response["body"] for response in found] == [str(n) for n in range(20)]
    assert len({headers["idempotency-key"] for _, _, headers, _ in site.seen}) == 20
    assert send(rows(), many=True) == []
    with pytest.raises(StepFailed, match="0 requests instead of one"):
        send(rows())


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
        marked({"http": {"url": "http://h/", "method": "GET", "body": None, "headers": None}}),
        marked({"sql": "SELECT 1"}),
        marked({"http": []}),
        "/*dfc:1:2*/{}",
        "/*dfc:1:9*/" + "[" * 9,
        "/*dfc:1:100000*/" + "[" * 100000,
    ],
)
def test_hostile_requests_are_refused(cell: str | None) -> None:
    with pytest.raises(BadRequest):
        read(cell)


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
    lost = failure(request("http://secret.example/"), policy=OutboundPolicy(allow_hosts=("secret.example",)))
    assert lost.retryable
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
    perform(action(request(site.url())), action(request(site.url(), "POST")))
    assert [record.message for record in caplog.records if "this machine" in record.message] == [
        "HTTP steps may reach this machine (127.0.0.1, ::1, localhost) from the embedded database"
    ]
    caplog.clear()
    send(request(site.url()), policy=OutboundPolicy(allow_hosts=(f"127.0.0.1:{site.port}",)))
    assert not caplog.records


def _rows_to(site: Site, count: int) -> Rows:
    return rows(*(wire(url=site.url(f"/{n}")) for n in range(count)))


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
        slow = action(_rows_to(site, 40), many=True, path="slow")
        fast = action(request(site.url("/fast")), path="fast")
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
                    await sender.send(CLAIM, action(sent, path=path))
            finally:
                await sender.close()
            return server.connections

    assert asyncio.run(go()) == 3
    assert [value["status"] for value in recorder.values] == [200, 200, 200]


def test_codes_of_http_steps_are_not_the_compilers() -> None:
    root = Path(__file__).parent.parent.parent
    files = [root / "executor/retry_http.py", root / "executor/runners/http.py"]
    ours = {code for file in files for code in re.findall(r'"(DF\d{3})"', file.read_text())}
    theirs = {
        code
        for path in (root / "compiler").rglob("*.py")
        for code in re.findall(r"DF\d{3}", path.read_text())
    }
    assert ours == {"DF320", "DF502", "DF510", "DF517", "DF518"}
    assert not ours & theirs
