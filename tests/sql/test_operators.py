"""What operators ask of instances, as far as SQL goes: what is stored, refused, claimed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.sql.worker import Connection, claim, connect, refusal, register, value

ENDED = 'SELECT df._finish(%s, %s, \'{"status": "cancelled"}\')'


@pytest.fixture
def session(database: str) -> Iterator[Connection]:
    with connect(database) as connection:
        yield connection


def start(connection: Connection, arguments: str = "") -> str:
    return str(value(connection, f"SELECT df.start('SELECT 1'{arguments})"))


def asked(connection: Connection) -> list[object]:
    return [row[0] for row in connection.execute("SELECT kind FROM df.requests ORDER BY id").fetchall()]


def said(connection: Connection, query: str, *parameters: object) -> list[str]:
    """The notices of a statement."""
    found: list[str] = []

    def hear(notice: psycopg.errors.Diagnostic) -> None:
        found.append(f"{notice.severity}: {notice.message_primary}")

    connection.add_notice_handler(hear)
    connection.execute(query.encode(), parameters)
    connection.remove_notice_handler(hear)
    return found


PAUSE, RESUME = "SELECT df.pause_instance(%s)", "SELECT df.resume_instance(%s)"


def test_pausing_is_a_row_of_the_transaction(session: Connection) -> None:
    instance = start(session)
    session.execute("BEGIN")
    assert value(session, PAUSE, instance) == f"Instance {instance} paused"
    assert value(session, "SELECT df.status(%s)", instance) == "paused"
    session.execute("ROLLBACK")
    assert value(session, "SELECT df.status(%s)", instance) == "pending"
    assert asked(session) == []


def test_what_is_said_and_not_stored(session: Connection) -> None:
    instance = start(session)
    assert said(session, RESUME, instance) == [f"NOTICE: instance {instance} is not paused"]
    assert said(session, PAUSE, instance) == []
    assert said(session, PAUSE, instance) == [f"NOTICE: instance {instance} is paused already"]
    assert said(session, RESUME, instance) == []
    assert asked(session) == ["pause", "resume"]
    [(_, token, _)] = claim(session, register(session))
    session.execute(ENDED, [token, instance])
    for query in (PAUSE, RESUME):
        assert said(session, query, instance) == [f"NOTICE: instance {instance} had ended already: cancelled"]
        assert refusal(session, query, "nothing") == "P0002"
        assert refusal(session, query, None) == "P0002"
    other = start(session)
    session.execute("SELECT df.cancel(%s)", [other])
    assert said(session, PAUSE, other) == [f"NOTICE: instance {other} is about to end already: cancelled"]
    assert asked(session) == ["cancel"]


def test_the_latest_counts_in_all_that_shows_a_status(session: Connection) -> None:
    instance = start(session, ", label => 'nightly'")
    me = register(session)
    for wanted, query in (("paused", PAUSE), ("pending", RESUME), ("paused", PAUSE)):
        session.execute(query.encode(), [instance])
        for carried_out in (False, True):
            if carried_out and wanted == "paused":
                assert claim(session, me) == []
                assert value(session, "SELECT paused FROM df.instances") is True
                assert asked(session) == []
            for look in (
                f"SELECT df.status('{instance}')",
                f"SELECT status FROM df.instance_info('{instance}')",
                "SELECT status FROM df.list_instances()",
                f"SELECT status FROM df.list_instances('{wanted}')",
                f"SELECT status FROM df.list_instances('{wanted}', 9, 'nightly')",
            ):
                assert value(session, look) == wanted
            for other in {"paused", "pending", "running"} - {wanted}:
                assert value(session, f"SELECT count(*) FROM df.list_instances('{other}')") == 0
            shown = str(value(session, "SELECT df.explain(%s)", instance))
            assert f"Status:   ○ {wanted.capitalize()}" in shown
    assert value(session, "SELECT running_instances FROM df.metrics()") == 1


def test_a_paused_one_whose_time_comes_still_says_what_it_waits_for(session: Connection) -> None:
    me = register(session)
    instance = start(session, ", start_at => clock_timestamp() + interval '0.5 s'")
    session.execute(PAUSE, [instance])
    assert claim(session, me) == []
    shown = "SELECT (ready, paused, waiting_for)::text FROM df.instances"
    assert value(session, shown) == "(f,t,df.resume_instance)"
    session.execute("SELECT pg_sleep(0.6)")
    assert claim(session, me) == []
    assert value(session, shown) == "(t,t,df.resume_instance)"


def test_a_claim_takes_it_when_it_is_resumed(session: Connection) -> None:
    me = register(session)
    instance = start(session)
    [(_, token, _)] = claim(session, me)
    session.execute("SELECT df._park(%s, %s, 0, 'x', false)", [token, instance])
    session.execute(PAUSE, [instance])
    assert claim(session, me) == []
    assert value(session, "SELECT wake_at = 'infinity' FROM df.fences") is True
    session.execute("INSERT INTO df.requests (instance_id, kind) VALUES (%s, 'wake')", [instance])
    assert claim(session, me) == []
    session.execute(RESUME, [instance])
    [(taken, _, resumed)] = claim(session, me)
    assert (taken, resumed) == (instance, True)
    row = session.execute("SELECT paused, waiting_for FROM df.instances").fetchone()
    assert row == (False, None)


def test_who_holds_it_is_told(session: Connection) -> None:
    me = register(session)
    instance = start(session)
    [(_, token, _)] = claim(session, me)
    look = "SELECT kind, reason FROM df._cancels(%s) ORDER BY kind"
    park = "SELECT df._park(%s, %s, 'infinity', 'x', false, pausing => true)"
    session.execute(PAUSE, [instance])
    assert session.execute(look, [me]).fetchall() == [("pause", None)]
    session.execute(RESUME, [instance])
    assert session.execute(look, [me]).fetchall() == [("resume", None)]
    # It has heard of the pause alone: it is due at once.
    session.execute(park, [token, instance])
    [(_, token, _)] = claim(session, me)
    session.execute(PAUSE, [instance])
    session.execute("SELECT df.cancel(%s)", [instance])
    assert session.execute(look, [me]).fetchall() == [("cancel", "Cancelled by user"), ("pause", None)]
    assert value(session, "SELECT df.status(%s)", instance) == "cancelled"
    session.execute(park, [token, instance])
    assert len(claim(session, me)) == 1


# Retries and forks

RETRY, FORK = "SELECT df.retry_instance(%s)", "SELECT df.fork_instance(%s, %s)"
FINISH = "SELECT df._finish(%s, %s, '{}')"
FAILED = FINISH.format('{"status": "failed", "error": {"message": "m", "step": "b"}}')
UNDONE = FINISH.format('{"status": "failed", "error": {"message": "m"}, "undo_errors": [{}]}')


def end(connection: Connection, worker: int, query: str = FAILED) -> str:
    """An instance that was started, claimed and has ended so."""
    instance = start(connection, ", label => 'l'")
    [(taken, token, _)] = claim(connection, worker)
    assert taken == instance
    connection.execute(query.encode(), [token, instance])
    return instance


def test_a_retry_is_a_row_that_a_claim_carries_out(session: Connection) -> None:
    me = register(session)
    instance = end(session, me)
    assert value(session, RETRY, instance) == f"Instance {instance} retried from b"
    assert said(session, RETRY, instance) == [f"NOTICE: instance {instance} is about to be retried already"]
    assert value(session, "SELECT df.status(%s)", instance) == "pending"
    [(taken, token, resumed)] = claim(session, me)
    assert (taken, resumed, asked(session)) == (instance, True, [])
    row = session.execute(
        "SELECT status, error, completed_at, retrying, attempt FROM df.instances"
    ).fetchone()
    assert row == ("running", None, None, True, 2)
    again = "SELECT df._begin_again(%s, %s, '{}', '{}')"
    for _ in range(2):
        session.execute(again, [token, instance])
        assert value(session, "SELECT retrying FROM df.instances") is False
    assert refusal(session, again, b"0123456789abcdef", instance) == "DX001"


def test_what_is_not_retried(session: Connection) -> None:
    me = register(session)
    for query, why in ((ENDED, "it was cancelled"), (UNDONE, "undo steps of it have run")):
        instance = end(session, me, query)
        with pytest.raises(psycopg.Error, match=why) as refused:
            session.execute(RETRY, [instance])
        assert refused.value.sqlstate == "55000"
        assert f"df.fork_instance('{instance}'" in str(refused.value.diag.message_hint)
        # Whoever asks without being asked gets nothing.
        session.execute("INSERT INTO df.requests (instance_id, kind) VALUES (%s, 'retry')", [instance])
        assert claim(session, me) == []
        assert asked(session) == []
        assert value(session, "SELECT completed_at IS NOT NULL FROM df.instances WHERE id = %s", instance)
    running = start(session)
    assert refusal(session, RETRY, running) == "55000"
    session.execute(PAUSE, [running])
    with pytest.raises(psycopg.Error, match="it is paused") as refused:
        session.execute(RETRY, [running])
    assert "df.resume_instance" in str(refused.value.diag.message_hint)
    assert refusal(session, RETRY, "nothing") == "P0002"


def test_who_sees_an_end_waits_for_that_of_the_retry(session: Connection, database: str) -> None:
    me = register(session)
    instance = end(session, me)
    session.execute(RETRY, [instance])
    with pytest.raises(psycopg.Error, match="status: pending"):
        session.execute("SELECT df.await_instance(%s, 1)", [instance])


def test_one_can_do_this_with_ones_own_only(
    session: Connection, database: str, roles: Callable[..., str]
) -> None:
    me = register(session)
    mine = end(session, me)
    anna = roles("anna")
    session.execute("SELECT df.grant_usage(%s)", [anna])
    with connect(make_conninfo(database, user=anna)) as other:
        hers = start(other)
        for query in (PAUSE, RESUME, RETRY):
            assert refusal(other, query, mine) == "P0002"
        assert refusal(other, FORK, mine, "step1") == "P0002"
        insert = "INSERT INTO df.requests (instance_id, kind) VALUES (%s, %s)"
        for kind in ("pause", "resume", "retry", "cancel"):
            assert refusal(other, insert, mine, kind) == "42501"
        # Only what has ended is retried, only what has not is paused.
        assert refusal(other, insert, hers, "retry") == "42501"
        forged = "INSERT INTO df.instances (expression, forked_from, fork_step) VALUES ('x', %s, 'step1')"
        assert refusal(other, forged, mine) == "P0002"
        for column in ("paused", "retrying"):
            assert (
                refusal(other, f"INSERT INTO df.instances (expression, {column}) VALUES ('x', true)")
                == "42501"
            )
        whole = "INSERT INTO df.instances (expression, forked_from) VALUES ('x', %s)"
        assert refusal(other, whole, hers) == "23514"
    # Not even whoever may see everything runs it with more rights.
    assert refusal(session, FORK, hers, "step1") in ("P0002", "55000")
    session.execute("UPDATE df.instances SET plan = '{\"nodes\": []}', plan_hash = 'h' WHERE id = %s", [hers])
    assert refusal(session, forged, hers) == "P0002"


def test_a_fork_has_what_came_before(session: Connection) -> None:
    me = register(session)
    instance = start(
        session, ", label => 'l', concurrency_key => 'k', queue => 'q', idempotency_key => 'once'"
    )
    nodes: list[dict[str, object]] = [
        {"id": "a", "kind": "sql", "after": []},
        {"id": "b", "kind": "sql", "after": ["a"]},
    ]
    session.execute(
        "UPDATE df.instances SET plan = %s, plan_hash = 'h'",
        [json.dumps({"format": 1, "nodes": nodes, "result": "b"})],
    )
    [(_, token, _)] = claim(session, me)
    for path in ("a", "b"):
        session.execute(
            "SELECT df._record(%s, %s, %s, 'completed', '1', NULL, NULL)", [token, instance, path]
        )
    forked = str(value(session, FORK, instance, "b"))
    assert [
        row[0] for row in session.execute("SELECT path FROM df.checkpoints WHERE instance_id = %s", [forked])
    ] == ["a"]
    row = session.execute(
        "SELECT label, concurrency_key, queue, idempotency_key, plan_hash, forked_from, fork_step, status"
        " FROM df.instances WHERE id = %s",
        [forked],
    ).fetchone()
    assert row == ("l (fork)", "k", "q", None, "h", instance, "b", "pending")
    first = str(value(session, FORK, instance, "a"))
    assert value(session, "SELECT count(*) FROM df.checkpoints WHERE instance_id = %s", first) == 0
    assert refusal(session, FORK, instance, "c") == "42704"
    assert refusal(session, FORK, instance, None) == "42704"
    assert refusal(session, FORK, "nothing", "a") == "P0002"
    assert refusal(session, FORK, start(session), "a") == "55000"
    session.execute(ENDED, [token, instance])
    assert (forked, True) in [(taken, resumed) for taken, _, resumed in claim(session, me, None, 1)]
