"""Statements of steps as the compiler sees them, for the executor's tests: every name is a step's."""

from __future__ import annotations

from dfc.compiler.ast import Text
from dfc.compiler.plan import INPUT, Form, Parameter, SqlBody
from dfc.compiler.sql import analyse, literals_of


class _Everything:
    def __contains__(self, name: object) -> bool:
        return True


def statement(sql: str, *known: str, form: Form | None = None) -> SqlBody:
    """The body of a step. `known` are the names that count in literals (without any: all of them)."""
    analysis = analyse(Text(value=sql))
    assert not analysis.problems, (sql, analysis.problems)
    references, literals = literals_of(analysis, known or _Everything())
    parameters = [
        Parameter(
            name=one.name,
            source=INPUT if one.name == "input" else one.name,
            use=one.use,
            start=one.start,
            end=one.end,
            column=one.column,
            optional=one.optional,
            aliased=one.aliased,
            identifier=one.identifier,
        )
        for one in references
    ]
    return SqlBody(
        sql=analysis.sql,
        kind=analysis.kind,
        form=form or analysis.form,
        returns=analysis.returns,
        parameters=tuple(parameters),
        literals=literals,
    )
