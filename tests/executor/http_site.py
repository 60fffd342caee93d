"""A web server on the loopback address, and requests to it: what the tests of HTTP steps share."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from dfc.compiler.plan import DEFAULT_POLICY, Policy, Request
from dfc.executor.actions import Rider, SendHttp
from dfc.executor.claim import Claim
from dfc.executor.failures import StepFailed, Transient
from dfc.executor.journal import Completed, Rows
from dfc.executor.ports import Answer
from dfc.executor.runners.http import HttpSender, OutboundPolicy

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
OPEN = OutboundPolicy(allow_loopback=True)

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


@contextmanager
def serving() -> Generator[Site, None, None]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            found.seen.append((self.command, self.path, headers, body))
            try:
                found.reply(self, body)
            except ConnectionError:
                self.close_connection = True

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
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Recorder:
    """Keeps what would be recorded."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.values: list[Any] = []

    async def record_value(
        self, claim: Claim, path: str, value: str, rider: Rider | None, *, keep: bool
    ) -> Answer:
        if self.failures:
            self.failures -= 1
            raise Transient("the database is away", "08006")
        self.values.append(json.loads(value))
        return Answer(event=Completed(number=1, path=path, result=None))


def action(
    sent: Request | Rows,
    *,
    many: bool = False,
    policy: Policy = DEFAULT_POLICY,
    attempt: int = 1,
    path: str = "hook/response",
    secrets: frozenset[str] | None = None,
) -> SendHttp:
    return SendHttp(
        path=path,
        request=sent,
        many=many,
        rider=None,
        keep=False,
        policy=policy,
        attempt=attempt,
        secrets=secrets,
    )


def perform(*actions: SendHttp, policy: OutboundPolicy = OPEN, recorder: Recorder | None = None) -> list[Any]:
    """Perform one after the other through one client: what each recorded, or the failure that it raised."""
    recorder = recorder or Recorder()

    async def go() -> list[Any]:
        found: list[Any] = []
        sender = HttpSender(recorder, policy)
        try:
            for each in actions:
                try:
                    await sender.send(CLAIM, each)
                    found.append(recorder.values[-1])
                except StepFailed as failure:
                    found.append(failure)
        finally:
            await sender.close()
        return found

    return asyncio.run(go())


def send(
    sent: Request | Rows,
    *,
    many: bool = False,
    step: Policy = DEFAULT_POLICY,
    attempt: int = 1,
    policy: OutboundPolicy = OPEN,
    recorder: Recorder | None = None,
    secrets: frozenset[str] | None = None,
) -> Any:
    """The result of one attempt. Raises StepFailed."""
    one = action(sent, many=many, policy=step, attempt=attempt, secrets=secrets)
    [found] = perform(one, policy=policy, recorder=recorder)
    if isinstance(found, StepFailed):
        raise found
    return found


def failure(sent: Request | Rows, **options: Any) -> StepFailed:
    """The failure of one attempt."""
    with pytest.raises(StepFailed) as caught:
        send(sent, **options)
    return caught.value


def request(
    url: str, method: str = "GET", body: str | None = None, seconds: int = 30, **headers: str
) -> Request:
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Request(url=url, method=method, body=body, headers=pairs, timeout_seconds=seconds)


def wire(**fields: object) -> str:
    given = {"url": "http://h/", "method": "GET", "body": None, "headers": None, "timeout_seconds": 30}
    return marked({"http": {**given, **fields}})


def marked(node: dict[str, Any]) -> str:
    text = json.dumps(node)
    return f"/*dfc:1:{len(text)}*/{text}"


def rows(*cells: str | None) -> Rows:
    return Rows(columns=("http",), types=(25,), cells=cells, row_count=len(cells))
