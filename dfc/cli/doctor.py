"""`dfc doctor`: what may keep workflows from running on a database, and what to do."""

from __future__ import annotations

import json

import click

from dfc.cli.database import connect, database_option, target
from dfc.cli.elsewhere import findings
from dfc.cli.errors import NEWER, NOT_INSTALLED, OLDER, CliError
from dfc.cli.queries import query
from dfc.executor.migrate import SchemaState, check


@click.command("doctor")
@database_option
@click.option("--json", "as_json", is_flag=True, help="Print an array of findings.")
def command(database: str | None, as_json: bool) -> int:
    """Check server, schema, workers, rights and operators. Exit code 1 when something has to be done."""
    with target(database) as where:
        state = check(where.conninfo)
        if state is SchemaState.NOT_INSTALLED:
            raise CliError(NOT_INSTALLED)
        with connect(where.conninfo) as conn:
            rows = [tuple(row) for row in conn.execute(query("doctor")).fetchall()]
            if state is SchemaState.SAME:
                rows += findings(where.conninfo, conn)
    if state is not SchemaState.SAME:
        rows.append(
            (
                "program",
                "error",
                f"the schema is {state.value}",
                NEWER if state is SchemaState.NEWER else OLDER,
            )
        )
    if as_json:
        names = ("check", "status", "detail", "hint")
        click.echo(
            json.dumps([dict(zip(names, row, strict=True)) for row in rows], ensure_ascii=False, indent=2)
        )
    else:
        width = max(len(row[0]) for row in rows)
        for name, status, detail, hint in rows:
            click.echo(
                f"{status:<7} {name:<{width}}  {detail}" + (f"\n{'':<{width + 10}}{hint}" if hint else "")
            )
    return 1 if any(row[1] == "error" for row in rows) else 0
