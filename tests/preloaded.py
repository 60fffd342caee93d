"""`dfc` processes that start in no time: forks of one process that has imported everything.

Each is a real process with its own session, killed by real signals. What it does not show is the start of the
interpreter itself: that is for the tests which run `python -m dfc`.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

MESSAGE_BYTES_MAX: Final = 200_000


class Process:
    """A child of the preloaded process, with the part of subprocess.Popen that tests use."""

    def __init__(self, pid: int, owner: Preloaded) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._owner = owner
        self._alive = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """The exit code, minus the number of the signal that has ended it; None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended. Raises TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._alive], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("dfc", timeout or 0.0)
            # A pid is not given away before its exit code has been fetched.
            self.returncode = self._owner.exit_code(self.pid)
            os.close(self._alive)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


class Preloaded:
    """The process that forks. It ends with the one that has started it."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._turn = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        atexit.register(self._close)

    def start(
        self,
        what: Sequence[str] | str,
        *,
        streams: tuple[int, int, int],
        cwd: Path | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> Process:
        """Start `dfc` with arguments, or a Python program, in a session of its own.

        `streams` become its 0, 1 and 2.
        """
        asked = {
            "what": what if isinstance(what, str) else list(what),
            "cwd": str(cwd or Path.cwd()),
            "environment": dict(environment),
        }
        with self._turn:
            socket.send_fds(self._socket, [json.dumps(asked).encode()], list(streams))
            return Process(self._answer(), self)

    def exit_code(self, pid: int) -> int:
        """The exit code of a child that has ended."""
        with self._turn:
            self._socket.send(json.dumps({"wait": pid}).encode())
            return self._answer()

    def _answer(self) -> int:
        answer = self._socket.recv(64)
        if not answer:
            raise RuntimeError("the preloaded process has ended")
        return int(answer)

    def _close(self) -> None:
        if os.getpid() == self._owner:
            self._socket.close()
            self._process.wait()


@functools.cache
def preloaded() -> Preloaded:
    """The one of this process."""
    return Preloaded()


def run(
    arguments: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    input: str | None,
    seconds_max: float,
) -> subprocess.CompletedProcess[str]:
    """What `dfc` does with these arguments, as subprocess.run gives it. Raises TimeoutExpired."""
    files = [os.memfd_create(name) for name in ("stdin", "stdout", "stderr")]
    try:
        os.write(files[0], (input or "").encode())
        os.lseek(files[0], 0, os.SEEK_SET)
        process = preloaded().start(
            arguments, streams=(files[0], files[1], files[2]), cwd=cwd, environment=environment
        )
        try:
            code = process.wait(seconds_max)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        return subprocess.CompletedProcess(["dfc", *arguments], code, _text(files[1]), _text(files[2]))
    finally:
        for file in files:
            os.close(file)


def _text(file: int) -> str:
    os.lseek(file, 0, os.SEEK_SET)
    with os.fdopen(os.dup(file)) as stream:
        return stream.read()


def _serve(connection: socket.socket) -> list[str] | str:
    """Fork for each message; in a child, return what is to be run."""
    while True:
        message, streams, _, _ = socket.recv_fds(connection, MESSAGE_BYTES_MAX, 3)
        if not message:
            os._exit(0)
        asked = json.loads(message)
        if "wait" in asked:
            _, status = os.waitpid(asked["wait"], 0)
            connection.send(str(os.waitstatus_to_exitcode(status)).encode())
            continue
        pid = os.fork()
        if pid == 0:
            connection.close()
            os.setsid()
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            os.chdir(asked["cwd"])
            os.environ.clear()
            os.environ.update(asked["environment"])
            time.tzset()
            what: list[str] | str = asked["what"]
            return what
        for stream in streams:
            os.close(stream)
        connection.send(str(pid).encode())


def _main() -> None:
    from dfc.cli.app import COMMANDS, main

    for name in (*(f"dfc.cli.{command}" for command in COMMANDS), "dfc.executor.worker", "psycopg", "httpx"):
        importlib.import_module(name)
    # What a program of tests imports from tests; `dfc` is the one that is installed.
    sys.path.append(str(Path(__file__).resolve().parent.parent))
    gc.collect()
    gc.freeze()
    what = _serve(socket.socket(fileno=int(sys.argv[1])))
    if isinstance(what, str):
        exec(what, {"__name__": "__main__"})
    else:
        main(what)


if __name__ == "__main__":
    _main()
