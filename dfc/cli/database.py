"""Which database a command means, and a connection to it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import Diagnostic

from dfc.cli.errors import CliError
from dfc.executor.embedded import EmbeddedServer

EMBEDDED = ".dfc"
LIBPQ = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE")

Connection = psycopg.Connection[tuple[Any, ...]]


def database_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """The `--database` option of every command that needs one."""
    return click.option(
        "--database",
        envvar="DFC_DATABASE",
        metavar="URL",
        help="A URL, a libpq connection string, or the folder of an embedded database.",
    )(function)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A database that can be connected to.

    `option` is what to write after `--database` to mean it again, without a password, because it is shown.
    `folder` is set for an embedded one.
    """

    conninfo: str
    uri: str
    option: str
    folder: Path | None = None


def say(message: str) -> None:
    """A line for people that is not part of the answer."""
    click.echo(message, err=True)


def say_notice(notice: Diagnostic) -> None:
    """What the server says besides its answer."""
    more = " ".join(text for text in (notice.message_detail, notice.message_hint) if text)
    word = "warning" if notice.severity_nonlocalized == "WARNING" else "note"
    say(f"{word}: {notice.message_primary}{f' ({more})' if more else ''}")


@contextlib.contextmanager
def target(database: str | None) -> Generator[Target]:
    """The database of a command; the embedded server of a folder runs until the block ends."""
    folder = _folder(database)
    if folder is None:
        conninfo = database or ""
        if conninfo and "=" not in conninfo and "://" not in conninfo:
            conninfo = make_conninfo(dbname=conninfo)  # a bare name, as psql takes it
        yield Target(conninfo=conninfo, uri=conninfo, option=without_passwords(database or ""))
        return
    with embedded(folder) as server:
        yield server


def without_passwords(database: str) -> str:
    """What names the same database, without passwords; nothing where it cannot be read."""
    if "=" not in database and "://" not in database:
        return database
    try:
        given = conninfo_to_dict(database)
    except psycopg.Error:
        return ""
    kept = {name: value for name, value in given.items() if name not in _SECRET}
    return database if len(kept) == len(given) else make_conninfo("", **kept)


_SECRET = ("password", "sslpassword", "oauth_client_secret")


@contextlib.contextmanager
def embedded(folder: Path) -> Generator[Target]:
    """The embedded server of a folder, started when it is not up."""
    with EmbeddedServer(folder, say=say) as server:
        yield Target(conninfo=server.conninfo, uri=server.uri, option=shown(folder), folder=folder)


@contextlib.contextmanager
def connection(database: str | None) -> Generator[Connection]:
    """An autocommit connection to the database of a command."""
    with target(database) as where, connect(where.conninfo) as conn:
        yield conn


@contextlib.contextmanager
def connect(conninfo: str) -> Generator[Connection]:
    """An autocommit connection that is closed at the end of the block."""
    if "\0" in conninfo:
        raise CliError("--database holds a NUL character")
    with psycopg.connect(conninfo, autocommit=True, connect_timeout=10, application_name="dfc") as conn:
        yield conn


def shown(path: Path) -> str:
    """A path as a person in this directory would write it."""
    with contextlib.suppress(ValueError, OSError):
        return os.path.relpath(path) if path.resolve().is_relative_to(Path.cwd()) else str(path)
    return str(path)


def _folder(database: str | None) -> Path | None:
    """The folder of an embedded database, None for a server elsewhere."""
    if database is None or not database.strip():
        near = Path(EMBEDDED)
        return near if near.is_dir() and not any(name in os.environ for name in LIBPQ) else None
    if "=" in database or "://" in database:
        return None
    path = Path(database).expanduser()
    if (path / EMBEDDED).is_dir():
        return path / EMBEDDED
    if (path / "start.lock").exists() or (path.name == EMBEDDED and path.is_dir()):
        return path
    if "/" in database or path.name == EMBEDDED:
        raise CliError(f"there is no embedded database in `{database}`: `dfc up` makes one")
    return None
