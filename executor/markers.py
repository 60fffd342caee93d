"""Installs `df_markers` in a database where steps run of workflows that were started in another one."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final, cast

import psycopg

from dfc.executor.migrate import (
    INSTALL_LOCK,
    LOCK_SECONDS_MAX,
    SQL_DIRECTORY,
    Connection,
    InstallError,
    MigrationReport,
    SchemaState,
    not_allowed,
    prepare,
    read,
    run_script,
)

MARKERS_VERSION: Final = 1
"""The version of the tables that this program is made for."""

_SHARED: Final = re.compile(r"\bdf\.(begin_step|_rows|_execute)\(")
"""Functions of schema df that are put into df_markers as they are."""


def code(directory: Path = SQL_DIRECTORY) -> str:
    """The text of all functions."""
    return _SHARED.sub(r"df_markers.\1(", read(directory / "markers" / "code.sql"))


def install_markers(conninfo: str) -> MigrationReport:
    """Bring the markers of a database to this program's version. Does nothing where they are there already.

    Raises InstallError with a way out; psycopg.OperationalError when there is no connection.
    """
    with psycopg.connect(conninfo, autocommit=True) as connection:
        prepare(connection)
        try:
            with connection.transaction():
                return _install(connection)
        except psycopg.errors.InsufficientPrivilege as error:
            raise InstallError(not_allowed(connection, error)) from error
        except psycopg.errors.LockNotAvailable as error:
            raise InstallError(
                f"the markers are in use by another session for more than {LOCK_SECONDS_MAX} s; try again"
            ) from error


def _install(connection: Connection) -> MigrationReport:
    connection.execute("SELECT pg_catalog.pg_advisory_xact_lock(%s)", [INSTALL_LOCK])
    installed, known_hash = _installed(connection)
    if installed > MARKERS_VERSION:
        raise InstallError(
            f"the markers have version {installed}, this program knows {MARKERS_VERSION}: upgrade dfc"
        )
    text = code()
    text_hash = hashlib.sha256(text.encode()).hexdigest()
    stale = known_hash != text_hash
    if installed == 0:
        run_script(connection, read(SQL_DIRECTORY / "markers" / "tables.sql"))
        connection.execute("INSERT INTO df_markers.meta (version) VALUES (%s)", [MARKERS_VERSION])
    if stale:
        run_script(connection, text)
        connection.execute("UPDATE df_markers.meta SET code_hash = %s", [text_hash])
    return MigrationReport(
        before=SchemaState.NOT_INSTALLED if installed == 0 else SchemaState.SAME,
        version=MARKERS_VERSION,
        applied=("tables",) if installed == 0 else (),
        code_replaced=stale,
        notices=(),
    )


def _installed(connection: Connection) -> tuple[int, str | None]:
    """Version and hash of the code; 0: nothing is installed. Raises InstallError for a foreign schema."""
    row = connection.execute(
        "SELECT pg_catalog.to_regclass('df_markers.meta') IS NOT NULL,"
        " pg_catalog.to_regnamespace('df_markers') IS NOT NULL"
    ).fetchone()
    assert row is not None
    if not row[0]:
        if row[1]:
            raise InstallError(
                "the database has a schema `df_markers` that dfc has not made: rename it first"
            )
        return 0, None
    found = connection.execute("SELECT version, code_hash FROM df_markers.meta").fetchone()
    if found is None:
        raise InstallError(
            "df_markers.meta has no row: drop the schema when no workflow uses it, and try again"
        )
    return cast(int, found[0]), cast("str | None", found[1])
