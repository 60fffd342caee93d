"""The compiler process from outside: it works, it dies, it is replaced."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from dfc.compiler.plan import SqlNode
from dfc.executor.compilation import CompilerProcess
from dfc.executor.compiler_child import Allowance, CompilerUnavailable


def wire(node: object) -> str:
    text = json.dumps(node, separators=(",", ":"), ensure_ascii=False)
    return f"/*dfc:1:{len(text)}*/{text}"


LONG = wire({"chain": [{"sql": f"SELECT {n} AS n"} for n in range(19_000)]})


def run(work: Callable[[CompilerProcess], Awaitable[None]], **limits: float | Allowance) -> None:
    async def go() -> None:
        compiler = CompilerProcess(**limits)  # pyright: ignore[reportArgumentType]
        try:
            await work(compiler)
        finally:
            await compiler.close()

    asyncio.run(go())


def test_compiles_and_says_what_is_wrong() -> None:
    async def work(compiler: CompilerProcess) -> None:
        good, bad = await asyncio.gather(
            compiler.compile_wire(wire({"sql": "SELECT 1"})), compiler.compile_wire(wire({"sql": "SELEC"}))
        )
        assert good.plan is not None and isinstance(good.plan.nodes[0], SqlNode)
        assert bad.plan is None and bad.diagnostics[0]["severity"] == "error" and bad.rendered
        broken = await compiler.compile_wire("/*dfc:1:5*/{}")
        assert broken.plan is None and broken.diagnostics

    run(work)


def test_a_death_that_is_not_the_texts_fault_is_not_seen() -> None:
    async def work(compiler: CompilerProcess) -> None:
        await compiler.compile_wire(wire({"sql": "SELECT 1"}))
        first = compiler.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert (await compiler.compile_wire(wire({"sql": "SELECT 2"}))).plan is not None
        assert compiler.pid != first

    run(work)


def test_a_text_that_kills_the_compiler_is_answered_with_df590() -> None:
    async def work(compiler: CompilerProcess) -> None:
        task = asyncio.create_task(compiler.compile_wire(LONG))
        killed: set[int] = set()
        while len(killed) < 2:
            assert not task.done(), "it has compiled before it was killed"
            pid = compiler.pid
            if pid is not None and pid not in killed and _computing(pid):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            await asyncio.sleep(0)
        reply = await task
        assert reply.plan is None
        assert [found["code"] for found in reply.diagnostics] == ["DF590"]
        assert "signal 9" in reply.rendered
        assert (await compiler.compile_wire(wire({"sql": "SELECT 1"}))).plan is not None

    run(work)


def _computing(pid: int) -> bool:
    """Whether the process has imported the compiler."""
    try:
        return (
            "libpg_query" in Path(f"/proc/{pid}/maps").read_text()
            or "postgast" in Path(f"/proc/{pid}/maps").read_text()
        )
    except OSError:
        return False


def test_limits_of_time_and_memory() -> None:
    async def greedy(compiler: CompilerProcess) -> None:
        [problem] = (await compiler.compile_wire(LONG)).diagnostics
        assert problem["code"] == "DF590" and "`compile_seconds_max`" in problem["message"]
        assert (await compiler.compile_wire(wire({"sql": "SELECT 1"}))).plan is not None

    async def stopped(compiler: CompilerProcess) -> None:
        await compiler.compile_wire(wire({"sql": "SELECT 1"}))
        assert compiler.pid is not None
        os.kill(compiler.pid, signal.SIGSTOP)
        compiler._allowance = Allowance(clock_seconds=0.05)  # pyright: ignore[reportPrivateUsage]
        # Nor does the probe start in that time.
        with pytest.raises(CompilerUnavailable, match="compile_clock_seconds_max"):
            await compiler.compile_wire(LONG)
        compiler._allowance = Allowance()  # pyright: ignore[reportPrivateUsage]
        assert (await compiler.compile_wire(wire({"sql": "SELECT 1"}))).plan is not None

    async def slow(compiler: CompilerProcess) -> None:
        await compiler.compile_wire(wire({"sql": "SELECT 1"}))
        pid = compiler.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        # Far more than its processor time, by the clock: what is tested is that nothing happens.
        asyncio.get_running_loop().call_later(3, os.kill, pid, signal.SIGCONT)
        assert (await compiler.compile_wire(wire({"sql": "SELECT 1"}))).plan is not None
        assert compiler.pid == pid

    async def tight(compiler: CompilerProcess) -> None:
        big = wire({"chain": [{"sql": f"SELECT {n} AS {'n' * 500}"} for n in range(19_000)]})
        [problem] = (await compiler.compile_wire(big)).diagnostics
        assert problem["code"] == "DF590" and "`compile_bytes_max`" in problem["message"]
        assert problem["help"].startswith("divide the file")
        assert (await compiler.compile_wire(wire({"sql": "SELECT 1"}))).plan is not None

    async def small(compiler: CompilerProcess) -> None:
        with pytest.raises(CompilerUnavailable):
            await compiler.compile_wire(wire({"sql": "SELECT 1"}))

    run(greedy, allowance=Allowance(processor_seconds=1))
    run(stopped)
    run(slow, allowance=Allowance(processor_seconds=0.5))
    run(tight, bytes_max=130 * 1024 * 1024)
    run(small, bytes_max=16 * 1024 * 1024)


def test_it_leaves_when_idle_and_comes_back() -> None:
    async def work(compiler: CompilerProcess) -> None:
        await compiler.compile_wire(wire({"sql": "SELECT 1"}))
        first = compiler.pid
        while compiler.pid is not None:  # noqa: ASYNC110 - there is no event for this
            await asyncio.sleep(0.01)
        await compiler.compile_wire(wire({"sql": "SELECT 1"}))
        assert compiler.pid not in (None, first)

    run(work, idle_seconds=0.01)


def test_it_knows_no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DFC_DATABASE", "PGPASSWORD", "DATABASE_URL", "SECRET"):
        monkeypatch.setenv(name, "postgresql://x:secret@y/z")

    async def work(compiler: CompilerProcess) -> None:
        await compiler.compile_wire(wire({"sql": "SELECT 1"}))
        environment = Path(f"/proc/{compiler.pid}/environ").read_bytes()  # noqa: ASYNC240
        assert b"secret" not in environment

    run(work)


def test_cancelling_a_request_does_not_mix_up_answers() -> None:
    async def work(compiler: CompilerProcess) -> None:
        await compiler.compile_wire(wire({"sql": "SELECT 1"}))
        assert compiler.pid is not None
        os.kill(compiler.pid, signal.SIGSTOP)  # no answer before the request is cancelled
        task = asyncio.create_task(compiler.compile_wire(LONG))
        # The number is taken and the request written without a wait between them.
        while compiler._number < 2:  # noqa: ASYNC110 # pyright: ignore[reportPrivateUsage]
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        reply = await compiler.compile_wire(wire({"sql": "SELECT 'after'"}))
        assert reply.plan is not None and len(reply.plan.nodes) == 1

    run(work)
