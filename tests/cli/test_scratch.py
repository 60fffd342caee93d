"""A scratch database leaves nothing behind, wherever its beginning is interrupted."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from dfc.cli.crashing import scratch
from dfc.cli.crashing.processes import spawn_janitor
from dfc.cli.crashing.scratch import Scratch
from dfc.cli.errors import CliError
from tests.cli.conftest import environment, hearing
from tests.e2e.harness import wait_until


def test_what_is_interrupted_at_its_beginning_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(folder: Path) -> None:
        assert folder.parent == tmp_path, "there is somebody to remove it before it is there"
        raise KeyboardInterrupt

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(scratch, "spawn_janitor", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Scratch()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_what_is_killed_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """Neither folders, such as those of sockets, nor the server."""
    (tmp_path / "a.dfsql").write_text(
        "".join(f"'SELECT {number}' ~> 'SELECT 1';\n" for number in range(5_000))
    )
    with tempfile.TemporaryDirectory(prefix="dfcs", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o777)
        command = [sys.executable, "-m", "dfc", "validate", "--exact", "a.dfsql"]
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env={**environment(), "TMPDIR": name},
            stdout=subprocess.DEVNULL,
            preexec_fn=hearing,
        )
        servers: list[str] = []

        def started() -> bool:
            for path in folder.glob("*/server/**/postmaster.pid"):
                with suppress(FileNotFoundError):  # initdb has one for a moment
                    servers.extend(path.read_text().split()[:1])
            return bool(servers)

        wait_until(started, 60, "no server")
        server = servers[0]
        process.send_signal(number)
        assert process.wait(30) == -number
        wait_until(lambda: not list(folder.iterdir()), 60, "something is left")
        wait_until(lambda: not Path(f"/proc/{server}").exists(), 60, "the server is left")


def test_nobody_waits_for_who_waits_for_his_end(tmp_path: Path) -> None:
    janitor = spawn_janitor(tmp_path / "nothing")
    try:
        assert janitor.daemon and janitor in multiprocessing.active_children()
    finally:
        janitor.kill()
        janitor.join()


def test_no_room_for_the_folder_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    with pytest.raises(CliError, match="set TMPDIR to one that can be written to"):
        Scratch()
