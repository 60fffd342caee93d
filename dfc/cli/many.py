"""What the commands share that ask something of workflows: of some, or of all with a label or status."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import click
import psycopg

from dfc.cli.database import Connection, connection, database_option, say, say_notice
from dfc.cli.errors import explain_database
from dfc.cli.queries import query
from dfc.cli.show import resolve

CHOSEN_MAX: Final = 100_000
"""So many at most are chosen by label and status; what is left is for the next call."""


def choosing(statuses: Sequence[str]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The arguments of a command that may be about many; `statuses` are those that it makes sense for."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            database_option,
            click.option("--status", type=click.Choice(statuses), help="All with this status."),
            click.option("--label", help="All with this label."),
            click.argument("ids", metavar="[ID]...", nargs=-1),
        ):
            function = option(function)
        return function

    return decorate


def ask(
    what: str,
    ids: Sequence[str],
    *,
    label: str | None,
    status: str | None,
    statuses: Sequence[str],
    database: str | None,
    values: Mapping[str, object] | None = None,
) -> int:
    """Send the query `what` for each workflow, each in a transaction of its own; the exit code.

    One that is refused does not keep the others from being asked.
    """
    by_option = label is not None or status is not None
    if bool(ids) is by_option:
        raise click.UsageError("give either IDs, or --label, --status or both to choose by")
    refused = 0
    with connection(database) as conn:
        conn.add_notice_handler(say_notice)
        chosen = [resolve(conn, id) for id in ids] if ids else _chosen(conn, label, status, statuses)
        for id in chosen:
            try:
                row = conn.execute(query(what), {"id": id, **(values or {})}).fetchone()
            except psycopg.Error as error:
                if conn.closed or len(chosen) == 1:
                    raise
                refused += 1
                say(f"dfc: {explain_database(error)}")
            else:
                click.echo(row[0] if row else "")
        if by_option:
            say(f"{len(chosen) - refused} of {len(chosen)} workflows")
    return 1 if refused else 0


def _chosen(conn: Connection, label: str | None, status: str | None, statuses: Sequence[str]) -> list[str]:
    wanted = [status] if status is not None else list(statuses)
    rows = conn.execute(query("chosen"), {"statuses": wanted, "label": label, "limit": CHOSEN_MAX})
    return [str(row[0]) for row in rows]
