"""Where looks at all take long, a claim looks at what was started lately, and misses nothing for good."""

from __future__ import annotations

import psycopg

from tests.sql.worker import WIRE, Connection, claim, connect, register, value

NEAR = """SELECT set_config('df.look_pending', concat_ws(E'\\t', s + %s, s + %s, %s::text, %s::text), false),
set_config('df.look_behind', %s, false) FROM (SELECT date_part('epoch', clock_timestamp()) AS s) AS t"""


def near(
    connection: Connection, place: str, *, behind: str = "off", about: str = "{1}", until: float = 3600
) -> None:
    """As if a look at all had been long, and had left this place."""
    connection.execute(NEAR, [until - 3601, until, place, about, behind])


def start(connection: Connection, columns: str = "", values: str = "") -> str:
    row = connection.execute(
        f"INSERT INTO df.instances (expression{columns}) VALUES (%s{values}) RETURNING id".encode(), [WIRE]
    ).fetchone()
    assert row is not None
    return str(row[0])


def taken(connection: Connection, worker: int, most: int = 10) -> list[str]:
    return [found[0] for found in claim(connection, worker, most=most)]


def test_a_look_begins_at_its_place(worker: Connection) -> None:
    me = register(worker)
    first, second, third = (start(worker) for _ in range(3))
    near(worker, second)
    assert set(taken(worker, me)) == {second, third}
    fresh = start(worker)
    assert taken(worker, me) == [fresh], "what is started then is found"
    near(worker, second, until=-1)
    assert taken(worker, me) == [first], "the next look at all finds what stands before"
    near(worker, "z", until=7200)
    again = start(worker)
    assert taken(worker, me) == [again], "a place of later than now counts for nothing"


def test_priority_and_what_is_behind(worker: Connection) -> None:
    me = register(worker)
    low, middle = start(worker), start(worker)
    high = start(worker, ", priority", ", 5")
    near(worker, middle, behind="on")
    assert taken(worker, me, most=1) == [high]
    assert set(taken(worker, me)) == {middle, low}, "where more was left, all is looked at once there is room"


def test_a_place_is_for_one_question(worker: Connection) -> None:
    me = register(worker)
    first = start(worker)
    near(worker, "z", about="{2}")
    assert taken(worker, me) == [first]


def test_what_becomes_ready_is_found(worker: Connection) -> None:
    me = register(worker)
    later = start(worker, ", due_at", ", clock_timestamp() + interval '20 ms'")
    worker.execute("SELECT pg_sleep(0.03)")
    near(worker, "z")
    assert taken(worker, me) == [later]


def test_keys_hold_near_by(worker: Connection) -> None:
    me = register(worker)
    first = start(worker, ", concurrency_key", ", 'k'")
    held = start(worker, ", concurrency_key", ", 'k'")
    near(worker, first)
    assert taken(worker, me) == [first]
    assert value(worker, "SELECT held FROM df.instances WHERE id = %s", held) is True


def test_requests_and_wakes_are_found_from_their_places(database: str, worker: Connection) -> None:
    me = register(worker)
    for setting in ("requests", "wakes", "keys"):
        place = "now() - interval '1 s'" if setting == "wakes" else "0"
        worker.execute(
            "SELECT set_config('df.look_' || %s, concat_ws(E'\\t', s - 1, s + 3600, "
            f"{place}, ''), false) FROM (SELECT date_part('epoch', clock_timestamp()) AS s) AS t",
            [setting],
        )
    instance = start(worker)
    [(_, token, _)] = claim(worker, me)
    worker.execute("SELECT df._park(%s, %s, 3600, 'nothing', false)", [token, instance])
    assert taken(worker, me) == []
    with connect(database) as user:
        user.execute("INSERT INTO df.requests (instance_id, kind) VALUES (%s, 'cancel')", [instance])
    [(found, token, _)] = claim(worker, me)
    assert found == instance
    assert worker.execute("SELECT kind FROM df._cancels(%s)", [me]).fetchall() == [("cancel",)]
    worker.execute("SELECT df._park(%s, %s, 0, 'nothing', true)", [token, instance])
    assert taken(worker, me) == [instance], "it was due"


def test_a_long_look_leaves_a_place(database: str, worker: Connection) -> None:
    """Beside a transaction held open: what was claimed meanwhile is not read again and again."""
    me = register(worker)
    fill = f"INSERT INTO df.instances (expression) SELECT '{WIRE}' FROM generate_series(1, 3000)"
    with psycopg.connect(database) as holder:
        holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        holder.execute("SELECT 1")
        worker.execute(fill.encode())
        assert len(claim(worker, me, most=3000)) == 3000
        with worker.transaction():
            assert taken(worker, me) == []
            entries = value(worker, ENTRIES)
            assert isinstance(entries, int) and entries >= 3000
        near(worker, str(value(worker, "SELECT df._first_id(clock_timestamp())")))
        one = start(worker)
        before = fetched(worker)
        assert taken(worker, me) == [one]
        assert fetched(worker) - before < 1000


def test_a_look_at_little_is_never_long(worker: Connection) -> None:
    assert value(worker, "SELECT df._look_was_long(clock_timestamp() - interval '9 s', 1000)") is False
    assert value(worker, "SELECT df._look_was_long(clock_timestamp(), 9999)") is False
    assert value(worker, "SELECT df._look_was_long(clock_timestamp() - interval '9 s', 1001)") is True


ENTRIES = "SELECT pg_stat_get_xact_tuples_returned('df.instances_pending'::regclass)"


def fetched(connection: Connection) -> int:
    """Entries that indexes of df.instances have given, those of dead rows as well."""
    connection.execute("SELECT pg_stat_force_next_flush()")
    connection.execute("SELECT 1")
    found = value(
        connection,
        "SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE relid = 'df.instances'::regclass",
    )
    assert isinstance(found, int)
    return found
