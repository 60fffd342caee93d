"""What goes wrong outside a workflow, as one line that says what to do."""

from __future__ import annotations

import errno
import re
import sys
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import psycopg


class CliError(Exception):
    """An error whose message is the whole story: one line that says what to do."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


NOT_INSTALLED = "the df schema is not installed in this database: run `dfc init --database ...` first"
OLDER = "the df schema is older than this program: run `dfc init --database ...`"
NEWER = "the df schema is newer than this program: upgrade dfc"
DISK_FULL = (
    "the disk is full: make room, then run the same command again; nothing that was checkpointed is lost"
)

BY_SQLSTATE = {
    "28P01": "the password is wrong or missing: set PGPASSWORD, use ~/.pgpass, or put it into the URL",
    "53100": DISK_FULL,
    "53300": "the database has no connection left: raise max_connections, or run fewer workers and --slots",
    "57P01": "PostgreSQL is shutting down: start it, then run the same command again; nothing is lost",
    "57P02": "PostgreSQL has crashed: start it, then run the same command again; nothing is lost",
    "57P03": "PostgreSQL is starting up or shutting down: try again in a moment",
}
"""Server errors that have an answer of their own, whatever language the server speaks."""

BY_TEXT = (
    ("password authentication failed", BY_SQLSTATE["28P01"]),
    ("no password supplied", BY_SQLSTATE["28P01"]),
    ("no pg_hba.conf entry", "the server's pg_hba.conf does not let this user in from here"),
    ("too many clients", BY_SQLSTATE["53300"]),
    ("the database system is", BY_SQLSTATE["57P03"]),
    ("could not translate host name", "the host name is not known: check --database, DFC_DATABASE or PGHOST"),
    ("failed to resolve host", "the host name is not known: check --database, DFC_DATABASE or PGHOST"),
)
"""Errors of a connection attempt, for which libpq gives no SQLSTATE."""


def explain(error: BaseException) -> str | None:
    """One line for an error that can be foreseen, None for one that cannot."""
    if isinstance(error, CliError):
        return str(error)
    if type(error).__module__.startswith("dfc."):
        return _line(str(error)) or type(error).__name__
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return DISK_FULL
    if isinstance(error, FileNotFoundError) and error.filename is None:
        return "the current folder has been removed: change to another one"
    if isinstance(error, PermissionError) and error.filename:
        return f"no permission for `{error.filename}`"
    module = sys.modules.get("psycopg")
    if module is not None and isinstance(error, module.Error):
        return explain_database(cast("psycopg.Error", error))
    return None


def without_state(error: psycopg.Error) -> str:
    """The same line without the SQLSTATE, for where that stands in front."""
    return explain_database(error).replace(f" [{error.sqlstate}]", "", 1)


def explain_database(error: psycopg.Error) -> str:
    """One line for an error of the database or of the way to it."""
    state = error.sqlstate
    text = str(error)
    if state in BY_SQLSTATE:
        return BY_SQLSTATE[state]
    if state is None:
        return _explain_connection(text)
    message = error.diag.message_primary or _line(text)
    if state in ("3F000", "42P01", "42883", "42704") and (
        '"df"' in message or '"df.' in message or " df." in message or "~>" in message
    ):
        return NOT_INSTALLED
    if state == "3D000":
        return f"{message}: create it with `createdb`, or check --database"
    detail = "; ".join((error.diag.message_detail or "").removesuffix(".").splitlines())
    hint = f" ({error.diag.message_hint})" if error.diag.message_hint else ""
    return f"{message} [{state}]{': ' if detail else ''}{detail}{hint}"


def _explain_connection(text: str) -> str:
    for part, answer in BY_TEXT:
        if part in text:
            return answer
    line = _line(text)
    if any(part in text for part in _NOT_READ):
        return f"--database is not a connection string or URL{_without_quotes(line)}"
    if "service" in line and "not found" in line:
        return f"{line}: check PGSERVICE, `service=` and the service file"
    if "does not exist" in text:
        return f"{line}: create it, or check --database"
    if "server closed the connection" in text or "connection is lost" in text:
        return "the connection to PostgreSQL broke off: start PostgreSQL, then run the same command again"
    refused = line.partition("FATAL:")[2].strip()
    if refused:
        return f"PostgreSQL refuses the connection: {refused}"
    return f"no PostgreSQL answers ({line}): start it, or say where it is with --database URL"


_NOT_READ = (
    "percent-encoded",
    "connection info string",
    "connection option",
    "connection URI",
    "in URI",
    "URI query parameter",
    "invalid port number",
)
"""In libpq's messages about a connection string that it cannot take apart."""


def _without_quotes(line: str) -> str:
    """What libpq says about a connection string, without what it quotes: that may be a part of a password."""
    said = line.partition('"')[0].strip(" :")
    option = re.search(r' for connection option "(\w+)"$', line)
    why = f" ({said}{f' for `{option[1]}`' if option else ''})" if " " in said else ""
    return f"{why}{_ESCAPES}"


_ESCAPES = (
    ": a URL is like postgresql://user:password@host:5432/name; in a password %25, %40, %3A, %2F, %3F, %23"
    " stand for `%@:/?#`"
)


def _line(text: str) -> str:
    """The last line of libpq's message that says something, without its prefix."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    known = [
        line for line in lines if "Is the server running" not in line and not line.startswith("Multiple")
    ]
    line = (known or lines or [""])[-1]
    for prefix in ("connection failed: ", "connection is bad: "):
        line = line.removeprefix(prefix)
    return line
