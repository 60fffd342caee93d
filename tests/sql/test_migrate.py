"""The installer: once, twice, at once, by whom, and where it must not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from dfc.executor import migrate
from dfc.executor.migrate import InstallError, MigrationReport, SchemaState
from tests.postgres import Server
from tests.sql.worker import connect, value

OPERATORS = (
    "SELECT DISTINCT n.nspname FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace"
    " WHERE oprname = '~>'"
)


@pytest.fixture
def plain(server: Server, bare_database: str, roles: Callable[..., str]) -> Iterator[tuple[str, str]]:
    """The name of a role that may create schemas in an empty database, and its URL."""
    role = roles("plain")
    name = str(conninfo_to_dict(bare_database)["dbname"])
    with connect(bare_database) as owner:
        owner.execute(
            sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(sql.Identifier(name), sql.Identifier(role))
        )
        owner.execute("REVOKE CREATE ON SCHEMA public FROM public")
    yield role, server.url(name, role)


def test_install_once(bare_database: str) -> None:
    assert migrate.check(bare_database) is SchemaState.NOT_INSTALLED
    report = migrate.install(bare_database)
    assert (report.before, report.code_replaced) == (SchemaState.NOT_INSTALLED, True)
    assert migrate.check(bare_database) is SchemaState.SAME
    again = migrate.install(bare_database)
    assert (again.before, again.applied, again.code_replaced) == (SchemaState.SAME, (), False)
    with connect(bare_database) as owner:
        assert value(owner, OPERATORS) == "public"
        assert (
            value(owner, "SELECT count(*) FROM df.doctor() WHERE status <> 'ok' AND \"check\" <> 'worker'")
            == 0
        )


def test_two_at_once(bare_database: str) -> None:
    reports: list[MigrationReport] = []
    threads = [
        threading.Thread(target=lambda: reports.append(migrate.install(bare_database))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(len(report.applied) for report in reports) == [0, 0, 0, len(migrate.migrations())]


def test_a_failure_leaves_nothing(bare_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = migrate.code()
    monkeypatch.setattr(migrate, "code", lambda: text + "SELECT 1/0;")
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate.install(bare_database)
    assert migrate.check(bare_database) is SchemaState.NOT_INSTALLED
    monkeypatch.undo()
    migrate.install(bare_database)


def test_changed_code_is_put_in_place(bare_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate.install(bare_database)
    text = migrate.code()
    monkeypatch.setattr(migrate, "code", lambda: text + "\n-- another\n")
    report = migrate.install(bare_database)
    assert (report.applied, report.code_replaced) == ((), True)


def test_older_and_newer(bare_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate.install(bare_database)
    known = migrate.migrations()
    more = (*known, migrate.Migration(version=len(known) + 1, name="more", text="CREATE TABLE df.more ();"))
    monkeypatch.setattr(migrate, "migrations", lambda: more)
    assert migrate.check(bare_database) is SchemaState.OLDER
    assert migrate.install(bare_database).applied == (f"{len(more):04}_more",)
    assert migrate.check(bare_database) is SchemaState.SAME
    monkeypatch.undo()
    assert migrate.check(bare_database) is SchemaState.NEWER
    with pytest.raises(InstallError, match="upgrade dfc"):
        migrate.install(bare_database)


OLD = """
    CREATE FUNCTION df.checkpoint(token bytea, instance text, path text, columns text[], types oid[],
        cells text[], row_count bigint, finish json, OUT journal bigint, OUT finished boolean,
        OUT cancel_reason text) LANGUAGE sql AS 'SELECT 1::bigint, true, NULL::text';
    CREATE FUNCTION df._record(token bytea, instance text, path text, kind text, value json, error json,
        finish json) RETURNS void LANGUAGE sql AS '';
    CREATE FUNCTION df._history(instance text, token bytea) RETURNS SETOF df.checkpoints
        LANGUAGE sql AS 'SELECT * FROM df.checkpoints';
    CREATE FUNCTION df._claim(worker bigint, formats integer[], roles name[], max integer)
        RETURNS TABLE (instance_id text) LANGUAGE sql AS 'SELECT id FROM df.instances';
    CREATE FUNCTION df.map_results(instance_id text, path text) RETURNS text
        LANGUAGE sql AS 'SELECT NULL::text';
    CREATE FUNCTION df.list_instances(status_filter text DEFAULT NULL, limit_count integer DEFAULT 100)
        RETURNS text LANGUAGE sql AS 'SELECT NULL::text';
    CREATE VIEW df.nodes AS SELECT instance_id, path AS id FROM df.checkpoints;
    INSERT INTO df.instances (id, expression, expression_hash, status, started_at, plan, plan_hash)
        VALUES ('i', '/*dfc:1:18*/{"sql":"SELECT 1"}', sha256('x'), 'running', now(), '{"format": 1}', 'h');
    INSERT INTO df.fences (instance_id, submitted_by, token)
        VALUES ('i', CURRENT_USER::regrole, '0123456789abcdef');
    INSERT INTO df.checkpoints (instance_id, path, journal, kind, value)
        VALUES ('i', 'a', 1, 'completed', '1');
"""


def test_an_older_schema_is_brought_up(bare_database: str, roles: Callable[..., str]) -> None:
    """The first migration, with what its code has made that later code makes differently."""
    role, grantor = roles("reader"), roles("grantor")
    with connect(bare_database) as owner:
        owner.execute(migrate.migrations()[0].text.encode())
        owner.execute(OLD.encode())
        owner.execute("INSERT INTO df.meta (schema_version) VALUES (1)")
        owner.execute("INSERT INTO df.migrations (version, name) VALUES (1, 'spine')")
        who = sql.Identifier(role)
        owner.execute(sql.SQL("GRANT USAGE ON SCHEMA df TO {}").format(who))
        for table in ("instances", "checkpoints", "nodes"):
            owner.execute(
                sql.SQL("GRANT SELECT ON df.{} TO {}, {} WITH GRANT OPTION").format(
                    sql.Identifier(table), who, sql.Identifier(grantor)
                )
            )
        report = migrate.install(bare_database)
        assert (report.before, len(report.applied)) == (SchemaState.OLDER, len(migrate.migrations()) - 1)
        # What was there goes on.
        me = value(owner, "SELECT df._register_worker('here', 1, 't', 1, '{1}', 60, 1)")
        token = value(owner, "SELECT token FROM df._claim(%s, '{1}', NULL, 1)", me)
        history = "SELECT array_agg(path || ' ' || value) FROM df._history('i', %s, '{a}', 1000)"
        assert value(owner, history, token) == ["a 1"]
        # Who could read checkpoints reads what has come beside them, and the view that was made anew.
        for name in (role, grantor):
            for table in ("nodes", "marks", "attempts", "maps", "map_items"):
                right = "SELECT has_table_privilege(%s, %s, 'SELECT WITH GRANT OPTION')"
                assert value(owner, right, name, f"df.{table}"), (name, table)
        assert not value(owner, "SELECT has_table_privilege('public', 'df.maps', 'SELECT')")


def test_a_role_without_special_rights(plain: tuple[str, str], bare_database: str) -> None:
    role, url = plain
    report = migrate.install(url)
    assert "the operators are in schema df" in report.notices[0] and "search_path" in report.notices[0]
    with connect(url) as session:
        assert value(session, OPERATORS) == "df"
        hints = session.execute("SELECT hint FROM df.doctor() WHERE \"check\" LIKE 'operator%'").fetchall()
        assert len(hints) == 7 and all("search_path" in str(hint) for (hint,) in hints)
        session.execute('SET search_path = "$user", public, df')
        assert value(session, "SELECT df.start('SELECT 1' ~> 'SELECT 2')")
        assert (
            value(
                session, "SELECT count(*) FROM df.doctor() WHERE \"check\" LIKE 'operator%' AND status = 'ok'"
            )
            == 7
        )
    assert migrate.install(url).applied == ()
    with connect(bare_database) as owner:
        owner.execute(
            sql.SQL("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM public, {}").format(
                sql.Identifier(role)
            )
        )
    with connect(url) as session:
        assert migrate.system_identifier(session) is None
        assert (
            value(
                session, "SELECT count(*) FROM df.doctor() WHERE status = 'error' AND \"check\" = 'database'"
            )
            == 0
        )


def test_a_role_that_may_not(server: Server, bare_database: str, roles: Callable[..., str]) -> None:
    role = roles("nobody")
    name = str(conninfo_to_dict(bare_database)["dbname"])
    with pytest.raises(InstallError, match="GRANT CREATE ON DATABASE"):
        migrate.install(server.url(name, role))
    migrate.install(bare_database)
    with connect(bare_database) as owner:
        owner.execute("UPDATE df.meta SET code_hash = 'old'")
    with pytest.raises(InstallError, match="owner"):
        migrate.install(server.url(name, role))


@pytest.mark.parametrize("schema", ["public", "pg_catalog"])
def test_a_squatter_stops_it(bare_database: str, schema: str) -> None:
    with connect(bare_database) as owner:
        owner.execute("CREATE FUNCTION squat(text, text) RETURNS text LANGUAGE sql AS 'SELECT $1'")
        owner.execute(
            f"CREATE OPERATOR {schema}.~> (LEFTARG = text, RIGHTARG = text, FUNCTION = squat)".encode()
        )
    with pytest.raises(InstallError, match=r"that is not dfc's.*DROP OPERATOR"):
        migrate.install(bare_database)
    assert migrate.check(bare_database) is SchemaState.NOT_INSTALLED


def test_somebody_elses_schema_df(bare_database: str) -> None:
    with connect(bare_database) as owner:
        owner.execute("CREATE SCHEMA df; CREATE TABLE df.instances (id varchar(8))")
    with pytest.raises(InstallError, match="has not made"):
        migrate.install(bare_database)
    with pytest.raises(InstallError, match="has not made"):
        migrate.check(bare_database)


def test_another_encoding(server: Server) -> None:
    with connect(server.url()) as owner:
        owner.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    try:
        with pytest.raises(InstallError, match="LATIN1"):
            migrate.install(server.url("latin"))
    finally:
        with connect(server.url()) as owner:
            owner.execute("DROP DATABASE latin")


def test_a_copy_is_seen(server: Server, template: str) -> None:
    with connect(server.url()) as owner:
        owner.execute(f"CREATE DATABASE a_copy TEMPLATE {template}".encode())
    try:
        with connect(server.url("a_copy")) as session:
            query = "SELECT status FROM df.doctor() WHERE \"check\" = 'database'"
            assert value(session, query) == "error"
            session.execute("SELECT df._adopt(%s)", [migrate.system_identifier(session)])
            assert value(session, query) == "ok"
    finally:
        with connect(server.url()) as owner:
            owner.execute("DROP DATABASE a_copy WITH (FORCE)")


def test_names_are_qualified_and_definer_functions_are_pinned(shared_database: str) -> None:
    with connect(shared_database) as session:
        loose = session.execute(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'df'::regnamespace AND prosecdef"
            " AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)"
        ).fetchall()
        assert loose == []
        open_views = session.execute(
            # df.claimed shows what is in a table that is not for users, and says itself whose rows it shows.
            "SELECT relname FROM pg_class WHERE relnamespace = 'df'::regnamespace AND relkind = 'v'"
            " AND relname <> 'claimed' AND NOT coalesce('security_invoker=true' = ANY (reloptions), false)"
        ).fetchall()
        assert open_views == []


def test_every_file_is_installed_and_says_what_it_does() -> None:
    text = migrate.code() + "".join(migration.text for migration in migrate.migrations())
    files = [path for path in migrate.SQL_DIRECTORY.rglob("*.sql") if path.parent.name != "queries"]
    assert len(files) > 40
    for path in files:
        content = path.read_text()
        assert content.startswith("-- "), path
        if path.parent.name in ("tables", "functions", "views", "operators"):
            assert content in text, path
            assert "Locks:" in content, path
