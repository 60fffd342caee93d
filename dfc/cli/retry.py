"""`dfc retry`: let a failed workflow go on from where it failed."""

from __future__ import annotations

import click

from dfc.cli.many import ask, choosing

STATUSES = ("failed",)


@click.command("retry")
@choosing(STATUSES)
def command(ids: tuple[str, ...], label: str | None, status: str | None, database: str | None) -> int:
    """Let failed workflows go on from where they failed; what has completed stays as it is.

    ID may be the beginning of an id; or choose, as in `--label nightly --status failed`.
    """
    return ask("retry", ids, label=label, status=status, statuses=STATUSES, database=database)
