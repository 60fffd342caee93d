"""`dfc deploy`, `dfc schedules`, `dfc start NAME`, `dfc worker --queue`: processes and real databases."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg

from tests.cli.conftest import Run
from tests.e2e.harness import WorkerProcess, wait_until

FILE = """
CREATE TABLE not_for_deploy (n int);
SELECT df.define('nightly', df.step('a', 'SELECT $input.day AS day') ~> 'SELECT 2',
                 params => '{"day": "date"}', queue => 'reports');
SELECT df.define('simple', 'SELECT 1 AS one');
SELECT df.schedule('every_night', '0 3 * * *', 'simple', time_zone => 'Europe/Vienna');
SELECT df.start('SELECT 1');
"""


def test_deploy(dfc: Run, tmp_path: Path, database: str) -> None:
    path = tmp_path / "flows.dfsql"
    path.write_text(FILE)
    arguments = ("deploy", "flows.dfsql", "--database", database)
    looked = dfc(*arguments, "--dry-run")
    assert looked.returncode == 1, looked.stderr
    assert "+ workflow nightly (version 1)" in looked.stdout and "+ schedule every_night" in looked.stdout
    assert "    queue: reports" in looked.stdout and "    cron: 0 3 * * *" in looked.stdout
    asked = dfc(*arguments)
    assert asked.returncode == 1 and "3 to change, and nobody to ask: say --yes" in asked.stderr
    with psycopg.connect(database, autocommit=True) as connection:
        count = "SELECT (SELECT count(*) FROM df.definitions) + (SELECT count(*) FROM df.schedules)"
        assert connection.execute(count).fetchone() == (0,)
        done = dfc(*arguments, "--yes")
        assert done.returncode == 0 and "deployed: 3 changed" in done.stdout, done.stderr
        assert connection.execute(count).fetchone() == (3,)
        assert connection.execute("SELECT count(*) FROM df.instances").fetchone() == (0,)
        assert connection.execute("SELECT to_regclass('not_for_deploy')").fetchone() == (None,)
        again = dfc(*arguments, "--dry-run")
        assert (again.returncode, again.stdout) == (0, "nothing to do: the database has what the file says\n")
        path.write_text(
            FILE.replace("SELECT 2", "SELECT 3").replace("'reports'", "'other'").replace("0 3", "0 4")
        )
        changed = dfc(*arguments, "--dry-run").stdout
        assert (
            "~ workflow nightly (version 1 -> version 2)" in changed
            and "    queue: reports -> other" in changed
        )
        assert "- " in changed and "SELECT 3" in changed and "    cron: 0 3 * * * -> 0 4 * * *" in changed
        assert "simple" not in changed
        path.write_text(FILE.replace('"day": "date"', '"day": "datum"'))
        refused = dfc(*arguments, "--yes")
        assert refused.returncode == 1 and "is not a declaration of inputs" in refused.stderr
        assert "day: there is no type 'datum'" in refused.stderr and refused.stderr.count("22023") == 1
        path.write_text(FILE + "SELECT df.pause_schedule('every_night');")
        paused = dfc(*arguments, "--yes")
        assert paused.returncode == 0 and "    paused: true" in paused.stdout, paused.stderr
        assert connection.execute("SELECT paused FROM df.schedules").fetchone() == (True,)
        path.write_text("SELECT df.unschedule('every_night'); SELECT df.undefine('simple');")
        for said in ("- schedule every_night\ndeployed: 2 changed\n", "nothing to do: the database has what"):
            away = dfc(*arguments, "--yes")
            assert away.returncode == 0 and said in away.stdout, away.stderr
        assert 'there is no workflow named "simple": it is away already' in away.stderr
        path.write_text("SELECT df.start('SELECT 1');")
        nothing = dfc(*arguments)
        assert nothing.returncode == 1 and "defines and schedules nothing" in nothing.stderr


def test_start_by_name_schedules_and_queues(dfc: Run, tmp_path: Path, database: str) -> None:
    (tmp_path / "flows.dfsql").write_text(FILE)
    where = ("--database", database)
    assert dfc("deploy", "flows.dfsql", "--yes", *where).returncode == 0
    start = ("start", "nightly", "--input", '{"day": "2026-01-31"}', "--idempotency-key", "k", *where)
    first = dfc(*start)
    assert first.returncode == 0 and dfc(*start).stdout == first.stdout, first.stderr
    wrong = dfc("start", "nightly", "--input", '{"day": "x"}', *where)
    assert wrong.returncode == 1 and "is not what it declares" in wrong.stderr
    unknown = dfc("start", "nihgtly", *where)
    assert unknown.returncode == 1 and "Did you mean 'nightly'?" in unknown.stderr
    assert dfc("start", "flows.dfsql", "--queue", "x", *where).returncode == 2
    plain = dfc("start", "simple", *where).stdout.strip()
    assert "when a worker has seen it" in dfc("schedules", *where).stdout
    with (
        psycopg.connect(database, autocommit=True) as connection,
        WorkerProcess(database, ["--queue", "reports", "--queue", "more"]) as worker,
    ):
        status = "SELECT status FROM df.instances WHERE id = %s"

        def ended(instance: str) -> bool:
            return connection.execute(status, [instance]).fetchone() == ("completed",)

        wait_until(lambda: ended(first.stdout.strip()), 30, "the end")
        assert connection.execute(status, [plain]).fetchone() == ("pending",)
        assert "queue reports, more" in worker.log.read_text()
        known = "SELECT next_at IS NOT NULL FROM df.schedules"
        wait_until(lambda: connection.execute(known).fetchone() == (True,), 30, "the ticks")
    shown = dfc("schedules", *where).stdout
    assert "every_night" in shown and "Europe/Vienna" in shown and " 03:00" in shown
    [schedule] = json.loads(dfc("schedules", "--json", *where).stdout)
    assert schedule["workflow"] == "simple" and len(schedule["next_ticks"]) == 5
