"""Words that PostgreSQL looks at only when a statement runs: those known here, and those of a server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString

import psycopg
import pytest

from dfc.compiler.ast import Text
from dfc.compiler.sql.analysis import analyse
from dfc.compiler.sql.options import _FIELDS, _FIELDS_IN_SHORT  # pyright: ignore[reportPrivateUsage]
from dfc.compiler.sql.setting_names import SETTINGS
from tests.postgres import Server

WORDS = sorted({*_FIELDS, *_FIELDS_IN_SHORT})


def problems(sql: str) -> list[str]:
    return [problem.message for problem in analyse(Text(value=sql)).problems]


@pytest.fixture(scope="module")
def connection(server: Server) -> Iterator[psycopg.Connection]:
    with psycopg.connect(server.url(), autocommit=True) as found:
        yield found


def test_all_settings_of_the_server_are_known(connection: psycopg.Connection) -> None:
    there = connection.execute("SELECT lower(name) FROM pg_settings WHERE strpos(name, '.') = 0").fetchall()
    assert {name for (name,) in there} <= SETTINGS


FROM: tuple[LiteralString, ...] = ("now()", "interval '1 day'", "time '10:00+01'", "current_date")


@pytest.mark.parametrize("word", [*WORDS, "yeer", "mnth", "secnds", "doww", "x"])
def test_fields_are_those_of_the_server(word: str, connection: psycopg.Connection) -> None:
    taken = 0
    for source in FROM:
        try:
            connection.execute(b"SELECT extract(%s FROM %s)" % (word.encode(), source.encode()))
            taken += 1
        except psycopg.Error as error:
            assert error.sqlstate in ("22023", "0A000")
            taken += error.sqlstate == "0A000"  # known, and not for this type
    assert bool(taken) == (problems(f"SELECT extract({word} FROM now())") == [])


@pytest.mark.parametrize(
    "sql",
    [
        "SET TIME ZONE 'Europe/Vienna'",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SET my.thing = 1",
        'SET LOCAL "search_path" = a',
        "SET Work_Mem = '1MB'",
        "SET of_another_server = 1",
        "SHOW ALL",
        "RESET ALL",
        "SHOW TRANSACTION ISOLATION LEVEL",
        "SET XML OPTION DOCUMENT",
        "COPY t TO '/x' CSV HEADER",
        "COPY t TO '/x' WITH (FORMAT 'csv', FORCE_QUOTE (a, b))",
        "COPY (SELECT 1 FROM t) TO '/x' WITH BINARY",
        "COPY t (formt) TO '/x'",
        "COPY t FROM '/x' (FORMAT csv) WHERE (a > 1)",
        "COPY t FROM '/x' WHERE (abc > 1)",
        "COPY (SELECT a FROM t WHERE (b)) TO '/x'",
        "COPY t TO '/x' (FORMAT parquet)",
        "SELECT extract.x FROM extract",
        "SELECT extract FROM t",
    ],
)
def test_what_may_be_meant_passes(sql: str) -> None:
    assert problems(sql) == []
