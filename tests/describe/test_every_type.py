"""Values of every type go from step to step: they keep it, and nothing is refused."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfc.compiler.plan_describe import Rows
from dfc.compiler.plan_types import flow
from dfc.executor.describe.database import DatabaseDescriber
from tests.depth import depth
from tests.describe.support import plan_of
from tests.executor.typed_values import SETUP, present, values


@pytest.fixture(scope="module")
def typed(
    shared_database: str,
) -> Iterator[tuple[DatabaseDescriber, psycopg.Connection[tuple[object, ...]], list[str]]]:
    with psycopg.connect(shared_database, autocommit=True) as connection:
        connection.execute(SETUP.encode())
        types = present(connection)
        with DatabaseDescriber(shared_database) as describer:
            yield describer, connection, types


@settings(
    max_examples=depth(60), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_types_go_from_step_to_step(
    typed: tuple[DatabaseDescriber, psycopg.Connection[tuple[object, ...]], list[str]], data: st.DataObject
) -> None:
    describer, connection, types = typed
    columns = data.draw(st.lists(values(types), min_size=1, max_size=3))
    # The literals of the values may look like references: what matters here is their types.
    items = [
        f"NULL::{one.type} AS c{n}" if one.type != "record" else f"ROW(1, 'x') AS c{n}"
        for n, one in enumerate(columns)
    ]
    wanted = ", ".join(f"$one.c{n} AS c{n}" for n in range(len(items)))
    rows = ", ".join(f"x.c{n}" for n in range(len(items)))
    plan = plan_of(
        f"SELECT df.start(($q$SELECT {', '.join(items)}$q$ |=> 'one') ~> ('SELECT {wanted}' |=> 'two')"
        f" ~> ('SELECT {rows} FROM $one.* AS x' |=> 'three') ~> df.map('$one', 'SELECT $item.c0'));"
    )
    found = flow(plan, describer)
    assert found.problems == ()
    one, two, three = (found.shapes[f"sql_{n}"] for n in (1, 2, 3))
    assert isinstance(one, Rows) and isinstance(two, Rows) and isinstance(three, Rows)
    assert one.columns is not None and two.columns is not None
    cursor = connection.execute(f"SELECT {', '.join(items)}".encode())
    oids = [str(column.type_code) for column in cursor.description or ()]
    formatted = connection.execute("SELECT format_type(o, NULL) FROM unnest(%s::oid[]) o", (oids,)).fetchall()
    assert [column.type for column in one.columns] == [row[0] for row in formatted]
    # A record has no input function: as a parameter it is text, when it runs too.
    kept = [column.type if column.type != "record" else "text" for column in one.columns]
    assert [column.type for column in two.columns] == kept
    assert len(three.columns or ()) == len(items)
