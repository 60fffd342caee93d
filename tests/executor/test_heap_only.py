"""Rows that change often change in place: heap-only updates, and nothing dead that a vacuum leaves."""

from __future__ import annotations

import signal
from typing import Any

import psycopg

from tests.executor.support import WorkerProcess, until
from tests.sql.worker import value

Connection = psycopg.Connection[Any]
COUNTS = """SELECT relname, n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE schemaname = 'df'"""
SHORT = 600
ROUNDS = 200


def updates(session: Connection) -> dict[str, tuple[int, int]]:
    return {row[0]: (row[1], row[2]) for row in session.execute(COUNTS).fetchall()}


def test_hot_rows_change_in_place(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as session:
        session.execute("CREATE TABLE done (n integer)")
        loop = (
            "df.loop(df.step('count', 'INSERT INTO done SELECT coalesce($count?, 0) + 1 RETURNING n'),"
            f" df.sql('SELECT $count < {ROUNDS}'))"
        )
        chain = "'INSERT INTO done VALUES (0)' ~> 'INSERT INTO done VALUES (0)'"
        items = "df.map('SELECT g FROM generate_series(1, 500) AS g', 'SELECT $item.g AS n')"
        limited = "df.step('x', 'SELECT 1 AS n', rate_limit => '1000/second')"
        with WorkerProcess(database, lease_seconds=0.6) as worker:
            worker.registered()
            value(session, "SELECT df.schedule('daily', '0 0 * * *', 'SELECT 1 AS n')")
            for text in (chain, limited):
                value(session, f"SELECT df.start({text})")
            ended = "SELECT NOT EXISTS (SELECT FROM df.instances WHERE completed_at IS NULL)"
            until(lambda: value(session, ended), "the plans")
            value(session, f"SELECT df.start({loop})")
            value(session, f"SELECT df.start({items})")
            session.execute(f"SELECT df.start({limited}) FROM generate_series(1, 100)".encode())
            for _ in range(SHORT):
                value(session, f"SELECT df.start({chain})")
            until(lambda: value(session, ended), "all of them to end", 60)
            until(lambda: value(session, "SELECT ticks IS NOT NULL FROM df.schedule_states"), "its ticks")
            worker.signal(signal.SIGTERM)
            assert worker.wait() == 0
        for _ in range(40):
            session.execute(
                "UPDATE df.schedule_states SET ticks = ARRAY[s.at], next_at = s.at, looked_at = now()"
                " FROM (SELECT clock_timestamp() AS at) AS s"
            )
        session.execute("SELECT pg_stat_force_next_flush()")
        until(lambda: updates(session)["schedule_states"][0] >= 40, "the last counts")
        counts = updates(session)
        # A claim takes the row out of the indexes of what is pending; the end changes nothing in one.
        made, hot = counts["instances"]
        assert made >= 2 * SHORT
        assert hot >= 0.45 * made
        for table, least, share in (
            ("workers", 5, 0.9),
            ("marks", ROUNDS // 10, 0.9),
            ("map_items", 500, 0.8),
            ("rate_limits", 90, 0.9),
            ("schedule_states", 40, 0.9),
        ):
            made, hot = counts[table]
            assert made >= least, (table, made)
            assert hot >= share * made, (table, made, hot)
        session.execute("VACUUM")
        left = "SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_user_tables WHERE schemaname = 'df'"
        until(lambda: value(session, left) == 0, "nothing dead to be left")
        pages = "SELECT max(pg_relation_size('df.' || t) / 8192) FROM unnest(%s::text[]) AS t"
        small = ["fences", "workers", "marks", "rate_limits", "schedule_states", "requests"]
        assert value(session, f"SELECT ({pages}) <= 40", small) is True
