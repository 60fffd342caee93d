"""A CALL gives its OUT and INOUT parameters as a row, as it does in psql."""

from __future__ import annotations

import pytest

from dfc.compiler.plan import Form, SqlBody
from dfc.executor.failures import StepFailed
from dfc.executor.journal import Rows
from tests.executor.support import Bench, count_of, reference, rows_of
from tests.executor.test_sql_atomic import Inside, together
from tests.executor.test_sql_runner import ask, run

SETUP = """
    CREATE TABLE t (a int);
    CREATE DOMAIN small AS int CHECK (VALUE < 100);
    CREATE PROCEDURE add(a int, INOUT total int, OUT words text[]) LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO t VALUES (a); total := total + a; words := ARRAY['it''s', NULL]; END $$;
    CREATE PROCEDURE silent(a int) LANGUAGE sql AS 'INSERT INTO t VALUES ($1)';
    CREATE PROCEDURE of_domain(OUT n small) LANGUAGE plpgsql AS 'BEGIN INSERT INTO t VALUES (7); n := 7; END';
    CREATE PROCEDURE of_table(OUT r t) LANGUAGE plpgsql AS 'BEGIN INSERT INTO t VALUES (8); r := ROW(8); END';
"""


def call(sql: str, *written: str) -> SqlBody:
    """A CALL in a transaction, with references."""
    return count_of(sql, *(reference(sql, each) for each in written), form=Form.EXECUTE, kind="call")


def test_a_call_gives_its_row(database: str) -> None:
    ask(database, SETUP)

    async def work(on: Bench) -> None:
        found = await on.step(call("CALL add(1, 2, NULL)"), name="s")
        assert found == Rows(
            columns=("total", "words"), types=(23, 1009), cells=("3", "{it's,NULL}"), row_count=1
        )
        sql = "SELECT $s AS first, $s.words[1] AS word, $s.row_count AS n"
        body = rows_of(sql, *(reference(sql, each) for each in ("$s", "$s.words", "$s.row_count")))
        assert (await on.step(body)).cells == ("3", "it's", "1")
        # Its own arguments may be references.
        again = await on.step(call("CALL add($s, $s.total, NULL)", "$s", "$s.total"), name="again")
        assert again.cells[0] == "6"
        nothing = Rows(columns=(), types=(), cells=(), row_count=0)
        assert await on.step(call("CALL silent(5)")) == nothing

    run(database, work)
    assert ask(database, "SELECT array_agg(a ORDER BY a) FROM t") == [([1, 3, 5],)]


@pytest.mark.parametrize("procedure", ["of_domain", "of_table"])
def test_what_cannot_be_read_is_counted(database: str, procedure: str) -> None:
    """And has happened once."""
    ask(database, SETUP)

    async def work(on: Bench) -> None:
        for _ in range(2):
            found = await on.step(call(f"CALL {procedure}(NULL)"))
            assert found.row_count == 1

    run(database, work)
    assert ask(database, "SELECT count(*) FROM t") == [(2,)]


def test_other_parameters_than_before(database: str) -> None:
    ask(database, SETUP)

    async def work(on: Bench) -> None:
        assert (await on.step(call("CALL add(1, 2, NULL)"))).cells[0] == "3"
        ask(
            database,
            "DROP PROCEDURE add; CREATE PROCEDURE add(a int, b int, INOUT c int) LANGUAGE plpgsql AS"
            " 'BEGIN c := a * b; END'",
        )
        assert await on.step(call("CALL add(1, 2, NULL)")) == Rows(
            columns=("c",), types=(23,), cells=("2",), row_count=1
        )
        with pytest.raises(StepFailed) as caught:
            await on.step(call("CALL nope(1)"))
        assert (caught.value.error.sqlstate, caught.value.error.position) == ("42883", 5)

    run(database, work)


def test_in_a_transaction_of_several_steps(database: str) -> None:
    ask(database, SETUP)

    async def work(on: Bench) -> None:
        async def steps(inside: Inside) -> None:
            await inside.step(call("CALL add(1, 2, NULL)"), name="one")
            sql = "INSERT INTO t SELECT $one.total"
            await inside.step(count_of(sql, reference(sql, "$one.total")), name="two")
            assert (await inside.step(call("CALL of_domain(NULL)"), name="three")).row_count == 1

        await together(on, steps)

    run(database, work)
    assert ask(database, "SELECT array_agg(a ORDER BY a) FROM t") == [([1, 3, 7],)]
