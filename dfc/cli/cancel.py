"""`dfc cancel`: ask for the end of a workflow."""

from __future__ import annotations

import click

from dfc.cli.database import connection, database_option, say_notice
from dfc.cli.queries import query
from dfc.cli.show import resolve


@click.command("cancel")
@click.argument("id")
@click.option(
    "--reason", default="Cancelled by user", show_default=True, help="Stays in the workflow's error."
)
@database_option
def command(id: str, reason: str, database: str | None) -> int:
    """Cancel the workflow ID (a unique prefix is enough): what runs is rolled back, what committed stays."""
    with connection(database) as conn:
        conn.add_notice_handler(say_notice)
        row = conn.execute(query("cancel"), {"id": resolve(conn, id), "reason": reason}).fetchone()
    click.echo(row[0] if row else "")
    return 0
