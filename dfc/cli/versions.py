"""The two sides of `dfc diff`: what a file says, or a database has, of workflows and schedules.

What can be written in several ways is brought to one form here, so that only what means something else
differs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from dfc.cli.compiling import compile_path
from dfc.cli.database import Connection
from dfc.cli.errors import CliError
from dfc.cli.queries import query
from dfc.cli.sources import START, OnFailure, Server, Statement, Workflow
from dfc.compiler.durations import DurationFault, duration_of_text, duration_text
from dfc.compiler.plan import Duration, Plan
from dfc.compiler.plan_json import from_json
from dfc.executor.compilation import CompilerProcess

DEPLOYED: Final = "db:"
SCHEDULE: Final = "schedule"
_WIRE = re.compile(r"/\*dfc:1:\d+\*/")
_DEFAULTS = {SCHEDULE: {"time_zone": "UTC", "overlap": "skip", "catch_up": "last"}}
_LENGTHS = ("timeout", "keep_finished", "debounce")
_DOCUMENTS = ("input",)
_DECLARED = "params"
_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """An expression, or the name of a definition. `plan` is None where variables decide what it does."""

    wire: str
    plan: Plan | None = None
    hash: str | None = None
    named: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A workflow or schedule as one side has it. `settings` are its other arguments, in their normal form.

    `numbered`: it has no name, and this one says which of the file it is.
    """

    name: str
    submit: str
    body: Body
    on_failure: Body | None = None
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    numbered: bool = False


Side = dict[tuple[bool, str], Version]
"""The versions of one side, by whether it is a schedule, and its name."""


# Files


def of_file(path: str) -> Side:
    """What a file says. Raises CliError."""
    found: Side = {}
    number = 0
    for each in compile_path(path, "nothing to compare").statements:
        if isinstance(each, Server) and each.workflow is None:
            continue
        number += isinstance(each, Workflow)
        scheduled = each.submit == SCHEDULE
        name, numbered = each.label, False
        if not name or (scheduled, name) in found:
            if isinstance(each, Server):
                continue
            name, numbered = f"workflow {number}", True
        found[scheduled, name] = replace(_version(name, each), numbered=numbered)
    return found


def _version(name: str, statement: Statement) -> Version:
    submit = statement.submit or START
    if isinstance(statement, Server):
        body, later = Body(wire=statement.workflow or "", named=True), None
        declared: Mapping[str, str] = {}
    else:
        wire, declared = _without_declaration(statement.wire)
        body = Body(wire=wire, plan=_plan(statement.plan), hash=statement.hash)
        later = _later(statement.on_failure)
    given = {**_DEFAULTS.get(submit, {}), **statement.options}
    if "concurrency_limit" in given and submit == "define":
        given.setdefault("concurrency_key", name)
    settings = {what: _normal(what, text) for what, text in given.items() if what != _DECLARED}
    return Version(name=name, submit=submit, body=body, on_failure=later, settings={**settings, **declared})


def _later(given: OnFailure | None) -> Body | None:
    if given is None or given.wire is None:
        return None
    return Body(wire=_without_declaration(given.wire)[0], plan=_plan(given.plan), hash=given.hash)


def _plan(json: Mapping[str, Any] | None) -> Plan | None:
    return None if json is None else from_json(json)


def _without_declaration(wire: str) -> tuple[str, Mapping[str, str]]:
    """The expression of a definition, and its declared inputs, each as a setting of its own."""
    whole = json.loads(_WIRE.sub("", wire, count=1))
    given = whole.get(_DECLARED)
    if given is None:
        return _document(whole), {}
    return _document(whole["body"]), {
        f"{_DECLARED}.{name}": _document(value) for name, value in given.items()
    }


def _normal(what: str, text: str) -> str:
    if what in _DOCUMENTS:
        return _document(json.loads(text))
    if what in _LENGTHS:
        with contextlib.suppress(DurationFault):
            return _length(what, duration_of_text(text))
    return text


def _length(what: str, given: Duration) -> str:
    if what == "keep_finished":
        # df._check_kept has made seconds of it, a year of 365.25 days, a month of 30.
        years, months = divmod(given.months, 12)
        microseconds = given.microseconds + round((years * 365.25 + months * 30 + given.days) * _DAY)
        days, rest = divmod(microseconds, _DAY)
        given = Duration(days=days, microseconds=rest)
    return duration_text(given)


def _document(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


# Databases


class Deployed:
    """The definitions and schedules of a database, with one compiler for all of them."""

    def __init__(self, conn: Connection, runner: asyncio.Runner, process: CompilerProcess) -> None:
        self._conn, self._runner, self._process = conn, runner, process

    def definition(self, name: str, version: int | None = None) -> Version | None:
        """What a name means now, or meant in a version; None where there is no such thing."""
        row = self._conn.execute(query("definition"), {"name": name, "version": version}).fetchone()
        if row is None or row[0] is None:
            return None
        wire, on_failure, given = row
        declared = _without_declaration(wire)[1]
        return Version(
            name=name,
            submit="define",
            body=self._body(wire),
            on_failure=None if on_failure is None else self._body(on_failure),
            settings={**_settings(given), **declared},
        )

    def schedule(self, name: str) -> Version | None:
        """A schedule as it is now."""
        row = self._conn.execute(query("schedule"), {"name": name}).fetchone()
        if row is None:
            return None
        workflow, given = row
        named = _WIRE.match(workflow) is None
        body = Body(wire=workflow, named=True) if named else self._body(workflow)
        return Version(name=name, submit=SCHEDULE, body=body, settings=_settings(given))

    def _body(self, wire: str) -> Body:
        reply = self._runner.run(self._process.compile_wire(wire))
        bare = _without_declaration(wire)[0]
        return Body(wire=bare, plan=reply.plan, hash=reply.plan_hash or None)


@contextlib.contextmanager
def deployed(conn: Connection) -> Generator[Deployed]:
    """What a database has."""
    process = CompilerProcess()
    with asyncio.Runner() as runner:
        try:
            yield Deployed(conn, runner, process)
        finally:
            runner.run(process.close())


def _settings(given: Mapping[str, Any]) -> dict[str, str]:
    return {what: _setting(what, value) for what, value in given.items() if value is not None}


def _setting(what: str, value: object) -> str:
    match value:
        case [int() as months, int() as days, int() as microseconds] if what in _LENGTHS:
            return _length(what, Duration(months=months, days=days, microseconds=microseconds))
        case str():
            return value
        case _:
            return _document(value)


def of_definition(given: str, database: Deployed) -> Side:
    """`db:NAME` or `db:NAME@VERSION`. Raises CliError."""
    name, _, version = given.removeprefix(DEPLOYED).partition("@")
    if version and not (version.isascii() and version.isdigit() and len(version) < 9):
        raise CliError(f"`{version}` is not the number of a version")
    found = database.definition(name, int(version) if version else None)
    if found is None:
        what = f"no version {version} of" if version else "no"
        raise CliError(f"there is {what} workflow named `{name}`, or it is not yours")
    return {(False, name): found}
