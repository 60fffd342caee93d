"""Maps and loops of any length in bounded state: the rate, the worker's memory, the rows that are left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, LiteralString

from bench.measure import Connection, Figure, Setup, connect, memory, number, until

MAP: LiteralString = """SELECT df.start(df.map(
  df.sql(format('SELECT g FROM generate_series(1, %%s) AS g', %(count)s::text)),
  'INSERT INTO mapped VALUES ($item.g)'))"""
BATCHES: LiteralString = """SELECT df.start(df.map(
  df.sql(format('SELECT g FROM generate_series(1, %%s) AS g', %(count)s::text)),
  'INSERT INTO batched SELECT g FROM $item.*', batch_size => 50))"""
BATCH = 50
LOOP: LiteralString = """SELECT df.start(df.loop(
  df.step('count', 'INSERT INTO rounds SELECT coalesce($count?, 0) + 1 RETURNING n'),
  df.sql(format('SELECT $count < %%s', %(count)s::text))))"""
SECONDS_MAX = 7200
LOOK_SECONDS: Final = 0.25
LOOP_ROUNDS_LEAST: Final = 20
"""Of a loop, a second: what is slower does not come to its end."""
TENTHS: Final = (1, 5, 10)
WRITTEN: LiteralString = "SELECT coalesce(max(n), 0) FROM rounds"
ROWS: LiteralString = "SELECT (SELECT count(*) FROM df.checkpoints) + (SELECT count(*) FROM df.marks)"
SIZE: LiteralString = """SELECT sum(pg_total_relation_size(oid)) / 1024 FROM pg_class
WHERE relnamespace = 'df'::regnamespace AND relkind = 'r'"""
WAL: LiteralString = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"


def map_of_many(setup: Setup) -> list[Figure]:
    """A map of `--items` rows, each an INSERT of its own."""
    with connect(setup.server.conninfo) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS mapped (n int)")
        seconds, memory, most = _run(setup, connection, MAP, setup.items)
        figures = _figures("map", setup.items, "items", seconds, memory)
        written = number(connection, "SELECT count(*) FROM mapped")
        once = number(connection, "SELECT count(DISTINCT n) FROM mapped")
    assert written == once == setup.items, (written, once)
    return [*figures, Figure(name="  checkpoints at most meanwhile", value=f"{most}", number=most)]


def map_in_batches(setup: Setup) -> list[Figure]:
    """A map of 50 times `--items` rows, an INSERT for 50 of them each: a million rows by default."""
    rows = setup.items * BATCH
    with connect(setup.server.conninfo) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS batched (n int)")
        seconds, memory, most = _run(setup, connection, BATCHES, rows)
        figures = _figures("map in batches of 50", rows, "rows", seconds, memory)
        written = number(connection, "SELECT count(*) FROM batched")
        once = number(connection, "SELECT count(DISTINCT n) FROM batched")
    assert written == once == rows, (written, once)
    return [*figures, Figure(name="  checkpoints at most meanwhile", value=f"{most}", number=most)]


@dataclass(frozen=True, slots=True)
class _Look:
    """What there is of a loop at a moment; `memory` of the worker and `size` of dfc's tables are in KiB."""

    at: float
    rounds: int
    memory: int
    rows: int
    size: int


def loop_of_many(setup: Setup) -> Iterator[Figure]:
    """A loop of `--rounds` rounds of two steps: what there is of it behind a tenth, a half, and all of it."""
    rounds = setup.rounds
    looks: list[_Look] = []
    with connect(setup.server.conninfo) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS rounds (n int PRIMARY KEY)")
        connection.execute("TRUNCATE rounds")
        before = number(connection, WAL)
        empty = _look(setup, connection)

        def look() -> None:
            now = _look(setup, connection)
            if now.rounds >= rounds * (len(looks) + 1) / 10:
                looks.append(now)

        seconds, kept, most = _run(
            setup, connection, LOOP, rounds, seconds_max=60 + rounds / LOOP_ROUNDS_LEAST, look=look
        )
        wal = (number(connection, WAL) - before) / rounds
        assert number(connection, "SELECT count(*) FROM rounds") == rounds
    yield from _figures("loop", rounds, "rounds", seconds, kept)
    yield Figure(name="  WAL of a round, both steps and their rows", value=f"{wal:,.0f} bytes", number=wal)
    yield Figure(name="  checkpoints at most meanwhile", value=f"{most}", number=most)
    for tenth in TENTHS:
        if len(looks) >= tenth:
            yield _tenth(looks[tenth - 1], ([empty, *looks])[tenth - 1])


def _look(setup: Setup, connection: Connection) -> _Look:
    return _Look(
        at=time.perf_counter(),
        rounds=number(connection, WRITTEN),
        memory=memory(setup.worker),
        rows=number(connection, ROWS),
        size=number(connection, SIZE),
    )


def _tenth(look: _Look, before: _Look) -> Figure:
    rate = (look.rounds - before.rounds) / (look.at - before.at)
    return Figure(
        name=f"  the tenth that ends with round {look.rounds:,}",
        value=f"{rate:,.0f}/s",
        number=rate,
        note=f"worker {look.memory // 1024} MB, tables of dfc {look.rows:,} rows, {look.size:,} kB",
    )


def _figures(name: str, count: int, what: str, seconds: float, memory: tuple[int, int]) -> list[Figure]:
    rate = count / seconds
    before, most = memory
    return [
        Figure(
            name=f"{name} of {count:,} {what}", value=f"{rate:,.0f}/s", number=rate, note=f"{seconds:.0f} s"
        ),
        Figure(
            name="  memory of the worker, before and at most",
            value=f"{before // 1024} / {most // 1024} MB",
            number=most,
        ),
    ]


def _run(
    setup: Setup,
    connection: Connection,
    text: LiteralString,
    count: int,
    *,
    seconds_max: float = SECONDS_MAX,
    look: Callable[[], None] = lambda: None,
) -> tuple[float, tuple[int, int], int]:
    """Seconds; memory of the worker in KiB before and at most; the most checkpoints that were seen.

    `look` is called now and then, and once at the end.
    """
    before = most = memory(setup.worker)
    rows = 0
    began = time.perf_counter()
    row = connection.execute(text, {"count": count}).fetchone()
    assert row is not None

    def over() -> bool:
        nonlocal most, rows
        most = max(most, memory(setup.worker))
        rows = max(
            rows, number(connection, "SELECT count(*) FROM df.checkpoints WHERE instance_id = %s", row[0])
        )
        ended = connection.execute(
            "SELECT status, error FROM df.instances WHERE id = %s", [row[0]]
        ).fetchone()
        assert ended is not None
        look()
        assert ended[0] in ("pending", "running", "completed"), ended
        return ended[0] == "completed"

    until(over, seconds_max, LOOK_SECONDS)
    return time.perf_counter() - began, (before, most), rows
