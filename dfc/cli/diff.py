"""`dfc diff`: two versions of workflows, step by step, and which instances could go on with the new one."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import click
from click.core import ParameterSource

from dfc.cli.database import Connection, connection, database_option
from dfc.cli.differences import Compared, Instance, Outcome, Setting, lines
from dfc.cli.errors import CliError, explain
from dfc.cli.moving import Move, move
from dfc.cli.pairing import pairs
from dfc.cli.queries import query
from dfc.cli.sources import START
from dfc.cli.versions import (
    DEPLOYED,
    SCHEDULE,
    Body,
    Deployed,
    Side,
    Version,
    deployed,
    of_definition,
    of_file,
)
from dfc.compiler.plan import Plan
from dfc.compiler.plan_json import PlanFormatError, from_json

INSTANCES_MAX = 10_000
"""Running instances that are looked at, for each workflow."""


@click.command("diff")
@click.argument("old")
@click.argument("new", required=False)
@database_option
@click.option("--workflow", metavar="NAME", help="Only what has this label or name.")
@click.option("--json", "as_json", is_flag=True, help="Print what differs as JSON.")
@click.pass_context
def command(
    ctx: click.Context, old: str, new: str | None, database: str | None, workflow: str | None, as_json: bool
) -> int:
    """Compare the workflows and schedules of OLD and NEW, and say which instances could go on with NEW.

    Each is a file, or `db:NAME`, a definition of the database (`db:NAME@3`: its version 3). OLD alone is a
    file that is compared with what is defined under its names. With a database the running instances are
    looked at. Exit code 0: the same; 1: they differ; 2: they cannot be compared.
    """
    if old == new == "-":
        raise click.UsageError("standard input can be read only once")
    asked = ctx.get_parameter_source("database") is ParameterSource.COMMANDLINE
    connects = new is None or asked or old.startswith(DEPLOYED) or new.startswith(DEPLOYED)
    try:
        with connection(database) if connects else contextlib.nullcontext() as conn:
            before, after = _both(old, new, conn)
            if workflow is not None:
                before, after = _only(before, workflow), _only(after, workflow)
                if not before and not after:
                    raise CliError(f"neither side has a workflow or schedule `{workflow}`")
            found = [_compared(was, now, conn) for was, now in pairs(before, after)]
    except CliError as error:
        error.exit_code = 2
        raise
    except Exception as error:
        # 1 would say that they differ.
        known = explain(error)
        if known is None:
            raise
        raise CliError(known, exit_code=2) from error
    if as_json:
        answer = {"same": all(each.same for each in found), "workflows": [each.json() for each in found]}
        click.echo(json.dumps(answer, ensure_ascii=False, indent=2))
    else:
        click.echo("\n".join(lines(found)) or "  neither side has a workflow or schedule")
    return 0 if all(each.same for each in found) else 1


# The two sides


def _both(old: str, new: str | None, conn: Connection | None) -> tuple[Side, Side]:
    if new is None:
        after = {key: version for key, version in of_file(old).items() if version.submit != START}
        if not after:
            raise CliError(
                f"{old} defines nothing: name two files, or write `SELECT df.define('name', ...);`"
            )
        assert conn is not None
        with deployed(conn) as database:
            before = {key: found for key in after if (found := _deployed(database, *key)) is not None}
        return before, after
    with deployed(conn) if conn is not None else contextlib.nullcontext() as database:
        before, after = _side(old, database), _side(new, database)
    if old.startswith(DEPLOYED) and not new.startswith(DEPLOYED):
        after = _counterpart(after, next(iter(before))[1], new)
    elif new.startswith(DEPLOYED) and not old.startswith(DEPLOYED):
        before = _counterpart(before, next(iter(after))[1], old)
    elif old.startswith(DEPLOYED):
        # Two names may be compared, too.
        after = {next(iter(before)): next(iter(after.values()))}
    return before, after


def _deployed(database: Deployed, scheduled: bool, name: str) -> Version | None:
    return database.schedule(name) if scheduled else database.definition(name)


def _side(given: str, database: Deployed | None) -> Side:
    if not given.startswith(DEPLOYED):
        return of_file(given)
    assert database is not None
    return of_definition(given, database)


def _counterpart(versions: Side, name: str, file: str) -> Side:
    """The workflow of a file that belongs to a definition: that of its name, or the only one."""
    key = (False, name)
    workflows = [version for (scheduled, _), version in versions.items() if not scheduled]
    if key in versions or len(workflows) == 1:
        return {key: versions[key] if key in versions else workflows[0]}
    raise CliError(f"{file} has no workflow `{name}`")


def _only(versions: Side, name: str) -> Side:
    return {key: version for key, version in versions.items() if key[1] == name}


# Comparing


def _compared(old: Version | None, new: Version | None, conn: Connection | None) -> Compared:
    version = old or new
    assert version is not None
    kind = SCHEDULE if version.submit == SCHEDULE else "workflow"
    if old is None or new is None:
        outcome = Outcome.ADDED if old is None else Outcome.REMOVED
        return Compared(name=version.name, kind=kind, outcome=outcome)
    between, outcome = _steps(old.body, new.body)
    settings = _settings(old, new)
    later = _later(old, new)
    if outcome is Outcome.SAME and (settings or later is not None):
        outcome = Outcome.CHANGED
    instances = None
    if conn is not None and new.body.plan is not None and between is not None:
        instances = _instances(conn, version.name, old.body, new.body.plan, between)
    return Compared(
        name=version.name,
        kind=kind,
        outcome=outcome,
        difference=None if between is None else between.difference,
        settings=settings,
        on_failure=later,
        instances=instances,
    )


def _steps(old: Body, new: Body) -> tuple[Move | None, Outcome]:
    if old.named or new.named:
        return None, Outcome.SAME  # which of them it is, is a setting
    if old.wire == new.wire or (old.hash == new.hash and old.hash is not None):
        return None, Outcome.SAME
    if old.plan is None or new.plan is None:
        return None, Outcome.UNKNOWN
    return move(old.plan, new.plan), Outcome.CHANGED


def _settings(old: Version, new: Version) -> tuple[Setting, ...]:
    names = dict.fromkeys((*old.settings, *new.settings))
    found = [(name, old.settings.get(name), new.settings.get(name)) for name in names]
    if old.body.named or new.body.named:
        found.append(("workflow", _workflow(old.body), _workflow(new.body)))
    if old.submit == new.submit == START:
        found.append(("label", _label(old), _label(new)))
    return tuple([Setting(name=name, old=was, new=now) for name, was, now in found if was != now])


def _label(version: Version) -> str | None:
    return None if version.numbered else version.name


def _workflow(body: Body) -> str:
    return body.wire if body.named else "an expression"


def _later(old: Version, new: Version) -> Compared | None:
    """What has become of what starts when the workflow has failed; None where nothing has."""
    if old.on_failure is None and new.on_failure is None:
        return None
    if old.on_failure is None or new.on_failure is None:
        outcome = Outcome.ADDED if old.on_failure is None else Outcome.REMOVED
        return Compared(name="on_failure", outcome=outcome)
    between, outcome = _steps(old.on_failure, new.on_failure)
    if outcome is Outcome.SAME:
        return None
    difference = None if between is None else between.difference
    return Compared(name="on_failure", outcome=outcome, difference=difference)


def _instances(conn: Connection, name: str, old: Body, new: Plan, between: Move) -> tuple[Instance, ...]:
    """The running instances, each with what keeps it from going on with the new plan."""
    limit = {"limit": INSTANCES_MAX + 1}
    rows = conn.execute(query("unfinished"), {"definition": name, "plan_hash": old.hash, **limit}).fetchall()
    moves: dict[str, Move | None] = {}
    found: list[Instance] = []
    for id, label, version, plan, recorded, inputs in rows[:INSTANCES_MAX]:
        obstacle = _obstacle(plan, recorded, inputs, new, moves)
        found.append(Instance(id=id, label=label, version=version, obstacle=obstacle))
    return tuple(found)


def _obstacle(
    plan: str | None, recorded: Sequence[str], inputs: Sequence[str], new: Plan, moves: dict[str, Move | None]
) -> str | None:
    """An instance goes by the plan that it was started with, whichever that is."""
    if plan is None:
        return None
    if plan not in moves:
        document: Mapping[str, Any] = json.loads(plan)
        try:
            moves[plan] = move(from_json(document), new)
        except PlanFormatError:
            moves[plan] = None
    between = moves[plan]
    if between is None:
        return "its plan has a format that cannot be read"
    return between.obstacle(recorded, inputs)
