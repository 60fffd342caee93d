"""What a step asks that waits for news, where two transactions meet."""

from __future__ import annotations

from tests.sql.worker import claim, connect, refusal, register, submit, value

LOOK = "SELECT journal FROM df._await_instance(%s, %s, 'w', %s, false, NULL)"


def test_only_the_first_look_at_another_instance_waits_for_who_ends_it(database: str) -> None:
    with connect(database) as session, connect(database) as ending:
        asks, other = submit(session), submit(session)
        tokens = {instance: token for instance, token, _ in claim(session, register(session))}
        session.execute("SET lock_timeout = '50ms'")
        with ending.transaction():
            ending.execute("SELECT FROM df.instances WHERE id = %s FOR UPDATE", [other])
            assert refusal(session, LOOK, tokens[asks], asks, other) == "55P03"
        assert value(session, LOOK, tokens[asks], asks, other) is None
        with ending.transaction():
            ending.execute("""SELECT df._finish(%s, %s, '{"status": "cancelled"}')""", [tokens[other], other])
            # It has said that it waits, so this end wakes it.
            assert value(session, LOOK, tokens[asks], asks, other) is None
        assert value(session, "SELECT kind FROM df.requests WHERE instance_id = %s", asks) == "wake"
        assert value(session, LOOK, tokens[asks], asks, other) is not None
