"""Steps in other databases of the cluster: each effect exactly once, whatever dies when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dfc.compiler.plan import Plan, Policy, SqlNode
from dfc.executor.markers import install_markers
from tests.executor.support import WorkerProcess, count_of, ended, rows_of, submit, until

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The database of the workflows, and another one with markers."""

    home: str
    home_url: str
    other: str
    other_url: str


@pytest.fixture
def pair(database: str, bare_database: str) -> Pair:
    install_markers(bare_database)
    return Pair(
        home=str(conninfo_to_dict(database)["dbname"]),
        home_url=database,
        other=str(conninfo_to_dict(bare_database)["dbname"]),
        other_url=bare_database,
    )


@pytest.fixture
def home(pair: Pair) -> Iterator[Connection]:
    with psycopg.connect(pair.home_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def other(pair: Pair) -> Iterator[Connection]:
    with psycopg.connect(pair.other_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE ledger (who text)")
        yield connection


def started(home: Connection, workflow: str, **options: str) -> str:
    given = sql.SQL("").join(
        sql.SQL(", {} => {}").format(sql.Identifier(name), sql.Literal(value)) for name, value in options.items()
    )
    row = home.execute(sql.SQL("SELECT df.start({}{})").format(sql.SQL(workflow), given)).fetchone()
    assert row is not None
    return str(row[0])


def test_a_step_runs_in_another_database(pair: Pair, home: Connection, other: Connection) -> None:
    with WorkerProcess(pair.home_url, poll_seconds=0.05) as worker:
        worker.registered()
        instance = started(
            home,
            f"""df.step('a', 'INSERT INTO ledger VALUES (current_database()) RETURNING who, 7 AS n', database => '{pair.other}')
            ~> df.sql('SELECT $a.who AS there, $a.n + 1 AS n, current_database() AS here')""",
        )
        row = ended(home, instance)
        assert row["status"] == "completed", (row["error"], worker.log)
        assert row["result"]["rows"] == [{"there": pair.other, "n": 8, "here": pair.home}]
        assert other.execute("SELECT who FROM ledger").fetchall() == [(pair.other,)]
