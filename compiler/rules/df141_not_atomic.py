"""DF141: what cannot be a part of the one transaction that `df.atomic` is."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.ast import Atomic, Hole, If, IfRows, Ref, Sql
from dfc.compiler.diagnostics import Diagnostic, Note, error
from dfc.compiler.facts import Facts
from dfc.compiler.outline import Fork
from dfc.compiler.plan import Form
from dfc.compiler.span import Span

_ALLOWED = "an atomic part holds SQL steps and ifs"


def not_atomic(facts: Facts) -> Iterator[Diagnostic]:
    """Look at every unit with nothing but ifs between it and a `df.atomic`."""
    for unit, found in enumerate(facts.outline.units):
        if isinstance(found.tree, Hole):
            continue
        for _, fork in facts.outline.around(found.branch):
            if isinstance(fork.tree, Atomic):
                yield from _part(facts, unit, fork)
            if not isinstance(fork.tree, If | IfRows):
                break


def _part(facts: Facts, unit: int, fork: Fork) -> Iterator[Diagnostic]:
    tree = facts.outline.units[unit].tree
    if isinstance(tree, Ref | If | IfRows):
        return
    if not isinstance(tree, Sql) or facts.is_http(unit):
        yield _error(_ALLOWED, tree.span, fork, "move it out of the `df.atomic`")
        return
    analysis = facts.analyses[unit]
    if analysis.form is Form.AUTOCOMMIT and not analysis.problems:
        kind = analysis.kind.upper()
        message = f"{kind} runs outside of a transaction, and not in an atomic part"
        yield _error(
            message, facts.locate(unit, 0, len(analysis.sql)), fork, "move it out of the `df.atomic`"
        )
    whole = facts.policies.of(fork.unit)
    for key, given in facts.policies.of(unit).items():
        if key == "isolation" and key in whole and whole[key].value == given.value:
            continue
        message = f"`{key}` is a policy of the whole transaction"
        yield _error(message, given.span, fork, "give it to the `df.atomic`")


def _error(message: str, span: Span, fork: Fork, help: str) -> Diagnostic:
    notes = (Note(message="the transaction", span=fork.tree.span),)
    return error("DF141", message, span, label="not in one transaction", notes=notes, help=help)
