"""`dfc diff`: files, definitions of a database, and the instances that run."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg

from tests.cli.conftest import Run
from tests.e2e.harness import WorkerProcess, wait_until

OLD = """
SELECT df.define('nightly',
  df.step('load', 'SELECT 1 AS n') ~> df.wait_for_signal('go') |=> 'go'
  ~> df.step('count', 'SELECT $load.n') ~> 'SELECT 2 AS two');
SELECT df.define('other', 'SELECT 1 AS one');
"""


def test_files(dfc: Run, tmp_path: Path) -> None:
    (tmp_path / "old.dfsql").write_text(OLD)
    new = OLD.replace("SELECT $load.n", "SELECT $load.n + 1").replace(
        "2 AS two'", "2 AS two', timeout => '1 h'"
    )
    new = new.replace("'SELECT 1 AS n'", "'SELECT 1 AS n', max_attempts => 7")
    (tmp_path / "new.dfsql").write_text(new)
    found = dfc("diff", "old.dfsql", "new.dfsql")
    assert found.returncode == 1, found.stderr
    assert "~ nightly: steps: 2 changed, 2 unchanged" in found.stdout and "  other: the same" in found.stdout
    assert "~ count: SQL changed\n      - SELECT $load.n\n      + SELECT $load.n + 1\n" in found.stdout
    assert "-> instances that have not reached `count` could move" in found.stdout
    assert "max_attempts: nothing -> 7\n      -> all instances could move" in found.stdout
    same = dfc("diff", "old.dfsql", "old.dfsql")
    assert (same.returncode, same.stdout) == (0, "  nightly: the same\n  other: the same\n")
    one = dfc("diff", "old.dfsql", "new.dfsql", "--workflow", "other")
    assert (one.returncode, one.stdout) == (0, "  other: the same\n")
    answer = json.loads(dfc("diff", "old.dfsql", "new.dfsql", "--json").stdout)
    assert answer["same"] is False and [each["name"] for each in answer["workflows"]] == ["nightly", "other"]
    assert [step["id"] for step in answer["workflows"][0]["steps"]] == ["load", "count"]
    (tmp_path / "wrong.dfsql").write_text("'SELECT 1' ~>")
    assert dfc("diff", "old.dfsql", "wrong.dfsql").returncode == 2
    assert dfc("diff", "old.dfsql", "new.dfsql", "--workflow", "none").returncode == 2
    assert dfc("diff").returncode == 2


def test_instances(dfc: Run, tmp_path: Path, database: str) -> None:
    """One waits behind `load`, one has not begun: what is changed behind both, behind one, and in front."""
    (tmp_path / "old.dfsql").write_text(OLD)
    assert dfc("deploy", "old.dfsql", "--yes", "--database", database).returncode == 0
    arguments = ("--database", database, "--workflow", "nightly")
    with psycopg.connect(database, autocommit=True) as conn:
        ran = conn.execute("SELECT df.start('nightly', 'has run')").fetchone()
        assert ran is not None
        recorded = "SELECT EXISTS (SELECT FROM df.checkpoints WHERE path = 'load')"
        with WorkerProcess(database):
            wait_until(lambda: conn.execute(recorded).fetchone() == (True,), 30, "no step has run")
        conn.execute("SELECT df.start('nightly', 'waits')")

        def diff(old: str, new: str) -> list[str]:
            (tmp_path / "new.dfsql").write_text(OLD.replace(old, new))
            found = dfc("diff", "new.dfsql", *arguments)
            assert found.returncode == 1, found.stderr
            return found.stdout.splitlines()

        later = diff("SELECT $load.n'", "SELECT $load.n + 1'")
        assert "  running instances: 2 could move, 0 could not" in later
        earlier = diff("SELECT 1 AS n", "SELECT 2 AS n")
        assert "  running instances: 1 could move, 1 could not" in earlier
        assert (
            f"    could not: {ran[0]} has run (version 1): `load` has run, and its SQL is another" in earlier
        )
        in_front = diff("df.step('load'", "df.step('first', 'SELECT 0') ~> df.step('load'")
        assert any("`load` has run, and `first` in front of it is new" in line for line in in_front)
        wanted = diff("2 AS two", "$load.n AS two")
        assert "  running instances: 2 could move, 0 could not" in wanted
        (tmp_path / "new.dfsql").write_text(OLD)
        assert dfc("diff", "db:nightly", "new.dfsql", "--database", database).returncode == 0
        assert dfc("diff", "db:nightly@1", "db:nightly", "--database", database).returncode == 0
        assert dfc("diff", "db:other", "db:nightly", "--database", database).returncode == 1
        missing = dfc("diff", "db:nothing", "new.dfsql", "--database", database)
        assert missing.returncode == 2 and "no workflow named `nothing`" in missing.stderr


EVERYTHING = """
SELECT df.define('w', df.step('a', 'SELECT 1 AS n'),
  params => '{"x": "int", "y": {"type": "text", "default": "b"}}',
  on_failure => df.step('f', 'SELECT 2'), queue => 'one', timeout => '1 day 2 hours', concurrency_limit => 3,
  keep_finished => interval '30 days');
SELECT df.schedule('w', '0 3 * * *', 'w', input => '{"x": 1, "y": "c"}');
SELECT df.schedule('s', '0 3 * * *', df.step('z', 'SELECT 9'), time_zone => 'Europe/Vienna');
"""
OTHERWISE = (
    (""""x": "int\"""", """"x": "text\"""", '  ~ params.x: {"required": true, "type": "int"} -> '),
    ('"default": "b"', '"default": "c"', "  ~ params.y: "),
    ("SELECT 2", "SELECT 3", "  ~ on_failure: steps: 1 changed"),
    ("'one'", "'two'", "  ~ queue: one -> two"),
    ("2 hours", "3 hours", "  ~ timeout: 1 day 2 hours -> 1 day 3 hours"),
    ("limit => 3", "limit => 4", "  ~ concurrency_limit: 3 -> 4"),
    ("30 days", "31 days", "  ~ keep_finished: 30 days -> 31 days"),
    ("'w', '0 3", "'w', '0 4", "  ~ cron: 0 3 * * * -> 0 4 * * *"),
    ("* *', 'w'", "* *', df.step('other', 'SELECT 1')", "  ~ workflow: w -> an expression"),
    ("Europe/Vienna", "Europe/Berlin", "  ~ time_zone: Europe/Vienna -> Europe/Berlin"),
    ("SELECT 9", "SELECT 10", "  ~ z: SQL changed"),
)


def test_what_is_said_beside_the_steps(dfc: Run, tmp_path: Path, database: str) -> None:
    """Inputs, what starts after a failure, and schedules: between files, and with what is deployed."""
    (tmp_path / "old.dfsql").write_text(EVERYTHING)
    assert dfc("deploy", "old.dfsql", "--yes", "--database", database).returncode == 0
    as_it_is = dfc("diff", "old.dfsql", "--database", database)
    assert as_it_is.returncode == 0, as_it_is.stdout
    text = EVERYTHING
    for old, new, _ in OTHERWISE:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (tmp_path / "new.dfsql").write_text(text)
    for arguments in (("old.dfsql", "new.dfsql"), ("new.dfsql", "--database", database)):
        found = dfc("diff", *arguments)
        assert found.returncode == 1
        for _, _, said in OTHERWISE:
            assert said in found.stdout, (said, found.stdout, found.stderr)
    text = EVERYTHING.replace(" on_failure => df.step('f', 'SELECT 2'),", "").replace("Vienna", "Berlin")
    (tmp_path / "new.dfsql").write_text(text)
    found = json.loads(dfc("diff", "old.dfsql", "new.dfsql", "--json").stdout)["workflows"]
    assert [(each["kind"], each["name"], each["outcome"]) for each in found] == [
        ("workflow", "w", "changed"),
        ("schedule", "w", "same"),
        ("schedule", "s", "changed"),
    ]
    assert found[0]["on_failure"]["outcome"] == "removed"


BEFORE = """
SELECT df.start('SELECT 1' ~> 'SELECT 2', 'one');
'SELECT 8';
SELECT df.start('SELECT 3', 'two');
'SELECT 9';
SELECT df.define('three', 'SELECT 4');
"""
AFTER = """
SELECT df.start('SELECT 3', 'two');
'SELECT 9';
SELECT df.start('SELECT 1' ~> 'SELECT 2', 'eins');
SELECT df.define('drei', 'SELECT 4');
'SELECT 10';
SELECT df.start('SELECT 5', 'four');
"""


def test_what_has_been_moved_or_has_another_label(dfc: Run, tmp_path: Path) -> None:
    (tmp_path / "old.dfsql").write_text(BEFORE)
    (tmp_path / "new.dfsql").write_text(AFTER)
    (tmp_path / "none.dfsql").write_text("CREATE TABLE t (a int);")
    answer = dfc("diff", "old.dfsql", "new.dfsql")
    assert answer.returncode == 1, answer.stderr
    assert answer.stdout.splitlines() == [
        "  two: the same",
        "~ one: the same steps",
        "  ~ label: one -> eins",
        "  workflow 4: the same",
        "- three: gone",
        "~ workflow 2: steps: 1 changed",
        "  ~ sql_1: SQL changed",
        "      - SELECT 8",
        "      + SELECT 10",
        "      -> instances that have not reached `sql_1` could move",
        "+ drei: new",
        "+ four: new",
    ]
    moved = "'SELECT 9';\nSELECT df.start('SELECT 3', 'two');"
    (tmp_path / "moved.dfsql").write_text(moved)
    (tmp_path / "back.dfsql").write_text("\n".join(reversed(moved.splitlines())))
    assert dfc("diff", "moved.dfsql", "back.dfsql").returncode == 0
    (tmp_path / "label.dfsql").write_text(
        "SELECT df.start('SELECT 9', 'nine');\nSELECT df.start('SELECT 3');"
    )
    labels = dfc("diff", "moved.dfsql", "label.dfsql").stdout
    assert "~ label: nothing -> nine" in labels and "~ label: two -> nothing" in labels
    none = dfc("diff", "none.dfsql", "none.dfsql")
    assert (none.returncode, none.stdout) == (0, "  neither side has a workflow or schedule\n")


def test_what_cannot_be_compared_is_no_difference(dfc: Run, tmp_path: Path, database: str) -> None:
    (tmp_path / "a.dfsql").write_text("SELECT df.define('a', 'SELECT 1');")
    (tmp_path / "bad.dfsql").write_text("SELECT df.define('a', 'SELEC 1');")
    nowhere = "postgresql://me@127.0.0.1:1/db"
    for arguments, said in (
        (("a.dfsql", "--database", nowhere), "no PostgreSQL answers"),
        (("a.dfsql", "db:a", "--database", nowhere), "no PostgreSQL answers"),
        (("a.dfsql", "db:nothing_of_that_name", "--database", database), "no workflow named"),
        (("db:nothing_of_that_name@2", "a.dfsql", "--database", database), "no version 2 of"),
        (("db:a@x", "a.dfsql", "--database", database), "is not the number of a version"),
        (("db:", "a.dfsql", "--database", database), "no workflow named ``"),
        (("a.dfsql", "bad.dfsql"), "bad.dfsql has 1 error"),
        (("a.dfsql", "."), "nothing to compare"),
        (("a.dfsql", "a.dfsql", "--workflow", "b"), "neither side has"),
    ):
        answer = dfc("diff", *arguments)
        assert (answer.returncode, answer.stdout) == (2, ""), (arguments, answer.stdout)
        assert said in answer.stderr.splitlines()[-1], (arguments, answer.stderr)
