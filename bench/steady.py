"""Starts at a steady rate for minutes, alone and beside a transaction held open: what each minute has.

Instances are kept for half a minute when they have ended: the tables show whether what goes leaves room.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Generator, Iterator
from typing import Final, LiteralString

from bench.measure import Connection, Figure, Setup, connect, number

WORKFLOW: LiteralString = "SELECT df.start('INSERT INTO steady VALUES (1)')"
DEAD: LiteralString = """SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_user_tables
WHERE schemaname = 'df' AND relname IN ('instances', 'fences', 'checkpoints')"""
SIZE: LiteralString = """SELECT sum(pg_total_relation_size(oid)) / 1048576 FROM pg_class
WHERE relnamespace = 'df'::regnamespace AND relkind = 'r'"""
PENDING: LiteralString = "SELECT count(*) FROM df.instances WHERE started_at IS NULL"
MANY: LiteralString = "SELECT df.start('SELECT 1 AS n') FROM generate_series(1, %s::int)"
CLAIM: LiteralString = "SELECT instance_id FROM df._claim(%s, '{1,2,3}', NULL, %s)"
END: LiteralString = """SELECT df._finish(f.token, f.instance_id, '{"status": "cancelled"}')
FROM df.fences f"""
DEAD_ROWS: Final = (100, 5_000, 40_000)
LOOK_AT_ALL: LiteralString = "SELECT set_config('df.look_pending', '', false)"
CLAIMS: Final = 100
STARTERS: Final = 4
KEPT: Final = "30 s"


def steady(setup: Setup) -> Iterator[Figure]:
    """`--rate` starts a second for `--minutes`, each a commit of its own."""
    with connect(setup.server.conninfo) as connection:
        yield from _run(setup, connection, "alone")


def steady_beside_open(setup: Setup) -> Iterator[Figure]:
    """The same, with a transaction held open from the beginning to the end."""
    with connect(setup.server.conninfo) as connection, _held_open(setup.server.conninfo):
        yield from _run(setup, connection, "a transaction held open")


@contextlib.contextmanager
def _held_open(conninfo: str) -> Generator[None]:
    with connect(conninfo) as holder:
        holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        holder.execute("SELECT 1")
        yield
        assert number(holder, "SELECT count(*) FROM pg_stat_activity WHERE backend_xmin IS NOT NULL") > 0
        holder.execute("ROLLBACK")


def _run(setup: Setup, connection: Connection, beside: str) -> Iterator[Figure]:
    assert setup.worker.poll() is None
    connection.execute("CREATE TABLE IF NOT EXISTS steady (n int)")
    connection.execute("TRUNCATE steady")
    connection.execute("SELECT df.set_retention(%s::interval)", [KEPT])
    stop = threading.Event()
    started = [0] * STARTERS
    share = setup.rate / STARTERS
    threads = [
        threading.Thread(target=_start, args=(setup.server.conninfo, share, stop, started, each))
        for each in range(STARTERS)
    ]
    for thread in threads:
        thread.start()
    try:
        for minute in range(1, setup.minutes + 1):
            yield _minute(connection, minute, beside, started)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        connection.execute("SELECT df.set_retention(NULL)")


def _minute(connection: Connection, minute: int, beside: str, started: list[int]) -> Figure:
    before, asked, began = (
        number(connection, "SELECT count(*) FROM steady"),
        sum(started),
        time.perf_counter(),
    )
    time.sleep(60)
    taken = time.perf_counter() - began
    ran = (number(connection, "SELECT count(*) FROM steady") - before) / taken
    starts = (sum(started) - asked) / taken
    note = (
        f"{starts:,.0f} starts/s, {number(connection, PENDING):,} wait,"
        f" {number(connection, DEAD):,} dead rows, {number(connection, SIZE):,} MB"
    )
    return Figure(name=f"{beside}, minute {minute}", value=f"{ran:,.0f}/s", number=ran, note=note)


def _start(conninfo: str, rate: float, stop: threading.Event, started: list[int], place: int) -> None:
    """Starts at this rate on the average."""
    with connect(conninfo) as connection:
        began = time.perf_counter()
        while not stop.is_set():
            due = (time.perf_counter() - began) * rate
            if started[place] >= due:
                time.sleep(min(1.0, (started[place] + 1 - due) / rate))
                continue
            connection.execute(WORKFLOW)
            started[place] += 1


def claims(setup: Setup) -> Iterator[Figure]:
    """A claim of one instance beside dead rows that a transaction held open keeps: no worker, one session."""
    with connect(setup.server.conninfo) as connection, _held_open(setup.server.conninfo):
        me = number(connection, "SELECT df._register_worker('bench', 0, 'bench', 9, '{1,2,3}', 3600, 1)")
        connection.execute("SET df.notify = off")
        for dead in DEAD_ROWS:
            before = number(connection, "SELECT count(*) FROM df.instances")
            connection.execute(MANY, [dead - before])
            connection.execute(CLAIM, [me, dead])
            connection.execute(END)
            for what, at_all in (("", False), (", all looked at each time", True)):
                taken = sorted(_claim(connection, me, at_all=at_all) for _ in range(CLAIMS))
                middle, most = taken[CLAIMS // 2], taken[-1]
                yield Figure(
                    name=f"claim beside {dead:,} dead rows{what}, median",
                    value=f"{middle * 1000:.2f} ms",
                    number=middle,
                    note=f"mean {sum(taken) / CLAIMS * 1000:.2f} ms, most {most * 1000:.1f} ms",
                )
        connection.execute("SELECT df._unregister_worker(%s)", [me])


def _claim(connection: Connection, worker: int, *, at_all: bool) -> float:
    connection.execute(MANY, [1])
    if at_all:
        connection.execute(LOOK_AT_ALL)
    began = time.perf_counter()
    found = connection.execute(CLAIM, [worker, 16]).fetchall()
    taken = time.perf_counter() - began
    assert found, "nothing was claimed"
    connection.execute(END)
    return taken
