"""Figures of the compiler and the command line: whole processes, as a person waits for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.measure import Figure, Setup, process_seconds

ROOT = Path(__file__).resolve().parent.parent
IMPORTS = (sys.executable, "-c", "import lark, sqlglot, networkx")


def help_page(setup: Setup) -> list[Figure]:
    """`dfc --help` and `--version`."""
    figures: list[Figure] = []
    for option in ("--help", "--version"):
        taken = process_seconds([sys.executable, "-m", "dfc", option], times=9)
        figures.append(
            Figure(name=f"dfc {option}", value=f"{taken * 1000:.0f} ms", number=taken, note="target 150 ms")
        )
    return figures


def compile_times(setup: Setup) -> list[Figure]:
    """`dfc compile` of chains, beside the imports that it cannot do without."""
    base = process_seconds(IMPORTS)
    figures = [Figure(name='python -c "import lark, sqlglot, networkx"', value=f"{base:.2f} s", number=base)]
    for steps, times in ((3, 5), (1000, 3), (10_000, 1)):
        path = setup.folder / f"chain{steps}.dfsql"
        path.write_text(chain(steps), encoding="utf-8")
        command = [sys.executable, "-m", "dfc", "compile", str(path), "-o", str(setup.folder / "plan.json")]
        taken = process_seconds(command, times=times)
        note = (
            f"{taken / base:.2f} times the imports"
            if steps == 3
            else f"{(taken - base) / steps * 1000:.2f} ms a step"
        )
        figures.append(
            Figure(name=f"dfc compile, chain of {steps:,}", value=f"{taken:.2f} s", number=taken, note=note)
        )
    return figures


def wheel_size(setup: Setup) -> list[Figure]:
    """The size of the wheel; needs the package index for the build backend."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "-w",
        str(setup.folder),
        str(ROOT),
    ]
    built = subprocess.run(command, check=False, capture_output=True)
    wheels = list(setup.folder.glob("dfc-*.whl"))
    if built.returncode != 0 or not wheels:
        return [
            Figure(name="wheel", value="not built", number=0.0, note="pip wheel failed (no package index?)")
        ]
    size = wheels[0].stat().st_size
    return [Figure(name="wheel", value=f"{size / 1024:.0f} kB", number=size)]


def chain(steps: int) -> str:
    """A file with one workflow: a chain of named INSERTs."""
    body = "\n  ~> ".join(
        f"df.step('s{n}', 'INSERT INTO facts SELECT {n}, name FROM staging WHERE id = {n}')"
        for n in range(steps)
    )
    return f"SELECT df.start(\n  {body});\n"
