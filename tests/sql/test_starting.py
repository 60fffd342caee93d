"""When and how instances start: keys, times, queues, priority, limits on how many run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.executor.support import until
from tests.postgres import Server
from tests.sql.worker import Connection, claim, connect, is_blocked, refusal, register, value

FINISH = 'SELECT df._finish(%s, %s, \'{"status": "cancelled"}\')'


@pytest.fixture
def session(database: str) -> Iterator[Connection]:
    with connect(database) as connection:
        yield connection


@pytest.fixture
def keeper(database: str) -> Iterator[Connection]:
    """Where several workers register: on the session that claims, each would take the others for dead."""
    with connect(database) as connection:
        yield connection


def start(connection: Connection, arguments: str = "", fut: str = "SELECT 1") -> str:
    return str(value(connection, f"SELECT df.start('{fut}'{arguments and ', ' + arguments})"))


def claimed(connection: Connection, worker: int, most: int = 10) -> list[str]:
    return [instance for instance, _, _ in claim(connection, worker, None, most)]


def serving(connection: Connection, *queues: str) -> int:
    query = "SELECT df._register_worker('here', 1, 't', 1, '{1}', 60, 4, NULL, %s)"
    return int(str(value(connection, query, list(queues) or None)))


def read_by(connection: Connection, worker: int, most: int = 10) -> tuple[list[str], int, int]:
    """What a claim that looks at all gives, and how many rows of instances it reads: by scans, by indexes."""
    query = "SELECT seq_tup_read, idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'instances'"
    with connection.transaction():
        connection.execute("SELECT set_config('df.look_pending', '', false)")
        [(scanned, fetched)] = connection.execute(query).fetchall()
        found = claimed(connection, worker, most)
        [(scanned_then, fetched_then)] = connection.execute(query).fetchall()
    return found, int(str(scanned_then)) - int(str(scanned)), int(str(fetched_then)) - int(str(fetched))


# Idempotency


def test_the_same_key_gives_the_same_instance(session: Connection) -> None:
    one = start(session, "idempotency_key => 'k', input => '{\"a\": 1}'")
    assert start(session, "idempotency_key => 'k', input => '{\"a\": 1.0}'") == one
    assert start(session, "idempotency_key => 'other', input => '{\"a\": 1}'") != one
    [(_, token, _), _] = claim(session, register(session))
    session.execute(FINISH, [token, one])
    assert start(session, "idempotency_key => 'k', input => '{\"a\": 1}'") == one
    assert value(session, "SELECT count(*) FROM df.instances") == 2


@pytest.mark.parametrize(
    ("fut", "arguments", "what"),
    [("SELECT 2", "", "workflow"), ("SELECT 1", ", input => '{\"a\": 2}'", "input")],
)
def test_something_else_under_a_key(session: Connection, fut: str, arguments: str, what: str) -> None:
    one = start(session, "idempotency_key => 'k'")
    with pytest.raises(psycopg.Error) as caught:
        start(session, "idempotency_key => 'k'" + arguments, fut)
    said = caught.value.diag
    assert said.sqlstate == "22023"
    assert said.message_primary == f"df.start: another {what} was started under this idempotency_key"
    assert one in str(said.message_detail) and said.message_hint


@pytest.mark.parametrize("commits", [True, False])
def test_two_sessions_with_one_key(session: Connection, database: str, commits: bool) -> None:
    """The second waits for the first: it gets its instance, or starts one when the first gives up."""
    answers: list[str] = []
    with connect(database) as other:
        session.execute("BEGIN")
        one = start(session, "idempotency_key => 'k'")
        thread = threading.Thread(target=lambda: answers.append(start(other, "idempotency_key => 'k'")))
        thread.start()
        until(lambda: is_blocked(session, other.info.backend_pid), "the second to wait")
        session.execute("COMMIT" if commits else "ROLLBACK")
        thread.join(30)
    assert (answers == [one]) is commits and len(answers) == 1


def test_a_key_belongs_to_its_role(session: Connection, roles: Callable[..., str], server: Server) -> None:
    anna = roles("anna")
    session.execute("SELECT df.grant_usage(%s)", [anna])
    one = start(session, "idempotency_key => 'k', debounce_key => NULL")
    with connect(server.url(session.info.dbname, anna)) as hers:
        two = start(hers, "idempotency_key => 'k'")
        assert two != one and start(hers, "idempotency_key => 'k'") == two
        first = start(hers, "debounce_key => 'd', debounce => 60")
        assert start(hers, "debounce_key => 'd', debounce => interval '1 min'") == first
        assert start(session, "debounce_key => 'd', debounce => '60 s'") != first
        # A call for somebody else's instance is none.
        call = "INSERT INTO df.debounces (instance_id, due_at) VALUES (%s, now())"
        assert (
            hers.execute(call.encode(), [start(session, "debounce_key => 'e', debounce => 60")]).rowcount == 0
        )
        assert value(hers, "SELECT count(*) FROM df.debounces") == 1
        assert refusal(hers, "UPDATE df.debounces SET input = '1'") == "42501"
        assert refusal(hers, "DELETE FROM df.debounces") == "42501"


# Times


def test_start_at(session: Connection) -> None:
    me = register(session)
    later = start(session, "start_at => now() + interval '1 h'")
    past = start(session, "start_at => '2000-01-01'")
    assert claimed(session, me) == [past]
    wake = float(str(value(session, "SELECT df._next_wake()")))
    assert 3590 < wake <= 3600
    waits = "SELECT waiting_for FROM df.instances WHERE id = %s"
    assert value(session, waits, later) == "the time to start"
    session.execute("UPDATE df.instances SET due_at = now() WHERE id = %s", [later])
    assert claimed(session, me) == [later]
    assert value(session, waits, later) is None
    assert value(session, "SELECT df._next_wake()") is None


def test_what_waits_for_its_time_can_be_cancelled(session: Connection) -> None:
    me = register(session)
    later = start(session, "start_at => now() + interval '1 h'")
    value(session, "SELECT df.cancel(%s)", later)
    row = session.execute(
        "SELECT instance_id, cancel_reason FROM df._claim(%s, '{1}', NULL, 9)", [me]
    ).fetchone()
    assert row == (later, "Cancelled by user")


def test_a_hundred_thousand_that_wait_for_their_time_cost_nothing(session: Connection) -> None:
    me = register(session)
    session.execute(
        'INSERT INTO df.instances (expression, due_at) SELECT \'/*dfc:1:18*/{"sql":"SELECT 1"}\','
        " now() + interval '1 day' * g FROM generate_series(1, 5000) g"
    )
    session.execute("ANALYZE df.instances")
    claimed(session, me)
    found, by_scan, by_index = read_by(session, me)
    assert found == []
    assert by_scan == 0 and by_index < 5
    assert 0 < float(str(value(session, "SELECT df._next_wake()"))) <= 86400


def test_the_time_limit_goes_with_the_claim(session: Connection) -> None:
    for given in (
        "timeout => 90",
        "timeout => '1 min 30 s'",
        "timeout => interval '90 s'",
        "timeout => 0.5",
        "",
    ):
        start(session, given)
    query = "SELECT timeout_seconds FROM df._claim(%s, '{1}', NULL, 9) ORDER BY instance_id"
    assert session.execute(query.encode(), [register(session)]).fetchall() == [
        (90,),
        (90,),
        (90,),
        (0.5,),
        (None,),
    ]


# Debounce


def test_debounce_starts_once_with_the_last_input(session: Connection) -> None:
    me = register(session)
    call = "debounce_key => 'd', debounce => {}, input => '{}'"
    one = start(session, call.format("'1 h'", 1))
    assert start(session, call.format("'2 h'", 2)) == one
    assert start(session, call.format("'3 h'", 3)) == one
    assert claimed(session, me) == []
    # A later call with a shorter time counts, an earlier one no more.
    assert start(session, call.format("'1 ms'", 4)) == one
    session.execute("SELECT pg_sleep(0.002)")
    assert claimed(session, me) == [one]
    assert session.execute("SELECT input, started_at >= due_at FROM df.instances").fetchall() == [(4, True)]
    assert value(session, "SELECT count(*) FROM df.debounces") == 0
    assert start(session, call.format("'1 h'", 5)) != one


def test_a_call_moves_the_time_on(session: Connection) -> None:
    me = register(session)
    one = start(session, "debounce_key => 'd', debounce => '1 ms', input => '1'")
    assert start(session, "debounce_key => 'd', debounce => '1 h', input => '2'") == one
    session.execute("SELECT pg_sleep(0.002)")
    assert claimed(session, me) == []
    row = session.execute(
        "SELECT input, due_at > now() + interval '59 min', ready FROM df.instances"
    ).fetchone()
    assert row == (2, True, False)


def test_a_call_that_has_not_committed_holds_the_start(session: Connection, database: str) -> None:
    me = register(session)
    one = start(session, "debounce_key => 'd', debounce => '1 ms', input => '1'")
    with connect(database) as caller:
        caller.execute("BEGIN")
        assert start(caller, "debounce_key => 'd', debounce => '1 ms', input => '2'") == one
        session.execute("SELECT pg_sleep(0.002)")
        assert claimed(session, me) == []
        caller.execute("COMMIT")
    assert claimed(session, me) == [one]
    assert value(session, "SELECT input FROM df.instances") == 2


def test_no_call_is_lost_when_the_start_is_at_the_same_time(session: Connection, database: str) -> None:
    """A call during the claim waits for it, and starts another instance."""
    me = register(session)
    one = start(session, "debounce_key => 'd', debounce => '1 ms'")
    session.execute("SELECT pg_sleep(0.002)")
    answers: list[str] = []
    with connect(database) as caller:
        session.execute("BEGIN")
        assert claimed(session, me) == [one]

        def run() -> None:
            answers.append(start(caller, "debounce_key => 'd', debounce => '1 h'"))

        thread = threading.Thread(target=run)
        thread.start()
        until(lambda: is_blocked(session, caller.info.backend_pid), "the call to wait")
        session.execute("COMMIT")
        thread.join(30)
    assert len(answers) == 1 and answers != [one]


# Queues and priority


def test_priority_and_queues(session: Connection, keeper: Connection) -> None:
    everything, only_a = serving(keeper), serving(keeper, "a", "c")
    low = start(session, "queue => 'a'")
    high = start(session, "queue => 'a', priority => 2")
    other = start(session, "queue => 'b', priority => 3")
    plain = start(session, "priority => 1")
    assert claimed(session, only_a, 1) == [high]
    assert claimed(session, only_a) == [low]
    assert claimed(session, only_a) == []
    more = start(session, "queue => 'b', priority => 2")
    assert claimed(session, everything, 1) == [other]
    assert claimed(session, everything, 2) == sorted([more, plain])


def test_queues_share_by_priority_and_leave_the_rest_to_others(
    session: Connection, keeper: Connection, database: str
) -> None:
    one, two = serving(keeper), serving(keeper)
    made = [start(session, f"queue => 'q{n % 5}', priority => {n % 7}") for n in range(35)]
    order = sorted(made, key=lambda i: (-(made.index(i) % 7), i))
    with connect(database) as other, session.transaction():
        assert sorted(claimed(session, one, 10)) == sorted(order[:10])
        assert sorted(claimed(other, two, 10)) == sorted(order[10:20])


def test_a_backlog_that_nobody_serves_costs_nothing(session: Connection) -> None:
    me = serving(session, "mine")
    session.execute(
        "INSERT INTO df.instances (expression, queue, priority)"
        " SELECT '/*dfc:1:18*/{\"sql\":\"SELECT 1\"}', 'theirs', 5 FROM generate_series(1, 5000) g"
    )
    session.execute("ANALYZE df.instances")
    mine = start(session, "queue => 'mine'")
    found, by_scan, by_index = read_by(session, me)
    assert found == [mine]
    assert by_scan == 0 and by_index < 30


def test_a_queue_that_nobody_serves(session: Connection, keeper: Connection) -> None:
    said: list[tuple[str | None, str | None]] = []
    session.add_notice_handler(lambda n: said.append((n.message_primary, n.message_hint)))
    me = serving(keeper, "a")
    one = start(session, "queue => 'b c'")
    assert said == [
        (
            f"instance {one} waits: no worker serves queue b c",
            "Start one: dfc worker --queue 'b c' --database ...",
        )
    ]
    assert value(session, "SELECT waiting_for FROM df.instances") == "a worker that serves queue b c"
    two = start(session, "queue => 'a'")
    assert claimed(session, me) == [two] and len(said) == 1
    # What was begun in a queue stays in it.
    session.execute("SELECT df._unregister_worker(%s)", [me])
    assert claimed(session, serving(keeper, "b")) == []
    assert claimed(session, serving(keeper, "a")) == [two]


# How many run at a time


def running(connection: Connection, key: str = "k") -> object:
    return value(connection, "SELECT count(*) FROM df.fences WHERE concurrency_key = %s", key)


def test_as_many_as_the_limit(session: Connection) -> None:
    me = register(session)
    made = [start(session, "concurrency_key => 'k', concurrency_limit => 2") for _ in range(4)]
    first = claim(session, me)
    assert [instance for instance, _, _ in first] == made[:2]
    assert claimed(session, me) == []
    # A parked one counts.
    session.execute("SELECT df._park(%s, %s, 3600, 'x', false)", [first[0][1], made[0]])
    assert claimed(session, me) == []
    with connect(session.info.dsn) as listener:
        listener.execute("LISTEN df_work")
        session.execute(FINISH, [first[1][1], made[1]])
        assert [n.channel for n in listener.notifies(timeout=10, stop_after=1)] == ["df_work"]
    assert claimed(session, me) == [made[2]]
    assert claimed(session, me) == [] and running(session) == 2


def test_the_default_is_one_and_others_are_not_held_up(session: Connection) -> None:
    me = register(session)
    one = start(session, "concurrency_key => 'k'")
    two = start(session, "concurrency_key => 'k', priority => 9")
    other = start(session, "concurrency_key => 'l'")
    plain = start(session)
    assert sorted(claimed(session, me)) == sorted([two, other, plain])
    assert claimed(session, me) == []
    value(session, "SELECT df.cancel(%s)", one)
    assert claimed(session, me) == [one], "what is to be cancelled does not wait"


def test_workers_that_claim_at_the_same_time_keep_to_it(
    session: Connection, keeper: Connection, database: str
) -> None:
    workers = [register(keeper) for _ in range(4)]
    for n in range(200):
        start(session, f"concurrency_key => 'k{n % 4}', concurrency_limit => 3")
    exceeded: list[int] = []
    counted: list[int] = []

    def work(me: int) -> None:
        with connect(database) as mine:
            while True:
                taken = claim(mine, me, None, 2)
                most = value(
                    mine, "SELECT max(c) FROM (SELECT count(*) c FROM df.fences GROUP BY concurrency_key) x"
                )
                if most is not None and int(str(most)) > 3:
                    exceeded.append(int(str(most)))
                for instance, token, _ in taken:
                    mine.execute(FINISH, [token, instance])
                counted.append(len(taken))
                if value(mine, "SELECT count(*) FROM df.instances WHERE completed_at IS NULL") == 0:
                    return

    threads = [threading.Thread(target=work, args=(me,)) for me in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert exceeded == [] and sum(counted) == 200


def test_what_was_chosen_a_moment_ago_counts(session: Connection) -> None:
    """The place of what is held is taken by the next one, whose key this very claim has filled."""
    me = register(session)
    full = start(session, "concurrency_key => 'f'")
    assert claimed(session, me) == [full]
    first, _, second = (start(session, f"concurrency_key => '{key}'") for key in "kfk")
    assert claimed(session, me, 2) == [first]
    assert claimed(session, me, 2) == []
    assert value(session, "SELECT held FROM df.instances WHERE id = %s", second) is True


def test_a_full_key_is_not_scanned(session: Connection) -> None:
    me = register(session)
    session.execute(
        "INSERT INTO df.instances (expression, concurrency_key)"
        " SELECT '/*dfc:1:18*/{\"sql\":\"SELECT 1\"}', 'k' FROM generate_series(1, 5000) g"
    )
    session.execute("ANALYZE df.instances")
    [(first, token, _)] = claim(session, me)
    while value(session, "SELECT EXISTS (SELECT FROM df.instances WHERE ready AND started_at IS NULL)"):
        assert claimed(session, me) == []
    waits = "SELECT DISTINCT waiting_for FROM df.instances WHERE held"
    assert value(session, waits) == "others with concurrency_key k"
    found, by_scan, by_index = read_by(session, me)
    assert found == []
    assert by_scan == 0 and by_index < 10
    # What stands behind a full key is not held up by it, and when the one has ended the next starts.
    behind = start(session, "priority => -1")
    assert claimed(session, me) == [behind]
    session.execute(FINISH, [token, first])
    assert len(claimed(session, me)) == 1
    assert value(session, "SELECT count(*) FROM df.freed_keys") == 0


@pytest.mark.long
def test_ten_thousand_keys(session: Connection) -> None:
    """A claim reads what it takes, however many keys there are, with room or without."""
    me = register(session)
    fill = (
        "INSERT INTO df.instances (expression, concurrency_key)"
        " SELECT '/*dfc:1:18*/{\"sql\":\"SELECT 1\"}', 'k' || g FROM generate_series(1, 10000) g"
    )
    session.execute(fill.encode())
    session.execute("ANALYZE df.instances")
    found, by_scan, by_index = read_by(session, me, 16)
    assert len(found) == 16
    assert by_scan == 0 and by_index < 500
    assert len(claimed(session, me, 9984)) == 9984
    session.execute(fill.encode())
    while value(session, "SELECT EXISTS (SELECT FROM df.instances WHERE ready AND started_at IS NULL)"):
        assert claimed(session, me, 2000) == []
    found, by_scan, by_index = read_by(session, me, 16)
    assert found == []
    assert by_scan == 0 and by_index < 10


def test_a_lane_that_another_claim_has(session: Connection, database: str, keeper: Connection) -> None:
    """What an open claim decides is not seen; nothing of its keys is decided, and nothing is forgotten."""
    one, two = register(keeper), register(keeper)
    made = [start(session, "concurrency_key => 'k'") for _ in range(3)]
    [(_, token, _)] = claim(session, one, None, 1)
    with connect(database) as other:
        other.execute("BEGIN")
        assert claimed(other, one) == []  # holds the two others, and has not committed
        session.execute(FINISH, [token, made[0]])
        assert claimed(session, two) == []
        assert value(session, "SELECT count(*) FROM df.freed_keys") == 1
        other.execute("COMMIT")
    assert claimed(session, two) == [made[1]]
    session.execute("DELETE FROM df.instances WHERE id = %s", [made[1]])
    assert claimed(session, two) == [made[2]]


# Arguments


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("queue => ''", "22023"),
        ("start_at => 'infinity'", "22023"),
        ("start_at => '-infinity'", "22023"),
        ("timeout => '-1 s'", "DF166"),
        ("timeout => 0", "DF166"),
        ("timeout => 'soon'", "DF166"),
        ("timeout => '2000 years'", "DF166"),
        ("timeout => 9e12", "DF166"),
        ("timeout => true", "DF159"),
        ("concurrency_key => ''", "22023"),
        ("concurrency_key => 'k', concurrency_limit => 0", "22023"),
        ("concurrency_key => 'k', concurrency_limit => -1", "22023"),
        ("concurrency_limit => 1", "22023"),
        ("debounce => 1", "22023"),
        ("debounce_key => 'k'", "22023"),
        ("debounce_key => 'k', debounce => '-1 s'", "DF166"),
        ("debounce_key => 'k', debounce => '300000 years'", "DF166"),
        ("timeout => '101 years'", "DF166"),
        ("debounce_key => 'k', debounce => '2000 years'", "DF166"),
        ("debounce_key => 'k', debounce => 1, start_at => now()", "22023"),
        ("debounce_key => 'k', debounce => 1, idempotency_key => 'k'", "22023"),
        ("idempotency_key => ''", "22023"),
        ("idempotency_key => repeat('k', 1001)", "22023"),
        ("priority => 'high'", "22P02"),
    ],
)
def test_what_is_refused(session: Connection, arguments: str, code: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        start(session, arguments)
    said = caught.value.diag
    assert said.sqlstate == code
    if code != "22P02":
        assert said.message_detail and said.message_hint
    assert value(session, "SELECT count(*) FROM df.instances") == 0


def test_all_of_it_in_a_prepared_transaction(session: Connection) -> None:
    assert conninfo_to_dict(session.info.dsn)
    session.execute("SET df.notify = off")
    session.execute("BEGIN")
    start(
        session,
        "concurrency_key => 'k', start_at => now(), idempotency_key => 'i', queue => 'q', priority => 1",
    )
    session.execute("PREPARE TRANSACTION 'a'")
    assert claimed(session, me := register(session)) == []
    session.execute("COMMIT PREPARED 'a'")
    assert len(claimed(session, me)) == 1
