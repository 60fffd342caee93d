"""The depths of `dfc validate`, as functions from a text to its problems."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager

from bench.mutation.seeds import SCHEMAS, Seed
from dfc.cli.batch import compiler
from dfc.cli.depths import Deepen, depth
from dfc.cli.sources import Problem
from dfc.compiler.certain import with_certain
from dfc.compiler.diagnostics import Diagnostic, Severity
from dfc.compiler.driver import compile_file
from dfc.compiler.source import Source
from dfc.compiler.span import Span

Depth = Callable[[Seed, str], Iterable[Diagnostic]]
"""The problems of a text that was made of this seed."""

NAME = "mutant.dfsql"


def offline(seed: Seed, text: str) -> Iterable[Diagnostic]:
    """The text alone."""
    return with_certain(compile_file(Source(NAME, text))).problems


@contextmanager
def with_schema(*, exact: bool) -> Generator[Depth]:
    """`--schema FILE`, with the DDL of the seeds; `exact`: PostgreSQL is asked, in a scratch database."""
    with compiler() as compile_one, ExitStack() as opened:
        deeper: dict[str, Deepen] = {}

        def look(seed: Seed, text: str) -> Iterable[Diagnostic]:
            if seed.schema not in deeper:
                ddl = (str(SCHEMAS[seed.schema]),)
                one = depth(compile_one, ddl, exact=exact, database=None)
                deeper[seed.schema] = opened.enter_context(one)
            compiled = compile_one(NAME, text)
            return [_diagnostic(problem) for problem in deeper[seed.schema](compiled).problems]

        yield look


def _diagnostic(problem: Problem) -> Diagnostic:
    return Diagnostic(
        code=problem.code,
        severity=Severity(problem.severity),
        message=problem.message,
        span=Span(*problem.json["span"]),
    )
