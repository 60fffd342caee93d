"""SQL has no way to write a list of parameters once: the doors that take policies are held equal here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dfc.compiler import plan_settings
from dfc.executor.connections import PINNED
from tests.sql.worker import Connection, connect, value

POLICIES = {
    "max_attempts": "3",
    "backoff": "'2 s'",
    "max_backoff": "'1 min'",
    "jitter": "false",
    "retry_on": "ARRAY['40']",
    "no_retry_on": "ARRAY['40001']",
    "timeout": "'5 s'",
    "on_error": "'continue'",
    "rate_limit": "'5/minute'",
    "rate_key": "'k'",
    "delivery": "'at_most_once'",
    "database": "current_database()::text",
    "autocommit": "true",
    "isolation": "'serializable'",
    "settings": """'{"work_mem": "1GB"}'::jsonb""",
    "retry_unsafe": "true",
    "retry_after_max": "'7 s'",
}
DOORS = {
    "sql": "'SELECT 1'",
    "step": "'s', 'SELECT 1'",
    "atomic": "'SELECT 1'",
    "retry": "'SELECT 1'",
    "http": "'http://x'",
    "http_multipart": '\'http://x\', parts => \'[{"name": "a", "data_b64": "aGk="}]\'',
}
TYPES = """
    SELECT p.proname, a.name, a.type::regtype::text
    FROM pg_proc p, unnest(p.proargnames, p.proargtypes::oid[]) AS a(name, type)
    WHERE p.pronamespace = 'df'::regnamespace AND p.proname = ANY (%s) AND a.name = ANY (%s)
"""


@pytest.fixture(scope="module")
def session(shared_database: str) -> Iterator[Connection]:
    with connect(shared_database) as connection:
        yield connection


def parameters(session: Connection) -> dict[str, dict[str, str]]:
    """The policies of each door with their types."""
    found: dict[str, dict[str, str]] = {door: {} for door in DOORS}
    for door, name, type in session.execute(TYPES, [list(DOORS), list(POLICIES)]).fetchall():
        found[str(door)][str(name)] = str(type)
    return found


def test_policies_have_the_same_types_everywhere(session: Connection) -> None:
    found = parameters(session)
    types = found["http"] | found["sql"]
    assert set(types) == set(POLICIES)
    for door, own in found.items():
        assert own == {name: types[name] for name in own}, door
    assert found["sql"] == found["step"] == found["atomic"]
    assert found["http"] == found["http_multipart"]


def test_each_policy_comes_out_the_same_everywhere(session: Connection) -> None:
    """Whatever its place in the call of df._policy."""
    tried = 0
    for door, own in parameters(session).items():
        for name in own:
            if name == "database" and door.startswith("http"):
                continue  # refused: DF330
            given = [f"{name} => {POLICIES[name]}"]
            if door == "retry" and name != "max_attempts":
                given.append("max_attempts => 3")
            wire = str(value(session, f"SELECT df.{door}({', '.join([DOORS[door], *given])})"))
            policy = str(value(session, "SELECT (substring(%s from '[{].*')::json -> 'policy')::text", wire))
            alone = f'"{name}":'
            assert alone in policy, (door, name)
            if door in ("http", "http_multipart") and name not in parameters(session)["sql"]:
                continue
            reference = str(value(session, f"SELECT df.sql('SELECT 1', {', '.join(given)})"))
            assert policy == value(
                session, "SELECT (substring(%s from '[{].*')::json -> 'policy')::text", reference
            ), (door, name)
            tried += 1
    assert tried > 60


def test_settings_that_a_step_cannot_have_are_the_same_everywhere(session: Connection) -> None:
    """What every session of the executor sets is among them."""
    assert {name.lower() for name in PINNED} <= set(plan_settings.OWN)
    known = {str(row[0]).lower() for row in session.execute("SELECT name FROM pg_settings").fetchall()}
    for name in sorted(known | set(plan_settings.OWN) | {"df.x", "DF.y", "dfx", "my.df"}):
        own = value(session, "SELECT df._own_setting(jsonb_build_object(%s::text, 1))", name)
        assert own == (name if plan_settings.why_not(name) else None), name
