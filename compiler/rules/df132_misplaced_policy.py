"""DF132: a policy of something that has none such: a step around several steps, a request, a value."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.ast import Atomic, Break, CallWorkflow, Http, Ref, WaitFor, Waiting
from dfc.compiler.diagnostics import Diagnostic, Note, error
from dfc.compiler.facts import Facts
from dfc.compiler.policies import Misplaced

_OF_STATEMENTS = ("autocommit", "isolation", "settings")


def misplaced_policy(facts: Facts) -> Iterator[Diagnostic]:
    """Look at the policies of steps around other things, and at those that only statements have."""
    for misplaced in facts.policies.misplaced:
        tree = facts.outline.units[misplaced.name.unit].tree
        yield error(
            "DF132",
            f"the policies of `{misplaced.name.text.value}` belong to one statement, request or call",
            misplaced.policies.span if misplaced.policies.span.end else misplaced.name.tree.span,
            label="a policy of what is neither",
            notes=(Note(message="the step ends here", span=tree.span),),
            help=_help(facts, misplaced),
        )
    for unit, given in facts.policies.given.items():
        tree = facts.outline.units[unit].tree
        sends = facts.is_http(unit)
        calls = isinstance(tree, CallWorkflow)
        wrong = _OF_STATEMENTS if calls or isinstance(tree, Http) else ("autocommit",)
        if sends or calls or isinstance(tree, Atomic):
            for key in wrong:
                if key in given:
                    yield error(
                        "DF132",
                        f"`{key}` is a policy of a SQL statement",
                        given[key].span,
                        label=f"{_kind(tree)} has none",
                        help="leave it out",
                    )


def _kind(tree: object) -> str:
    match tree:
        case Atomic():
            return "a transaction of several steps"
        case CallWorkflow():
            return "a call of a workflow"
        case _:
            return "a request"


def _help(facts: Facts, misplaced: Misplaced) -> str:
    name = misplaced.name
    tree = facts.outline.units[name.unit].tree
    if name.first == name.unit and isinstance(tree, Ref | Break | Waiting):
        return "leave them out"
    if isinstance(tree, WaitFor):
        return "give them to the query of `df.wait_for`"
    if isinstance(tree, Atomic):
        return "give them to `df.atomic`"
    keys = {key for key, _ in misplaced.policies.given}
    if keys <= {"timeout"}:
        return "write `df.timeout(...)` around the steps"
    return "give them to the steps inside, or write `df.retry(...)` or `df.timeout(...)` around these"
