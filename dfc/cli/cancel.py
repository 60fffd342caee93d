"""`dfc cancel`: ask for the end of a workflow."""

from __future__ import annotations

import click

from dfc.cli.many import ask, choosing

STATUSES = ("pending", "running", "paused")


@click.command("cancel")
@choosing(STATUSES)
@click.option(
    "--reason", default="Cancelled by user", show_default=True, help="Stays in the workflow's error."
)
def command(
    ids: tuple[str, ...], label: str | None, status: str | None, database: str | None, reason: str
) -> int:
    """Cancel workflows: what runs is rolled back, what committed stays.

    ID may be the beginning of an id; or choose with --label and --status.
    """
    values = {"reason": reason}
    return ask("cancel", ids, label=label, status=status, statuses=STATUSES, database=database, values=values)
