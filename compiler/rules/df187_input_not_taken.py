"""DF187: a call gives a workflow of the same file an input that it does not take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from dfc.compiler.ast import CallWorkflow
from dfc.compiler.diagnostics import Diagnostic, error
from dfc.compiler.facts import Facts
from dfc.compiler.inputs import faults


def input_not_taken(facts: Facts) -> Iterator[Diagnostic]:
    """Look at every call of a workflow that the file defines, once, with declared inputs."""
    counts = Counter(each.name for each in facts.beside.definitions)
    declared = {
        each.name: each.params
        for each in facts.beside.definitions
        if each.params is not None and counts[each.name] == 1
    }
    if not declared:
        return
    for unit in facts.outline.units:
        if not isinstance(unit.tree, CallWorkflow):
            continue
        params = declared.get(unit.tree.workflow.value)
        if params is None:
            continue
        known = ", ".join(f"`{name}` ({type})" for name, type in params.types.items())
        for fault in faults(params, unit.tree.input):
            yield error(
                "DF187",
                f"`{unit.tree.workflow.value}` does not take this input: {fault}",
                unit.tree.span,
                label="the call fails",
                help=f"give it what its `params` declare: {known}",
            )
