"""`dfc deploy`: definitions and schedules of a database become what a file says.

The statements are carried out in one transaction, and what they have changed is read from the database. At
first that transaction is taken back, so that what is shown before the question is what would be done.
"""

from __future__ import annotations

import difflib
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, LiteralString, cast

import click
import psycopg

from dfc.cli.compiling import compile_path
from dfc.cli.database import Connection, connection, database_option, say, say_notice
from dfc.cli.errors import CliError, without_state
from dfc.cli.provenance import render_at
from dfc.cli.queries import query
from dfc.cli.sources import START, Compiled, Server, Statement, Workflow

_LONG = ("body", "on_failure", "workflow")
"""Fields that are drawings of several lines."""

_DEPLOYED = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*select\s+df\s*\.\s*"
    r"(define|undefine|schedule|unschedule|pause_schedule|resume_schedule)\s*\(",
    re.IGNORECASE | re.DOTALL,
)
"""The beginning of a statement that the compiler leaves to the server, and that is deployed."""

_TAKES_AWAY = ("undefine", "unschedule")

_HIDDEN = "expression"
"""Tells whether something has changed where its drawing has not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A definition or schedule, as it stands in the database."""

    version: str | None
    fields: Mapping[str, Any]


State = Mapping[tuple[str, str], Deployed]


@click.command("deploy")
@click.argument("file")
@database_option
@click.option("--dry-run", is_flag=True, help="Show the difference, change nothing; exit 1 if there is one.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def command(file: str, database: str | None, dry_run: bool, yes: bool) -> int:
    """Bring the definitions and schedules of a database to what FILE says.

    The difference is shown, and applied in one transaction. Only SELECT df.define(...), df.schedule(...),
    df.undefine(...) and df.unschedule(...) of the file count; what the file does not name stays as it is.
    """
    compilation = compile_path(file, "nothing was deployed")
    statements = tuple(each for each in compilation.statements if _is_deployed(each))
    if not statements:
        raise CliError(
            f"{compilation.name} defines and schedules nothing: write `SELECT df.define('name', ...);`"
        )
    with connection(database) as conn:
        conn.add_notice_handler(say_notice)
        before = _state(conn)
        tried = _tried(conn, compilation, statements)
        if tried is None:
            return 1
        after, statements = tried
        lines = difference(before, after)
        count = len({key for key in {*before, *after} if before.get(key) != after.get(key)})
        if not lines:
            click.echo("nothing to do: the database has what the file says")
            return 0
        click.echo("\n".join(lines))
        if dry_run:
            return 1
        if not yes and not _confirmed(count):
            say("nothing was changed")
            return 1
        with conn.transaction():
            if _state(conn) != before:
                raise CliError("the database has changed meanwhile: nothing was deployed; do it again")
            _carry_out(conn, compilation, statements)
        click.echo(f"deployed: {count} changed")
    return 0


def _is_deployed(statement: Statement) -> bool:
    if isinstance(statement, Workflow):
        return statement.submit != START
    return _DEPLOYED.match(statement.text) is not None


def _confirmed(count: int) -> bool:
    if not sys.stdin.isatty():
        raise CliError(f"{count} to change, and nobody to ask: say --yes (or --dry-run to look)")
    return click.confirm(f"change {count}?", default=False)


def _state(conn: Connection) -> State:
    rows = conn.execute(query("deployed")).fetchall()
    return {(kind, name): Deployed(version=version, fields=fields) for kind, name, version, fields in rows}


def _tried(
    conn: Connection, compilation: Compiled, statements: tuple[Statement, ...]
) -> tuple[State, tuple[Statement, ...]] | None:
    """How it would stand, and which statements lead there; nothing is kept.

    What is to be taken away and is not there is away already, so that the same file can be deployed again.
    None where the server refuses a statement, which has been said.
    """
    kept: list[Statement] = []
    with conn.transaction(force_rollback=True):
        current: Statement | None = None
        try:
            for current in statements:
                try:
                    with conn.transaction():
                        _carry_out(conn, compilation, (current,))
                    kept.append(current)
                except psycopg.errors.UndefinedObject as error:
                    if not _takes_away(current):
                        raise
                    say(f"{error.diag.message_primary}: it is away already")
        except psycopg.Error as error:
            if conn.broken or current is None:
                raise
            state = error.sqlstate or "08000"
            say(render_at(compilation, current, state, without_state(error), None))
            return None
        return _state(conn), tuple(kept)


def _takes_away(statement: Statement) -> bool:
    found = None if isinstance(statement, Workflow) else _DEPLOYED.match(statement.text)
    return found is not None and found[1].lower() in _TAKES_AWAY


def _carry_out(conn: Connection, compilation: Compiled, statements: tuple[Statement, ...]) -> None:
    for each in statements:
        server = each if isinstance(each, Server) else compilation.server(each)
        conn.execute(cast(LiteralString, server.text))


def difference(before: State, after: State) -> list[str]:
    """What changes, as people read it: a line for each definition or schedule, then what is new in it."""
    lines: list[str] = []
    for key in sorted({*before, *after}, key=lambda key: (key[0] == "schedule", key[1])):
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        name = " ".join(key)
        if new is None:
            lines.append(f"- {name}")
            continue
        if old is None:
            lines.append(f"+ {name}" + (f" ({new.version})" if new.version else ""))
            lines.extend(_fields({}, new.fields))
            continue
        lines.append(
            f"~ {name}" + (f" ({old.version} -> {new.version})" if new.version != old.version else "")
        )
        lines.extend(_fields(old.fields, new.fields) or ["    body: the same to look at, but not the same"])
    return lines


def _fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for name in [*new, *(name for name in old if name not in new)]:
        was, now = old.get(name), new.get(name)
        if was == now or name == _HIDDEN:
            continue
        if name in _LONG and ("\n" in str(was) or "\n" in str(now)):
            lines.append(f"    {name}:")
            compared = difflib.ndiff(_drawing(was), _drawing(now))
            lines.extend(f"      {line}".rstrip() for line in compared if not line.startswith("?"))
        elif was is None:
            lines.append(f"    {name}: {_shown(now)}")
        else:
            lines.append(f"    {name}: {_shown(was)} -> {_shown(now)}")
    return lines


def _drawing(text: object) -> list[str]:
    return [] if text is None else [line.rstrip() for line in str(text).splitlines()]


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
