"""Looking at instances: df.list_instances and its kin, and the whole API as pg_durable has it (api.txt)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.postgres import Server
from tests.sql.worker import Connection, claim, connect, refusal, register, submit, value

OPERATORS = ("as_op", "if_then_op", "if_else_op", "loop_prefix_op")
"""Functions behind operators: nobody names their arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    name: str
    type: str
    default: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    name: str
    arguments: tuple[Argument, ...]
    result: str


def arguments(written: str, separator: str) -> tuple[Argument, ...]:
    found: list[Argument] = []
    for part in re.split(r", (?=\w+ )", written) if written else []:
        declared, _, default = part.removeprefix("VARIADIC ").partition(separator)
        name, _, type = declared.partition(" ")
        given = re.sub(r"::[a-z ]+$", "", default.strip()) or None
        found.append(Argument(name=name.strip('"'), type=type, default=given))
    return tuple(found)


def wanted() -> list[Signature]:
    text = (Path(__file__).parent / "api.txt").read_text()
    found: list[Signature] = []
    for line in text.splitlines():
        if not line.startswith("#"):
            call, _, result = line.partition(" -> ")
            name, _, rest = call.partition("(")
            found.append(
                Signature(name=name, arguments=arguments(rest.removesuffix(")"), " = "), result=result)
            )
    return found


@pytest.fixture
def session(database: str) -> Iterator[Connection]:
    with connect(database) as connection:
        yield connection


def meets(ours: Signature, theirs: Signature) -> bool:
    """Whether a call of theirs is a call of ours, with the same meaning of each argument."""
    if ours.result != theirs.result or len(ours.arguments) < len(theirs.arguments):
        return False
    for mine, their in zip(ours.arguments, theirs.arguments, strict=False):
        given = their.type.split("|")[-1]
        named = mine.name == their.name or theirs.name in OPERATORS
        if not named or mine.type != given or (their.default != mine.default and their.default is not None):
            return False
    return all(more.default is not None for more in ours.arguments[len(theirs.arguments) :])


def test_every_function_of_pg_durable_is_there(session: Connection) -> None:
    rows = session.execute(
        "SELECT p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid)"
        " FROM pg_proc p WHERE p.pronamespace = 'df'::regnamespace AND p.prokind = 'f'"
    ).fetchall()
    ours = [
        Signature(name=str(name), arguments=arguments(str(taken), " DEFAULT "), result=str(result))
        for name, taken, result in rows
    ]
    missing = [
        theirs for theirs in wanted() if not any(each.name == theirs.name and meets(each, theirs) for each in ours)
    ]
    assert missing == []
