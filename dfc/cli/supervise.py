"""The worker of `dfc run` and `dfc up`: a child that dies with its parent and is replaced when it dies."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from dfc.cli.errors import CliError

STOP_SECONDS_MAX = 15.0
SHORT_LIFE_SECONDS = 5.0
SHORT_LIVES_MAX = 5
RESTART_SECONDS_MAX = 2.0
_KILLED = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT)


class WorkerChild:
    """`python -m dfc worker` beside this process; a context manager.

    The child's standard input is a pipe of which only this process has the other end: when this process ends,
    however it ends, the child reads the end of file and stops. `log` receives what it says. `say` gets a line
    for people when the child had to be replaced.
    """

    def __init__(
        self, conninfo: str, *, log: Path, arguments: Sequence[str] = (), say: Callable[[str], None]
    ) -> None:
        self._environment = {**os.environ, "DFC_DATABASE": conninfo}
        self._command = [sys.executable, "-P", "-m", "dfc", "worker", "--stop-at-eof", *arguments]
        self._log = log
        self._say = say
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._watch, name="dfc-worker-watch", daemon=True)
        self._failure: str | None = None

    def __enter__(self) -> Self:
        self._process = self._spawn()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        process = self._process
        if process is not None:
            _end_input(process)
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
        self._thread.join(STOP_SECONDS_MAX)

    @property
    def pid(self) -> int | None:
        """The child's process id."""
        return None if self._process is None else self._process.pid

    def check(self) -> None:
        """Raise CliError when the worker cannot live: it died several times right after its start."""
        if self._failure is not None:
            raise CliError(self._failure)

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._environment,
                # Ctrl-C in the terminal is for the parent, which then stops the worker in order.
                start_new_session=True,
            )

    def _watch(self) -> None:
        short_lives = failures = 0
        while True:
            born = time.monotonic()
            assert self._process is not None
            code = self._process.wait()
            if self._stopping.is_set():
                return
            _end_input(self._process)
            short = time.monotonic() - born < SHORT_LIFE_SECONDS
            short_lives = short_lives + 1 if short else 0
            # Whoever is killed from outside did nothing wrong: a new one comes, only later each time.
            failures = failures + (code not in _KILLED) if short else 0
            if failures >= SHORT_LIVES_MAX:
                self._failure = f"the worker does not stay alive: {self._last_words()} (its log: {self._log})"
                return
            self._say(f"the worker ended ({_reason(code)}); a new one takes over")
            if self._stopping.wait(min(0.1 * 2**short_lives, RESTART_SECONDS_MAX)):
                return
            self._process = self._spawn()
            if self._stopping.is_set():  # the block ended meanwhile, and has seen the old process only
                _end_input(self._process)

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = self._log.read_bytes()[-4000:].decode(errors="replace").strip().splitlines()
            if lines:
                return lines[-1].removeprefix("dfc: ")
        return "it said nothing"


def _end_input(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()


def _reason(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
