"""`dfc signal`: tell a workflow something that it waits for."""

from __future__ import annotations

import click

from dfc.cli.database import connection, database_option, say_notice
from dfc.cli.queries import query
from dfc.cli.show import resolve


@click.command("signal")
@click.argument("words", nargs=-1, metavar="[ID] NAME [DATA]")
@click.option("--label", help="Instead of an ID: all workflows with this label that have not ended.")
@click.option("--dedupe-key", "key", help="A second signal with this name and key to a workflow is ignored.")
@database_option
def command(words: tuple[str, ...], label: str | None, key: str | None, database: str | None) -> int:
    """Send the signal NAME to the workflow ID (a unique prefix is enough).

    DATA is JSON, or any other text; the workflow reads it as `$x.data`. It is kept until somebody waits.
    Where nobody will, a warning says so; the exit code is 0 all the same.
    """
    wanted = "ID NAME [DATA]" if label is None else "NAME [DATA] with --label"
    least = 2 if label is None else 1
    if not least <= len(words) <= least + 1:
        raise click.UsageError(f"give {wanted}, DATA in quotes where it has blanks")
    name, *data = words[least - 1 :]
    arguments = {"name": name, "data": data[0] if data else None, "key": key}
    with connection(database) as conn:
        conn.add_notice_handler(say_notice)
        if label is None:
            row = conn.execute(query("signal"), {"id": resolve(conn, words[0]), **arguments}).fetchone()
        else:
            row = conn.execute(query("signal_all"), {"label": label, **arguments}).fetchone()
    click.echo(row[0] if row else "")
    return 0
