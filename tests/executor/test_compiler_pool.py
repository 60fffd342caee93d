"""Compiler processes for many files: in order, at the same time, and when they die."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dfc.cli.batch import AHEAD_MAX, compiler
from dfc.executor.compiler_child import Allowance, CompilerUnavailable
from dfc.executor.compiler_pool import Compilers, compilers

GOOD = "SELECT df.start(df.step('a', 'SELECT 1'));"
SOME = "df.seq(" + ", ".join(["'SELECT 1'"] * 500) + ");"
LONG = "df.seq(" + ", ".join(["'SELECT 1'"] * 19_000) + ");"


def pids(pool: Compilers) -> list[int]:
    return [compiler.pid for compiler in pool._all]  # pyright: ignore[reportPrivateUsage]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def written(folder: Path, count: int) -> list[str]:
    """So many files, by name."""
    names = [str(folder / f"{number}.dfsql") for number in range(count)]
    for name in names:
        Path(name).write_text(GOOD)
    return names


def computing(pid: int) -> bool:
    """Whether the process has loaded PostgreSQL's parser, so that it is at a text."""
    try:
        return "libpg_query" in Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return False


def processor_seconds(pid: int) -> float:
    """What the process has computed so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_what_compiles_and_what_does_not() -> None:
    with compilers(1) as pool:
        good = pool.compile_file("a", f"CREATE TABLE t (a int);\n{GOOD}")
        assert [statement["kind"] for statement in good.statements] == ["server", "workflow"]
        assert good.statements[1]["plan"] is not None
        bad = pool.compile_file("b", "'SELEC 1';")
        assert [found["code"] for found in bad.diagnostics] == ["DF120"] and bad.rendered
        assert pool.format_file("c", "'SELECT 1'~>'SELECT 2'", sql=False).formatted is not None
        (left,) = pids(pool)
    with pytest.raises(ProcessLookupError):
        os.kill(left, 0)


def test_a_death_that_is_not_the_texts_fault_is_not_seen() -> None:
    with compilers(1) as pool:
        pool.compile_file("a", GOOD)
        (first,) = pids(pool)
        os.kill(first, signal.SIGKILL)
        assert not pool.compile_file("a", GOOD).diagnostics
        assert pids(pool) != [first]


def test_a_text_that_kills_its_process_is_answered_with_df590() -> None:
    with compilers(1) as pool:
        replies: list[list[str]] = []

        def work() -> None:
            replies.append([found["code"] for found in pool.compile_file("a", LONG).diagnostics])

        thread = threading.Thread(target=work)
        thread.start()
        killed: set[int] = set()
        while len(killed) < 2:
            assert thread.is_alive(), "it has compiled before it was killed"
            (pid,) = pids(pool)
            if pid not in killed and computing(pid):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        thread.join()
        assert replies == [["DF590"]]
        assert not pool.compile_file("a", GOOD).diagnostics


def test_a_text_that_takes_too_much_processor_time_is_answered() -> None:
    with compilers(1, Allowance(processor_seconds=1)) as pool:
        before = pids(pool)
        [problem] = pool.compile_file("a", LONG).diagnostics
        assert problem["code"] == "DF590" and "`compile_seconds_max`" in problem["message"]
        assert pids(pool) != before
        assert not pool.compile_file("a", GOOD).diagnostics


def test_each_text_has_its_own_processor_time() -> None:
    """The system counts over the life of a process."""
    with compilers(1, Allowance(processor_seconds=2)) as pool:
        (first,) = pids(pool)
        while processor_seconds(first) < 5:
            assert pool.compile_file("a", SOME).statements[0]["plan"] is not None
        assert pids(pool) == [first]


def test_a_text_that_only_waits_for_the_machine_has_its_answer() -> None:
    with compilers(1, Allowance(processor_seconds=0.5)) as pool:
        pool.compile_file("a", GOOD)
        (pid,) = pids(pool)
        os.kill(pid, signal.SIGSTOP)
        # Far more than its processor time, by the clock: what is tested is that nothing happens.
        threading.Timer(3, os.kill, (pid, signal.SIGCONT)).start()
        assert not pool.compile_file("a", GOOD).diagnostics
        assert pids(pool) == [pid]


def test_a_process_that_does_not_go_on_is_ended() -> None:
    with compilers(1, Allowance(clock_seconds=0.05)) as pool:
        (pid,) = pids(pool)
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(CompilerUnavailable, match="compile_clock_seconds_max"):
            pool.compile_file("a", GOOD)  # nor does the probe start in that time


def test_files_are_compiled_ahead_and_come_in_order(tmp_path: Path) -> None:
    names: list[str] = []
    for number in range(3 * AHEAD_MAX):
        path = tmp_path / f"{number}.dfsql"
        path.write_text(f"SELECT df.start('SELECT {number}');")
        names.append(str(path))
    names.insert(5, str(tmp_path / "gone.dfsql"))
    Path(names[7]).write_bytes(b"\xff")
    with compiler(names) as compile_file:
        for name in names:
            try:
                text = Path(name).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            found = compile_file(name, text)
            assert (found.name, found.text) == (name, text)
            assert found.workflows[0].plan is not None
            assert text[16:-3] in str(found.workflows[0].plan)
        again = compile_file(names[0], GOOD)
        assert "SELECT 1" in str(again.workflows[0].plan)


def test_a_file_is_asked_for_long_before_its_turn(tmp_path: Path) -> None:
    """As the schema of all is, which may be one of the files."""
    names = written(tmp_path, 2 * AHEAD_MAX)
    with compiler(names) as compile_file:
        assert compile_file(names[-1], GOOD).workflows
        assert compile_file(names[0], GOOD).workflows


def test_no_process_can_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies, and there is none to take its place: said, and nobody waits for ever."""
    names = written(tmp_path, 3)

    def refused(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    before = _children()
    with compiler(names) as compile_file:
        monkeypatch.setattr(subprocess, "Popen", refused)
        for pid in _children() - before:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        for name in names:
            with pytest.raises(CompilerUnavailable, match="short of processes or memory"):
                compile_file(name, GOOD)
    with pytest.raises(CompilerUnavailable), compilers(2):
        pass


def test_it_ends_in_the_middle_without_a_process_left(tmp_path: Path) -> None:
    names = written(tmp_path, 250)
    before = _children()
    with pytest.raises(KeyboardInterrupt), compiler(names) as compile_file:
        compile_file(names[0], GOOD)
        raise KeyboardInterrupt
    until(lambda: _children() <= before)


def _children() -> set[str]:
    return set(Path(f"/proc/self/task/{threading.main_thread().native_id}/children").read_text().split())
