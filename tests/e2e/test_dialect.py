"""pg_durable's dialect: workflows as its users write them. golden/dialect has a folder for each.

`workflow.dfsql` is executed as it stands in a SQL session; `end.json` is what comes of the workflow in it, a
`result` or the SQLSTATE of its `error`. `plan.txt` is what `dfc explain` shows, or the diagnostics.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest
from syrupy.assertion import SnapshotAssertion

from dfc.compiler.driver import CompiledStatement
from dfc.compiler.plan_print import plan_text
from dfc.compiler.render import render
from tests.e2e.harness import WorkerProcess, connected
from tests.test_golden import GOLDEN, GoldenFile, compiled

DIALECT = GOLDEN / "dialect"
SCENARIOS = sorted(path.name for path in DIALECT.iterdir())
PORT = 8769


class Answers(BaseHTTPRequestHandler):
    """What the workflows ask for."""

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
            case "broken":
                self.say(500, b"out of order")
            case _:
                self.say(404, b"nothing here")

    do_POST = do_GET

    def form(self, body: bytes) -> bytes:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        part = message_from_bytes(head + body).get_payload(0)
        assert not isinstance(part, str)
        name = part.get_param("name", header="content-disposition")
        data = part.get_payload(decode=True)
        assert isinstance(data, bytes)
        return f"{name} {part.get_filename()} {data.decode()}".encode()

    def say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def session(shared_database: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A session beside a worker and the server that the workflows call."""
    server = ThreadingHTTPServer(("127.0.0.1", PORT), Answers)
    Thread(target=server.serve_forever, daemon=True).start()
    host = f"127.0.0.1:{PORT}"
    try:
        with (
            WorkerProcess(shared_database, ("--allow-host", host)),
            connected(shared_database) as connection,
        ):
            yield connection
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_it_runs_unmodified(scenario: str, session: psycopg.Connection[tuple[Any, ...]]) -> None:
    text = (DIALECT / scenario / "workflow.dfsql").read_text(encoding="utf-8")
    expected = json.loads((DIALECT / scenario / "end.json").read_text(encoding="utf-8"))
    cursor = session.execute(text.encode())
    while cursor.nextset():
        pass
    row = cursor.fetchone()
    assert row is not None
    id = row[0]
    session.execute("SELECT df.await_instance(%s, 60)", [id])
    ended = session.execute("SELECT result, error FROM df.instances WHERE id = %s", [id]).fetchone()
    assert ended is not None
    result, error = ended
    if "error" in expected:
        assert error is not None, result
        assert error["sqlstate"] == expected["error"], error
    else:
        assert error is None, error
        assert result == expected["result"]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_it_compiles_to(scenario: str, snapshot: SnapshotAssertion) -> None:
    result = compiled(DIALECT / scenario)
    workflow = next(each for each in result.statements if isinstance(each, CompiledStatement))
    plan = workflow.compiled.plan
    shown = render(result.problems, result.source) if plan is None else plan_text(plan)
    assert f"{shown}\n" == snapshot(name=f"dialect/{scenario}/plan.txt", extension_class=GoldenFile)


def test_folders_are_whole() -> None:
    for scenario in SCENARIOS:
        files = {path.name for path in (DIALECT / scenario).iterdir()}
        assert {"workflow.dfsql", "end.json"} <= files, scenario


def test_there_are_enough() -> None:
    assert len(SCENARIOS) >= 40


assert isinstance(GOLDEN, Path)
