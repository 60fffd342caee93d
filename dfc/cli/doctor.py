"""`dfc doctor`: what may keep workflows from running on a database, and what to do."""

from __future__ import annotations

import json

import click

from dfc.cli.database import connect, database_option, target
from dfc.cli.errors import NOT_INSTALLED, CliError
from dfc.cli.queries import query
from dfc.cli.work import workers_alive
from dfc.executor.migrate import SchemaState, check


@click.command("doctor")
@database_option
@click.option("--json", "as_json", is_flag=True, help="Print an array of findings.")
def command(database: str | None, as_json: bool) -> int:
    """Check the schema, the operators, the workers. Exit code 1 when something has to be done."""
    findings: list[dict[str, object]] = []
    with target(database) as where:
        state = check(where.conninfo)
        if state is SchemaState.NOT_INSTALLED:
            raise CliError(NOT_INSTALLED)
        findings.append(_schema(state))
        with connect(where.conninfo) as conn:
            version = conn.info.server_version
            found = f"PostgreSQL {version // 10000}.{version % 10000}"
            findings.append({"check": "server", "ok": version >= 150000, "found": found, "do": ""})
            alive = workers_alive(conn)
            findings.append(
                {
                    "check": "workers",
                    "ok": alive,
                    "found": "alive" if alive else "none is alive",
                    "do": ""
                    if alive
                    else "start one with `dfc worker`, or `dfc up` for an embedded database",
                }
            )
            findings.extend(_server_side(conn.execute(query("doctor")).fetchall()))
    if as_json:
        click.echo(json.dumps(findings, ensure_ascii=False, indent=2))
    else:
        for each in findings:
            todo = f": {each['do']}" if each["do"] else ""
            click.echo(f"{'ok  ' if each['ok'] else 'BAD '} {each['check']}: {each['found']}{todo}")
    return 0 if all(each["ok"] for each in findings) else 1


def _schema(state: SchemaState) -> dict[str, object]:
    todo = {
        SchemaState.OLDER: "run `dfc init` to bring it up to date",
        SchemaState.NEWER: "upgrade dfc: the schema is newer than this program",
    }
    ok = state is SchemaState.SAME
    found = "up to date" if ok else state.value
    return {"check": "schema", "ok": ok, "found": found, "do": todo.get(state, "")}


def _server_side(rows: list[tuple[object, ...]]) -> list[dict[str, object]]:
    """What df.doctor() found in this session."""
    return [{"check": row[0], "ok": row[1], "found": row[2], "do": row[3] or ""} for row in rows]
