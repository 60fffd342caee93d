"""No false alarms: workflows as people write them, each alone, against schemas as pg_dump writes them.

A folder has the DDL of a database (`schema.sql`, or `dump.sql` of a server with extensions that are not here)
and workflows that run in it. Whoever is asked, none is refused.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from dfc.cli.deeper import load
from dfc.cli.depths import ddl
from dfc.compiler.diagnostics import Severity
from dfc.compiler.driver import CompiledStatement, compile_file
from dfc.compiler.plan import Plan
from dfc.compiler.plan_describe import Describer
from dfc.compiler.plan_made import Made
from dfc.compiler.plan_types import flow, statements_of
from dfc.compiler.render import render
from dfc.compiler.schema import SchemaDescriber, SchemaSource, read_schema
from dfc.compiler.source import Source
from dfc.executor.describe.database import DatabaseDescriber
from tests.corpus import FOLDER, SCHEMA, statements
from tests.describe.support import compilation, plan_of
from tests.postgres import Server, programs

TOPICS = sorted(folder.name for folder in (FOLDER / "workflows").iterdir())
WORKFLOWS_MIN = 200
ROLE = "valid_scratch"


@dataclass(frozen=True, slots=True)
class Topic:
    """A database, the dump of it, and the plans of the workflows with their places."""

    url: str | None
    dump: Path
    plans: Sequence[tuple[str, Plan]]


def plans(topic: str) -> Iterator[tuple[str, Plan]]:
    """Each workflow of a folder with its file and line. None has an error in its text."""
    for path in sorted((FOLDER / "workflows" / topic).glob("*.dfsql")):
        text = path.read_text(encoding="utf-8")
        file = compile_file(Source(path.name, text))
        wrong = [problem for problem in file.problems if problem.severity is Severity.ERROR]
        assert wrong == [], render(wrong, file.source)
        for each in file.statements:
            assert isinstance(each, CompiledStatement)
            assert each.compiled.plan is not None
            line = text.count("\n", 0, each.statement.span.start) + 1
            yield f"{path.name}:{line}", each.compiled.plan


def test_there_are_many() -> None:
    assert sum(1 for topic in TOPICS for _ in plans(topic)) >= WORKFLOWS_MIN


@pytest.fixture(scope="module", params=TOPICS)
def topic(
    request: pytest.FixtureRequest, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Topic]:
    """What a folder has, in a database of its own."""
    name = str(request.param)
    folder = FOLDER / "workflows" / name
    found = tuple(plans(name))
    if (folder / "dump.sql").exists():
        yield Topic(None, folder / "dump.sql", found)
        return
    database = f"valid_{name}"
    with psycopg.connect(server.url(), autocommit=True) as admin:
        if admin.info.server_version < 180_000:
            pytest.skip("newer than this server")
        admin.execute(f"CREATE DATABASE {database} TEMPLATE template0".encode())
        try:
            url = server.url(database)
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute((folder / "schema.sql").read_bytes())
            dump = tmp_path_factory.mktemp(name) / "dump.sql"
            program = programs("18") / "pg_dump"
            with dump.open("wb") as file:
                subprocess.run([program, "--schema-only", url], check=True, stdout=file)
            yield Topic(url, dump, found)
        finally:
            admin.execute(f"DROP DATABASE {database} WITH (FORCE)".encode())


def errors(topic: Topic, describer: Describer, absent: Sequence[str] = ()) -> list[str]:
    """What is said against the workflows, notes left out."""
    return [
        f"{place}: {problem.code} {problem.message}"
        for place, plan in topic.plans
        for problem in flow(plan, describer, Made(absent, statements_of(plan))).problems
        if problem.severity != "note"
    ]


def test_by_the_dump_alone(topic: Topic) -> None:
    read = read_schema([SchemaSource(name="dump.sql", text=topic.dump.read_text(encoding="utf-8"))])
    assert read.skipped == ()
    assert errors(topic, SchemaDescriber(read.catalog)) == []


def test_by_the_database(topic: Topic) -> None:
    if topic.url is None:
        pytest.skip("its extensions are not here")
    with DatabaseDescriber(topic.url) as describer:
        assert errors(topic, describer) == []


def test_by_the_dump_in_a_scratch_database(topic: Topic, server: Server) -> None:
    with psycopg.connect(server.url(), autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {ROLE} LOGIN".encode())
        admin.execute(f"CREATE DATABASE {ROLE} TEMPLATE template0 OWNER {ROLE}".encode())
        try:
            url = server.url(ROLE, ROLE)
            with DatabaseDescriber(url, scratch=True) as describer:
                absent = load(describer, ddl(lambda name, text: compilation(text, name), str(topic.dump)))
            with DatabaseDescriber(url, scratch=True) as describer:
                assert errors(topic, describer, absent) == []
        finally:
            admin.execute(f"DROP DATABASE {ROLE} WITH (FORCE)".encode())
            admin.execute(f"DROP ROLE {ROLE}".encode())


def test_no_statement_form_is_refused_in_a_scratch_database(server: Server) -> None:
    """But those that the server refuses itself, for what is not there."""
    with psycopg.connect(server.url(), autocommit=True) as admin:
        if admin.info.server_version < 180_000:
            pytest.skip("newer than this server")
        admin.execute(f"CREATE ROLE {ROLE} LOGIN".encode())
        admin.execute(f"CREATE DATABASE {ROLE} TEMPLATE template0 OWNER {ROLE}".encode())
        try:
            with DatabaseDescriber(server.url(ROLE, ROLE), scratch=True) as describer:
                absent = load(describer, ddl(lambda name, text: compilation(text, name), str(SCHEMA)))
                found = [
                    (statement.sql, problem.message)
                    for statement in statements()
                    if statement.sqlstate is None
                    for problem in flow(plan_of(statement.workflow), describer, Made(absent)).problems
                    if problem.severity != "note"
                ]
                assert found == []
        finally:
            admin.execute(f"DROP DATABASE {ROLE} WITH (FORCE)".encode())
            admin.execute(f"DROP ROLE {ROLE}".encode())
