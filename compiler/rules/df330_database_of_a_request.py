"""DF330: a request with a database: it is computed where the workflows are, and sent from there."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.diagnostics import Diagnostic, error
from dfc.compiler.facts import Facts


def database_of_a_request(facts: Facts) -> Iterator[Diagnostic]:
    """Look at the policies of all requests."""
    for unit, given in facts.policies.given.items():
        if "database" in given and facts.is_http(unit):
            yield error(
                "DF330",
                "`database` is a policy of SQL steps",
                given["database"].span,
                label="a request belongs to no database",
                help="read what it needs in a step with `database`, and refer to that",
            )
