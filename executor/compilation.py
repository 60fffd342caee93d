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
from dataclasses import dataclass
from typing import Final

from dfc.compiler.plan import Plan
from dfc.compiler.plan_json import PlanFormatError, from_json
from dfc.executor.compiler_child import (
    ENDING_SECONDS_MAX,
    REPLY_BYTES_MAX,
    Allowance,
    Asking,
    CompilerUnavailable,
    Died,
    Json,
    command,
    environment,
    not_startable,
    parse,
)
from dfc.executor.limits import COMPILE_BYTES_MAX, COMPILER_IDLE_SECONDS

ALLOWED: Final = Allowance()

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledReply:
    """What became of an expression: a plan and its hash, or None and diagnostics with an error among them."""

    plan: Plan | None
    plan_json: str
    plan_hash: str
    diagnostics: tuple[Json, ...]
    rendered: str


class CompilerProcess:
    """The compiler process of a worker: started when needed, stopped when idle. Used from one event loop."""

    def __init__(
        self,
        *,
        allowance: Allowance = ALLOWED,
        bytes_max: int = COMPILE_BYTES_MAX,
        idle_seconds: float = COMPILER_IDLE_SECONDS,
    ) -> None:
        self._allowance = allowance
        self._bytes_max = bytes_max
        self._idle_seconds = idle_seconds
        self._process: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()
        self._idle: asyncio.TimerHandle | None = None
        self._number = 0

    @property
    def pid(self) -> int | None:
        """The process id of the child, None while there is none."""
        return None if self._process is None else self._process.pid

    async def compile_wire(self, wire: str, variables: str | None = None) -> CompiledReply:
        """Compile the wire text of an expression.

        `variables` is a JSON object. Raises CompilerUnavailable.
        """
        request: Json = {"do": "compile_wire", "wire": wire}
        if variables is not None:
            request["variables"] = json.loads(variables)
        reply = await self._ask(request, wire)
        return _compiled(reply)

    async def close(self) -> None:
        """Stop the child."""
        async with self._lock:
            await self._stop()

    async def _ask(self, request: Json, text: str) -> Json:
        async with self._lock:
            if self._idle is not None:
                self._idle.cancel()
                self._idle = None
            asking = Asking(request, text, self._allowance)
            try:
                while asking.answer is None:
                    outcome = await self._once(asking)
                    if isinstance(outcome, Died):
                        _log.warning("compiler process died reason=%s", outcome.why)
                    asking.took(outcome)
                return asking.answer
            finally:
                self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._stop_idle)

    async def _once(self, asking: Asking) -> Json | Died:
        process = self._process or await self._start()
        assert process.stdin is not None and process.stdout is not None
        self._number += 1
        try:
            async with asyncio.timeout(asking.allowance.clock_seconds):
                process.stdin.write(asking.line(self._number))
                await process.stdin.drain()
                answer = await process.stdout.readline()
        except TimeoutError:
            await self._stop()
            return asking.allowance.late()
        except (ConnectionError, ValueError):
            answer = b""
        except BaseException:
            # Cancelled half-way: the answer to this request must not be read as the next one's.
            await self._stop()
            raise
        reply = parse(answer, self._number)
        if reply is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ENDING_SECONDS_MAX):
                    await process.wait()
            await self._stop()
            return asking.allowance.death(process.returncode)
        return reply

    async def _start(self) -> asyncio.subprocess.Process:
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command(self._bytes_max),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment(os.environ),
                limit=REPLY_BYTES_MAX,
                start_new_session=True,
            )
        except OSError as error:
            raise not_startable(error) from None
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
