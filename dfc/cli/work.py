"""What commands know of workers."""

from __future__ import annotations

from dfc.cli.database import Connection
from dfc.cli.queries import query


def workers_alive(conn: Connection) -> bool:
    """Whether a worker is at work on this database."""
    row = conn.execute(query("workers_alive")).fetchone()
    return row is not None and row[0] is True
