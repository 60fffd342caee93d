"""A workflow that kills each process that reads its plan: it is found out, and the others go on."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg
import pytest

from tests.executor.support import WorkerProcess, chain, count_of, effects, ended, submit, until

KILLER = """
import importlib.util, os, sys
if any("dfc" in word or "-c" == word for word in sys.orig_argv):
    import dfc.executor.plans as plans
    read = plans._read_plan
    def read_or_die(text):
        if "poison" in text and not os.path.exists({cured!r}):
            os.abort()
        return read(text)
    plans._read_plan = read_or_die
"""
"""Each Python process has it, as if a library crashed: where a plan with that word is read, it dies."""


def test_one_that_kills_its_worker_is_set_aside_and_the_others_go_on(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cured = tmp_path / "cured"
    (tmp_path / "sitecustomize.py").write_text(KILLER.format(cured=str(cured)))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', str(Path.cwd()))}")
    plan = chain(*((f"s{n}", count_of(f"INSERT INTO effects VALUES ('s{n}')")) for n in range(3)))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE effects (who text)")
        [poison] = submit(connection, chain(("poison", count_of("INSERT INTO effects VALUES ('poison')"))))
        others = submit(connection, plan, times=2)
        for number in range(2):
            # With a prelude it is a process of its own: one that is a fork was made before the killer was.
            with WorkerProcess(database, prelude="pass", lease_seconds=60.0) as worker:
                until(
                    lambda worker=worker: worker.process.poll() is not None, f"the death of worker {number}"
                )
                assert worker.process.returncode == -6, worker.log
        soon = "from dfc.executor import limits; limits.SUSPECT_AFTER_DEATHS = 2"
        with WorkerProcess(database, prelude=soon, lease_seconds=60.0) as worker:
            worker.registered()
            row = ended(connection, poison, 120)
            assert (row["status"], row["error"]["code"]) == ("failed", "DF591")
            assert "signal 6" in row["error"]["message"] and "retry_instance" in row["error"]["hint"]
            for instance in others:
                assert ended(connection, instance, 120)["status"] == "completed"
            found = effects(connection)
            assert found == [("s0", 2), ("s1", 2), ("s2", 2)]
            assert worker.log.count("suspect died") == 3
            assert "dropped" not in worker.log
            assert worker.process.poll() is None
            cured.touch()
            connection.execute("SELECT df.retry_instance(%s)", [poison])
            until(
                lambda: (
                    connection.execute("SELECT status FROM df.instances WHERE id = %s", [poison]).fetchone()
                    == ("completed",)
                ),
                "the one that was cured",
            )
