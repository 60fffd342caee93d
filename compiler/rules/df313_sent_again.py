"""DF313: a request that changes something may arrive twice; a note, as its key lets the receiver see that."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.ast import Http
from dfc.compiler.diagnostics import Diagnostic, note
from dfc.compiler.facts import Facts
from dfc.compiler.plan import Delivery

_CHANGING = frozenset({"POST", "PATCH"})


def sent_again(facts: Facts) -> Iterator[Diagnostic]:
    """Look at every request whose method is known."""
    for unit, found in enumerate(facts.outline.units):
        if not isinstance(found.tree, Http) or found.tree.method.upper() not in _CHANGING:
            continue
        delivery = facts.policies.of(unit).get("delivery")
        if delivery is None or delivery.value != Delivery.AT_MOST_ONCE.value:
            yield note(
                "DF313",
                f"a death sends this {found.tree.method.upper()} again, with the same Idempotency-Key",
                found.tree.span,
                help="let the receiver look at the key, or give the step `delivery => 'at_most_once'`",
            )
