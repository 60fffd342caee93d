"""The describer beside PostgreSQL: no false alarm, the same columns, what is caught of broken statements."""

from __future__ import annotations

import pytest

from dfc.compiler.plan_describe import Refused
from dfc.compiler.schema import Catalog
from tests.compiler_schema.mutations import mutants
from tests.compiler_schema.support import Oracle, columns_of, described, statements, suffixed
from tests.depth import depth

STATEMENTS = tuple(statements())
MUTANTS_EACH = 12
CAUGHT_MIN = 0.85
EXACT_MIN = 0.95
TYPED_MIN = 0.95


@pytest.mark.parametrize("sql", STATEMENTS, ids=range(len(STATEMENTS)))
def test_a_valid_statement_passes_and_has_the_columns_that_postgresql_says(
    sql: str, known: Catalog, oracle: Oracle
) -> None:
    verdict = oracle.says(sql)
    assert verdict.sqlstate == "", verdict.message
    answer = described(known, sql)
    assert not isinstance(answer, Refused), answer
    columns = columns_of(answer)
    if columns is not None:
        expected = suffixed(verdict.columns)
        assert [name for name, _ in columns] == [name for name, _ in expected]
        assert [type or other for (_, type), (_, other) in zip(columns, expected, strict=True)] == [
            type for _, type in expected
        ]


def test_nearly_all_columns_of_valid_statements_have_their_types(known: Catalog) -> None:
    found = [columns_of(described(known, sql)) for sql in STATEMENTS]
    columns = [column for each in found if each is not None for column in each]
    assert sum(each is not None for each in found) >= TYPED_MIN * len(found)
    assert sum(type is not None for _, type in columns) >= TYPED_MIN * len(columns)


def test_what_is_refused_postgresql_refuses_and_most_of_what_it_refuses_is(
    known: Catalog, oracle: Oracle, request: pytest.FixtureRequest
) -> None:
    """Of statements with one thing broken. What the grammar refuses is not counted: it is said before."""
    seed = 1
    refused = caught = exact = 0
    for number, valid in enumerate(STATEMENTS):
        for sql in mutants(valid, seed * 100_000 + number, depth(MUTANTS_EACH)):
            verdict = oracle.says(sql)
            answer = described(known, sql)
            if verdict.sqlstate == "":
                assert not isinstance(answer, Refused), (sql, answer)
            elif not verdict.message.startswith("syntax error"):
                refused += 1
                if isinstance(answer, Refused):
                    caught += 1
                    exact += answer.start is not None and _near(answer.start, verdict.offset, sql)
    assert refused > len(STATEMENTS)
    assert caught >= CAUGHT_MIN * refused, f"{caught} of {refused}"
    assert exact >= EXACT_MIN * caught, f"{exact} of {caught}"


def _near(start: int, offset: int | None, sql: str) -> bool:
    """The same token, or a later part of the same name: PostgreSQL points at its beginning."""
    return offset is not None and (start == offset or set(sql[offset:start]) <= _OF_NAMES)


_OF_NAMES = set('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_."')
