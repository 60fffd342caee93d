"""A server with the schema, and the catalog that is read from the same text."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from dfc.compiler.schema import Catalog
from tests.compiler_schema.support import Oracle, catalog
from tests.postgres import Server

DATABASE = "of_the_schema"


@pytest.fixture(scope="module")
def oracle(server: Server) -> Iterator[Oracle]:
    """What PostgreSQL says."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE of_the_schema")
    found = Oracle(server.url(DATABASE))
    try:
        yield found
    finally:
        found.close()
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("DROP DATABASE of_the_schema WITH (FORCE)")


@pytest.fixture(scope="module")
def known() -> Catalog:
    """What is read from the text."""
    return catalog()
