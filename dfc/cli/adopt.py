"""`dfc adopt`: let a copied database run workflows."""

from __future__ import annotations

import click

from dfc.cli.database import connection, database_option
from dfc.cli.queries import query
from dfc.executor.migrate import system_identifier


@click.command("adopt")
@database_option
def command(database: str | None) -> int:
    """Declare this database the original: workers run what is in it, from where the copy was made.

    A restored dump or a template copy runs nothing by itself, because the original may still be at work. A
    copy of a whole server's files has the identity of its original, and is not noticed.
    """
    with connection(database) as conn:
        conn.execute(query("adopt"), {"cluster": system_identifier(conn)})
    click.echo("adopted: workers run the workflows of this database now")
    return 0
