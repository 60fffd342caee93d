"""Every example runs with its one command on the embedded database, and comes to what it says."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import environment

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the examples, so that the checkout stays clean."""
    folder = tmp_path_factory.mktemp("copy") / "examples"
    shutil.copytree(ROOT / "examples", folder, ignore=shutil.ignore_patterns(".dfc", "__pycache__"))
    yield folder
    command = [sys.executable, "-P", "-m", "dfc", "reset", "--yes"]
    subprocess.run(command, cwd=folder, env=environment(), check=True, capture_output=True, timeout=60)


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, env=environment(), capture_output=True, text=True, timeout=300
    )


def rows(answer: subprocess.CompletedProcess[str]) -> list[list[str]]:
    """The table of the result, without its head."""
    assert answer.returncode == 0, answer.stderr
    return [re.split(r"\s{2,}", line.strip()) for line in answer.stdout.splitlines()[1:] if line.strip()]


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
