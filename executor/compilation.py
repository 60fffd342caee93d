"""The compiler process, seen from outside: a child without a database, with limits, replaced when it dies.

The worker never imports the compiler: that would cost 86 MB, and libpg_query can crash its process. A text
that kills the compiler is answered with the diagnostic DF590.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from dfc.compiler.plan import Plan
from dfc.compiler.plan_json import PlanFormatError, from_json
from dfc.executor.limits import COMPILE_BYTES_MAX, COMPILE_SECONDS_MAX, COMPILER_IDLE_SECONDS

CRASHED: Final = "DF590"
REPLY_BYTES_MAX: Final = 512 * 1024 * 1024
PROBE: Final = '/*dfc:1:18*/{"sql":"SELECT 1"}'
PROCESS_SECONDS_MAX: Final = 600
"""Processor time after which a compiler process is replaced; RLIMIT_CPU counts over its whole life."""

ENDING_SECONDS_MAX: Final = 1.0
"""How long a process that has closed its output may take to end by itself."""

_KEPT: Final = (
    "PATH",
    "HOME",
    "LANG",
    "LANGUAGE",
    "TMPDIR",
    "TZ",
    "VIRTUAL_ENV",
    "SYSTEMROOT",
    "COVERAGE_RCFILE",
)
_KEPT_PREFIXES: Final = ("LC_", "PYTHON")
# The limits are set by the child itself before it imports anything: no code between fork and exec, which is
# not safe in a process with threads.
_START: Final = """\
import resource, runpy, sys
for name, wanted in (("RLIMIT_AS", {memory}), ("RLIMIT_CPU", {seconds}), ("RLIMIT_CORE", 0)):
    kind = getattr(resource, name)
    hard = resource.getrlimit(kind)[1]
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(kind, (limit, limit))
    except (ValueError, OSError):
        pass
sys.argv = ["dfc.compiler.serve"]
runpy.run_module("dfc.compiler.serve", run_name="__main__")
"""

Json: TypeAlias = dict[str, Any]
_log = logging.getLogger(__name__)


class CompilerUnavailable(Exception):
    """The compiler process does not work at all, whatever the text."""


class _Died(Exception):
    """The process ended, or was ended because it took too long; the message says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledReply:
    """What became of an expression: a plan and its hash, or None and diagnostics with an error among them."""

    plan: Plan | None
    plan_json: str
    plan_hash: str
    diagnostics: tuple[Json, ...]
    rendered: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReply:
    """What became of a file: its statements in order (docs/internals.md) and all diagnostics."""

    statements: tuple[Json, ...]
    diagnostics: tuple[Json, ...]
    rendered: str


class CompilerProcess:
    """The compiler process of a worker: started when needed, stopped when idle. Used from one event loop."""

    def __init__(
        self,
        *,
        seconds_max: float = COMPILE_SECONDS_MAX,
        bytes_max: int = COMPILE_BYTES_MAX,
        idle_seconds: float = COMPILER_IDLE_SECONDS,
    ) -> None:
        self._seconds_max = seconds_max
        self._bytes_max = bytes_max
        self._idle_seconds = idle_seconds
        self._process: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()
        self._idle: asyncio.TimerHandle | None = None
        self._busy_seconds = 0.0
        self._number = 0

    @property
    def pid(self) -> int | None:
        """The process id of the child, None while there is none."""
        return None if self._process is None else self._process.pid

    async def compile_wire(self, wire: str) -> CompiledReply:
        """Compile the wire text of an expression. Raises CompilerUnavailable."""
        reply = await self._ask({"do": "compile_wire", "wire": wire}, wire)
        return _compiled(reply)

    async def compile_file(self, name: str, text: str) -> FileReply:
        """Compile the text of a file. Raises CompilerUnavailable."""
        return _file(await self._ask({"do": "compile_file", "name": name, "text": text}, text))

    async def close(self) -> None:
        """Stop the child."""
        async with self._lock:
            await self._stop()

    async def _ask(self, request: Json, text: str) -> Json:
        async with self._lock:
            if self._idle is not None:
                self._idle.cancel()
                self._idle = None
            try:
                # A process may die of something else than the text: the machine's memory, an administrator.
                why = ""
                for _ in range(2):
                    try:
                        return await self._once(request)
                    except _Died as death:
                        why = str(death)
                        _log.warning("compiler process died reason=%s", why)
                    if why == _TOO_LONG:
                        break
                with _unavailable():
                    await self._once({"do": "compile_wire", "wire": PROBE})
                return _crashed(text, why)
            finally:
                self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._stop_idle)

    async def _once(self, request: Json) -> Json:
        if self._process is not None and self._busy_seconds > PROCESS_SECONDS_MAX / 2:
            await self._stop()
        process = self._process or await self._start()
        assert process.stdin is not None and process.stdout is not None
        self._number += 1
        line = json.dumps({"id": self._number, **request}).encode() + b"\n"
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._seconds_max):
                process.stdin.write(line)
                await process.stdin.drain()
                answer = await process.stdout.readline()
        except TimeoutError:
            await self._stop()
            raise _Died(_TOO_LONG) from None
        except (ConnectionError, ValueError):
            answer = b""
        except BaseException:
            # Cancelled half-way: the answer to this request must not be read as the next one's.
            await self._stop()
            raise
        self._busy_seconds += time.monotonic() - started
        reply = _parse(answer, self._number)
        if reply is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ENDING_SECONDS_MAX):
                    await process.wait()
            await self._stop()
            raise _Died(_ending(process.returncode))
        return reply

    async def _start(self) -> asyncio.subprocess.Process:
        self._busy_seconds = 0.0
        self._process = await asyncio.create_subprocess_exec(
            *_command(self._bytes_max),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(os.environ),
            limit=REPLY_BYTES_MAX,
            start_new_session=True,
        )
        return self._process

    def _stop_idle(self) -> None:
        if not self._lock.locked() and self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()  # it leaves at the end of its input
            self._process = None

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def compile_file(name: str, text: str, *, seconds_max: float = COMPILE_SECONDS_MAX) -> FileReply:
    """Compile a file in a compiler process of its own, waiting for it. Raises CompilerUnavailable."""
    request: Json = {"do": "compile_file", "name": name, "text": text}
    try:
        return _file(_run_once(request, seconds_max))
    except _Died as death:
        why = str(death)
    with _unavailable():
        _run_once({"do": "compile_wire", "wire": PROBE}, seconds_max)
    return _file(_crashed(text, why))


def _run_once(request: Json, seconds_max: float) -> Json:
    with subprocess.Popen(
        _command(COMPILE_BYTES_MAX),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=_environment(os.environ),
        start_new_session=True,
    ) as process:
        late = threading.Event()

        def kill() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(seconds_max, kill)
        timer.start()
        try:
            # communicate: a child that answers before it has read everything cannot block both sides.
            answer, _ = process.communicate(json.dumps({"id": 1, **request}).encode() + b"\n")
        except BaseException:
            process.kill()
            raise
        finally:
            timer.cancel()
            timer.join()
    reply = _parse(answer.split(b"\n", 1)[0] + b"\n" if b"\n" in answer else b"", 1)
    if reply is None:
        raise _Died(_TOO_LONG if late.is_set() else _ending(process.returncode))
    return reply


_TOO_LONG: Final = "it took longer than `compile_seconds_max`"


def _ending(code: int | None) -> str:
    if code is None:
        return "it stopped answering"
    return f"signal {-code}" if code < 0 else f"exit status {code}"


def _parse(line: bytes, number: int) -> Json | None:
    if not line.endswith(b"\n"):
        return None
    try:
        reply: Any = json.loads(line)
    except ValueError:
        return None
    return reply if isinstance(reply, dict) and reply.get("id") == number else None  # pyright: ignore


def _compiled(reply: Json) -> CompiledReply:
    plan: Plan | None = None
    diagnostics = list(reply.get("diagnostics") or ())
    rendered = str(reply.get("rendered") or "")
    if reply.get("plan") is not None:
        try:
            plan = from_json(reply["plan"])
        except PlanFormatError as error:
            raise CompilerUnavailable(f"the compiler process speaks another format: {error}") from None
    return CompiledReply(
        plan=plan,
        plan_json=json.dumps(reply.get("plan"), ensure_ascii=False),
        plan_hash=str(reply.get("hash") or ""),
        diagnostics=tuple(diagnostics),
        rendered=rendered,
    )


def _file(reply: Json) -> FileReply:
    return FileReply(
        statements=tuple(reply.get("statements") or ()),
        diagnostics=tuple(reply.get("diagnostics") or ()),
        rendered=str(reply.get("rendered") or ""),
    )


def _crashed(text: str, why: str) -> Json:
    message = f"the compiler could not survive this text ({why})"
    diagnostic: Json = {
        "code": CRASHED,
        "severity": "error",
        "message": message,
        "span": [0, len(text)],
        "line": 1,
        "column": 1,
        "end_line": 1,
        "end_column": 1,
        "label": "",
        "notes": [],
        "help": "make the statements of the workflow smaller: shorter operator chains, less nesting",
    }
    rendered = f"error[{CRASHED}]: {message}\n  = help: {diagnostic['help']}\n"
    return {"plan": None, "statements": [], "diagnostics": [diagnostic], "rendered": rendered}


class _unavailable(contextlib.AbstractContextManager[None]):
    """Turns the death of the probe into CompilerUnavailable."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, _Died):
            raise CompilerUnavailable(f"the compiler process does not work: {error}") from None


def _command(memory: int) -> list[str]:
    program = _START.format(memory=memory, seconds=PROCESS_SECONDS_MAX)
    return [sys.executable, "-P", "-c", program]


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """Nothing that names a database or holds a secret."""
    return {name: value for name, value in given.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)}
