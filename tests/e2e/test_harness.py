"""The counting itself: what is lost or doubled is seen."""

from __future__ import annotations

from tests.e2e import harness
from tests.e2e.harness import connected


def test_lost_and_doubled_effects_are_faults(database: str) -> None:
    with connected(database) as connection:
        harness.prepare(connection)
        full = "INSERT INTO ledger SELECT %s, unnest(%s::text[])"
        connection.execute(full, [1, list(harness.STEPS)])
        connection.execute(full, [2, list(harness.STEPS)])
        assert harness.faults(connection, 2) == []
        assert harness.faults(connection, 3) != []
        connection.execute(full, [2, ["left"]])
        assert len(harness.faults(connection, 2)) == 1
        connection.execute("DELETE FROM ledger WHERE run = 1 AND step = 'last'")
        assert len(harness.faults(connection, 2)) == 2
        connection.execute(full, [3, ["first"]])
        assert len(harness.faults(connection, 2)) == 4
