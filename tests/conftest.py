"""What tests share: one server for the session, a database for each test that wants one."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql

from dfc.executor import migrate
from tests.depth import depth
from tests.postgres import FAST, Server

TEMPLATE = "df_template"
HERE = Path(__file__).parent
LONGEST = (
    "cli/test_commands.py",
    "executor/test_databases.py",
    "compiler_schema/test_describer.py",
    "test_simulate.py",
    "cli/test_examples.py",
    "cli/test_diff.py",
    "compiler/layout/test_laws.py",
    "cli/test_fixing.py",
    "sql/test_starting.py",
    "cli/test_supervise.py",
    "e2e/test_kills.py",
    "executor/test_retries.py",
    "executor/test_schedules.py",
    "cli/test_validate_depths.py",
    "compiler_middle/test_lints.py",
    "executor/test_embedded.py",
    "cli/test_examples_that_wait.py",
    "executor/test_pauses.py",
    "executor/test_recording.py",
    "executor/test_cron.py",
    "cli/test_deploy.py",
    "executor/test_worker.py",
    "executor/test_compilation.py",
    "sweep/test_suspects_and_postgres.py",
    "sweep/test_suspects.py",
    "executor/test_faults.py",
    "executor/test_definitions.py",
)
_numbers = itertools.count(1)
# How fast the machine is, is no matter of theirs.
settings.register_profile(
    "dfc", max_examples=depth(100), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("dfc")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that no process of `pytest -n auto` has one for itself at the end."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.relative_to(HERE).as_posix(), len(places)))


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A running PostgreSQL of version POSTGRES_VERSION (18, 16, 15; default 18), without fsync."""
    running = Server(os.environ.get("POSTGRES_VERSION", "18"), FAST)
    running.start()
    try:
        yield running
    finally:
        running.remove()


@pytest.fixture(scope="session")
def template(server: Server) -> str:
    """The name of a database with the schema installed, to make others from."""
    _create(server, TEMPLATE)
    migrate.install(server.url(TEMPLATE))
    return TEMPLATE


@pytest.fixture
def bare_database(server: Server) -> Iterator[str]:
    """The URL of an empty database."""
    name = f"bare{next(_numbers)}"
    _create(server, name)
    yield server.url(name)
    _drop(server, name)


@pytest.fixture
def database(server: Server, template: str) -> Iterator[str]:
    """The URL of a database with the schema installed (as superuser `postgres`)."""
    yield from _copy(server, template)


@pytest.fixture(scope="module")
def shared_database(server: Server, template: str) -> Iterator[str]:
    """The same, one for a module: for tests that leave nothing behind."""
    yield from _copy(server, template)


def _copy(server: Server, template: str) -> Iterator[str]:
    name = f"test{next(_numbers)}"
    _create(server, name, template)
    with psycopg.connect(server.url(name), autocommit=True) as connection:
        # A copy does not run anything by itself: this one is meant to.
        connection.execute(
            "UPDATE df.meta SET database_oid ="
            " (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
    yield server.url(name)
    _drop(server, name)


@pytest.fixture
def roles(server: Server) -> Iterator[Callable[..., str]]:
    """Makes login roles: `roles("anna")` gives a name that nobody else has; keywords become role options."""
    made: list[str] = []

    def make(stem: str, options: str = "") -> str:
        name = f"{stem}{next(_numbers)}"
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN {}").format(
                    sql.Identifier(name),
                    sql.SQL(options),  # type: ignore[arg-type]
                )
            )
        made.append(name)
        return name

    yield make
    # What they own lies in databases of tests, which are dropped; the roles go with the server.


def _create(server: Server, name: str, template: str = "template0") -> None:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        # Without fsync a third of the time that it takes through the WAL; there is one for each test.
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8' STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )


def _drop(server: Server, name: str) -> None:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
