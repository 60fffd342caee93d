"""Variables from df.setvar to the result, through `dfc run`, psql's way, and a worker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg

from tests.cli.conftest import Run
from tests.e2e.harness import WorkerProcess, wait_until

FILE = """
CREATE TABLE orders (id int);
INSERT INTO orders SELECT generate_series(1, 7);
SELECT df.setvar('target', 'orders');
SELECT df.setvar('quoted', 'it''s $x {target}');
SELECT df.start(df.step('count', 'SELECT count(*) AS n FROM {target} WHERE id > {from}')
  ~> 'SELECT $count + 100 AS n', 'template');
SELECT df.start('SELECT ''{from}'' AS a, ''{sys_label}'' AS b, ''{nothing}'' AS c,
  $q${quoted}$q$ AS d', 'literal');
"""


def test_a_file_with_variables(dfc: Run, tmp_path: Path, database: str) -> None:
    (tmp_path / "v.dfsql").write_text(FILE)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SELECT df.setvar('from', '2')")
    with WorkerProcess(database):
        answer = dfc("run", "v.dfsql", "--database", database, "--json")
    assert answer.returncode == 0, answer.stderr
    outcomes: Any = json.loads(answer.stdout)
    template, literal = [outcome["result"]["rows"] for outcome in outcomes]
    assert template == [{"n": 105}]
    assert literal == [{"a": "2", "b": "literal", "c": "{nothing}", "d": "it's $x {target}"}]


def test_without_the_variable_the_instance_fails_and_says_why(
    dfc: Run, tmp_path: Path, database: str
) -> None:
    (tmp_path / "v.dfsql").write_text("SELECT df.start('SELECT 1 FROM {target}', 'x');")
    with WorkerProcess(database):
        answer = dfc("run", "v.dfsql", "--database", database)
    assert answer.returncode == 1
    assert "DF120" in answer.stderr and "set the variable with `df.setvar`" in answer.stderr


def test_commands_that_need_no_plan(dfc: Run, tmp_path: Path) -> None:
    (tmp_path / "v.dfsql").write_text(FILE)
    validated = dfc("validate", "v.dfsql")
    assert validated.returncode == 0, validated.stdout
    template, _ = (
        json.loads(text) for text in dfc("compile", "v.dfsql").stdout.replace("}\n{", "}\0{").split("\0")
    )
    assert template["plan"] is None and "{target}" in template["expression"]
    assert "variables decide what it does" in dfc("explain", "v.dfsql", "--plan").stdout
    assert "{target}" in dfc("explain", "v.dfsql").stdout


def test_one_expression_with_two_values(database: str) -> None:
    start = "SELECT df.start('SELECT ''{who}'' AS who')"
    with psycopg.connect(database, autocommit=True) as connection:
        for who in ("anna", "bert", "anna"):
            connection.execute("SELECT df.setvar('who', %s)", [who])
            connection.execute(start.encode())
        query = "SELECT result -> 'rows' -> 0 ->> 'who' FROM df.instances ORDER BY id"
        with WorkerProcess(database):
            wait_until(
                lambda: connection.execute(query).fetchall() == [("anna",), ("bert",), ("anna",)],
                30,
                "three results",
            )
        assert connection.execute("SELECT count(*) FROM df.plans").fetchone() == (2,)


def test_a_step_cannot_change_them(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        row = connection.execute("SELECT df.start('SELECT df.setvar(''a'', ''b'')')").fetchone()
        assert row is not None
        query = "SELECT error ->> 'message' FROM df.instances WHERE status = 'failed'"
        with WorkerProcess(database):
            wait_until(lambda: bool(connection.execute(query).fetchall()), 30, "the failure")
        [(message,)] = connection.execute(query).fetchall()
        assert str(message).startswith("df.setvar() cannot be called inside a workflow")
        assert connection.execute("SELECT df.getvar('a')").fetchone() == (None,)
