"""Workers that start in no time: forks of one process that has imported everything. Each is a real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self


def serve() -> None:
    """Fork a worker for each line: its settings and log file as JSON. The argument: what is worth parking."""
    from dfc.executor import limits

    limits.PARK_SECONDS = float(sys.argv[1])  # type: ignore[misc]
    from dfc.executor.worker import WorkerSettings
    from tests.executor.run_worker import run_worker

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        asked: dict[str, Any] = json.loads(line)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(os.open(asked["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT), 2)
            os._exit(run_worker(WorkerSettings(**asked["settings"])))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


class Zygote:
    """Makes workers, and ends them with it. A context manager."""

    def __init__(self, log: Path, *, park_seconds: float) -> None:
        self.log = log
        self._pids: set[int] = set()
        program = "from tests.sweep.zygote import serve; serve()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", program, str(park_seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pid in list(self._pids):
            self.kill(pid)
        self._process.communicate()

    def worker(self, database: str, **settings: object) -> int:
        """The process id of a new worker."""
        assert self._process.stdin is not None and self._process.stdout is not None
        asked = {"settings": {"database": database, **settings}, "log": str(self.log)}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        self._pids.add(pid)
        return pid

    def alive(self, pid: int) -> bool:
        """Whether it runs: one that found no database at its start has ended."""
        return Path(f"/proc/{pid}").exists()

    def kill(self, pid: int) -> bool:
        """SIGKILL; whether it was alive."""
        if pid not in self._pids:
            return False
        self._pids.discard(pid)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True
