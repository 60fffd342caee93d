"""Figures of `dfc validate`: whole processes, beside the imports that a compiler in Python cannot do without.

Both are measured as an installed package runs them, with byte code, which an environment with
PYTHONDONTWRITEBYTECODE would not keep. Processor time (of the process and its children) counts what the
machine has to do; on a loaded machine the other one counts what else it does.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.compiling import IMPORTS, chain
from bench.measure import Figure, Setup

FILES = 1000
STEPS = 10_000
TIMES = 7


def validation(setup: Setup) -> list[Figure]:
    """Start-up, many small files, and one large file."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(setup.folder / "bytecode")
    small, many, large = _files(setup.folder)
    command = [sys.executable, "-m", "dfc", "validate"]
    for once in (IMPORTS, [*command, str(small)]):
        _taken(once, environment)  # the byte code is written
    base = _median(IMPORTS, environment)
    started = _median([*command, str(small)], environment)
    return [
        _figure('python -c "import lark, sqlglot, networkx"', base),
        _figure("dfc validate, one file of 3 steps", started, _on_top(started, base)),
        _figure(
            f"dfc validate, {FILES:,} files of 3 steps",
            _taken([*command, str(many)], environment),
            "target 5 s",
        ),
        _figure(
            f"dfc validate, one file of {STEPS:,} steps",
            _taken([*command, str(large)], environment),
            "target 10 s",
        ),
    ]


def _files(folder: Path) -> tuple[Path, Path, Path]:
    small, many, large = folder / "small.dfsql", folder / "many", folder / "large.dfsql"
    small.write_text(chain(3), encoding="utf-8")
    large.write_text(chain(STEPS), encoding="utf-8")
    many.mkdir(exist_ok=True)
    for number in range(FILES):
        # No two statements are the same: the compiler remembers those that it has seen.
        (many / f"{number}.dfsql").write_text(
            chain(3).replace("staging", f"staging_{number}"), encoding="utf-8"
        )
    return small, many, large


def _taken(command: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float]:
    """Seconds by the clock and of processors, of a process with its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=dict(environment)
    )
    clock = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _median(command: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float]:
    taken = [_taken(command, environment) for _ in range(TIMES)]
    return statistics.median(clock for clock, _ in taken), statistics.median(cpu for _, cpu in taken)


def _on_top(taken: tuple[float, float], base: tuple[float, float]) -> str:
    clock, cpu = (mine / theirs - 1 for mine, theirs in zip(taken, base, strict=True))
    return f"{clock:+.2f} times the imports on top (processor {cpu:+.2f}), target 0.3"


def _figure(name: str, taken: tuple[float, float], note: str = "") -> Figure:
    clock, cpu = taken
    return Figure(
        name=name, value=f"{clock:.2f} s", number=clock, note=f"processor {cpu:.2f} s  {note}".rstrip()
    )
