"""DF190: what the language has and this version cannot execute yet. Nothing is silently dropped."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dfc.compiler.ast import FanOut, Http, Join, Later, Text
from dfc.compiler.diagnostics import Diagnostic, Note, error
from dfc.compiler.facts import Facts
from dfc.compiler.plan import Form
from dfc.compiler.span import Span

_REFERENCE = re.compile(r"\$([^\W\d]\w*)")
_SECRET = re.compile(r"\{secret:[^{}]*\}")


def not_executable(facts: Facts) -> Iterator[Diagnostic]:
    """Look at every unit, its references and its literals."""
    for tree in [unit.tree for unit in facts.outline.units]:
        if isinstance(tree, Later):
            yield _later(tree.construct, tree.span, "write the workflow without it")
        if isinstance(tree, Http):
            yield from _constants(facts, tree)
    for unit, analysis in facts.analyses.items():
        if analysis.form is Form.AUTOCOMMIT and not analysis.problems:
            yield _later(
                f"{analysis.kind.upper()} outside a transaction",
                facts.locate(unit, 0, len(analysis.sql)),
                "run the statement outside of the workflow",
            )
        for reference in analysis.references:
            if reference.name == "input" and "input" not in facts.scope.misnamed:
                where = facts.locate(unit, reference.start, reference.end)
                yield _later("$input", where, "read the value from a table")
    yield from _arrays(facts)


def _constants(facts: Facts, tree: Http) -> Iterator[Diagnostic]:
    """References and secrets in the constant arguments of a request."""
    for text in (tree.url, tree.body, None if tree.headers is None else Text(value=tree.headers)):
        if text is None:
            continue
        for found in _REFERENCE.finditer(text.value):
            if found[1] in facts.scope.known or found[1] == "input":
                where = text.locate(*found.span()) if text.pieces else tree.span
                yield _later(
                    f"{found[0]} in an argument of `df.http`",
                    where,
                    "compute the request in SQL: `SELECT df.http(...)` in a string",
                )
        for found in _SECRET.finditer(text.value):
            where = text.locate(*found.span()) if text.pieces else tree.span
            yield _later(found[0], where, "send the request without the secret")


def _arrays(facts: Facts) -> Iterator[Diagnostic]:
    """References to the array that a join or a fan-out gives."""
    for unit, links in facts.scope.links.items():
        for link in links:
            source = facts.outline.units[link.source].tree
            if isinstance(source, Join | FanOut):
                yield _later(
                    f"${link.reference.name} as the array of a group of branches",
                    facts.locate(unit, link.reference.start, link.reference.end),
                    "name the branches, and refer to them",
                    (Note(message="the group", span=source.span),),
                )


def _later(what: str, where: Span, help: str, notes: tuple[Note, ...] = ()) -> Diagnostic:
    name, _, rest = what.partition(" ")
    return error(
        "DF190",
        f"`{name}`{' ' if rest else ''}{rest} is not executable yet",
        where,
        label="comes in a later version",
        notes=notes,
        help=help,
    )
