"""Every example runs with its one command on the embedded database, and comes to what it says."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.cli.conftest import environment, rows, run


def test_ingest(examples: Path) -> None:
    answer = run("-P", "-m", "dfc", "run", "ingest.dfsql", cwd=examples)
    assert [row[:5] for row in rows(answer)] == [
        ["EWR", "1450", "11.3", "88.35", "W"],
        ["JFK", "1450", "11.4", "72.88", "W"],
        ["LGA", "1450", "11.7", "81.27", "NW"],
    ]
    for step in (
        r"loop_\d+\[3\]/stage",
        "deduplicate",
        "transform",
        "by_day",
        "by_airport",
        "by_wind",
        "publish",
    ):
        assert re.search(f"✓ {step}", answer.stderr), step


def test_order_is_undone_where_it_cannot_be_sent(examples: Path) -> None:
    answer = run("-P", "-m", "dfc", "run", "order.dfsql", cwd=examples)
    assert rows(answer) == [["1", "sent", "49.90", "1", "2"], ["2", "given back", "0.00", "2", "2"]]


def test_report(examples: Path) -> None:
    [row] = rows(run("-P", "-m", "dfc", "run", "report.dfsql", cwd=examples))
    assert row[:4] == ["2026-02-01", "west", "coffee", "2026-02-24"]


def test_enrich(examples: Path) -> None:
    answer = run("enrich.py", cwd=examples)
    assert rows(answer) == [["28", "1", "1"]]
    assert "43 requests for 30 companies" in answer.stderr


def test_embed_goes_on_after_a_kill_and_embeds_nothing_twice(examples: Path) -> None:
    file = examples / "embed.dfsql"
    # More to do, so that there is a middle to be killed in.
    text = (
        file.read_text().replace("'(?<=[.])\\s+'", "'\\s+'").replace("max_parallel => 2", "max_parallel => 1")
    )
    file.write_text(text)
    counted = examples / "embedded.txt"
    script = examples / "embed.py"
    shown = "{chunk['document_id']}-{chunk['number']}"
    counting = f"        open({str(counted)!r}, 'a').write(f\"{shown}\\n\")\n"
    script.write_text(script.read_text().replace("        embedded[", counting + "        embedded["))
    process = subprocess.Popen(
        [sys.executable, "embed.py"],
        cwd=examples,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not counted.exists() or len(counted.read_text().splitlines()) < 12:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    # The stand-in and `dfc run` with its worker.
    subprocess.run(["pkill", "-KILL", "-s", str(process.pid)], check=False)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = len(counted.read_text().splitlines())
    answer = run("embed.py", cwd=examples)
    assert len(rows(answer)) == 3
    done = counted.read_text().splitlines()
    assert len(set(done)) == len(set(done[:before])) + len(set(done[before:]) - set(done[:before]))
    # Only the batch whose answer was under way when everything died may have been asked for again.
    assert len(done) - len(set(done)) <= 4, sorted(done)
