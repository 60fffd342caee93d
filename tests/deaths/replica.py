"""A streaming replica of a test's server, which can be promoted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psycopg

from tests.executor.support import until
from tests.postgres import Server

KEPT: Final[Mapping[str, str]] = {"wal_level": "replica", "fsync": "off", "hot_standby": "on"}
"""Settings of both sides: a process is killed here, not the machine."""


class Replica(Server):
    """A standby of `primary`, made with pg_basebackup and fed by streaming."""

    def __init__(self, primary: Server) -> None:
        super().__init__(primary.version, KEPT)
        self._primary = primary

    def _initdb(self) -> None:
        with (self.folder / "basebackup.log").open("ab") as log:
            command = [str(self._programs / "pg_basebackup"), "-D", str(self._data)]
            command += [
                "-h",
                str(self._primary.folder),
                "-U",
                "postgres",
                "-X",
                "stream",
                "-c",
                "fast",
                "-R",
                "-N",
            ]
            code = self._spawn(command, log).wait()
        if code != 0:
            raise RuntimeError((self.folder / "basebackup.log").read_text(errors="replace"))

    def promote(self) -> None:
        """Make it a server that can be written to."""
        with (self.folder / "promote.log").open("ab") as log:
            command = [str(self._programs / "pg_ctl"), "promote", "-w", "-D", str(self._data)]
            assert self._spawn(command, log).wait() == 0

    def stop_receiving(self) -> None:
        """Take in nothing of what the primary commits from now on."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_wal_receiver")
            with (self._data / "postgresql.auto.conf").open("a") as settings:
                settings.write("primary_conninfo = ''\n")
            connection.execute("SELECT pg_reload_conf()")
            until(
                lambda: connection.execute("SELECT count(*) FROM pg_stat_wal_receiver").fetchone() == (0,),
                "the end of the streaming",
            )


def either(primary: Server, replica: Server, database: str = "postgres") -> str:
    """The connection string of whichever of the two can be written to."""
    hosts = f"{primary.folder},{replica.folder}"
    return f"host={hosts} user=postgres dbname={database} target_session_attrs=read-write connect_timeout=2"


def stream(primary: Server, replica: Path, *, synchronous: bool) -> None:
    """Wait until the replica is fed; with `synchronous` no commit is answered before it has it."""
    with psycopg.connect(primary.url(), autocommit=True) as connection:
        if synchronous:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")
        wanted = "sync" if synchronous else "async"
        until(
            lambda: connection.execute("SELECT sync_state FROM pg_stat_replication").fetchone() == (wanted,),
            f"{replica} to be fed",
        )
