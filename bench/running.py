"""Figures of the executor, beside the raw commits of the same server."""

from __future__ import annotations

import os
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import LiteralString

from bench.measure import Connection, Figure, Setup, connect, quantile, until
from dfc.executor.embedded import programs

WORKFLOW: LiteralString = """SELECT df.start(
  df.step('one', $s$ INSERT INTO facts VALUES (1, 'one') $s$)
  ~> df.step('two', $s$ INSERT INTO facts VALUES (2, 'two') $s$)
  ~> df.step('three', $s$ INSERT INTO facts VALUES (3, 'three') $s$))"""
FRESH: LiteralString = WORKFLOW.replace("'three') $s$", "'three') /* another */ $s$")
SECONDS_OF = "SELECT extract('epoch' FROM completed_at - created_at)::float8 FROM df.instances WHERE id = %s"
LATENCY_RUNS = 200
STARTING_CLIENTS = 8


def raw_commits(setup: Setup) -> list[Figure]:
    """Single-row commits with pgbench, on the same server."""
    with connect(setup.server.conninfo) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS raw (n int, step text)")
    script = setup.folder / "raw.sql"
    script.write_text("INSERT INTO raw VALUES (1, 'one');\n", encoding="utf-8")
    figures: list[Figure] = []
    for clients in (1, 8):
        command = [str(programs() / "pgbench"), "-n", "-M", "prepared", "-f", str(script)]
        command += [
            "-c",
            str(clients),
            "-j",
            str(min(clients, 2)),
            "-T",
            str(setup.seconds),
            setup.server.uri,
        ]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        ran = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        found = re.search(r"^tps = ([0-9.]+)", ran.stdout, re.MULTILINE)
        assert found is not None, ran.stdout
        rate = float(found[1])
        name = f"raw single-row commits, pgbench, {clients} client{'s' if clients > 1 else ''}"
        figures.append(Figure(name=name, value=f"{rate:,.0f}/s", number=rate))
    return figures


def first_and_repeated_start(setup: Setup) -> list[Figure]:
    """The same expression through the SQL door: compiled by the worker the first time, pinned the second."""
    assert setup.worker.poll() is None
    figures: list[Figure] = []
    with connect(setup.server.conninfo) as connection:
        _run_one(connection, WORKFLOW)  # the compiler process is up, the connections are open
        for name in ("first", "repeated"):
            taken = _run_one(connection, FRESH)
            label = f"{name} start of an expression, start to finish"
            figures.append(Figure(name=label, value=f"{taken * 1000:.1f} ms", number=taken))
    return figures


def latency(setup: Setup) -> list[Figure]:
    """One three-step workflow after the other on an idle system, by the server's clock."""
    assert setup.worker.poll() is None
    with connect(setup.server.conninfo) as connection:
        for _ in range(20):
            _run_one(connection, WORKFLOW)
        taken = [_run_one(connection, WORKFLOW) for _ in range(LATENCY_RUNS)]
    return [
        Figure(
            name=f"three-step workflow, idle, start to finish, {label}",
            value=f"{quantile(taken, share) * 1000:.1f} ms",
            number=quantile(taken, share),
            note=note,
        )
        for label, share, note in (("p50", 0.5, "target 15 ms"), ("p99", 0.99, ""))
    ]


def throughput(setup: Setup) -> list[Figure]:
    """Starts, each a commit of its own, and the workflows to their end; default worker, plan known."""
    assert setup.worker.poll() is None
    conninfo = setup.server.conninfo
    share = -(-setup.workflows // STARTING_CLIENTS)
    count = share * STARTING_CLIENTS
    with connect(conninfo) as connection, ThreadPoolExecutor(STARTING_CLIENTS) as clients:
        _run_one(connection, WORKFLOW)
        before = _ended(connection)
        began = time.perf_counter()
        starting = [clients.submit(_start_many, conninfo, share) for _ in range(STARTING_CLIENTS)]
        for each in starting:
            each.result()
        started = time.perf_counter()
        until(lambda: _ended(connection) >= before + count, 180, 0.05)
        ended = time.perf_counter()
    rate = count / (ended - began)
    raw = setup.results.get("raw single-row commits, pgbench, 8 clients")
    note = f"{rate * 4 / raw:.2f} of the raw commits of 8 clients (3 steps and a start)" if raw else ""
    spent = f"of {ended - began:.2f} s; {STARTING_CLIENTS} clients, a commit each"
    return [
        Figure(
            name=f"three-step workflows, {count:,}, starts included",
            value=f"{rate:,.0f}/s",
            number=rate,
            note=note,
        ),
        Figure(
            name="  of which the starts took",
            value=f"{started - began:.2f} s",
            number=started - began,
            note=spent,
        ),
    ]


def _start_many(conninfo: str, count: int) -> None:
    with connect(conninfo) as connection:
        for _ in range(count):
            connection.execute(WORKFLOW)


def _run_one(connection: Connection, text: LiteralString) -> float:
    """Seconds from the start to the end of one workflow."""
    row = connection.execute(text).fetchone()
    assert row is not None
    found: list[float] = []

    def over() -> bool:
        seconds = connection.execute(SECONDS_OF, [row[0]]).fetchone()
        assert seconds is not None
        if seconds[0] is not None:
            found.append(float(seconds[0]))
        return bool(found)

    until(over, 60)
    return found[0]


def _ended(connection: Connection) -> int:
    row = connection.execute("SELECT count(*) FROM df.instances WHERE completed_at IS NOT NULL").fetchone()
    assert row is not None
    return int(row[0])
