"""With somebody's database nothing of a workflow file runs: no statement, no function; nothing is written."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.describe.support import asked
from tests.postgres import FAST, Server

SCHEMA = """
CREATE SEQUENCE counter;
CREATE TABLE seen (what text);
CREATE TABLE t (id int DEFAULT nextval('counter'), n int CHECK (nextval('counter') > 0));
CREATE VIEW v AS SELECT nextval('counter') AS n;
CREATE FUNCTION loud() RETURNS int LANGUAGE plpgsql IMMUTABLE AS
    $$BEGIN RAISE LOG 'loud has run'; RETURN nextval('counter'); END$$;
CREATE DOMAIN picky AS int DEFAULT loud() CHECK (VALUE <> loud());
CREATE PROCEDURE act(n int) LANGUAGE plpgsql AS $$BEGIN PERFORM loud(); COMMIT; END$$;
CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS
    $$BEGIN RAISE LOG 'loud has run'; INSERT INTO seen VALUES (tg_tag); END$$;
CREATE EVENT TRIGGER started ON ddl_command_start EXECUTE FUNCTION on_ddl();
CREATE FUNCTION on_row() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM loud(); RETURN NEW; END$$;
CREATE TRIGGER wrote BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON t EXECUTE FUNCTION on_row();
"""
SENT = "/* of the file */"
STEPS = (
    "SELECT nextval('counter'), loud(), 1::picky, '2'::picky, loud() + setval('counter', 5)",
    "SELECT loud() FROM v WHERE loud() = 1 LIMIT loud()",
    "INSERT INTO t (id) VALUES (DEFAULT), (loud()) RETURNING id",
    "WITH x AS (DELETE FROM t RETURNING *) UPDATE t SET n = loud() FROM x",
    "MERGE INTO t USING v ON t.id = v.n WHEN NOT MATCHED THEN INSERT VALUES (loud())",
    "CREATE TABLE made AS SELECT loud() AS n",
    "SELECT loud() AS n INTO made_too",
    "EXPLAIN ANALYZE SELECT loud()",
    "EXPLAIN ANALYZE INSERT INTO t VALUES (1)",
    "CALL act(loud())",
    "DO $$BEGIN PERFORM loud(); END$$",
    "COPY t FROM PROGRAM 'touch /tmp/dfc_has_run'",
    "COPY (SELECT loud()) TO PROGRAM 'touch /tmp/dfc_has_run'",
    "CREATE TABLE plain (id int)",
    "ALTER TABLE t ADD COLUMN more int DEFAULT loud()",
    "CREATE INDEX ON t ((loud()))",
    "TRUNCATE t RESTART IDENTITY",
    "LOCK TABLE t IN ACCESS EXCLUSIVE MODE",
    "DROP TABLE t CASCADE",
    "GRANT SELECT ON t TO PUBLIC",
    "COMMENT ON TABLE t IS 'x'",
    "NOTIFY channel, 'x'",
    "VACUUM FULL t",
    "REINDEX TABLE t",
    "ANALYZE t",
    "CREATE DATABASE another",
    "ALTER SYSTEM SET work_mem = '5MB'",
    "SET work_mem = '5MB'",
    "SELECT pg_advisory_lock(1), pg_notify('channel', 'x'), set_config('work_mem', '6MB', false)",
    "CREATE FUNCTION more() RETURNS int LANGUAGE sql AS 'SELECT loud()'",
    "REFRESH MATERIALIZED VIEW mv",
    "DECLARE c CURSOR WITH HOLD FOR SELECT loud()",
    "PREPARE p AS SELECT loud()",
)
BETWEEN = f"""
CREATE TABLE by_file (id int DEFAULT loud()) {SENT};
SELECT loud(), setval('counter', 9) {SENT};
DO $$BEGIN PERFORM loud(); END$$ {SENT};
CALL act(loud()) {SENT};
INSERT INTO t VALUES (loud()) {SENT};
SELECT set_config('search_path', loud()::text || 'public', false) {SENT};
SELECT pg_catalog.set_config('search_path', 'public', false) {SENT};
"""


@pytest.fixture(scope="module")
def logging() -> Iterator[Server]:
    """A server that logs each statement that it executes."""
    running = Server("18", {**FAST, "log_statement": "all", "log_min_messages": "log", "autovacuum": "off"})
    running.start()
    try:
        yield running
    finally:
        running.remove()


def test_nothing_of_a_file_is_run_or_written(logging: Server) -> None:
    with psycopg.connect(logging.url(), autocommit=True) as connection:
        connection.execute(SCHEMA.encode())
        connection.execute(b"CREATE MATERIALIZED VIEW mv AS SELECT 1 AS n")
        connection.execute(b"TRUNCATE seen")
        # As long as no transaction has a number, none has written.
        state = b"""SELECT pg_snapshot_xmax(pg_current_snapshot()), last_value, is_called,
            (SELECT count(*) FROM seen), (SELECT count(*) FROM pg_class)
            FROM counter"""
        before = connection.execute(state).fetchone()
        begin = len(logging.log)
        steps = " ~> ".join(f"df.sql($dfc$ {sql} {SENT}$dfc$)" for sql in STEPS)
        references = (
            f"('SELECT id, loud() AS l FROM t {SENT}' |=> 'x') ~> 'SELECT $x.l, loud() + $x.id {SENT}'"
            f" ~> 'CREATE TABLE $x.id (n int DEFAULT $x.l) {SENT}' ~> 'ANALYZE $x.id {SENT}'"
        )
        said = asked(f"{BETWEEN}\n{steps};\n{references};\n", logging.url())
        assert connection.execute(state).fetchone() == before
        log = logging.log[begin:]
    assert [each for each in said if each.severity == "error"] == []
    executed = [line for line in log.splitlines() if "LOG:  statement:" in line or "LOG:  execute " in line]
    assert executed
    assert [line for line in executed if "of the file" in line] == []
    assert "loud has run" not in log
