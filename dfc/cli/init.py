"""`dfc init`: the df schema of a database, or the markers of another one, installed or brought up to date."""

from __future__ import annotations

import click
from psycopg.conninfo import make_conninfo

from dfc.cli.database import database_option, target
from dfc.cli.errors import CliError
from dfc.executor.markers import install_markers
from dfc.executor.migrate import MigrationReport, SchemaState, install


@click.command("init")
@click.argument("other", required=False, metavar="[OTHER]")
@database_option
@click.option("--markers", is_flag=True, help="Install what steps with `database => ...` need, and not df.")
def command(other: str | None, database: str | None, markers: bool) -> int:
    """Install the df schema, or bring it up to this program's version.

    With --markers the database becomes one where steps of workflows can run that are started in another
    database of the cluster; OTHER is its name, on the same server. PostgreSQL 15 or later. Safe to repeat,
    and to run from several places at once.
    """
    if other is not None and not markers:
        raise CliError("the name of another database goes with --markers; name this one with --database")
    with target(database) as where:
        if markers:
            conninfo = where.conninfo if other is None else make_conninfo(where.conninfo, dbname=other)
            _say("df_markers schema", install_markers(conninfo))
        else:
            _say("df schema", install(where.conninfo))
    return 0


def _say(what: str, report: MigrationReport) -> None:
    for notice in report.notices:
        click.echo(f"note: {notice}", err=True)
    if report.applied:
        done = "installed" if report.before is SchemaState.NOT_INSTALLED else "upgraded"
        click.echo(f"{done} the {what}, version {report.version}")
    elif report.code_replaced:
        click.echo(f"the {what} has version {report.version}; its functions have been replaced")
    else:
        click.echo(f"the {what} is up to date, version {report.version}")
