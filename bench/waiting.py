"""Many instances that wait: what they cost, how late timers are, how soon a signal is taken."""

from __future__ import annotations

import time
from typing import LiteralString

from bench.measure import Connection, Figure, Setup, connect, memory, number, quantile, until

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
WAITING: LiteralString = "SELECT count(*) FROM df.fences WHERE wake_at > now() + interval '1 hour'"
PARK_ALL: LiteralString = """SELECT
  CASE label WHEN 'sleeper' THEN df._start_timer(c.token, c.instance_id, 'sleep_1/timer', 86400) END,
  df._park(c.token, c.instance_id, CASE label WHEN 'sleeper' THEN 86400 ELSE 'infinity'::float8 END, 'bench',
           false, label = 'listener', CASE label WHEN 'listener' THEN ARRAY['signal_1'] ELSE '{}'::text[] END)
FROM df._claim(%s, ARRAY[3], NULL, 1000000) AS c JOIN df.instances i ON i.id = c.instance_id"""
BEGINNERS = 1000
TIMERS = 500
SIGNALS = 200
SECONDS_MAX = 7200


def timers(setup: Setup) -> list[Figure]:
    """How late timers are beside none and beside `--waiting` instances that wait: half sleep, half listen."""
    assert setup.worker.poll() is None
    with connect(setup.server.conninfo) as connection:
        figures = _measured(connection, "nobody waits")
        before = memory(setup.worker) // 1024
        figures.append(_begin(connection, min(setup.waiting, BEGINNERS)))
        _seed(connection, setup.waiting - min(setup.waiting, BEGINNERS))
        connection.execute("VACUUM ANALYZE")
        figures += _measured(connection, f"{setup.waiting:,} wait")
        after = memory(setup.worker) // 1024
        value = f"{before} / {after} MB"
        figures.append(Figure(name="worker's memory before and after", value=value, number=after))
    return figures


def _begin(connection: Connection, count: int) -> Figure:
    """The rate at which the worker has instances wait."""
    began = time.perf_counter()
    for start in (SLEEPERS, LISTENERS):
        connection.execute(start, {"count": count // 2})
    until(lambda: number(connection, WAITING) == count // 2 * 2, SECONDS_MAX, 0.2)
    rate = count / (time.perf_counter() - began)
    return Figure(name=f"{count:,} instances begin to wait", value=f"{rate:,.0f}/s", number=rate)


def _seed(connection: Connection, count: int) -> None:
    """More that wait, as a worker would have made them: through the functions that it calls."""
    row = connection.execute(
        "SELECT df._register_worker('bench', 0, 'bench', 5, ARRAY[3], 3600, 1)"
    ).fetchone()
    assert row is not None
    connection.execute("SET df.notify = off")
    for start in (SLEEPERS, LISTENERS):
        connection.execute("BEGIN")
        connection.execute(start, {"count": count // 2})
        # Nobody else sees them before they wait.
        connection.execute(PARK_ALL, [row[0]])
        connection.execute("COMMIT")
    connection.execute("SELECT df._unregister_worker(%s)", [row[0]])


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
        # Notifications within 20 ms of one another are one: this is not about the start's.
        time.sleep(0.05)
        sent = connection.execute("SELECT df.signal(%s, 'now'), clock_timestamp()", [row[0]]).fetchone()
        assert sent is not None
        until(lambda id=row[0]: number(connection, ENDED, id) == 1, 60)
        taken = connection.execute(TAKEN, [sent[1], row[0]]).fetchone()
        assert taken is not None
        found.append(float(taken[0]))
    return found
