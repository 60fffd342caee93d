"""Installs the `df` schema and says what state it is in.

Numbered migrations (`sql/migrations/`) build the tables, each once. What can be replaced at any time
(functions, views, operators, grants) is one text, `sql/code.sql`, run after them, in one transaction with all
the migrations that are missing. See docs/adr/0010-schema-migrations.md and 0035-upgrades.md.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import LiteralString, cast

import psycopg
from psycopg import sql

from dfc.executor.queries import query

Connection = psycopg.Connection[tuple[object, ...]]

SQL_DIRECTORY = Path(__file__).resolve().parent.parent / "sql"
INSTALL_LOCK = 1684431667
"""Key of the session advisory lock that one installer at a time holds."""
LOCK_SECONDS_MAX = 60
"""How long an installer waits for another one, and for locks on tables in use."""
SERVER_VERSION_MIN = 150000

DEADLOCKS_MAX = 5
"""How often an upgrade is tried again when it was in a deadlock with what runs."""

_MIGRATION = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_INCLUDE = re.compile(r"^\\ir +(\S+) *$", re.MULTILINE)


class InstallError(Exception):
    """The schema cannot be installed or upgraded here. The message says what to do."""


class SchemaState(Enum):
    """How the schema of a database stands to this program."""

    NOT_INSTALLED = "not installed"
    OLDER = "older"
    SAME = "same"
    NEWER = "newer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """A numbered change of the tables, with its includes put in."""

    version: int
    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationReport:
    """What `install` has done. `applied` are migrations in order; `notices` is what the server said."""

    before: SchemaState
    version: int
    applied: tuple[str, ...]
    code_replaced: bool
    notices: tuple[str, ...]


def read(path: Path) -> str:
    """The text of a file of the schema; a line `\\ir other.sql` is replaced by that file."""
    text = path.read_text(encoding="utf-8")
    return _INCLUDE.sub(lambda found: read((path.parent / found[1]).resolve()), text)


def migrations(directory: Path = SQL_DIRECTORY) -> tuple[Migration, ...]:
    """All migrations in order. Raises InstallError when their numbers have a gap."""
    found: list[Migration] = []
    for path in sorted((directory / "migrations").glob("*.sql")):
        name = _MIGRATION.fullmatch(path.name)
        if name is None or int(name[1]) != len(found) + 1:
            raise InstallError(f"{path.name} is not migration number {len(found) + 1}")
        found.append(Migration(version=int(name[1]), name=name[2], text=read(path)))
    return tuple(found)


def code(directory: Path = SQL_DIRECTORY) -> str:
    """The text of everything that is replaced as a whole."""
    return read(directory / "code.sql")


def schema_version() -> int:
    """The schema version that this program is made for."""
    return len(migrations())


def install(conninfo: str) -> MigrationReport:
    """Bring the schema of a database to this program's version. Does nothing where it is there already.

    Two that run at once wait for each other. Raises InstallError with a way out; psycopg.OperationalError
    when there is no connection.
    """
    notices: list[str] = []
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.add_notice_handler(lambda notice: notices.append(_notice(notice)))
        prepare(connection)
        try:
            return _install(connection, notices)
        except psycopg.errors.InsufficientPrivilege as error:
            raise InstallError(not_allowed(connection, error)) from error
        except psycopg.errors.DuplicateFunction as error:
            raise InstallError(f"{error.diag.message_primary}. {error.diag.message_hint}") from error
        except psycopg.errors.LockNotAvailable as error:
            raise InstallError(
                f"the schema is in use by another session for more than {LOCK_SECONDS_MAX} s; "
                "stop the workers and other installers, then try again"
            ) from error
        except psycopg.errors.ReadOnlySqlTransaction as error:
            raise InstallError("the server is read-only (a standby?): connect to the primary") from error


def check(conninfo: str) -> SchemaState:
    """How the schema stands to this program. Raises InstallError for a foreign schema named `df`."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        run_script(connection, "SET search_path = pg_catalog, pg_temp")
        return _state(_installed_version(connection))


def prepare(connection: Connection) -> None:
    """Make a session ready to install something. Raises InstallError where that cannot be done."""
    if connection.info.server_version < SERVER_VERSION_MIN:
        raise InstallError(
            f"PostgreSQL {connection.info.server_version // 10000} is too old: dfc needs version 15 or later"
        )
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise InstallError(f"the database's encoding is {encoding}: dfc needs one with UTF8")
    run_script(
        connection,
        "SET search_path = pg_catalog, pg_temp; SET standard_conforming_strings = on;"
        "SET default_transaction_isolation = 'read committed'; SET check_function_bodies = on;"
        "SET client_min_messages = notice; SET statement_timeout = 0;"
        f"SET lock_timeout = '{LOCK_SECONDS_MAX}s'",
    )


def _install(connection: Connection, notices: list[str]) -> MigrationReport:
    connection.execute("SELECT pg_catalog.pg_advisory_lock(%s)", [INSTALL_LOCK])
    installed = _installed_version(connection)
    before = _state(installed)
    known = migrations()
    if before is SchemaState.NEWER:
        raise InstallError(
            f"the schema has version {installed}, this program knows {len(known)}: "
            "upgrade dfc, then try again"
        )
    text = code()
    text_hash = hashlib.sha256(text.encode()).hexdigest()
    applied: list[str] = []
    if installed < len(known):
        applied = _through_deadlocks(lambda: _upgrade(connection, known[installed:], text, text_hash))
    stale = not applied and _code_hash(connection) != text_hash
    if stale:
        with connection.transaction():
            _replace_code(connection, text, text_hash)
    return MigrationReport(
        before=before,
        version=len(known),
        applied=tuple(applied),
        code_replaced=bool(applied) or stale,
        notices=tuple(notices),
    )


def _upgrade(connection: Connection, missing: tuple[Migration, ...], text: str, text_hash: str) -> list[str]:
    """Apply migrations, all or none: nobody meets tables without the functions that are made for them."""
    with connection.transaction():
        if missing[0].version > 1:
            run_script(connection, query("dismiss_workers"))
        for migration in missing:
            _apply(connection, migration, first=migration.version == 1)
        _replace_code(connection, text, text_hash)
    return [f"{migration.version:04}_{migration.name}" for migration in missing]


def _through_deadlocks(work: Callable[[], list[str]]) -> list[str]:
    """Do it again where a session in the way has made a deadlock of it: nothing has happened then."""
    for _ in range(DEADLOCKS_MAX):
        with contextlib.suppress(psycopg.errors.DeadlockDetected):
            return work()
    return work()


def _apply(connection: Connection, migration: Migration, *, first: bool) -> None:
    run_script(connection, migration.text)
    if first:
        connection.execute("INSERT INTO df.meta (schema_version) VALUES (1)")
        connection.execute(
            "UPDATE df.meta SET database_oid = (SELECT oid FROM pg_catalog.pg_database"
            " WHERE datname = pg_catalog.current_database()), system_identifier = %s",
            [system_identifier(connection)],
        )
    connection.execute(
        "INSERT INTO df.migrations (version, name) VALUES (%s, %s)", [migration.version, migration.name]
    )
    connection.execute("UPDATE df.meta SET schema_version = %s", [migration.version])


def _replace_code(connection: Connection, text: str, text_hash: str) -> None:
    run_script(connection, text)
    connection.execute("UPDATE df.meta SET code_hash = %s", [text_hash])


def system_identifier(connection: Connection) -> int | None:
    """What tells this cluster from others. None where the server does not let this role ask."""
    try:
        with connection.transaction():
            row = connection.execute(
                "SELECT system_identifier FROM pg_catalog.pg_control_system()"
            ).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return None
    return cast(int, row[0]) if row is not None else None


def _installed_version(connection: Connection) -> int:
    """0: not installed. Raises InstallError for a schema `df` that is not ours."""
    row = connection.execute(
        "SELECT pg_catalog.to_regclass('df.meta') IS NOT NULL"
        " AND pg_catalog.to_regclass('df.migrations') IS NOT NULL,"
        " pg_catalog.to_regclass('df.instances') IS NOT NULL OR EXISTS ("
        "  SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"
        "  WHERE n.nspname = 'df')"
    ).fetchone()
    assert row is not None
    if not row[0]:
        if row[1]:
            raise InstallError(
                "the database has a schema `df` that dfc has not made (pg_durable?): drop or rename it first"
            )
        return 0
    try:
        version = connection.execute("SELECT schema_version FROM df.meta").fetchone()
    except psycopg.errors.UndefinedColumn as error:
        raise InstallError(
            "the database has a schema `df` that dfc has not made: drop or rename it first"
        ) from error
    if version is None:
        raise InstallError(
            "df.meta has no row: the schema is damaged; restore it or drop it and run `dfc init`"
        )
    return cast(int, version[0])


def _code_hash(connection: Connection) -> str | None:
    row = connection.execute("SELECT code_hash FROM df.meta").fetchone()
    return cast("str | None", row[0]) if row is not None else None


def _state(installed: int) -> SchemaState:
    known = schema_version()
    if installed == 0:
        return SchemaState.NOT_INSTALLED
    if installed == known:
        return SchemaState.SAME
    return SchemaState.OLDER if installed < known else SchemaState.NEWER


def not_allowed(connection: Connection, error: psycopg.errors.InsufficientPrivilege) -> str:
    """What to do where the role may not install."""
    said = error.diag.message_primary or str(error)
    grant = sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(
        sql.Identifier(connection.info.dbname), sql.Identifier(connection.info.user)
    )
    return (
        f"role `{connection.info.user}` may not do this ({said}); "
        f"run it as the schema's owner, or: {grant.as_string()}"
    )


def _notice(notice: psycopg.errors.Diagnostic) -> str:
    text = notice.message_primary or ""
    return f"{text} {notice.message_hint}" if notice.message_hint else text


def run_script(connection: Connection, text: str) -> None:
    """Send a script of several statements as it stands."""
    connection.execute(cast(LiteralString, text))
