"""Every value of a step means the same in a later step: its type, its text, NULL, all rows or none."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from dfc.compiler.plan import Form
from tests.depth import depth
from tests.executor.bed import Bed
from tests.executor.typed_values import SETUP, TEXTS, Typed, present, quoted, values

EXAMPLES = settings(
    max_examples=depth(60),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(scope="module")
def bed(shared_database: str) -> Iterator[Bed]:
    made = Bed(shared_database, SETUP)
    yield made
    made.close()


@pytest.fixture(scope="module")
def types(bed: Bed) -> list[str]:
    """The types of the server."""
    with psycopg.connect(bed.database, autocommit=True) as connection:
        return present(connection)


FORMS = st.sampled_from([Form.WITH, Form.QUERY])


def _selected(columns: list[Typed]) -> str:
    return "SELECT " + ", ".join(f"{one.sql} AS c{index}" for index, one in enumerate(columns))


# What a value is, as PostgreSQL shows it: its text, whether it is NULL, and its type.
def _shown(value: str, kind: str | None = None) -> str:
    of = f"pg_typeof({value})::text" if kind is None else f"'{kind}'"
    return f"concat({value}), ({value}) IS NOT DISTINCT FROM NULL, {of}"


@EXAMPLES
@given(data=st.data(), made=FORMS, used=FORMS, rows=st.integers(0, 3))
def test_values_and_rows_survive(
    bed: Bed, types: list[str], data: st.DataObject, made: Form, used: Form, rows: int
) -> None:
    columns = data.draw(st.lists(values(types), min_size=1, max_size=4))
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


@settings(EXAMPLES, max_examples=depth(6))
@given(data=st.data(), made=FORMS, used=FORMS)
def test_each_type_survives(bed: Bed, types: list[str], data: st.DataObject, made: Form, used: Form) -> None:
    """One value of every type, all of them in one statement."""
    texts = data.draw(st.tuples(*[TEXTS[name] for name in types]))
    columns = [Typed(f"{quoted(text)}::{name}", name) for text, name in zip(texts, types, strict=True)]
    bed.step(_selected(columns), name="s", form=made)
    same = [
        f"concat($s.c{i}) = concat({one.sql}) AND pg_typeof($s.c{i}) = pg_typeof({one.sql})"
        for i, one in enumerate(columns)
    ]
    found = bed.step(f"SELECT {', '.join(same)}", form=used).cells
    assert [one for one, cell in zip(columns, found, strict=True) if cell != "t"] == []
    same = [
        f"concat(r.c{i}) = concat({one.sql}) AND pg_typeof(r.c{i}) = pg_typeof({one.sql})"
        for i, one in enumerate(columns)
    ]
    found = bed.step(f"SELECT {', '.join(same)} FROM $s.* AS r", form=used).cells
    assert [one for one, cell in zip(columns, found, strict=True) if cell != "t"] == []


def of_text(kind: str | None) -> str:
    """The name of the type of x."""
    return "pg_typeof(x)::text" if kind is None else f"'{kind}'"


@settings(EXAMPLES, max_examples=depth(25))
@given(data=st.data(), rows=st.integers(0, 2))
def test_they_survive_as_quoted_literals(bed: Bed, types: list[str], data: st.DataObject, rows: int) -> None:
    """Where a statement takes no parameters, the text of a value is written into it."""
    columns = data.draw(st.lists(values(types), min_size=1, max_size=4))
    one = _selected(columns)
    note(one)
    bed.step(" UNION ALL ".join([one] * rows) if rows else f"{one} WHERE false", name="s")
    bed.step("DROP TABLE IF EXISTS one, every, there")
    taken = ", ".join(f"$s.c{index}? AS c{index}" for index in range(len(columns)))
    bed.step(f"CREATE TABLE one AS SELECT {taken}")
    bed.step("CREATE TABLE every AS SELECT * FROM $s.*")
    records = [f"c{i}" for i, column in enumerate(columns) if column.type == "record"]
    as_text = ", ".join(f"c{i}::text" if f"c{i}" in records else f"c{i}" for i in range(len(columns)))
    bed.step(f"CREATE TABLE there AS SELECT {as_text} FROM ({one}) AS t, generate_series(1, {rows})")
    for index, column in enumerate(columns):
        null = f"SELECT {_shown(f'NULL::{column.type}')}" if column.type != "record" else None
        for table, limit in (("one", " LIMIT 1"), ("every", "")):
            found = bed.step(f"SELECT {_shown(f'c{index}')} FROM {table}")
            expected = bed.step(f"SELECT {_shown(f'c{index}')} FROM there{limit}")
            if table == "one" and not rows:
                assert found.cells[:2] == ("", "t")
                # Of a step without rows the types are those that PostgreSQL describes: of a domain its base.
                if null is not None and column.type not in DOMAINS:
                    assert found.cells == bed.step(null).cells, column
                continue
            assert found.cells == expected.cells, (table, column)


DOMAINS = ("positive", "code", "ints", "good_pair")


def test_the_type_of_null_is_kept(bed: Bed) -> None:
    bed.step("SELECT NULL::numeric AS a, NULL::mood AS b, 1 AS c WHERE false", name="s")
    result = bed.step("SELECT pg_typeof($s?), pg_typeof($s.b?), pg_typeof($s.row_count), $s.a? IS NULL")
    assert result.cells == ("numeric", "mood", "bigint", "t")
    result = bed.step(
        "SELECT pg_typeof(coalesce($s.c?, 2.5)), sum(r.a) IS NULL, pg_typeof(max(r.b)) FROM $s.* r"
    )
    assert result.cells == ("numeric", "t", "mood")


@pytest.mark.parametrize("form", [Form.WITH, Form.QUERY])
def test_odd_columns(bed: Bed, form: Form) -> None:
    given_rows = bed.step('SELECT 1 AS c, 2 AS c, 3 AS "a "" $x", 4 AS c_2, 5', name="s", form=form)
    assert given_rows.columns == ("c", "c", 'a " $x', "c_2", "?column?")
    result = bed.step('SELECT r.c, r.c_2, r.c_3, r."a "" $x", r."?column?", $s.c_3 FROM $s.* AS r', form=form)
    assert result.cells == ("1", "4", "2", "3", "5", "2")
    # Without an alias of its own a row set has the name of its step.
    assert bed.step("SELECT s.c FROM $s.* WHERE s.c = $s", form=form).cells == ("1",)


@pytest.mark.parametrize("form", [Form.WITH, Form.QUERY])
def test_rows_without_columns(bed: Bed, form: Form) -> None:
    assert bed.step("SELECT FROM generate_series(1, 3)", name="s", form=form).row_count == 3
    assert bed.step("SELECT count(*), $s.row_count FROM $s.*", form=form).cells == ("3", "3")


def test_types_that_are_gone_go_on_as_text(bed: Bed) -> None:
    bed.step("CREATE TYPE passing AS ENUM ('here')")
    bed.step("SELECT 'here'::passing AS a", name="s")
    for form in (Form.WITH, Form.QUERY):
        assert bed.step("SELECT pg_typeof($s.a), r.a FROM $s.* r", form=form).cells == ("passing", "here")
    bed.step("DROP TYPE passing")
    assert bed.step("SELECT r.a FROM $s.* AS r").cells == ("here",)
    assert bed.step("SELECT $s.a", form=Form.QUERY).cells == ("here",)
    assert bed.step("SELECT $s.a").cells == ("here",)
