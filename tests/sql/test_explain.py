"""df.explain: workflows and instances as drawings, the same as compiler/drawing.py makes them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from dfc.compiler import wire
from dfc.compiler.ast import Expression
from dfc.compiler.drawing import drawing, padded
from tests.compiler.front.trees import trees
from tests.sql.worker import Connection, connect, value


@pytest.fixture
def session(shared_database: str) -> Iterator[Connection]:
    with connect(shared_database) as connection:
        yield connection


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(trees)
def test_both_draw_the_same(session: Connection, tree: Expression) -> None:
    text = wire.write(tree)
    assert value(session, "SELECT df.explain(%s)", text) == padded(drawing(tree))
