"""`dfc reset`: remove the embedded database of a folder."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dfc.cli.database import EMBEDDED, shown
from dfc.cli.errors import CliError
from dfc.executor.embedded import reset


@click.command("reset")
@click.argument("folder", default=".")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def command(folder: str, yes: bool) -> int:
    """Remove the embedded database of FOLDER (default: this one), with everything in it."""
    parent = Path(folder)
    data = parent if parent.name == EMBEDDED else parent / EMBEDDED
    if not data.exists():
        click.echo(f"there is no embedded database in {shown(parent)}")
        return 0
    if not yes:
        if not sys.stdin.isatty():
            raise CliError(f"this removes {shown(data)} and everything in it: say --yes")
        click.confirm(f"Remove {shown(data)} and everything in it?", abort=True)
    reset(data)
    click.echo(f"removed {shown(data)}")
    return 0
