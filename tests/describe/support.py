"""Workflows through the flow of types, with a describer, as tests look at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from dfc.cli.deeper import Depth, deepened
from dfc.cli.sources import Compiled, Problem, compiled
from dfc.compiler.answer import answer_file
from dfc.compiler.driver import CompiledStatement, compile_file
from dfc.compiler.plan import Plan
from dfc.compiler.source import Source
from dfc.executor.describe.database import DatabaseDescriber

HERE = Path(__file__).parent


def plan_of(text: str) -> Plan:
    """The plan of the one workflow of a file."""
    file = compile_file(Source("x.dfsql", text))
    [statement] = [each for each in file.statements if isinstance(each, CompiledStatement)]
    assert statement.compiled.plan is not None, file.problems
    return statement.compiled.plan


def compilation(text: str, name: str = "x.dfsql") -> Compiled:
    """A file as the command line has it from the compiler's process."""
    answer = answer_file(Source(name, text))
    return compiled(name, text, answer["statements"], answer["diagnostics"], "")  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Said:
    """A problem: its code, its severity, and what stands above the caret."""

    code: str
    severity: str
    under: str
    problem: Problem


def asked(text: str, url: str, *, scratch: bool = False, before: Sequence[str] = ()) -> list[Said]:
    """What a database adds to the problems of a file."""
    file = compilation(text)
    with DatabaseDescriber(url, scratch=scratch) as describer:
        for setting in before:
            assert describer.execute(setting) is None
        found = deepened(file, Depth(describer=describer, scratch=scratch))
    said: list[Said] = []
    for problem in found.problems:
        if problem not in file.problems:
            start, end = problem.json["span"]
            said.append(Said(problem.code, problem.severity, text[start:end], problem))
    return said


def errors(said: Sequence[Said]) -> list[tuple[str, str]]:
    """Codes and places of what is no note."""
    return [(each.code, each.under) for each in said if each.severity != "note"]


def load(url: str, *paths: Path) -> None:
    """Run files of SQL in a database."""
    with psycopg.connect(url, autocommit=True) as connection:
        for path in paths:
            connection.execute(path.read_bytes())
