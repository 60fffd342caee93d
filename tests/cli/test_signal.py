"""`dfc signal`, as a process, against a database and its worker."""

from __future__ import annotations

import json

import psycopg
import pytest

from tests.cli.conftest import Run
from tests.e2e.harness import WorkerProcess, wait_until

WAITS = "df.wait_for_signal('go', 60) |=> 'x' ~> 'SELECT $x.data? AS data'"


@pytest.fixture
def started(database: str) -> list[str]:
    """Two workflows with one label that wait for the signal `go`."""
    with psycopg.connect(database, autocommit=True) as connection:
        rows = [connection.execute(f"SELECT df.start({WAITS}, 'pair')".encode()).fetchone() for _ in "ab"]
    return [str(row[0]) for row in rows if row]


def test_data_arrives(dfc: Run, database: str) -> None:
    given: dict[str, tuple[tuple[str, ...], object]] = {
        "nothing": ((), {}),
        "json": (('{"n": 1}',), {"n": 1}),
        "text": (("just text",), "just text"),
        "null": (("null",), None),
    }
    with psycopg.connect(database, autocommit=True) as connection:
        for label, (words, _) in given.items():
            connection.execute(f"SELECT df.start({WAITS}, '{label}')".encode())
            sent = dfc("signal", "--label", label, "go", *words, "--database", database)
            assert (sent.returncode, sent.stdout, sent.stderr) == (0, "1\n", "")
        query = "SELECT label, result FROM df.instances WHERE status = 'completed'"
        with WorkerProcess(database):
            wait_until(lambda: len(connection.execute(query.encode()).fetchall()) == 4, 30, "the end")
        results = {row[0]: row[1]["rows"] for row in connection.execute(query.encode())}
    assert results == {label: [{"data": arrives}] for label, (_, arrives) in given.items()}


def test_a_label_and_a_key(dfc: Run, database: str, started: list[str]) -> None:
    at = ("--database", database)
    assert dfc("signal", "--label", "pair", "go", "--dedupe-key", "k", *at).stdout == "2\n"
    assert dfc("signal", "--label", "pair", "go", "[1]", "--dedupe-key", "k", *at).stdout == "2\n"
    assert dfc("signal", started[0], "go", "--dedupe-key", "k", *at).stdout == "OK\n"
    assert dfc("signal", started[0], "go", '"other"', "--dedupe-key", "l", *at).stdout == "OK\n"
    with psycopg.connect(database) as connection:
        query = "SELECT instance_id, data, dedupe_key FROM df.signals ORDER BY instance_id, id"
        rows = [(row[0], json.dumps(row[1]), row[2]) for row in connection.execute(query.encode())]
    first, second = sorted(started)
    one = [(first, "{}", "k"), (second, "{}", "k")]
    assert sorted(rows) == sorted([*one, (started[0], '"other"', "l")])


def test_what_is_wrong_is_one_line(dfc: Run, database: str, started: list[str]) -> None:
    at = ("--database", database)
    said = dfc("signal", "ffffffff", "go", *at)
    assert said.returncode == 1 and "there is no workflow `ffffffff`" in said.stderr
    said = dfc("signal", started[0], "", *at)
    assert said.returncode == 1 and "the name of the signal is empty" in said.stderr
    said = dfc("signal", "--label", "nobody", "go", *at)
    assert said.stdout == "0\n" and 'warning: no instance with label "nobody" runs' in said.stderr
    too_many = ("go", "some", "words")
    for words in (("go",), (started[0], *too_many), ("--label", "pair"), ("--label", "pair", *too_many)):
        said = dfc("signal", *words, *at)
        assert said.returncode == 2 and "Error: give " in said.stderr


def test_a_name_that_nobody_waits_for(dfc: Run, database: str, started: list[str]) -> None:
    with WorkerProcess(database), psycopg.connect(database, autocommit=True) as connection:
        query = "SELECT bool_and(plan IS NOT NULL) FROM df.instances"
        wait_until(lambda: connection.execute(query.encode()).fetchone() == (True,), 30, "the plan")
        said = dfc("signal", started[0], "og", "--database", database)
        all_said = dfc("signal", "--label", "pair", "og", "--database", database)
        known = dfc("signal", "--label", "pair", "go", "--database", database)
    assert (said.returncode, said.stdout) == (0, "OK\n")
    assert (
        f'warning: instance {started[0]} waits for no signal "og" (Its workflow waits for: go. '
        in said.stderr
    )
    assert (all_said.returncode, all_said.stdout) == (0, "2\n")
    assert 'warning: no instance with label "pair" waits for a signal "og" (' in all_said.stderr
    assert (known.stdout, known.stderr) == ("2\n", "")
