"""The statements of a file that go to the server as they are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg

from dfc.cli.copying import ClientCopy, body, client_copy
from dfc.cli.database import Connection
from dfc.cli.errors import CliError
from dfc.cli.present import table

COPY_BYTES = 1 << 20
TRANSACTION = re.compile(
    r"(BEGIN|START\s+TRANSACTION|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|PREPARE\s+TRANSACTION)\b",
    re.IGNORECASE,
)
NO_TRANSACTION_CONTROL = "each statement of a file commits by itself; transaction control has no place in it"
SESSION = re.compile(r"(SET|RESET)\b(?!\s+LOCAL)", re.IGNORECASE)


def is_transaction_control(text: str) -> bool:
    """Whether the statement begins or ends a transaction: each statement of a file is one by itself."""
    return TRANSACTION.match(body(text)) is not None


def is_session_setting(text: str) -> bool:
    """Whether the statement changes the session, so that a continued run has to repeat it."""
    return SESSION.match(body(text)) is not None


def execute(conn: Connection, text: str, folder: Path, *, show: bool) -> None:
    """Run a statement of a file, in a transaction that is open or by itself, and print the rows it gives.

    Raises CliError when COPY's file cannot be read, psycopg.Error for what the server says.
    """
    copy = client_copy(text, folder)
    if copy is not None:
        _copy(conn, copy)
        return
    cursor: psycopg.Cursor[tuple[Any, ...]] = conn.execute(cast(LiteralString, text))
    if show and cursor.description:
        answer = cursor.pgresult
        assert answer is not None
        rows = [
            [_plain(value, answer.get_value(number, at)) for at, value in enumerate(row)]
            for number, row in enumerate(cursor.fetchmany(51))
        ]
        table([column.name for column in cursor.description], rows[:50])
        if len(rows) > 50:
            table(["..."], [])


def _copy(conn: Connection, copy: ClientCopy) -> None:
    try:
        source = copy.path.open("rb")
    except OSError as error:
        raise CliError(f"COPY cannot read `{copy.path}`: {error.strerror}") from None
    with source, conn.cursor() as cursor, cursor.copy(cast(LiteralString, copy.sql)) as sink:
        while block := source.read(COPY_BYTES):
            sink.write(block)


def _plain(value: object, written: bytes | None) -> object:
    """A value, or, where it is neither a number nor a text, what PostgreSQL has written."""
    if written is None or isinstance(value, int | float | str):
        return value
    return bytes(written).decode(errors="replace")
