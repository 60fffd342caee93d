"""`dfc init`: the df schema of a database, installed or brought up to date."""

from __future__ import annotations

import click

from dfc.cli.database import database_option, target
from dfc.executor.migrate import SchemaState, install


@click.command("init")
@database_option
def command(database: str | None) -> int:
    """Install the df schema, or bring it up to this program's version.

    PostgreSQL 15 or later. Safe to repeat, and to run from several places at once.
    """
    with target(database) as where:
        report = install(where.conninfo)
    for notice in report.notices:
        click.echo(f"note: {notice}", err=True)
    if report.applied:
        done = "installed" if report.before is SchemaState.NOT_INSTALLED else "upgraded"
        click.echo(f"{done} the df schema, version {report.version}")
    elif report.code_replaced:
        click.echo(f"the df schema has version {report.version}; its functions have been replaced")
    else:
        click.echo(f"the df schema is up to date, version {report.version}")
    return 0
