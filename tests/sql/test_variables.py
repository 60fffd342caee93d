"""df.setvar and its sisters, and what an instance takes of the variables when it starts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.sql.worker import Connection, connect, refusal, register, value


@pytest.fixture
def session(database: str) -> Iterator[Connection]:
    with connect(database) as connection:
        yield connection


def said(session: Connection, query: str) -> psycopg.errors.Diagnostic:
    with pytest.raises(psycopg.Error) as caught:
        session.execute(query.encode())
    return caught.value.diag


def captured(session: Connection, expression: str, label: str | None = None) -> object:
    instance = value(session, "SELECT df.start(%s, %s)", expression, label)
    return value(session, "SELECT variables FROM df.instances WHERE id = %s", instance)


def test_set_get_unset_clear(session: Connection) -> None:
    assert value(session, "SELECT df.getvar('a')") is None
    assert value(session, "SELECT df.setvar('a', '1')") == "OK"
    assert value(session, "SELECT df.setvar('a', '2')") == "OK"
    assert value(session, "SELECT df.setvar(name => 'b', value => '')") == "OK"
    assert value(session, "SELECT df.getvar('a')") == "2"
    assert value(session, "SELECT df.getvar('b')") == ""
    assert value(session, "SELECT df.getvar('A')") is None
    assert value(session, "SELECT df.unsetvar('a')") == "OK"
    assert value(session, "SELECT df.unsetvar('a')") == "OK"
    assert value(session, "SELECT df.getvar('a')") is None
    assert value(session, "SELECT df.clearvars()") == "OK"
    assert value(session, "SELECT df.clearvars()") == "OK"
    assert value(session, "SELECT count(*) FROM df.vars") == 0


def test_they_are_rows_in_the_callers_transaction(session: Connection) -> None:
    with pytest.raises(ZeroDivisionError), session.transaction():
        session.execute("SELECT df.setvar('a', '1')")
        assert value(session, "SELECT df.getvar('a')") == "1"
        raise ZeroDivisionError
    assert value(session, "SELECT df.getvar('a')") is None


def test_names_and_values(session: Connection) -> None:
    said_of_null = said(session, "SELECT df.setvar(NULL, 'x')")
    assert (said_of_null.sqlstate, said_of_null.message_primary) == ("DF113", "df.setvar: the name is NULL")
    assert refusal(session, "SELECT df.setvar('', 'x')") == "DF113"
    null = said(session, "SELECT df.setvar('a', NULL)")
    assert null.sqlstate == "22004" and null.message_primary == 'df.setvar: the value of "a" is NULL'
    assert null.message_detail and null.message_hint == "SELECT df.unsetvar('a') takes the variable away."
    notices: list[str | None] = []
    session.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    for name in ("a b", "größe", "1a", "sys_label"):
        assert value(session, "SELECT df.setvar(%s, 'x')", name) == "OK"
        assert value(session, "SELECT df.getvar(%s)", name) == "x"
        assert notices.pop() == f'no workflow sees the variable "{name}"'
    for name in ("a", "input", "_1", "A"):
        session.execute("SELECT df.setvar(%s, 'x')", [name])
    assert notices == []


@pytest.mark.parametrize("call", ["setvar('a', 'b')", "unsetvar('a')", "clearvars()"])
def test_refused_inside_a_workflow(session: Connection, call: str) -> None:
    with session.transaction():
        session.execute("SELECT df.begin_step('public', 'UTC')")
        refused = said(session, f"SAVEPOINT s; SELECT df.{call}")
        session.execute("ROLLBACK TO s")
        name = call.partition("(")[0]
        assert refused.message_primary == (
            f"df.{name}() cannot be called inside a workflow - set variables before starting the workflow"
        )
        assert refused.sqlstate == "55000" and refused.message_detail and refused.message_hint
        assert value(session, "SELECT df.getvar('a')") is None


def test_a_helper_is_no_step(session: Connection) -> None:
    for helper in ("setvar('a', 'b')", "unsetvar('a')", "clearvars()"):
        name = "df." + helper.partition("(")[0]
        queries = (
            f"SELECT df.{helper} ~> 'SELECT 1'",
            f"SELECT df.start(df.{helper})",
            f"SELECT 'SELECT 1' & df.{helper}",
            f"SELECT df.if('SELECT true', df.{helper})",
        )
        for query in queries:
            refused = said(session, query)
            assert refused.sqlstate == "DF155"
            assert refused.message_primary == (
                f"{name} cannot be used as a workflow step. Call {name} before df.start()."
            )
            assert refused.message_hint == f"Write SELECT {name}(...) as a statement of its own."
    instance = value(session, "SELECT df.start('SELECT 1')")
    me = register(session)
    query = "SELECT token FROM df._claim(%s, '{1}', NULL, 10)"
    token = value(session, query, me)
    session.execute('SELECT df._finish(%s, %s, \'{"status": "cancelled"}\')', [token, instance])
    refused = said(session, f"SELECT df.await_instance('{instance}') ~> 'SELECT 1'")
    assert refused.message_primary == (
        "df.await_instance cannot be used as a workflow step. Call df.await_instance before df.start()."
    )
    # Only in the same statement: later it is a word like any other.
    with session.transaction():
        session.execute("SELECT df.setvar('a', 'b')")
        assert refusal(session, "SAVEPOINT s; SELECT 'OK' ~> 'SELECT 1'") == "DF112"
        session.execute("ROLLBACK TO s")


def test_everybody_has_their_own(session: Connection, roles: Callable[..., str]) -> None:
    anna, bert, carl = roles("anna"), roles("bert"), roles("carl")
    for role in (anna, bert):
        value(session, "SELECT df.grant_usage(%s)", role)
    for role in (anna, bert):
        session.execute(f"SET ROLE {role}; SELECT df.setvar('who', '{role}')".encode())
    assert value(session, "SELECT df.getvar('who')") == bert
    assert session.execute("SELECT name, value, owner::text FROM df.vars").fetchall() == [("who", bert, bert)]
    session.execute(f"SET ROLE {anna}; SELECT df.setvar('hers', 'x'); SET ROLE {bert}".encode())
    assert captured(session, "SELECT '{who}', '{hers}'") == {"who": bert}
    session.execute("UPDATE df.vars SET value = 'x'")
    assert refusal(session, f"INSERT INTO df.vars VALUES ('a', 'b', '{anna}')") == "42501"
    assert refusal(session, f"UPDATE df.vars SET owner = '{anna}'") == "42501"
    session.execute("SELECT df.clearvars()")
    session.execute(f"SET ROLE {anna}".encode())
    assert value(session, "SELECT df.getvar('who')") == anna
    session.execute("RESET ROLE")
    # The owner of the schema sees the table, and has variables of its own all the same.
    assert value(session, "SELECT df.getvar('who')") is None
    session.execute("SELECT df.clearvars()")
    assert value(session, "SELECT count(*) FROM df.vars") == 2
    session.execute(f"SET ROLE {carl}".encode())
    assert refusal(session, "SELECT df.setvar('a', 'b')") == "42501"


def test_what_is_captured(session: Connection) -> None:
    for name in ("a", "b", "c", "long_name"):
        session.execute("SELECT df.setvar(%s, %s)", [name, f"<{name}>"])
    assert captured(session, "SELECT 1") is None
    assert captured(session, "SELECT '{}', '{d}', '{ a }', '{A}', $x$ {a $x$") is None
    assert captured(session, "SELECT '{a}'") == {"a": "<a>"}
    assert captured(session, "SELECT {a{b}}, '{long_name}'") == {"b": "<b>", "long_name": "<long_name>"}
    query = """
        SELECT df.start(df.http('{b}/x', body => '{"k": "{a}"}', headers => '{"h":"{c}"}'))
    """
    instance = value(session, query)
    taken = value(session, "SELECT variables FROM df.instances WHERE id = %s", instance)
    assert taken == {"a": "<a>", "b": "<b>", "c": "<c>"}


def test_the_two_of_the_system(session: Connection) -> None:
    session.execute("SELECT df.setvar('sys_label', 'mine')")
    assert captured(session, "SELECT '{sys_label}'", "nightly") == {"sys_label": "nightly"}
    assert captured(session, "SELECT '{sys_label}'") == {"sys_label": ""}
    instance = value(session, "SELECT df.start('SELECT ''{sys_instance_id}''')")
    taken = value(session, "SELECT variables FROM df.instances WHERE id = %s", instance)
    assert taken == {"sys_instance_id": instance}


def test_a_value_is_that_of_the_start(session: Connection) -> None:
    session.execute("SELECT df.setvar('a', 'before')")
    instance = value(session, "SELECT df.start('SELECT ''{a}''')")
    session.execute("SELECT df.setvar('a', 'after')")
    assert value(session, "SELECT variables FROM df.instances WHERE id = %s", instance) == {"a": "before"}


def test_the_submitter_does_not_choose_them(session: Connection, roles: Callable[..., str]) -> None:
    anna = roles("anna")
    value(session, "SELECT df.grant_usage(%s)", anna)
    session.execute(f"SET ROLE {anna}".encode())
    insert = "INSERT INTO df.instances (expression, variables) VALUES ('x', '{}')"
    assert refusal(session, insert) == "42501"


def test_a_plan_belongs_to_the_values(session: Connection) -> None:
    session.execute("SELECT df.setvar('a', 'x'), df.setvar('b', 'y')")
    worker = register(session)

    def start() -> tuple[str, str | None]:
        instance = value(session, "SELECT df.start('SELECT ''{b}'', ''{a}''')")
        row = session.execute("SELECT id, plan_hash FROM df.instances WHERE id = %s", [instance]).fetchone()
        assert row is not None
        return str(row[0]), None if row[1] is None else str(row[1])

    def compile_it(instance: str, plan_hash: str) -> object:
        query = "SELECT instance_id, token, variables FROM df._claim(%s, '{1}', NULL, 10)"
        found = {str(row[0]): row for row in session.execute(query, [worker]).fetchall()}
        _, token, variables = found[instance]
        session.execute(
            "SELECT df._store_plan(%s, %s, 1, '{\"format\": 1}', %s)", [instance, token, plan_hash]
        )
        return variables

    first, known = start()
    assert known is None
    variables = compile_it(first, "xy")
    assert isinstance(variables, str) and json.loads(variables) == {"a": "x", "b": "y"}
    digest = hashlib.sha256(variables.encode()).digest()
    assert value(session, "SELECT variables_hash FROM df.plans") == digest
    assert start()[1] == "xy"
    session.execute("SELECT df.setvar('a', 'z')")
    second, known = start()
    assert known is None
    compile_it(second, "zy")
    assert start()[1] == "zy"
    session.execute("SELECT df.setvar('a', 'x'), df.setvar('unused', 'q')")
    assert start()[1] == "xy"
    session.execute("SELECT df.clearvars()")
    plain, known = start()
    assert known is None
    assert compile_it(plain, "none") is None
    assert start()[1] == "none"
    assert value(session, "SELECT count(*) FROM df.plans WHERE variables_hash = ''") == 1


def test_a_plan_for_one_instance_is_not_kept(session: Connection) -> None:
    worker = register(session)
    instance = value(session, "SELECT df.start('SELECT ''{sys_instance_id}''')")
    query = "SELECT instance_id, token FROM df._claim(%s, '{1}', NULL, 10)"
    [(_, token)] = session.execute(query, [worker]).fetchall()
    session.execute("SELECT df._store_plan(%s, %s, 1, '{\"format\": 1}', 'h')", [instance, token])
    assert value(session, "SELECT plan_hash FROM df.instances") == "h"
    assert value(session, "SELECT count(*) FROM df.plans") == 0
