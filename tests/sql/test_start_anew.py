"""transaction_mode => 'new': a transaction of its own, over dblink."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from dfc.executor import migrate
from tests.postgres import FAST, Server
from tests.sql.worker import connect, value


def test_without_dblink_it_says_what_is_missing(database: str) -> None:
    with connect(database) as session, pytest.raises(psycopg.errors.FeatureNotSupported) as caught:
        session.execute("SELECT df.start('SELECT 1', transaction_mode => 'New')")
    assert "needs the extension dblink" in str(caught.value)
    assert "connection of its own" in str(caught.value.diag.message_hint)


@pytest.fixture(scope="module")
def debian() -> Iterator[str]:
    """A database with dblink, on Debian's PostgreSQL."""
    running = Server("15", FAST)
    running.start()
    try:
        with psycopg.connect(running.url(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE anew TEMPLATE template0 ENCODING 'UTF8'")
        migrate.install(running.url("anew"))
        with psycopg.connect(running.url("anew"), autocommit=True) as connection:
            connection.execute("CREATE SCHEMA links; CREATE EXTENSION dblink SCHEMA links")
        yield running.url("anew")
    finally:
        running.remove()


START = "SELECT df.start('SELECT 1', 'it''s \\ %s', input => '{\"a\": \"b''c\"}', transaction_mode => 'new')"


@pytest.mark.apt
def test_it_outlives_its_callers_transaction(debian: str) -> None:
    with connect(debian) as session:
        session.execute("SET TimeZone = 'Asia/Tokyo'; SET search_path = public, df")
        session.execute("BEGIN")
        started = value(session, START)
        session.execute("ROLLBACK")
        found = session.execute(
            "SELECT label, input ->> 'a', time_zone, search_path, submitted_by::text"
            " FROM df.instances WHERE id = %s",
            [started],
        ).fetchall()
        assert found == [("it's \\ %s", "b'c", "Asia/Tokyo", "public, df", "postgres")]
        with pytest.raises(psycopg.Error) as caught:
            session.execute("SELECT df.start('SELECT 1', repeat('x', 1001), transaction_mode => 'new')")
        assert caught.value.sqlstate == "22001"
        assert value(session, "SELECT links.dblink_get_connections()") is None


@pytest.mark.apt
def test_it_does_not_wait_for_its_own_caller_for_ever(debian: str) -> None:
    with connect(debian) as session:
        session.execute("SET statement_timeout = '20s'")
        session.execute("BEGIN")
        session.execute("SELECT df.start('SELECT 1', idempotency_key => 'anew')")
        with pytest.raises(psycopg.errors.LockNotAvailable, match="has waited for another transaction"):
            session.execute(
                "SELECT df.start('SELECT 1', idempotency_key => 'anew', transaction_mode => 'new')"
            )
        session.execute("ROLLBACK")
        anew = "SELECT df.start('SELECT 1', idempotency_key => 'anew', transaction_mode => 'new')"
        assert value(session, anew) == value(session, anew)
        timed = "SELECT df.start('SELECT 1', debounce_key => 'd', debounce => {}, transaction_mode => 'new')"
        for length in ("0.5", "interval '1 h'", "'90 s'", "1e6"):
            assert value(session, timed.format(length)) is not None
        assert value(session, "SELECT links.dblink_get_connections()") is None


@pytest.mark.apt
def test_who_may_not_connect_is_told_so(debian: str) -> None:
    with connect(debian) as session:
        session.execute("CREATE ROLE anna LOGIN; GRANT USAGE ON SCHEMA links TO anna")
        session.execute("SELECT df.grant_usage('anna')")
        with psycopg.connect(make_conninfo(debian, user="anna"), autocommit=True) as hers:
            with pytest.raises(psycopg.errors.FeatureNotSupported) as caught:
                hers.execute(START.encode())
            assert "cannot connect as anna" in str(caught.value)
            session.execute("GRANT EXECUTE ON FUNCTION links.dblink_connect_u(text, text) TO anna")
            # Else she cannot know where the socket is.
            session.execute("GRANT pg_read_all_settings TO anna")
            assert hers.execute(START.encode()).fetchone() is not None
            assert hers.execute("SELECT count(*) FROM df.instances").fetchone() == (1,)


@pytest.mark.apt
def test_a_foreign_server_says_how_to_connect(debian: str) -> None:
    with connect(debian) as session:
        session.execute("CREATE ROLE berta LOGIN")
        try:
            session.execute(
                "CREATE SERVER dfc FOREIGN DATA WRAPPER dblink_fdw"
                f" OPTIONS (host '{session.info.host}', dbname 'anew');"
                "CREATE USER MAPPING FOR postgres SERVER dfc OPTIONS (user 'postgres')".encode()
            )
            assert value(session, START)
            session.execute("ALTER USER MAPPING FOR postgres SERVER dfc OPTIONS (SET user 'berta')")
            with pytest.raises(psycopg.errors.FeatureNotSupported) as caught:
                session.execute(START.encode())
            assert "somebody else" in str(caught.value)
        finally:
            session.execute("DROP SERVER dfc CASCADE")
