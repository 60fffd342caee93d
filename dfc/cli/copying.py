"""COPY from a file beside the workflow (docs/adr/0006)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

BLANKS = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*(?:[^*]|\*(?!/))*\*/)*")
COPY = re.compile(r"COPY\s+(?!\()(?P<table>[^']*?)\sFROM\s+'(?P<path>(?:[^'\\]|'')+)'", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCopy:
    """A COPY that reads a file of this machine: the statement as the server gets it, and the file.

    `psql` is the same for psql, which wants it in one line.
    """

    sql: str
    path: Path

    @property
    def psql(self) -> str:
        """The statement as psql's `\\copy`."""
        before, _, after = self.sql.partition(" STDIN")
        path = str(self.path).replace("'", "''")
        return f"\\copy {' '.join(before[4:].split())} '{path}' {' '.join(after.split())}"


def body(text: str) -> str:
    """A statement without the blanks and comments in front of it."""
    match = BLANKS.match(text)
    return text[match.end() :] if match else text


def client_copy(text: str, folder: Path) -> ClientCopy | None:
    """COPY ... FROM with a relative path, which means a file beside the workflow (docs/adr/0006)."""
    statement = body(text)
    match = COPY.match(statement)
    if match is None:
        return None
    path = Path(match["path"].replace("''", "'"))
    if path.is_absolute():
        return None
    literal_start = match.start("path") - 1
    sql = statement[:literal_start] + "STDIN" + statement[match.end("path") + 1 :]
    return ClientCopy(sql=sql, path=folder / path)
