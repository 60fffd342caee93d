"""`dfc diff`: two versions of workflows, step by step, and which instances could go on with the new one."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import click
from click.core import ParameterSource

from dfc.cli import differences
from dfc.cli.compiling import compile_path
from dfc.cli.database import Connection, connection, database_option
from dfc.cli.errors import CliError
from dfc.cli.moving import Move, move
from dfc.cli.queries import query
from dfc.compiler.plan import Plan
from dfc.compiler.plan_json import PlanFormatError, from_json
from dfc.executor.compilation import CompilerProcess

_DEPLOYED = "db:"
INSTANCES_MAX = 10_000
"""Running instances that are looked at, for each workflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A workflow as one side has it. `plan` is None where variables decide what it does."""

    name: str
    wire: str
    plan: Plan | None
    hash: str | None
    defined: bool


@click.command("diff")
@click.argument("old")
@click.argument("new", required=False)
@database_option
@click.option("--workflow", metavar="NAME", help="Only the workflow with this label or name.")
@click.option("--json", "as_json", is_flag=True, help="Print what differs as JSON.")
@click.pass_context
def command(
    ctx: click.Context, old: str, new: str | None, database: str | None, workflow: str | None, as_json: bool
) -> int:
    """Compare the workflows of OLD and NEW, step by step, and say which instances could go on with NEW.

    Each is a file, or `db:NAME`, a definition of the database (`db:NAME@3`: its version 3). OLD alone is a
    file that is compared with what is defined under its names. With a database the running instances are
    looked at. Exit code 0: the same; 1: they differ; 2: they cannot be compared.
    """
    asked = ctx.get_parameter_source("database") is ParameterSource.COMMANDLINE
    connects = new is None or asked or old.startswith(_DEPLOYED) or new.startswith(_DEPLOYED)
    try:
        with connection(database) if connects else contextlib.nullcontext() as conn:
            before, after = _both(old, new, conn)
            if workflow is not None:
                before, after = _only(before, workflow), _only(after, workflow)
                if not before and not after:
                    raise CliError(f"neither side has a workflow `{workflow}`")
            found = [_compared(name, before.get(name), after.get(name), conn) for name in {**before, **after}]
    except CliError as error:
        error.exit_code = 2
        raise
    if as_json:
        answer = {"same": all(each.same for each in found), "workflows": [each.json() for each in found]}
        click.echo(json.dumps(answer, ensure_ascii=False, indent=2))
    else:
        click.echo("\n".join(differences.lines(found)))
    return 0 if all(each.same for each in found) else 1


# The two sides


def _both(
    old: str, new: str | None, conn: Connection | None
) -> tuple[dict[str, Version], dict[str, Version]]:
    if new is None:
        after = _file(old)
        defined = [name for name, version in after.items() if version.defined]
        if not defined:
            raise CliError(
                f"{old} defines nothing: name two files, or write `SELECT df.define('name', ...);`"
            )
        assert conn is not None
        before = {name: found for name in defined if (found := _defined(conn, name)) is not None}
        return before, {name: after[name] for name in defined}
    before, after = _side(old, conn), _side(new, conn)
    if old.startswith(_DEPLOYED) and not new.startswith(_DEPLOYED):
        after = _counterpart(after, next(iter(before)), new)
    elif new.startswith(_DEPLOYED) and not old.startswith(_DEPLOYED):
        before = _counterpart(before, next(iter(after)), old)
    elif old.startswith(_DEPLOYED):
        # Two names may be compared, too.
        after = {next(iter(before)): next(iter(after.values()))}
    return before, after


def _counterpart(versions: dict[str, Version], name: str, file: str) -> dict[str, Version]:
    """The workflow of a file that belongs to a definition: that of its name, or the only one."""
    if name in versions:
        return {name: versions[name]}
    if len(versions) == 1:
        return {name: next(iter(versions.values()))}
    raise CliError(f"{file} has no workflow `{name}`")


def _only(versions: dict[str, Version], name: str) -> dict[str, Version]:
    return {name: versions[name]} if name in versions else {}


def _side(given: str, conn: Connection | None) -> dict[str, Version]:
    if not given.startswith(_DEPLOYED):
        return _file(given)
    assert conn is not None
    name, _, version = given.removeprefix(_DEPLOYED).partition("@")
    if version and not (version.isascii() and version.isdigit() and len(version) < 9):
        raise CliError(f"`{version}` is not the number of a version")
    found = _defined(conn, name, int(version) if version else None)
    if found is None:
        what = f"no version {version} of" if version else "no"
        raise CliError(f"there is {what} workflow named `{name}`, or it is not yours")
    return {name: found}


def _file(path: str) -> dict[str, Version]:
    compilation = compile_path(path)
    found: dict[str, Version] = {}
    for number, each in enumerate(compilation.workflows, start=1):
        name = each.label if each.label and each.label not in found else f"workflow {number}"
        plan = None if each.plan is None else from_json(each.plan)
        defined = each.submit == "define"
        found[name] = Version(name=name, wire=each.wire, plan=plan, hash=each.hash, defined=defined)
    return found


def _defined(conn: Connection, name: str, version: int | None = None) -> Version | None:
    row = conn.execute(query("definition"), {"name": name, "version": version}).fetchone()
    if row is None or row[0] is None:
        return None
    wire = str(row[0])
    with _compiler() as compile_wire:
        plan, hash = compile_wire(wire)
    return Version(name=name, wire=wire, plan=plan, hash=hash, defined=True)


@contextlib.contextmanager
def _compiler() -> Generator[Any]:
    process = CompilerProcess()
    with asyncio.Runner() as runner:

        def one(wire: str) -> tuple[Plan | None, str | None]:
            reply = runner.run(process.compile_wire(wire))
            return reply.plan, reply.plan_hash or None

        try:
            yield one
        finally:
            runner.run(process.close())


# Comparing


def _compared(
    name: str, old: Version | None, new: Version | None, conn: Connection | None
) -> differences.Compared:
    if old is None or new is None:
        what = differences.Outcome.ADDED if old is None else differences.Outcome.REMOVED
        return differences.Compared(name=name, outcome=what)
    if old.wire == new.wire or (old.hash == new.hash and old.hash is not None):
        return differences.Compared(name=name, outcome=differences.Outcome.SAME)
    if old.plan is None or new.plan is None:
        return differences.Compared(name=name, outcome=differences.Outcome.UNKNOWN)
    between = move(old.plan, new.plan)
    instances = None if conn is None else _instances(conn, name, old, new.plan, between)
    return differences.Compared(
        name=name,
        outcome=differences.Outcome.CHANGED,
        difference=between.difference,
        instances=instances,
    )


def _instances(
    conn: Connection, name: str, old: Version, new: Plan, between: Move
) -> tuple[differences.Instance, ...]:
    """The running instances, each with what keeps it from going on with the new plan."""
    limit = {"limit": INSTANCES_MAX + 1}
    rows = conn.execute(query("unfinished"), {"definition": name, "plan_hash": old.hash, **limit}).fetchall()
    moves: dict[str, Move | None] = {}
    found: list[differences.Instance] = []
    for id, label, version, plan, recorded in rows[:INSTANCES_MAX]:
        obstacle = _obstacle(plan, recorded, new, moves)
        found.append(differences.Instance(id=id, label=label, version=version, obstacle=obstacle))
    return tuple(found)


def _obstacle(
    plan: str | None, recorded: Iterable[str], new: Plan, moves: dict[str, Move | None]
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
    return "its plan has a format that cannot be read" if between is None else between.obstacle(recorded)
