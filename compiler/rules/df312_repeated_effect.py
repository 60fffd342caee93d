"""DF312: a statement that may run twice, and then does not end as if it had run once."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.diagnostics import Diagnostic, lint
from dfc.compiler.facts import Facts
from dfc.compiler.plan import Delivery, Form
from dfc.compiler.sql.repeating import repeated


def repeated_effect(facts: Facts) -> Iterator[Diagnostic]:
    """Look at every statement that runs outside of a transaction, and so at least once."""
    for unit, analysis in facts.analyses.items():
        given = facts.policies.of(unit)
        outside = analysis.form is Form.AUTOCOMMIT or ("autocommit" in given and given["autocommit"].value)
        delivery = given.get("delivery")
        once = delivery is not None and delivery.value == Delivery.AT_MOST_ONCE.value
        if not outside or once or analysis.problems:
            continue
        again = repeated(analysis.sql, analysis.kind)
        if again is not None:
            yield lint(
                "DF312",
                again.fact,
                facts.locate(unit, 0, len(analysis.sql)),
                label="runs outside of a transaction, so at least once",
                help=f"{again.help}, or give the step `delivery => 'at_most_once'`",
            )
