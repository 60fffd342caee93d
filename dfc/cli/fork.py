"""`dfc fork`: begin a workflow again at one of its steps, as a new one."""

from __future__ import annotations

import click

from dfc.cli.database import connection, database_option, say_notice
from dfc.cli.queries import query
from dfc.cli.show import resolve


@click.command("fork")
@click.argument("id")
@click.argument("step")
@click.option("--label", help="Of the new one. [default: the label of the other one, with `(fork)`]")
@database_option
def command(id: str, step: str, label: str | None, database: str | None) -> int:
    """Start a workflow like ID that takes over what came before STEP, and print its id.

    ID may be the beginning of an id; STEP stands at the top of the workflow, not inside of a part.
    """
    with connection(database) as conn:
        conn.add_notice_handler(say_notice)
        values = {"id": resolve(conn, id), "step": step, "label": label}
        row = conn.execute(query("fork"), values).fetchone()
    click.echo(row[0] if row else "")
    return 0
