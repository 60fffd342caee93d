"""Scratch databases: an embedded server in a temporary folder, and copies of databases in it."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import shutil
import tempfile
import threading
from collections.abc import Generator
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from dfc.cli.crashing.processes import SERVER, spawn_janitor
from dfc.cli.database import Connection
from dfc.cli.errors import CliError
from dfc.cli.queries import query
from dfc.executor.embedded import EmbeddedServer
from dfc.executor.migrate import install, system_identifier

SETTINGS = ("fsync", "full_page_writes", "synchronous_commit")
"""Off: here PostgreSQL is not what dies."""


class Scratch:
    """A server of its own, which nobody else uses and which is gone afterwards; a context manager."""

    def __init__(self, prefix: str = "dfc-crashtest-") -> None:
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._cluster = ""
        try:
            self.folder = Path(tempfile.gettempdir(), f"{prefix}{secrets.token_hex(4)}")
            # Before there is a folder: who is killed in between leaves nothing.
            self._janitor = spawn_janitor(self.folder)
            self.folder.mkdir(mode=0o700)
        except OSError as error:
            raise CliError(
                f"no folder for the scratch database ({error.strerror or error}):"
                " set TMPDIR to one that can be written to, and is short"
            ) from None
        try:
            self._server = EmbeddedServer(self.folder / SERVER)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def __enter__(self) -> Self:
        try:
            self._server.start()
            self._admin: Connection = psycopg.connect(self._server.conninfo, autocommit=True)
            for name in SETTINGS:
                self._admin.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(name)))
            self._admin.execute("SELECT pg_catalog.pg_reload_conf()")
            self._cluster = system_identifier(self._admin)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._admin.close()
        self._end()

    def _end(self) -> None:
        with contextlib.suppress(OSError):
            self._server.stop_now()
        self._server.close()
        self._janitor.kill()
        self._janitor.join()
        shutil.rmtree(self.folder, ignore_errors=True)

    def conninfo(self, database: str) -> str:
        """The libpq connection string of one of the databases."""
        return make_conninfo(self._server.conninfo, dbname=database)

    def make(self) -> str:
        """A database with the schema, and what a crash test adds to it."""
        name = self._create("template0")
        install(self.conninfo(name))
        with psycopg.connect(self.conninfo(name), autocommit=True) as connection:
            connection.execute(query("crashtest_install"))
        return name

    def make_for(self, role: str, source: str = "template0") -> str:
        """A database that belongs to a role, which is made when it is missing and may do nothing else.

        Nobody may be connected to the source.
        """
        with self._lock:
            known = self._admin.execute(
                "SELECT FROM pg_catalog.pg_roles WHERE rolname = %s", (role,)
            ).fetchone()
            if known is None:
                self._admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        name = self._create(source)
        owner = sql.SQL("ALTER DATABASE {} OWNER TO {}")
        self._admin.execute(owner.format(sql.Identifier(name), sql.Identifier(role)))
        return name

    @contextlib.contextmanager
    def copy(self, source: str) -> Generator[tuple[str, Connection]]:
        """A copy that runs what its original would run, and a connection to it, which ends with the block.

        Nobody may be connected to the original.
        """
        name = self._create(source)
        with psycopg.connect(self.conninfo(name), autocommit=True) as connection:
            connection.execute(query("adopt"), {"cluster": self._cluster})
            yield name, connection

    def drop(self, name: str) -> None:
        """Remove a database, whoever uses it."""
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        self._admin.execute(drop.format(sql.Identifier(name)))

    def _create(self, source: str) -> str:
        with self._lock:
            name = f"crash{next(self._numbers)}"
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        self._admin.execute(create.format(sql.Identifier(name), sql.Identifier(source)))
        return name
