"""Every value that a step can give means the same in a later step: its type, its text, NULL, all rows or none."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from dfc.compiler.plan import Form
from dfc.executor.journal import Rows
from tests.executor.statements import statement
from tests.executor.support import Bench, bench
from tests.executor.typed_values import SETUP, Typed, present, values

EXAMPLES = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


class Bed:
    """A bench with its own event loop, for tests that are no coroutines, and the types of the server."""

    def __init__(self, database: str) -> None:
        self.database = database
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(SETUP)
            self.types = present(connection)
        self._loop = asyncio.new_event_loop()
        self._bench = bench(database)
        self.on: Bench = self.run(self._bench.__aenter__())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """The result of a coroutine."""
        return self._loop.run_until_complete(work)

    def step(self, sql: str, *, name: str | None = None, form: Form | None = None) -> Rows:
        """Run a step."""
        if name is not None:
            self.forget(name)
        return self.run(self.on.step(statement(sql, "s", form=form), name=name))

    def forget(self, name: str) -> None:
        """Let a step of this name be run once more."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute("DELETE FROM df.checkpoints WHERE path = %s", [name])

    def close(self) -> None:
        """Give the sessions back."""
        self.run(self._bench.__aexit__(None, None, None))
        self._loop.close()


@pytest.fixture(scope="module")
def bed(shared_database: str) -> Iterator[Bed]:
    made = Bed(shared_database)
    yield made
    made.close()


FORMS = st.sampled_from([Form.WITH, Form.QUERY])


def _selected(columns: list[Typed]) -> str:
    return "SELECT " + ", ".join(f"{one.sql} AS c{index}" for index, one in enumerate(columns))


# What a value is, as PostgreSQL shows it: its text, whether it is NULL, and its type.
def _shown(value: str, kind: str | None = None) -> str:
    of = f"pg_typeof({value})::text" if kind is None else f"'{kind}'"
    return f"concat({value}), ({value}) IS NOT DISTINCT FROM NULL, {of}"


@EXAMPLES
@given(data=st.data(), made=FORMS, used=FORMS, rows=st.integers(0, 3))
def test_values_and_rows_survive(bed: Bed, data: st.DataObject, made: Form, used: Form, rows: int) -> None:
    columns = data.draw(st.lists(values(bed.types), min_size=1, max_size=4))
    one = _selected(columns)
    note(one)
    table = " UNION ALL ".join([one] * rows) if rows else f"{one} WHERE false"
    given_rows = bed.step(table, name="s", form=made)
    assert given_rows.row_count == rows
    for index, column in enumerate(columns):
        # Of a row of no named type only the text goes on.
        kind = "text" if column.type == "record" else None
        value, expected = f"$s.c{index}?", column.sql if rows else f"NULL::{column.type}"
        if column.type == "record":
            expected = f"({column.sql})::text" if rows else "NULL::text"
        comparison = f"SELECT {_shown(value)}, {_shown(expected, kind)}"
        result = bed.step(comparison, form=used)
        text, null, of, expected_text, expected_null, expected_of = result.cells
        assert (text, null) == (expected_text, expected_null), column
        if rows:
            assert of == expected_of, column
        every = (
            f"SELECT array_agg(concat(r.c{index})), array_agg((r.c{index}) IS NOT DISTINCT FROM NULL),"
            f" min(pg_typeof(r.c{index})::text) FROM $s.* AS r"
        )
        there = (
            f"SELECT array_agg(concat(x)), array_agg((x) IS NOT DISTINCT FROM NULL), min({of_text(kind)})"
            f" FROM (SELECT {column.sql} AS x FROM generate_series(1, {rows})) AS r"
        )
        assert bed.step(every, form=used).cells == bed.step(there).cells, column


def of_text(kind: str | None) -> str:
    """The name of the type of x."""
    return "pg_typeof(x)::text" if kind is None else f"'{kind}'"
