"""pg_durable's dialect: workflows as its users write them. golden/dialect has a folder for each.

`workflow.dfsql` is executed as it stands in a SQL session; `end.json` is what comes of the workflow in it, a
`result` or the SQLSTATE of its `error`, or `refused`, the message of a session that could not start it.
`plan.txt` is what `dfc explain` shows, or the diagnostics. Where there is a `session.sql`, another session
carries it out in the meantime, and `session.txt` is what it saw (see tests/e2e/dialect.py).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import ClassVar

import pytest
from syrupy.assertion import SnapshotAssertion

from dfc.compiler.driver import CompiledStatement
from dfc.compiler.plan_print import plan_text
from dfc.compiler.render import render
from tests.e2e.dialect import Outcome, play
from tests.e2e.harness import WorkerProcess, connected, wait_until
from tests.test_golden import GOLDEN, GoldenFile, compiled

DIALECT = GOLDEN / "dialect"
SCENARIOS = sorted(path.name for path in DIALECT.iterdir())
PORT = 8769
SESSIONS = 8


class Answers(BaseHTTPRequestHandler):
    """What the workflows ask for."""

    calls: ClassVar[Counter[str]] = Counter()
    released: ClassVar[Event] = Event()

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        match self.path.split("/")[1]:
            case "ok":
                self.say(200, b"fine")
            case "echo":
                self.say(200, body or self.path.encode())
            case "header":
                self.say(200, (self.headers.get("X-Mark") or "").encode())
            case "form":
                self.say(200, self.form(body))
            case "method":
                self.say(200, self.command.encode())
            case "moved":
                self.say(302, b"elsewhere")
            case "binary":
                self.say(200, b"\x00\x01\xff", "application/octet-stream")
            case "names":
                self.say(200, " ".join(re.findall(r'\bname="(\w+)"', body.decode())).encode())
            case "count":
                self.calls[self.path] += 1
                self.say(200, str(self.calls[self.path]).encode())
            case "slow":
                self.released.wait(30)
            case "broken":
                self.say(500, b"out of order")
            case _:
                self.say(404, b"nothing here")

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def form(self, body: bytes) -> bytes:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        part = message_from_bytes(head + body).get_payload(0)
        assert not isinstance(part, str)
        name = part.get_param("name", header="content-disposition")
        data = part.get_payload(decode=True)
        assert isinstance(data, bytes)
        return f"{name} {part.get_filename()} {data.decode()}".encode()

    def say(self, status: int, body: bytes, kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if status == 302:
            self.send_header("Location", "/ok")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def chosen(session: pytest.Session) -> list[str]:
    """The scenarios that this run of pytest is about."""
    calls = [getattr(item, "callspec", None) for item in session.items if "runs_unmodified" in item.name]
    return [call.params["scenario"] for call in calls if call is not None]


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, shared_database: str) -> Iterator[dict[str, Future[Outcome]]]:
    """All scenarios, run at the same time by one worker, beside the server that they call."""
    server = ThreadingHTTPServer(("127.0.0.1", PORT), Answers)
    Thread(target=server.serve_forever, daemon=True).start()
    host = f"127.0.0.1:{PORT}"
    in_turn = Lock()

    def outcome(scenario: str) -> Outcome:
        folder = DIALECT / scenario
        shares = "TRUNCATE log" in (folder / "workflow.dfsql").read_text(encoding="utf-8")
        with in_turn if shares else nullcontext():
            return play(folder, shared_database)

    try:
        with (
            WorkerProcess(shared_database, ("--allow-host", host)),
            connected(shared_database) as looking,
            ThreadPoolExecutor(SESSIONS) as threads,
        ):
            alive = "SELECT count(*) = 1 FROM df.workers"
            wait_until(lambda: looking.execute(alive).fetchone() == (True,), 30, "a worker is there")
            yield {scenario: threads.submit(outcome, scenario) for scenario in chosen(request.session)}
    finally:
        Answers.released.set()
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_it_runs_unmodified(
    scenario: str, outcomes: dict[str, Future[Outcome]], snapshot: SnapshotAssertion
) -> None:
    expected = json.loads((DIALECT / scenario / "end.json").read_text(encoding="utf-8"))
    outcome = outcomes[scenario].result()
    assert outcome.end == expected
    if (DIALECT / scenario / "session.sql").exists():
        name = f"dialect/{scenario}/session.txt"
        assert outcome.said == snapshot(name=name, extension_class=GoldenFile)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_it_compiles_to(scenario: str, snapshot: SnapshotAssertion) -> None:
    result = compiled(DIALECT / scenario)
    workflows = [each for each in result.statements if isinstance(each, CompiledStatement)]
    plan = workflows[-1].compiled.plan if workflows else None
    shown = render(result.problems, result.source) if plan is None else plan_text(plan)
    assert f"{shown}\n" == snapshot(name=f"dialect/{scenario}/plan.txt", extension_class=GoldenFile)


def test_folders_are_whole() -> None:
    for scenario in SCENARIOS:
        files = {path.name for path in (DIALECT / scenario).iterdir()}
        assert {"workflow.dfsql", "end.json", "plan.txt"} <= files, scenario
        assert ("session.sql" in files) == ("session.txt" in files), scenario


def test_there_are_enough() -> None:
    assert len(SCENARIOS) >= 200
