"""What keeps steps from running in other databases, as far as this role can see."""

from __future__ import annotations

import psycopg
from psycopg.conninfo import make_conninfo

from dfc.cli.database import Connection, connect
from dfc.cli.queries import query

Finding = tuple[str, str, str, str | None]


def findings(conninfo: str, conn: Connection) -> list[Finding]:
    """A finding for each other database in which steps of workflows run that have not ended."""
    names = [str(row[0]) for row in conn.execute(query("databases_used")).fetchall()]
    return [_finding(conninfo, name) for name in names]


def _finding(conninfo: str, name: str) -> Finding:
    check = f"database {name}"
    try:
        with connect(make_conninfo(conninfo, dbname=name)) as conn:
            row = conn.execute(query("markers")).fetchone()
    except psycopg.OperationalError as error:
        return (check, "error", str(error).strip().splitlines()[-1], "Steps of workflows are to run there.")
    assert row is not None
    if not row[0]:
        return (check, "error", "has no markers", f"Run: dfc init --database {name} --markers")
    if not row[1]:
        hint = f"An administrator runs there: SELECT df_markers.grant_usage('{row[2]}')"
        return (check, "error", f"role {row[2]} may not use its markers", hint)
    return (check, "ok", "has markers", None)
