"""DF107: a `$name` before its step has run, or where it may not have run."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.ast import If, IfRows, Loop, Map, Race
from dfc.compiler.diagnostics import Diagnostic, Note, error
from dfc.compiler.facts import Facts
from dfc.compiler.links import Loose, Why
from dfc.compiler.outline import Name
from dfc.compiler.plan import Use


def early_reference(facts: Facts) -> Iterator[Diagnostic]:
    """Look at every reference whose name is given elsewhere, and does not hold, or not for certain."""
    for loose in facts.scope.loose:
        if loose.name is None or loose.why in (Why.UNKNOWN, Why.PARALLEL):
            continue
        reference = loose.reference
        message, label, help = _said(facts, loose, loose.name)
        optional = loose.why is Why.MAYBE and reference.use is not Use.ROWS
        yield error(
            "DF107",
            message,
            facts.locate(loose.unit, reference.start, reference.end),
            label=label,
            notes=(Note(message=f"`{reference.name}` is bound here", span=loose.name.text.span),),
            help=help,
            fix=facts.questioned(loose.unit, reference) if optional else None,
        )


def _said(facts: Facts, loose: Loose, named: Name) -> tuple[str, str, str]:
    """The message, the label and the help."""
    name = loose.reference.name
    tree = None if loose.branch is None else facts.outline.forks[loose.branch.fork].tree
    match loose.why:
        case Why.OWN:
            return (
                f"`${name}` refers to the step that it stands in",
                "used before it is bound",
                "refer to an earlier step",
            )
        case Why.EARLY:
            return (
                f"`${name}` has not run yet here",
                "used before it is bound",
                f"move the step behind `{name}`",
            )
        case Why.EXCLUDED:
            return (
                f"`${name}` never runs together with this step",
                "bound in the other branch",
                "move the step that gives the name in front of the condition",
            )
        case Why.HIDDEN:
            if isinstance(tree, Map):
                return (
                    f"`${name}` is known only to its own item of the `df.map`",
                    "each item has its own",
                    "name the `df.map`, and refer to its result",
                )
            return (
                f"`${name}` is known only inside of its undo",
                "not visible here",
                "refer to another step",
            )
        case _:
            return (
                f"`${name}` is not certain to have run here",
                _reason(facts, loose, named),
                _help(facts, loose),
            )


def _reason(facts: Facts, loose: Loose, named: Name) -> str:
    if named.unit >= loose.unit:
        return "bound later in the round of the loop"
    tree = None if loose.branch is None else facts.outline.forks[loose.branch.fork].tree
    match tree:
        case If() | IfRows():
            return "bound in a branch that may not run"
        case Race():
            return "bound in an arm that may not win"
        case Loop():
            return "bound behind a `df.break` of the loop"
        case _:
            return "bound in a part that may not come to its end"


def _help(facts: Facts, loose: Loose) -> str:
    if loose.reference.use is Use.ROWS:
        return (
            "keep the rows in a table: where the step has not run there are no columns that they could have"
        )
    written = facts.with_question_mark(loose.unit, loose.reference)
    return f"write `{written}`, which is NULL where it has not run"
