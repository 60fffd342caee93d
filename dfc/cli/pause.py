"""`dfc pause`: let nothing new begin in a workflow."""

from __future__ import annotations

import click

from dfc.cli.many import ask, choosing

STATUSES = ("pending", "running")


@click.command("pause")
@choosing(STATUSES)
def command(ids: tuple[str, ...], label: str | None, status: str | None, database: str | None) -> int:
    """Pause workflows: what runs comes to its end, nothing new begins.

    ID may be the beginning of an id; or choose with --label and --status.
    """
    return ask("pause", ids, label=label, status=status, statuses=STATUSES, database=database)
