"""Processes of dfc that start in no time: forks of one process that has imported everything.

Each is a real process with its own session, killed by real signals: `dfc` itself, and the compilers that it
starts. What they do not show is the start of the interpreter itself: that is for the tests which run
`python -m dfc`.
"""

from __future__ import annotations

import asyncio
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
from types import ModuleType
from typing import IO, Any, Final, cast

MESSAGE_BYTES_MAX: Final = 200_000
COMPILERS: Final = ("dfc.compiler.serve", "dfc.cli.reading_schema")
"""The programs that dfc starts for what may die."""
OWN_COMPILERS: Final = "DFC_TESTS_OWN_COMPILERS"
"""In the environment of a process: its compilers are started by the system, as its own children."""


class Process:
    """A child of the preloaded process, with the part of subprocess.Popen that tests use."""

    def __init__(self, pid: int, owner: Forks) -> None:
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
        return self.returncode

    def __del__(self) -> None:
        # Not before: another thread may be waiting.
        os.close(self._alive)

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


class Forks:
    """A connection to a process that forks."""

    def __init__(self, connection: socket.socket) -> None:
        self._turn = threading.Lock()
        self._socket = connection

    def start(
        self,
        what: Sequence[str] | str,
        *,
        streams: Sequence[int],
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

    def close(self) -> None:
        """Let go of it."""
        self._socket.close()


class Preloaded(Forks):
    """The process that forks, started here: it ends with the one that has started it.

    Others reach it by its name, a socket in the abstract namespace.
    """

    def __init__(self, kind: str, *names: str) -> None:
        self._owner = os.getpid()
        self.name = f"dfc-tests-{kind}-{self._owner}"
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        super().__init__(mine)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, kind, str(theirs.fileno()), self.name, *names],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        atexit.register(self._close)

    def _close(self) -> None:
        if os.getpid() == self._owner:
            self.close()
            self._process.wait()


@functools.cache
def preloaded() -> Preloaded:
    """The one of this process, whose children have their compilers from another one."""
    return Preloaded("dfc", Preloaded("compilers").name)


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


def _serve(owner: socket.socket, name: str) -> list[str] | str:
    """Fork for each message; in a child, return what is to be run. The end of the owner is that of all."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind(f"\0{name}")
    listening.listen()
    connections = [owner]
    ended = dict[int, int]()
    while True:
        for ready in select.select([listening, *connections], [], [])[0]:
            if ready is listening:
                connections.append(listening.accept()[0])
                continue
            message, streams = b"", list[int]()
            with suppress(ConnectionResetError):  # killed with an answer on its way
                message, streams, _, _ = socket.recv_fds(ready, MESSAGE_BYTES_MAX, 3)
            if not message and ready is owner:
                os._exit(0)
            if not message:
                connections.remove(ready)
                ready.close()
                continue
            asked = json.loads(message)
            if "wait" in asked:
                child: int = asked["wait"]
                if child not in ended:  # threads of one process may ask twice
                    ended[child] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                _answer(ready, ended[child])
                continue
            pid = os.fork()
            ended.pop(pid, None)
            if pid == 0:
                for each in (listening, *connections):
                    each.close()
                return _begun(asked, streams)
            for stream in streams:
                os.close(stream)
            _answer(ready, pid)


def _answer(connection: socket.socket, number: int) -> None:
    with suppress(OSError):  # who asked has been killed
        connection.send(str(number).encode())


def _begun(asked: Mapping[str, Any], streams: Sequence[int]) -> list[str] | str:
    """Be the process that was asked for."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    time.tzset()
    return cast("list[str] | str", asked["what"])


# The compilers of a dfc that is a fork


class Piped(Process):
    """A process with pipes, as subprocess.Popen has them."""

    def __init__(self, pid: int, owner: Forks, stdin: IO[bytes], stdout: IO[bytes]) -> None:
        super().__init__(pid, owner)
        self.stdin = stdin
        self.stdout = stdout


class Streamed:
    """A process with streams, as asyncio.subprocess.Process has them."""

    def __init__(self, process: Piped, stdin: asyncio.StreamWriter, stdout: asyncio.StreamReader) -> None:
        self._process = process
        self.stdin = stdin
        self.stdout = stdout
        self.pid = process.pid
        self.kill = process.kill
        self.terminate = process.terminate

    @property
    def returncode(self) -> int | None:
        """The exit code, None while it runs."""
        return self._process.poll()

    async def wait(self) -> int:
        """The exit code, once it has ended."""
        return await asyncio.to_thread(self._process.wait)


class Compilers:
    """Starts compilers for a dfc process, in place of what the system would start anew."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._forks: Forks | None = None

    def take_over(self) -> None:
        """From now on this process has its compilers from here."""
        from dfc.executor import compilation, compiler_child

        cast(Any, compiler_child).subprocess = _changed(subprocess, Popen=self.started)
        cast(Any, compilation).asyncio = _changed(asyncio, create_subprocess_exec=self.streamed)

    def started(self, command: Sequence[str], *, env: Mapping[str, str], **_: object) -> Piped:
        """As subprocess.Popen, of `python -P -c program`."""
        if self._forks is None:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            connection.connect(f"\0{self._name}")
            self._forks = Forks(connection)
        theirs_in, mine_in = os.pipe()
        mine_out, theirs_out = os.pipe()
        program, arguments = command[3], list(command[4:])  # python -P -c program ...
        what = f"import sys; sys.argv[1:] = {arguments!r}\n{program}"
        process = self._forks.start(what, streams=(theirs_in, theirs_out, 2), environment=env)
        os.close(theirs_in)
        os.close(theirs_out)
        return Piped(process.pid, self._forks, os.fdopen(mine_in, "wb"), os.fdopen(mine_out, "rb"))

    async def streamed(self, *command: str, env: Mapping[str, str], limit: int, **_: object) -> Streamed:
        """As asyncio.create_subprocess_exec."""
        process = self.started(command, env=env)
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), process.stdout)
        transport, protocol = await loop.connect_write_pipe(
            lambda: asyncio.streams.FlowControlMixin(loop), process.stdin
        )
        return Streamed(process, asyncio.StreamWriter(transport, protocol, None, loop), reader)


def _changed(module: ModuleType, **functions: object) -> ModuleType:
    """The module with other functions, for who gets it in its place."""
    found = ModuleType(module.__name__)
    vars(found).update(vars(module) | functions)
    return found


def _main(kind: str, connection: str, name: str, *names: str) -> None:
    from dfc.cli.app import COMMANDS, main

    modules = [*(f"dfc.cli.{command}" for command in COMMANDS), "dfc.executor.worker", "psycopg", "httpx"]
    if kind == "compilers":
        modules = [*COMPILERS, "dfc.compiler.plan_durability"]
    for each in modules:
        importlib.import_module(each)
    if kind == "compilers":
        for each in COMPILERS:
            del sys.modules[each]  # they are run as programs
    # What a program of tests imports from tests; `dfc` is the one that is installed.
    sys.path.append(str(Path(__file__).resolve().parent.parent))
    gc.collect()
    gc.freeze()
    what = _serve(socket.socket(fileno=int(connection)), name)
    if OWN_COMPILERS not in os.environ:
        for compilers in map(Compilers, names):
            compilers.take_over()
    if isinstance(what, str):
        exec(what, {"__name__": "__main__"})
    else:
        main(what)


if __name__ == "__main__":
    _main(*sys.argv[1:])
