"""A server with the schema, and the catalog that is read from the same text."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dfc.compiler.schema import Catalog
from tests.compiler_schema.support import Oracle, asked, catalog, database
from tests.postgres import Server

DATABASE = "of_the_schema"


@pytest.fixture(scope="module")
def oracle(server: Server) -> Iterator[Oracle]:
    """What PostgreSQL says."""
    with database(server, DATABASE) as url, asked(url) as found:
        yield found


@pytest.fixture(scope="module")
def known() -> Catalog:
    """What is read from the text."""
    return catalog()
