"""`dfc schedules`: what starts when."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from dfc.cli import present
from dfc.cli.database import connection, database_option
from dfc.cli.queries import query

NAMES: Final = (
    "name",
    "cron",
    "time_zone",
    "workflow",
    "overlap",
    "catch_up",
    "paused",
    "next_ticks",
    "last_at",
    "last_instance",
    "last_error",
    "note",
    "skipped",
    "submitted_by",
)


@click.command("schedules")
@database_option
@click.option("--json", "as_json", is_flag=True, help="Print an array, with everything that is known.")
def command(database: str | None, as_json: bool) -> int:
    """List schedules, with the ticks that come next, in the time zone of each."""
    with connection(database) as conn:
        rows = conn.execute(query("schedules")).fetchall()
    found: list[dict[str, Any]] = [dict(zip(NAMES, row, strict=True)) for row in rows]
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=2, default=_json))
        return 0
    if not found:
        click.echo("no schedules")
        return 0
    columns = ("name", "cron", "time zone", "workflow", "next", "then", "last", "by")
    present.table(columns, [_line(each) for each in found])
    for each in found:
        for what in ("last_error", "note"):
            if each[what]:
                click.echo(f"{each['name']}: {each[what]}")
        if each["skipped"]:
            click.echo(f"{each['name']}: {each['skipped']} ticks skipped, because the one before still ran")
    return 0


def _line(schedule: dict[str, Any]) -> tuple[object, ...]:
    zone = schedule["time_zone"]
    ticks: list[datetime] = schedule["next_ticks"] or []
    coming: list[str | None] = [*(_moment(tick, zone) for tick in ticks[:2]), None, None]
    if schedule["paused"]:
        coming = ["paused", None]
    elif schedule["next_ticks"] is None:
        coming = ["when a worker has seen it", None]
    elif not ticks:
        coming = ["never", None]
    last = _moment(schedule["last_at"], zone)
    where = (schedule["name"], schedule["cron"], zone, schedule["workflow"])
    return (*where, *coming[:2], last, schedule["submitted_by"])


def _moment(moment: datetime | None, zone: str) -> str | None:
    """In the schedule's own time zone, where this machine knows it."""
    if moment is None:
        return None
    try:
        return moment.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")
    except (ZoneInfoNotFoundError, ValueError):
        return moment.strftime("%Y-%m-%d %H:%M%z")


def _json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)
