"""`dfc start`: start workflows, and print their ids."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import LiteralString, cast

import click

from dfc.cli.compile import starting
from dfc.cli.compiling import compile_path, pick
from dfc.cli.database import Connection, connection, database_option, say_notice
from dfc.cli.errors import CliError
from dfc.cli.queries import query
from dfc.cli.sources import START, Compiled, Server, Statement, Workflow, is_start

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


@click.command("start")
@click.argument("file", required=False, metavar="FILE|NAME")
@click.option("--sql", "text", metavar="TEXT", help="A SQL statement to run as a workflow of one step.")
@click.option("--workflow", metavar="NAME", help="Only the workflow of FILE with this label.")
@click.option("--label", help="The label; default: the one in the file, or the name.")
@click.option("--input", "given", metavar="JSON", help="The input of the workflow.")
@click.option("--idempotency-key", metavar="KEY", help="Start once under this key; again gives the same id.")
@click.option("--queue", metavar="NAME", help="The queue; workers with --queue serve only theirs.")
@click.option("--priority", type=int, help="Higher ones start first.")
@click.option("--start-at", metavar="TIME", help="Not before this time, as PostgreSQL reads it.")
@click.option("--record", is_flag=True, help="Keep the whole journal, for `dfc export`.")
@click.option("--json", "as_json", is_flag=True, help="Print an array of ids and labels.")
@database_option
def command(
    file: str | None,
    text: str | None,
    workflow: str | None,
    label: str | None,
    record: bool,
    as_json: bool,
    database: str | None,
    given: str | None,
    idempotency_key: str | None,
    queue: str | None,
    priority: int | None,
    start_at: str | None,
) -> int:
    """Start the workflows of FILE, the defined workflow NAME, or --sql TEXT, and do not wait.

    Other statements of the file are not run: `dfc run` does that.
    """
    if (file is None) == (text is None):
        raise click.UsageError("name a FILE or a defined workflow, or give --sql TEXT, one of them")
    if file is not None and _is_name(file):
        text, file = file, None
    options: dict[str, object] = {
        "input": given,
        "idempotency_key": idempotency_key,
        "queue": queue,
        "priority": priority,
        "start_at": start_at,
    }
    if file is not None and any(value is not None for value in options.values()):
        raise click.UsageError(
            "of a FILE the statements say how it starts: give these options with a NAME or --sql"
        )
    statements = () if file is None else _starts(compile_path(file), workflow)
    if text is not None and Path(text).suffix == ".dfsql" and Path(text).is_file():
        raise CliError(f"--sql takes SQL; for a file write `dfc start {text}`")
    started: list[dict[str, object]] = []
    with connection(database) as conn:
        conn.add_notice_handler(say_notice)
        with conn.transaction():
            if record:
                conn.execute(query("record"))
            if text is not None:
                started.append({"id": _start_text(conn, text, {"label": label, **options}), "label": label})
            for each in statements:
                name = label or (each.label if isinstance(each, Workflow) else None)
                started.append({"id": _start(conn, each, name), "label": name})
    if as_json:
        click.echo(json.dumps(started, ensure_ascii=False, indent=2))
    else:
        for line in started:
            click.echo(line["id"])
    return 0


def _starts(compilation: Compiled, name: str | None) -> tuple[Statement, ...]:
    """The statements of a file that start something, or the one workflow with this label."""
    if name is None and any(is_start(each) for each in compilation.statements):
        return tuple([each for each in compilation.statements if is_start(each)])
    chosen = tuple([each for each in pick(compilation, name) if each.submit == START])
    if not chosen:
        raise CliError(f"{compilation.name} starts no workflow: write `SELECT df.start(...);`")
    return chosen


def _start(conn: Connection, statement: Statement, label: str | None) -> str:
    if isinstance(statement, Server):
        row = conn.execute(cast(LiteralString, statement.text)).fetchone()
    else:
        row = conn.execute(query("start"), starting(statement, label)).fetchone()
    assert row is not None
    return str(row[0])


def _is_name(word: str) -> bool:
    """Whether the argument is the name of a defined workflow: one word, and no file."""
    return _NAME.fullmatch(word) is not None and not Path(word).exists()


def _start_text(conn: Connection, text: str, options: Mapping[str, object]) -> str:
    row = conn.execute(query("start_text"), {"text": text, **options}).fetchone()
    assert row is not None
    return str(row[0])
