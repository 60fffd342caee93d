"""`dfc export`: what has happened to a workflow, as one JSON document (docs/journal.md)."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from psycopg.rows import dict_row

from dfc import __version__
from dfc.cli.database import Connection, connection, database_option, say
from dfc.cli.errors import CliError
from dfc.cli.queries import query
from dfc.cli.replacing import write_output
from dfc.cli.show import resolve
from dfc.executor.journal_json import event_json
from dfc.executor.live import record
from dfc.executor.redact import NeedsValues, without_values
from dfc.executor.replay import FORMAT


@click.command("export")
@click.argument("id")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="A file. [default: print it]")
@click.option("--no-values", is_flag=True, help="Digests instead of values that no decision needs.")
@database_option
def command(id: str, output: Path | None, no_values: bool, database: str | None) -> int:
    """Write what has happened to the workflow ID, or the only one whose id begins with ID, as JSON.

    The whole journal is there of a workflow that was started with df.record = on (dfc start --record), of
    others what is known now. `dfc replay FILE` folds it once more.
    """
    with connection(database) as conn:
        document = exported(conn, resolve(conn, id))
    if no_values:
        try:
            document = without_values(document)
        except NeedsValues as error:
            raise CliError(str(error)) from None
    if not document["recorded"]:
        say("note: it was not recorded: the document has what is known now, and no events or decisions")
    elif not document["entries"]:
        say("note: it has not begun, so there is nothing in its journal")
    elif not document["complete"]:
        say("note: the journal reached journal_bytes_max: what came later is not in it")
    text = written(document)
    if output is None:
        click.echo(text, nl=False)
    else:
        write_output(str(output), text)
    return 0


def exported(conn: Connection, id: str) -> dict[str, Any]:
    """The document of an instance. Raises CliError where there is none."""
    # One snapshot, so that what it says of a running workflow fits together.
    with conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        with conn.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(query("export"), {"id": id}).fetchone()
        entries = conn.execute(query("export_entries"), {"id": id}).fetchall()
        live = conn.execute(query("export_live"), {"id": id}).fetchall()
    if row is None:
        raise CliError(f"there is no workflow `{id}`, or it is not yours: `dfc list` shows those there are")
    recorded = row.pop("recorded")
    journal = [
        {"number": number, "worker": worker, "at": _time(at), **entry}
        for number, worker, at, entry in entries
    ]
    return {
        "format": FORMAT,
        "dfc": __version__,
        **{field: _time(value) if isinstance(value, datetime) else value for field, value in row.items()},
        "values": True,
        "recorded": recorded,
        "complete": not any(entry["kind"] == "full" for entry in journal),
        "live": [event_json(record(each)) for each in live],
        "entries": journal,
    }


def written(document: dict[str, Any]) -> str:
    """The text of a document: an entry or a record a line, so that two of them can be compared."""
    lines: list[str] = []
    for key, value in document.items():
        if key in ("live", "entries") and value:
            parts = ",\n".join(f"  {_json(part)}" for part in value)
            lines.append(f" {_json(key)}: [\n{parts}\n ]")
        else:
            lines.append(f" {_json(key)}: {_json(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
