"""Who may do what: several roles on a real server, each trying what is not theirs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from tests.postgres import Server
from tests.sql.worker import CHECKPOINT, Connection, activation, claim, connect, refusal, register, value


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """One database, its owner's connection, and two users who do not know each other."""

    owner: Connection
    anna: Connection
    bert: Connection
    anna_name: str
    bert_name: str
    url: Callable[[str], str]


@pytest.fixture
def house(server: Server, database: str, roles: Callable[..., str]) -> Iterator[House]:
    anna, bert = roles("anna"), roles('Bert ö"x')
    name = conninfo_to_dict(database)["dbname"]
    with (
        connect(database) as owner,
        connect(server.url(str(name), anna)) as a,
        connect(server.url(str(name), bert)) as b,
    ):
        for role in (anna, bert):
            owner.execute("SELECT df.grant_usage(%s, include_http => true)", [role])
        yield House(
            owner=owner,
            anna=a,
            bert=b,
            anna_name=anna,
            bert_name=bert,
            url=lambda r: server.url(str(name), r),
        )


def test_open_functions_and_views_call_open_ones_only(house: House) -> None:
    """What runs with the caller's rights must not end in a function that is closed to the caller."""
    called = r"df\.(_\w+)\("
    found = house.owner.execute(
        """
        WITH closed AS (
            SELECT DISTINCT p.proname FROM pg_proc p
            WHERE p.pronamespace = 'df'::regnamespace AND NOT has_function_privilege(%s, p.oid, 'EXECUTE')
        ), texts AS (
            SELECT p.proname::text AS name, p.prosrc AS text FROM pg_proc p
            WHERE p.pronamespace = 'df'::regnamespace AND NOT p.prosecdef
              AND has_function_privilege(%s, p.oid, 'EXECUTE')
            UNION ALL
            SELECT c.relname, pg_get_viewdef(c.oid) FROM pg_class c
            WHERE c.relnamespace = 'df'::regnamespace AND c.relkind = 'v'
        )
        SELECT t.name, m.name[1] FROM texts t, regexp_matches(t.text, %s, 'g') AS m(name)
        WHERE m.name[1] IN (SELECT proname FROM closed)
        """,
        [house.anna_name, house.anna_name, called],
    ).fetchall()
    assert found == []


def test_who_was_granted_the_usage_can_write_long_workflows(house: House) -> None:
    steps = " ~> ".join(["'SELECT 1'"] * 3300)
    assert value(house.anna, "SELECT length('a b' ~> 'b c' ~> 'c d' ~> 'd e') > 0") is True
    assert value(house.anna, "SELECT length('a b' |=> 'b c' |=> 'c d') > 0") is True
    assert refusal(house.anna, f"SELECT {steps}") == "DF514"


def test_who_was_granted_the_usage_can_read_results(house: House) -> None:
    instance = str(value(house.anna, "SELECT df.start('SELECT 1' ~> 'SELECT 2')"))
    [(_, token, _)] = claim(house.owner, register(house.owner))
    value(
        house.anna,
        CHECKPOINT,
        activation(token, "a"),
        instance,
        "a",
        ["x", "x"],
        [23, 23],
        ["1", "2"],
        1,
        None,
    )
    plan = (
        '{"format": 2, "result": "a", "nodes": [{"id": "a", "after": [], "kind": "sql", "body":'
        ' {"sql": "SELECT 1", "kind": "select", "form": "with", "returns": "rows"}}]}'
    )
    house.owner.execute("UPDATE df.instances SET plan = %s, plan_hash = 'h'", [plan])
    assert value(house.anna, "SELECT result->'rows' FROM df.nodes") == [{"x": 1, "x_2": 2}]
    shown = "SELECT df._result_json(columns, types, cells, row_count) FROM df.checkpoints"
    assert '"x_2": 2' in str(value(house.anna, shown))


def test_each_sees_their_own(house: House) -> None:
    mine = value(house.anna, "SELECT df.start('SELECT 1' ~> 'SELECT 2')")
    theirs = value(house.bert, "SELECT df.start('SELECT 1')")
    assert value(house.anna, "SELECT array_agg(id) FROM df.instances") == [mine]
    assert value(house.bert, "SELECT array_agg(id) FROM df.instances") == [theirs]
    assert value(house.bert, "SELECT df.status(%s)", mine) is None
    assert value(house.bert, "SELECT df.result(%s)", mine) is None
    assert refusal(house.bert, "SELECT df.cancel(%s)", mine) == "P0002"
    assert refusal(house.bert, "SELECT df.await_instance(%s)", mine) == "P0002"
    assert value(house.owner, "SELECT count(*) FROM df.instances") == 2
    who = house.owner.execute("SELECT pg_get_userbyid(submitted_by) FROM df.instances ORDER BY id").fetchall()
    assert who == [(house.anna_name,), (house.bert_name,)]
    claimed = house.owner.execute(
        "SELECT submitted_by FROM df._claim(%s, '{1}', NULL, 9)", [register(house.owner)]
    ).fetchall()
    assert sorted(claimed) == sorted(who)


FORGED = [
    "INSERT INTO df.instances (expression, submitted_by) VALUES ('x', 'postgres')",
    "INSERT INTO df.instances (expression, status) VALUES ('x', 'completed')",
    "INSERT INTO df.instances (expression, plan, plan_hash) VALUES ('x', '{}', 'h')",
    "INSERT INTO df.instances (expression, expression_hash) VALUES ('x', 'h')",
    "INSERT INTO df.instances (id, expression) VALUES ('x', 'x')",
    "INSERT INTO df.instances (expression, search_path) VALUES ('x', 'x')",
    "INSERT INTO df.instances (expression, result) VALUES ('x', '1')",
    "INSERT INTO df.instances (expression) VALUES ('x') ON CONFLICT (id) DO UPDATE SET label = 'x'",
    "INSERT INTO df.instances (expression, definition_version) VALUES ('x', 1)",
    "INSERT INTO df.instances (expression, ready) VALUES ('x', true)",
    "INSERT INTO df.instances (expression, parent) VALUES ('x', 'x')",
    "UPDATE df.instances SET label = 'x'",
    "UPDATE df.instances SET status = 'pending'",
    "DELETE FROM df.instances",
    "TRUNCATE df.instances",
    "SELECT FROM df.instances FOR UPDATE",
    "SELECT FROM df.instances FOR KEY SHARE",
    "INSERT INTO df.checkpoints (instance_id, path, journal, kind, value) VALUES ('x', 'x', 1, 'completed', '1')",  # noqa: E501
    "UPDATE df.checkpoints SET value = '1'",
    "DELETE FROM df.checkpoints",
    "INSERT INTO df.marks (instance_id, path, kind, journal, value) VALUES ('x', 'x', 'decided', 1, '1')",
    "UPDATE df.marks SET value = '1'",
    "DELETE FROM df.marks",
    "INSERT INTO df.attempts_made (instance_id, path, begun_at) VALUES ('x', 'x', now())",
    "UPDATE df.attempts_made SET attempts = 0",
    "DELETE FROM df.attempts_made",
    "INSERT INTO df.maps (instance_id, path, columns, types, batch_size) VALUES ('x', 'x', '{}', '{}', 1)",
    "UPDATE df.maps SET failed = 0",
    "DELETE FROM df.maps",
    "INSERT INTO df.map_items (map, item, rows, cells) VALUES (1, 1, 1, '{}')",
    "UPDATE df.map_items SET result = '1'",
    "DELETE FROM df.map_items",
    "INSERT INTO df.debounces (instance_id, due_at, submitted_by) VALUES ('x', now(), 'postgres')",
    "UPDATE df.debounces SET due_at = now()",
    "DELETE FROM df.debounces",
    "INSERT INTO df.definitions (name, expression, owner) VALUES ('x', 'x', 'postgres')",
    "INSERT INTO df.definitions (name, expression, version) VALUES ('x', 'x', 1)",
    "UPDATE df.definitions SET expression = 'x'",
    "DELETE FROM df.definitions",
    "SELECT FROM df.key_locks",
    "SELECT FROM df.key_locks FOR UPDATE",
    "SELECT FROM df.rate_limits",
    "INSERT INTO df.rate_limits VALUES ('postgres', 'x', now())",
    "INSERT INTO df.requests (instance_id, kind, requested_by) VALUES ('x', 'cancel', 'postgres')",
    "UPDATE df.requests SET reason = 'x'",
    "DELETE FROM df.requests",
    "SELECT FROM df.fences",
    "INSERT INTO df.fences (instance_id, submitted_by, token) VALUES ('x', 'postgres', '0123456789abcdef')",
    "SELECT FROM df.workers",
    "INSERT INTO df.workers (id, host, pid, version, compiler_version, plan_formats, lease_seconds, slots)"
    " VALUES (1, 'x', 1, 'x', 1, '{1}', 1, 1)",
    "SELECT FROM df.plans",
    "INSERT INTO df.plans VALUES (sha256('x'), 1, '{}', 'h')",
    "SELECT FROM df.meta",
    "UPDATE df.meta SET compiler_version = 0",
    "SELECT nextval('df.journal')",
    "SELECT setval('df.journal', 1)",
    "SELECT df._register_worker('x', 1, 'x', 1, '{1}', 1, 1)",
    "SELECT df._heartbeat(1)",
    "SELECT df._unregister_worker(1)",
    "SELECT df._claim(1, '{1}', NULL, 1)",
    "SELECT df._promote('{}')",
    "SELECT df._choose(NULL, NULL, '{1}', '{}', 1)",
    "SELECT df._under_keys('{}', '{}')",
    "SELECT df._release()",
    "SELECT df._take_lane('postgres', 'x')",
    "SELECT df._groups(NULL, NULL)",
    "SELECT df._shares(NULL, NULL, 1)",
    "SELECT FROM df.freed_keys",
    "INSERT INTO df.freed_keys (submitted_by, key) VALUES ('postgres', 'x')",
    "INSERT INTO df.instances (expression, held) VALUES ('x', true)",
    "SELECT df._start_on_failure('x')",
    "SELECT df._start_child('x', 'x', 'x', 'x', NULL)",
    "SELECT df._before_debounce()",
    "SELECT df._before_definition()",
    "SELECT df._cancels(1)",
    "SELECT df._store_plan('x', 'x', 1, '{}', 'h')",
    "SELECT df._history('x', 'x', '{}', 0)",
    "SELECT df._record_of('x', 'x', 'x')",
    "SELECT df._result_for('x', 'x', '[]')",
    "SELECT df._record_decision('x', 'x', 'x', '1')",
    "SELECT df._record_attempt('x', 'x', 'x', 1, 0, 1, '{}')",
    "SELECT df._record_beginning('x', 'x', 'x')",
    "SELECT df._record_position('x', 'x', 'x', 1, '{}', '{}', 0, NULL)",
    "SELECT df._start_timer('x', 'x', 'x', 1)",
    "SELECT df._take_turn('x', 'x', 'x', 'x', 1, 1)",
    "SELECT df._settle('x', 'x', 'y')",
    "SELECT df._park('x', 'x', 1, 'x', false)",
    "SELECT df._carry_out('{}', now())",
    "SELECT df._take_up_retries()",
    "SELECT df._begin_again('x', 'x', '{}', '{}')",
    "SELECT df._after_fork()",
    "SELECT df._store_items('x', 'x', 'x', 1, NULL, NULL, NULL, NULL, NULL, '[]')",
    "SELECT df._fetch_items('x', 'x', 'x', 0, 1, false)",
    "SELECT df._end_item('x', 'x', 'x', 1, NULL, NULL, '{}')",
    "SELECT df._end_map('x', 'x', 'x', true, NULL)",
    "SELECT df._fill_items(1, 1, 1, '{}', 1, 1)",
    "SELECT df._new_map('x', 'x', '{}', '{}', 1)",
    "SELECT df._record_items('x', 'x', '{}', '{}', 1)",
    "SELECT df._put_outcome('x', 'x', 1, '1', NULL)",
    "SELECT df._forget('x', '{}')",
    "SELECT df._ride('x', 'x', 1, '{}', NULL)",
    "SELECT df._ride_item('x', 'x', '{}', NULL)",
    "SELECT df._ride_decision('x', 1, '{}')",
    "SELECT df._lock_activation('x', 'x', 'x')",
    "SELECT df._next_wake()",
    "SELECT df._after_delete()",
    "SELECT df._record('x', 'x', 'x', 'completed', '1', NULL, NULL)",
    "SELECT df._finish('x', 'x', '{}')",
    "SELECT df._end_instance('x', '{}')",
    "SELECT df._result_of('x', '[]')",
    "SELECT df._cancel_reason('x')",
    "SELECT df._dead_workers(1)",
    "SELECT df._adopt(NULL)",
    "SELECT df._before_instance()",
    "SELECT df.grant_usage('public')",
    "SELECT df.metrics()",
    "CREATE TABLE df.x ()",
    "CREATE OR REPLACE FUNCTION df.version() RETURNS text LANGUAGE sql AS 'SELECT 1::text'",
    "ALTER TABLE df.instances DISABLE ROW LEVEL SECURITY",
    "CREATE TRIGGER t BEFORE INSERT ON df.instances FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",  # noqa: E501
    "COPY df.instances (id, expression) FROM STDIN",
]


TRIGGERS = tuple(
    f"SELECT df.{name}()"
    for name in ("_before_instance", "_after_delete", "_after_fork", "_before_debounce", "_before_definition")
)


def test_nothing_else_is_allowed(house: House) -> None:
    house.owner.execute("SELECT df.start('SELECT 1')")
    house.anna.execute("SELECT df.start('SELECT 1')")
    allowed = {"0A000"}  # CREATE FUNCTION as a trigger call is refused before rights are looked at
    for attempt in FORGED:
        code = refusal(house.anna, attempt)
        assert code == "42501" or (code in allowed and attempt in TRIGGERS), (attempt, code)
    assert (
        value(house.owner, "SELECT count(*) FROM df.instances WHERE status = 'pending' AND label IS NULL")
        == 2
    )


def test_no_request_for_others(house: House) -> None:
    theirs = value(house.bert, "SELECT df.start('SELECT 1')")
    ask = "INSERT INTO df.requests (instance_id, kind) VALUES (%s, 'cancel')"
    assert refusal(house.anna, ask, theirs) == "42501"
    house.bert.execute(ask.encode(), [theirs])
    assert value(house.anna, "SELECT count(*) FROM df.requests") == 0
    assert value(house.bert, "SELECT count(*) FROM df.requests") == 1


def test_a_role_without_rights(house: House, roles: Callable[..., str]) -> None:
    with connect(house.url(roles("carla"))) as carla:
        for attempt in ("SELECT df.start('SELECT 1')", "SELECT df.version()", "SELECT FROM df.instances"):
            assert refusal(carla, attempt) == "42501"
    house.owner.execute("SELECT df.revoke_usage(%s)", [house.anna_name])
    assert refusal(house.anna, "SELECT df.start('SELECT 1')") == "42501"
    assert value(house.owner, "SELECT count(*) FROM pg_class WHERE relacl::text LIKE '%%anna%%'") == 0
    house.owner.execute("SELECT df.grant_usage('PUBLIC')")
    assert value(house.anna, "SELECT df.start('SELECT 1')")


def test_a_definer_function_submits_as_its_owner(house: House) -> None:
    house.owner.execute("CREATE SCHEMA shop; GRANT ALL ON SCHEMA shop TO public")
    house.bert.execute(
        "CREATE FUNCTION shop.go() RETURNS text LANGUAGE sql SECURITY DEFINER"
        " AS $$ SELECT df.start('SELECT 1') $$"
    )
    instance = value(house.anna, "SELECT shop.go()")
    assert value(house.anna, "SELECT count(*) FROM df.instances") == 0
    assert value(house.bert, "SELECT id FROM df.instances") == instance


def test_set_role_submits_as_that_role(house: House) -> None:
    house.owner.execute(
        sql.SQL("GRANT {} TO {}").format(sql.Identifier(house.bert_name), sql.Identifier(house.anna_name))
    )
    house.anna.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(house.bert_name)))
    value(house.anna, "SELECT df.start('SELECT 1')")
    assert value(house.bert, "SELECT count(*) FROM df.instances") == 1


def test_a_token_gives_one_record_to_its_submitter(house: House) -> None:
    mine = str(value(house.anna, "SELECT df.start('SELECT 1')"))
    other = str(value(house.anna, "SELECT df.start('SELECT 1')"))
    theirs = str(value(house.bert, "SELECT df.start('SELECT 1')"))
    tokens = {i: t for i, t, _ in claim(house.owner, register(house.owner))}
    good = activation(tokens[mine], "a")

    def call(who: Connection, token: bytes, instance: str, path: str) -> str:
        return refusal(who, CHECKPOINT, token, instance, path, ["x"], [23], ["1"], 1, None)

    assert call(house.anna, good, mine, "b") == "DX001"
    assert call(house.anna, good, other, "a") == "DX001"
    assert call(house.anna, good, theirs, "a") == "DX001"
    assert call(house.bert, good, mine, "a") == "DX001"
    assert call(house.owner, good, mine, "a") == "DX001"
    assert call(house.anna, tokens[mine], mine, "a") == "DX001"
    for guess in (b"", b"\0" * 32, hashlib.sha256(b"").digest(), hashlib.sha256(mine.encode()).digest()):
        assert call(house.anna, guess, mine, "a") == "DX001"
    value(house.anna, CHECKPOINT, good, mine, "a", ["x"], [23], ["1"], 1, None)
    assert call(house.anna, good, mine, "a") == "DX002"
    assert value(house.owner, "SELECT count(*) FROM df.checkpoints") == 1
    assert value(house.bert, "SELECT count(*) FROM df.checkpoints") == 0
    assert value(house.bert, "SELECT count(*) FROM df.nodes") == 0
    assert value(house.anna, "SELECT path FROM df.checkpoints") == "a"


def test_a_learned_token_can_end_its_own_instance_only_soundly(house: House) -> None:
    mine = str(value(house.anna, "SELECT df.start('SELECT 1')"))
    [(_, token, _)] = claim(house.owner, register(house.owner))
    good = activation(token, "a")
    for finish in (
        '{"status":"pending"}',
        '{"status":null}',
        "[]",
        '{"status":"completed","shape":"other"}',
        '{"status":"completed","shape":{"a":1}}',
        '{"status":"completed"}',
        '{"status":"completed","shape":' + "[" * 200 + '"b"' + "]" * 200 + "}",
    ):
        code = refusal(house.anna, CHECKPOINT, good, mine, "a", ["x"], [23], ["1"], 1, finish)
        assert code in ("22023", "XX000"), (finish, code)
    for columns, types, cells, count in (
        (["x"], [23, 23], ["1"], 1),
        (["x"], [23], ["1", "2"], 1),
        (["x"], [23], ["1"], -1),
        ([], [], ["1"], 1),
        (["x"], [23], ["1"], None),
        (None, None, None, 1),
        ([None], [23], ["1"], 1),
    ):
        assert refusal(house.anna, CHECKPOINT, good, mine, "a", columns, types, cells, count, None) == "22023"
    assert value(house.owner, "SELECT count(*) FROM df.checkpoints") == 0


def test_a_hostile_search_path_meets_no_definer_function(house: House) -> None:
    """Look-alikes of what the definer functions call, in front of pg_catalog and in temp schemas."""
    house.owner.execute(
        "CREATE SCHEMA trap; GRANT ALL ON SCHEMA trap TO public; CREATE TABLE trap.caught (who text)"
    )
    house.owner.execute("GRANT ALL ON trap.caught TO public")
    body = "BEGIN INSERT INTO trap.caught VALUES (current_user); RETURN NULL; END"
    for signature in (
        "sha256(bytea) RETURNS bytea",
        "quote_ident(text) RETURNS text",
        "clock_timestamp() RETURNS timestamptz",
        "convert_to(text, name) RETURNS bytea",
        "json_value(oid, text) RETURNS text",
        "to_json(text) RETURNS json",
        "uuid_send(uuid) RETURNS bytea",
        "date_part(text, timestamptz) RETURNS float8",
        "eq(text, text) RETURNS bool",
        "concat(text, text) RETURNS text",
    ):
        house.anna.execute(f"CREATE FUNCTION trap.{signature} LANGUAGE plpgsql AS $$ {body} $$".encode())
    house.anna.execute("CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.eq)")
    for relation in ("instances", "plans", "meta", "fences", "workers"):
        house.anna.execute(f"CREATE TEMP TABLE {relation} (id text)".encode())
    house.anna.execute("SET search_path = pg_temp, trap, pg_catalog, public")
    house.anna.execute('INSERT INTO df.instances (expression) VALUES (\'/*dfc:1:18*/{"sql":"SELECT 1"}\')')
    mine = str(value(house.anna, "SELECT id FROM df.instances"))
    [(_, token, _)] = claim(house.owner, register(house.owner))
    finish = '{"status":"completed","shape":"a"}'
    value(house.anna, CHECKPOINT, activation(token, "a"), mine, "a", ["x"], [25], ["1"], 1, finish)
    house.anna.execute("SELECT df._worker_alive(), df.version(), df._doctor_facts()")
    assert value(house.owner, "SELECT count(*) FROM trap.caught WHERE who <> %s", house.anna_name) == 0
    assert value(house.owner, "SELECT status FROM df.instances") == "completed"


def test_types_of_the_submitter_run_nothing_as_the_owner(house: House) -> None:
    """A domain's CHECK, a cast to json: code of the submitter that a cast of a stored cell would call."""
    house.owner.execute(
        "CREATE SCHEMA trap; GRANT ALL ON SCHEMA trap TO public; CREATE TABLE trap.caught (who text)"
    )
    house.owner.execute("GRANT ALL ON trap.caught TO public")
    house.anna.execute("""
        CREATE FUNCTION trap.spy(text) RETURNS boolean LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO trap.caught VALUES (current_user); RETURN true; END $$;
        CREATE DOMAIN trap.d AS text CHECK (trap.spy(VALUE));
        CREATE TYPE trap.c AS (d trap.d, n integer);
        CREATE TYPE trap.e AS ENUM ('one');
        CREATE FUNCTION trap.to_json(trap.e) RETURNS json LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO trap.caught VALUES (current_user); RETURN '1'; END $$;
        CREATE CAST (trap.e AS json) WITH FUNCTION trap.to_json(trap.e)""")
    oids = value(
        house.owner,
        "SELECT array_agg(t::regtype::oid::int ORDER BY n) FROM unnest("
        "'{trap.d,trap.d[],trap.c,trap.c[],trap.e,trap.e[]}'::text[]) WITH ORDINALITY u(t, n)",
    )
    mine = str(value(house.anna, "SELECT df.start('SELECT 1')"))
    [(_, token, _)] = claim(house.owner, register(house.owner))
    cells = ["x", "{x,NULL}", "(x,1)", '{"(x,1)","(\\"a b\\",)"}', "one", "{one}"]
    value(
        house.anna,
        CHECKPOINT,
        activation(token, "a"),
        mine,
        "a",
        list("abcdef"),
        oids,
        cells,
        1,
        '{"status":"completed","shape":"a"}',
    )
    assert value(house.owner, "SELECT count(*) FROM trap.caught") == 0
    assert value(house.anna, "SELECT result->'rows'->0 FROM df.instances") == {
        "a": "x", "b": ["x", None], "c": {"d": "x", "n": 1},
        "d": [{"d": "x", "n": 1}, {"d": "a b", "n": None}], "e": "one", "f": ["one"],
    }  # fmt: skip
