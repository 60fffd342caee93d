"""`dfc resume`: let a paused workflow go on."""

from __future__ import annotations

import click

from dfc.cli.many import ask, choosing

STATUSES = ("paused",)


@click.command("resume")
@choosing(STATUSES)
def command(ids: tuple[str, ...], label: str | None, status: str | None, database: str | None) -> int:
    """Let paused workflows go on, at once; timers that have passed are over.

    ID may be the beginning of an id; or choose with --label and --status.
    """
    return ask("resume", ids, label=label, status=status, statuses=STATUSES, database=database)
