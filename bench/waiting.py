"""Many instances that wait: what they cost, how late timers are, how soon a signal is taken."""

from __future__ import annotations

import time
from typing import LiteralString

from bench.bounded import memory, number
from bench.measure import Connection, Figure, Setup, connect, quantile, until

SLEEPERS: LiteralString = (
    "SELECT df.start(df.sleep('1 day'), 'sleeper') FROM generate_series(1, %(count)s::int)"
)
LISTENERS: LiteralString = (
    "SELECT df.start(df.wait_for_signal('go'), 'listener') FROM generate_series(1, %(count)s::int)"
)
TIMED: LiteralString = """SELECT df.start(df.sleep(format('%%s ms', 2000 + g * 31)), 'timed')
FROM generate_series(1, %(count)s::int) AS g"""
LATENESS: LiteralString = """SELECT extract(epoch FROM c.finished_at - k.due_at)::float8
FROM df.instances i
JOIN df.marks k ON k.instance_id = i.id AND k.kind = 'timer'
JOIN df.checkpoints c ON c.instance_id = i.id
WHERE i.label = 'timed' AND i.created_at > %(since)s::timestamptz"""
PARKED: LiteralString = "SELECT count(*) FROM df.fences WHERE instance_id = %s AND listens"
ENDED: LiteralString = "SELECT count(*) FROM df.instances WHERE id = %s AND completed_at IS NOT NULL"
TAKEN: LiteralString = (
    "SELECT extract(epoch FROM completed_at - %s::timestamptz)::float8 FROM df.instances WHERE id = %s"
)
TIMERS = 500
SIGNALS = 200
SECONDS_MAX = 7200


def timers(setup: Setup) -> list[Figure]:
    """How late timers are beside none and beside `--waiting` instances that wait: half sleep, half listen."""
    assert setup.worker.poll() is None
    with connect(setup.server.conninfo) as connection:
        figures = _measured(connection, "nobody waits")
        before = memory(setup.worker) // 1024
        began = time.perf_counter()
        for start in (SLEEPERS, LISTENERS):
            connection.execute(start, {"count": setup.waiting // 2})
        waiting = "SELECT count(*) FROM df.fences WHERE wake_at > now() + interval '1 hour'"
        until(lambda: number(connection, waiting) == setup.waiting // 2 * 2, SECONDS_MAX, 1.0)
        rate = setup.waiting / (time.perf_counter() - began)
        name = f"{setup.waiting:,} instances begin to wait"
        figures.append(Figure(name=name, value=f"{rate:,.0f}/s", number=rate))
        connection.execute("VACUUM ANALYZE")
        figures += _measured(connection, f"{setup.waiting:,} wait")
        after = memory(setup.worker) // 1024
        value = f"{before} / {after} MB"
        figures.append(Figure(name="worker's memory before and after", value=value, number=after))
    return figures


def _measured(connection: Connection, beside: str) -> list[Figure]:
    """The lateness of timers, and the time from a signal to the end of who waits for it."""
    late = _lateness(connection)
    answered = _answers(connection)
    return [
        _figure(f"lateness of a timer, {beside}, p50", quantile(late, 0.5)),
        _figure("  p99", quantile(late, 0.99)),
        _figure(f"signal to the end of its instance, {beside}, p50", quantile(answered, 0.5)),
        _figure("  p99", quantile(answered, 0.99)),
    ]


def _figure(name: str, seconds: float) -> Figure:
    return Figure(name=name, value=f"{seconds * 1000:,.1f} ms", number=seconds)


def _lateness(connection: Connection) -> list[float]:
    since = connection.execute("SELECT clock_timestamp()").fetchone()
    assert since is not None
    connection.execute(TIMED, {"count": TIMERS})
    found: list[float] = []

    def all_are_over() -> bool:
        rows = connection.execute(LATENESS, {"since": since[0]}).fetchall()
        found[:] = [float(row[0]) for row in rows]
        return len(found) == TIMERS

    until(all_are_over, SECONDS_MAX, 1.0)
    return found


def _answers(connection: Connection) -> list[float]:
    found: list[float] = []
    for _ in range(SIGNALS):
        row = connection.execute("SELECT df.start(df.wait_for_signal('now'), 'answers')").fetchone()
        assert row is not None
        until(lambda id=row[0]: number(connection, PARKED, id) == 1, 60)
        sent = connection.execute("SELECT df.signal(%s, 'now'), clock_timestamp()", [row[0]]).fetchone()
        assert sent is not None
        until(lambda id=row[0]: number(connection, ENDED, id) == 1, 60)
        taken = connection.execute(TAKEN, [sent[1], row[0]]).fetchone()
        assert taken is not None
        found.append(float(taken[0]))
    return found
