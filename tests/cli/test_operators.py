"""Pausing, resuming, retrying, forking, cancelling from the command line: one, and many at once."""

from __future__ import annotations

import psycopg

from tests.cli.conftest import Run
from tests.e2e.harness import WorkerProcess, wait_until


def test_one_and_many(dfc: Run, database: str) -> None:
    at = ("--database", database)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE gate (open int)")
        connection.execute("INSERT INTO gate VALUES (0)")

        def started(label: str) -> str:
            expression = "df.step('a', 'SELECT 1') ~> df.step('b', 'SELECT 1 / open FROM gate') ~> 'SELECT 2'"
            row = connection.execute(f"SELECT df.start({expression}, '{label}')".encode()).fetchone()
            assert row is not None
            return str(row[0])

        def count(status: str) -> int:
            found = connection.execute("SELECT count(*) FROM df.list_instances(%s)", [status]).fetchone()
            assert found is not None
            return int(found[0])

        nightly = [started("nightly") for _ in range(3)]
        other = started("other")
        held = dfc("pause", "--label", "nightly", *at)
        assert held.returncode == 0, held.stderr
        assert held.stdout.splitlines() == [f"Instance {id} paused" for id in nightly]
        assert "3 of 3 workflows" in held.stderr
        assert "paused" in dfc("list", "--status", "paused", *at).stdout
        assert "\npaused, by" in dfc("show", nightly[0], *at).stdout
        with WorkerProcess(database):
            wait_until(lambda: count("failed") == 1, 30, "the other one")
            assert dfc("resume", nightly[0], *at).stdout == f"Instance {nightly[0]} resumed\n"
            assert dfc("resume", "--label", "nightly", "--status", "paused", *at).returncode == 0
            wait_until(lambda: count("failed") == 4, 30, "all of them")
            connection.execute("UPDATE gate SET open = 1")
            again = dfc("retry", "--label", "nightly", "--status", "failed", *at)
            assert again.stdout.splitlines() == [f"Instance {id} retried from b" for id in nightly]
            wait_until(lambda: count("completed") == 3, 30, "what was retried")
            refused = dfc("retry", nightly[0], other, *at)
            assert refused.returncode == 1
            assert (
                "has not failed: it was completed" in refused.stderr and "df.fork_instance" in refused.stderr
            )
            assert f"Instance {other} retried from b" in refused.stdout
            forked = dfc("fork", nightly[0], "b", "--label", "once more", *at)
            assert forked.returncode == 0, forked.stderr
            wait_until(lambda: count("completed") == 5, 30, "the fork")
            shown = dfc("show", forked.stdout.strip(), *at)
            assert "once more" in shown.stdout and "completed" in shown.stdout
        inside = dfc("fork", nightly[0], "nothing", *at)
        assert inside.returncode == 1 and "has no step" in inside.stderr
        last = started("last")
        assert (
            dfc("cancel", "--label", "last", *at).stdout == f"Instance {last} cancelled: Cancelled by user\n"
        )


def test_what_is_meant_has_to_be_said(dfc: Run, database: str) -> None:
    for command in ("pause", "resume", "retry", "cancel"):
        for arguments in ((), ("1", "--label", "x")):
            answer = dfc(command, *arguments, "--database", database)
            assert answer.returncode == 2 and "either IDs" in answer.stderr
