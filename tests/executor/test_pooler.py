"""PgBouncer in transaction mode: clients work behind it, a worker says so and stops. Needs its package."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from tests.executor.support import WorkerProcess, until

pytestmark = pytest.mark.apt
USER = "nobody"


@pytest.fixture
def pooled(database: str) -> Iterator[str]:
    """The URL of the test's database through a PgBouncer with transaction pooling."""
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    parts = urlsplit(database)
    folder = Path(tempfile.mkdtemp(prefix="dfcb", dir="/tmp"))
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n* = host={parse_qs(parts.query)['host'][0]} user=postgres\n"
        f"[pgbouncer]\nunix_socket_dir = {folder}\nlisten_port = 6432\nlisten_addr =\n"
        "auth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n"
        "ignore_startup_parameters = extra_float_digits,options\n"
    )
    account = pwd.getpwnam(USER)
    if os.geteuid() == 0:
        for path in (folder, settings):
            os.chown(path, account.pw_uid, account.pw_gid)
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [program, str(settings)],
        stdout=log,
        stderr=subprocess.STDOUT,
        user=account.pw_uid if os.geteuid() == 0 else None,
    )
    try:
        until(lambda: (folder / ".s.PGSQL.6432").exists(), "pgbouncer's socket")
        yield f"postgresql://postgres@{parts.path}?host={folder}&port=6432"
    finally:
        process.terminate()
        process.wait()
        log.close()
        shutil.rmtree(folder)


def test_a_worker_behind_transaction_pooling_says_so_and_stops(pooled: str) -> None:
    # Other clients keep the pool's connections moving, as they would in life.
    with WorkerProcess(pooled) as worker:
        assert worker.wait() == 1
        assert "transaction pooler (PgBouncer): connect the worker directly" in worker.log


def test_clients_may_sit_behind_transaction_pooling(database: str, pooled: str) -> None:
    with WorkerProcess(database) as worker:
        worker.registered()
        with psycopg.connect(pooled, autocommit=True, prepare_threshold=None) as connection:

            def one(text: LiteralString, *values: str) -> object:
                row = connection.execute(text, values).fetchone()
                assert row is not None
                return row[0]

            instance = str(one("SELECT df.start('SELECT 1 AS n' ~> df.step('two', 'SELECT 2 AS n'))"))
            assert one("SELECT df.await_instance(%s)", instance) == "completed"
            assert one("SELECT df.result(%s)", instance) == '{"rows": [{"n": 2}], "row_count": 1}'
