"""`dfc list`: the newest workflows."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import click

from dfc.cli import present
from dfc.cli.database import connection, database_option
from dfc.cli.queries import query
from dfc.cli.work import why_unserved

STATUSES = ("pending", "running", "paused", "completed", "failed", "cancelled", "compensated")


@click.command("list")
@database_option
@click.option("--status", type=click.Choice(STATUSES), help="Only these.")
@click.option("--label", help="Only with this label.")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=30, show_default=True, help="At most this many."
)
@click.option("--json", "as_json", is_flag=True, help="Print an array.")
def command(database: str | None, status: str | None, label: str | None, limit: int, as_json: bool) -> int:
    """List workflows, newest first."""
    with connection(database) as conn:
        rows = conn.execute(query("list"), {"status": status, "label": label, "limit": limit}).fetchall()
        reasons = why_unserved(conn)
    if as_json:
        names = ("id", "label", "status", "submitted_by", "created_at", "completed_at", "seconds")
        found = [dict(zip(names, map(_json, row), strict=True)) for row in rows]
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return 0
    if reasons:
        click.echo("\n".join(reasons) + "\n")
    if not rows:
        click.echo("no workflows")
        return 0
    lines = [
        (row[0], row[1], row[2], row[3], row[4].strftime("%Y-%m-%d %H:%M:%S"), f"{row[6]:.1f}")
        for row in rows
    ]
    present.table(("id", "label", "status", "by", "created", "seconds"), lines)
    return 0


def _json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
