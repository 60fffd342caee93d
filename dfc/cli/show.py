"""`dfc show`: a workflow, its steps, its result or error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from dfc.cli import present
from dfc.cli.database import Connection, connection, database_option
from dfc.cli.errors import CliError
from dfc.cli.follow import progress
from dfc.cli.marks import marks
from dfc.cli.queries import query
from dfc.compiler.plan_json import PlanFormatError, from_json
from dfc.compiler.plan_print import plan_text


@click.command("show")
@click.argument("id")
@database_option
@click.option("--json", "as_json", is_flag=True, help="Print an object.")
def command(id: str, database: str | None, as_json: bool) -> int:
    """Show the workflow ID, or the only one whose id begins with ID."""
    with connection(database) as conn:
        full = resolve(conn, id)
        row = conn.execute(query("instance"), {"id": full}).fetchone()
        now = progress(conn, full)
    if row is None:
        raise CliError(f"there is no workflow `{id}`, or it is not yours")
    _, label, status, role, created, started, completed, plan, waiting_for, seconds = row
    if as_json:
        answer = {
            "id": full,
            "label": label,
            "status": status,
            "submitted_by": role,
            "created_at": created.isoformat(),
            "started_at": started.isoformat() if started else None,
            "waiting_for": waiting_for,
            "completed_at": completed.isoformat() if completed else None,
            "result": present.Verbatim(now.result) if now.result else None,
            "error": dict(now.error) or None,
            "steps": list(now.steps.values()),
        }
        click.echo(present.document(answer))
        return 0
    head = f"{label or 'workflow'} {full}\n{status}, by {role}, {created:%Y-%m-%d %H:%M:%S}, {seconds:.1f} s"
    click.echo(head)
    if waiting_for is not None:
        click.echo(f"waits for {waiting_for}")
    if plan is not None:
        click.echo()
        try:
            shown = from_json(plan)
        except PlanFormatError as error:
            click.echo(f"(its plan cannot be shown: {error})")
        else:
            click.echo(plan_text(shown, marks(shown, now.steps, is_running=now.status == "running")))
    _outcome(now.result, now.error)
    return 0


def resolve(conn: Connection, prefix: str) -> str:
    """The id that begins with this prefix. Raises CliError when there is none, or more than one."""
    rows = conn.execute(query("find"), {"prefix": prefix}).fetchall() if prefix and "\0" not in prefix else []
    if not rows:
        raise CliError(
            f"there is no workflow `{prefix}`, or it is not yours: `dfc list` shows those there are"
        )
    if len(rows) > 1 and rows[0][0] != prefix:
        raise CliError(f"several ids begin with `{prefix}`: give more of it")
    return str(rows[0][0])


def _outcome(result: str | None, error: Mapping[str, Any]) -> None:
    if error:
        step = f" in step `{error['step']}`" if error.get("step") else ""
        state = f" [{error['sqlstate']}]" if error.get("sqlstate") else ""
        click.echo(f"\nerror{state}: {error.get('message')}{step}")
        for key in ("detail", "hint"):
            if error.get(key):
                click.echo(f"  {key}: {error[key]}")
    elif result is not None:
        click.echo()
        present.result(present.parsed(result))
