"""The disk of PostgreSQL is full for a while: a small file system, which root mounts."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from dfc.executor import migrate
from tests.executor.support import WorkerProcess, chain, count_of, effects, ended, submit, until
from tests.postgres import DURABLE, Server

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounts a file system"),
]
RUNS = 20
STEPS = 3
WIDE = "INSERT INTO effects SELECT 's{n}', string_agg(md5(random()::text), '') FROM generate_series(1, 4000)"
GATE = count_of("SELECT FROM gate FOR SHARE", kind="select")
PLAN = chain(("gate", GATE), *((f"s{n}", count_of(WIDE.format(n=n))) for n in range(STEPS)))
WAITING = "SELECT FROM pg_stat_activity WHERE application_name = 'dfc step' AND wait_event_type = 'Lock'"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """One whose folder is a file system of 150 MB. Its log is elsewhere."""
    running = Server("18", DURABLE)
    owner = running.folder.stat()
    options = f"size=150m,mode=755,uid={owner.st_uid},gid={owner.st_gid}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(running.folder)], check=True)
    try:
        (running.folder / "log").symlink_to(tmp_path / "log")
        running.start()
        yield running
        running.stop()
    finally:
        subprocess.run(["umount", "-l", str(running.folder)], check=True)
        running.remove()


def fill(disk: Path) -> Path:
    """A file that takes all the room that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
    return filler


def test_steps_wait_for_room(server: Server) -> None:
    """What has no room is rolled back, effect and record together, and tried again."""
    migrate.install(server.url())
    with WorkerProcess(server.url(), lease_seconds=1.0, slots=4) as worker:
        worker.registered()
        with (
            psycopg.connect(server.url(), autocommit=True) as connection,
            psycopg.connect(server.url()) as locker,
        ):
            connection.execute("CREATE TABLE effects (who text, what text); CREATE TABLE gate (n int)")
            locker.execute("LOCK TABLE gate")
            ids = submit(connection, PLAN, times=RUNS)
            until(lambda: connection.execute(WAITING).fetchall(), "steps that wait")
            filler = fill(server.folder)
            locker.rollback()
            until(lambda: server.log.count("No space left on device") >= 10, "refusals")
        filler.unlink()
        with psycopg.connect(server.url(), autocommit=True) as connection:
            for instance in ids:
                row = ended(connection, instance, 60)
                assert row["status"] == "completed", row
            found = effects(connection)
            assert found == [(f"s{n}", RUNS) for n in range(STEPS)]
        assert worker.process.poll() is None
