"""DF190: what the language has and this version cannot execute yet. Nothing is silently dropped."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.ast import Later
from dfc.compiler.diagnostics import Diagnostic, error
from dfc.compiler.facts import Facts
from dfc.compiler.span import Span


def not_executable(facts: Facts) -> Iterator[Diagnostic]:
    """Look at every unit."""
    for tree in [unit.tree for unit in facts.outline.units]:
        if isinstance(tree, Later):
            yield _later(tree.construct, tree.span, "write the workflow without it")


def _later(what: str, where: Span, help: str) -> Diagnostic:
    name, _, rest = what.partition(" ")
    return error(
        "DF190",
        f"`{name}`{' ' if rest else ''}{rest} is not executable yet",
        where,
        label="comes in a later version",
        help=help,
    )
