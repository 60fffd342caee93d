"""What every Store has to do for maps: items stored, fetched in order, ended once, and put together."""

from __future__ import annotations

import pytest

from dfc.executor.actions import EndItem, EndMap, Finish, StartTimer
from dfc.executor.claim import Claim
from dfc.executor.failures import AlreadyRecorded, StepFailed
from dfc.executor.journal import Cell, Completed, Constant, ItemEnded, Items, Result, Rows, Shape, Value
from tests.conformance_bench import (
    TWO,
    Bench,
    Check,
    MakeBench,
    Row,
    attempt,
    begin,
    cells_of,
    claimed,
    decision,
    end_item,
    error_of,
    fetch,
    items_of,
    json_of,
    paths,
    position,
    recorded,
    run,
    shown,
)

FIVE = Rows(
    columns=("n", "word"),
    types=(23, 25),
    cells=("1", "a", "2", None, "3", "", "4", '{"\\,', "5", "e"),
    row_count=5,
)


def _array(*elements: object) -> Value:
    return Value(json="[" + ", ".join(map(str, elements)) + "]")


async def _three(bench: Bench, plan_claim: Claim | None = None) -> Claim:
    """An instance with a map `m` of the items 10, 20, 30."""
    claim = plan_claim or await begin(bench)
    await bench.store.store_items(claim, items_of(_array(10, 20, 30)))
    return claim


async def _end(bench: Bench, claim: Claim, *, keep: bool = True) -> object:
    answer = await bench.store.end_map(claim, EndMap(path="m", keep=keep, rider=None))
    assert isinstance(answer.event, Completed)
    assert answer.event.path == "m"
    return answer.event.result


async def check_rows_become_items(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        answer = await bench.store.store_items(claim, items_of(FIVE, 2))
        assert isinstance(answer.event, Completed)
        expected = Rows(columns=FIVE.columns, types=FIVE.types, cells=(), row_count=3)
        assert (answer.event.path, answer.event.result) == ("m/items", expected)
        assert await bench.store.record_of(claim, "m/items") == answer.event
        assert await recorded(bench, claim) == [answer.event], "how many there are comes with the history"
        with pytest.raises(AlreadyRecorded):
            await bench.store.store_items(claim, items_of(FIVE, 2))
        first = await fetch(bench, claim, limit=2)
        assert [item.number for item in first.items] == [1, 2]
        assert (first.path, first.first_error) == ("m", None)
        assert first.items[0].value == Rows(
            columns=FIVE.columns, types=FIVE.types, cells=("1", "a", "2", None), row_count=2
        )
        assert cells_of(first.items[1].value)[1] == ("3", "", "4", '{"\\,')
        rest = await fetch(bench, claim, after=2, limit=2)
        assert [(item.number, cells_of(item.value)) for item in rest.items] == [
            (3, (FIVE.columns, ("5", "e"), 1))
        ]
        assert (await fetch(bench, claim, after=3)).items == ()


async def check_elements_become_items(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        source = _array('{"a": 1}', "null", "[2]", '"x"', "false")
        answer = await bench.store.store_items(claim, items_of(source))
        assert isinstance(answer.event, Completed)
        assert isinstance(answer.event.result, Rows)
        assert (answer.event.result.row_count, answer.event.result.columns) == (5, ())
        found = await fetch(bench, claim)
        assert [json_of(item.value) for item in found.items] == [{"a": 1}, None, [2], "x", False]
        await bench.store.store_items(claim, items_of(source, 2, path="l[1]/m"))
        assert [item.number for item in found.items] == [1, 2, 3, 4, 5]
        claim = await begin(bench)
        await bench.store.store_items(claim, items_of(source, 2))
        found = await fetch(bench, claim)
        assert [json_of(item.value) for item in found.items] == [[{"a": 1}, None], [[2], "x"], [False]]


async def check_shapes_become_items(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        await bench.sql.run(claim, run("a", TWO))

        async def stored(source: Result | Shape, path: str) -> int:
            answer = await bench.store.store_items(claim, items_of(source, path=path))
            assert isinstance(answer.event, Completed)
            assert isinstance(answer.event.result, Rows)
            return answer.event.result.row_count

        assert await stored("a", "m") == 1
        found = await fetch(bench, claim)
        assert [cells_of(item.value) for item in found.items] == [(("answer",), ("2",), 1)]
        assert await stored((Constant(json='"x"'), "a"), "l[1]/m") == 2
        assert await stored(Constant(json="[1, 2, 3]"), "l[2]/m") == 3
        # The result of a map is an array.
        await bench.store.end_item(claim, end_item(1, Constant(json="7")))
        assert json_of(await _end(bench, claim)) == [7]
        assert await stored(Items(instance=claim.instance, path="m"), "l[3]/m") == 1


async def check_nothing_to_do_is_fine(make: MakeBench) -> None:
    async with make() as bench:
        for source in (_array(), Rows(columns=("n",), types=(23,), cells=(), row_count=0)):
            claim = await begin(bench)
            answer = await bench.store.store_items(claim, items_of(source, 3))
            assert isinstance(answer.event, Completed)
            assert isinstance(answer.event.result, Rows)
            assert answer.event.result.row_count == 0
            assert (await fetch(bench, claim)).items == ()
            assert json_of(await _end(bench, claim)) == []


async def check_what_is_no_array_fails_the_step(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        await bench.sql.run(claim, run("a", TWO))
        for source in (
            Value(json="null"),
            Value(json='{"a": [1]}'),
            Value(json='"[]"'),
            Value(json="3"),
            Constant(json="true"),
            Cell(path="a", column=None),
            Cell(path="a", column="none"),
            Rows(columns=(), types=(), cells=(), row_count=3),
        ):
            with pytest.raises(StepFailed) as caught:
                await bench.store.store_items(claim, items_of(source))
            assert caught.value.error.sqlstate == "22023"
        assert await paths(bench, claim) == ["a"]


async def check_ended_items_are_not_fetched(make: MakeBench) -> None:
    async with make() as bench:
        claim = await _three(bench)
        assert await bench.store.end_item(claim, end_item(1, Constant(json="1"))) == ItemEnded(
            path="m", item=1
        )
        await bench.store.end_item(claim, end_item(3, None, error=error_of("x")))
        for _ in range(2):
            found = await fetch(bench, claim)
            assert [(item.number, json_of(item.value)) for item in found.items] == [(2, 20)]
            assert found.first_error == error_of("x")
        every = await fetch(bench, claim, ended=True)
        assert [(item.number, json_of(item.value)) for item in every.items] == [(1, 10), (2, 20), (3, 30)]
        assert (await fetch(bench, claim, after=2)).items == ()
        await bench.kill(claim)
        claim = await claimed(bench)
        assert [item.number for item in (await fetch(bench, claim)).items] == [2]
        await bench.store.end_item(claim, end_item(2, Constant(json="2")))
        assert (await fetch(bench, claim)).items == ()
        assert json_of(await _end(bench, claim)) == [1, 2, None]


async def check_first_error_is_that_of_the_first_item(make: MakeBench) -> None:
    async with make() as bench:
        claim = await _three(bench)
        for item, first in ((2, "second"), (1, "first"), (3, "first")):
            error = error_of({1: "first", 2: "second", 3: "third"}[item])
            await bench.store.end_item(claim, end_item(item, None, error=error))
            for after in (0, 3):
                found = await fetch(bench, claim, after)
                assert found.first_failed == (2 if first == "second" else 1)
                assert found.first_error == error_of(first)


async def check_item_ends_once_and_is_forgotten(make: MakeBench) -> None:
    async with make() as bench:
        claim = await _three(bench)
        for path in ("m[1]/a", "m[1]/b", "m[2]/a", "m[11]/a"):
            await bench.sql.run(claim, run(path))
        await bench.store.record_attempt(claim, attempt("m[1]/c", 1, 60.0))
        await bench.store.record_decision(claim, decision("m[1]/r/decision", "1"))
        await bench.store.start_timer(claim, StartTimer(path="m[1]/t/timer", seconds=60.0))
        forget = ("m[1]/a", "m[1]/b", "m[1]/c", "m[1]/r/decision", "m[1]/t/timer")
        shape = ("m[1]/a", Constant(json="1.50"), Cell(path="m[1]/b", column="answer"))
        for _ in range(2):
            await bench.store.end_item(claim, end_item(1, shape, *forget))
            assert await paths(bench, claim) == ["m/items", "m[11]/a", "m[2]/a"]
        await bench.store.end_item(claim, end_item(1, None, error=error_of("x")))
        assert (await fetch(bench, claim)).first_error is None
        assert json_of(await _end(bench, claim)) == [[shown(1), 1.5, 1], None, None]


async def check_end_of_an_item_rides_on_its_last_step(make: MakeBench) -> None:
    async with make() as bench:
        claim = await _three(bench)
        await bench.sql.run(claim, run("m[1]/a"))
        rider = EndItem(path="m", item=1, shape="m[1]/b", error=None, forget=("m[1]/a",))
        answer = await bench.sql.run(claim, run("m[1]/b", TWO, rider, keep=True))
        assert (answer.item, answer.finished) == (ItemEnded(path="m", item=1), False)
        assert answer.event.path == "m[1]/b"
        assert await paths(bench, claim) == ["m/items"]
        assert await bench.store.record_of(claim, "m[1]/b") is None
        assert [item.number for item in (await fetch(bench, claim)).items] == [2, 3]
        # Once more, since the answer was lost: its effect has happened.
        with pytest.raises(AlreadyRecorded):
            await bench.sql.run(claim, run("m[1]/b", TWO, rider))
        # What the item gives may be more than the last step's result.
        await bench.sql.run(claim, run("m[2]/a"))
        rider = EndItem(path="m", item=2, shape=("m[2]/a", "m[2]/b"), error=None, forget=("m[2]/a",))
        await bench.sql.run(claim, run("m[2]/b", TWO, rider))
        # A step that has its record already is not run for the item's sake.
        await bench.sql.run(claim, run("m[3]/b", TWO))
        rider = EndItem(path="m", item=3, shape="m[3]/b", error=None, forget=())
        with pytest.raises(AlreadyRecorded):
            await bench.sql.run(claim, run("m[3]/b", TWO, rider))
        await bench.store.end_item(claim, end_item(3, "m[3]/b", "m[3]/b"))
        assert await paths(bench, claim) == ["m/items"]
        assert json_of(await _end(bench, claim)) == [shown(2), [shown(1), shown(2)], shown(2)]


async def check_map_gives_an_array(make: MakeBench) -> None:
    async with make() as bench:
        claim = await _three(bench)
        await bench.store.end_item(claim, end_item(2, Constant(json="null")))
        await bench.store.end_item(claim, end_item(3, Constant(json='{"a": "b"}')))
        assert await _end(bench, claim, keep=False) is None
        with pytest.raises(AlreadyRecorded):
            await _end(bench, claim)
        assert json_of(await bench.store.result_of(claim, "m")) == [None, None, {"a": "b"}]
        await bench.store.finish(claim, Finish(status="completed", shape="m"))
        expected = [None, None, {"a": "b"}]
        assert await bench.look(claim.instance) == Row(status="completed", result=expected, error=None)


async def check_end_rides_on_a_map(make: MakeBench) -> None:
    async with make() as bench:
        claim = await _three(bench)
        ending = EndMap(path="m", keep=True, rider=Finish(status="completed", shape="m"))
        answer = await bench.store.end_map(claim, ending)
        assert answer.finished
        assert (await bench.look(claim.instance)).result == [None, None, None]
        claim = await _three(bench)
        answer = await bench.store.end_map(
            claim, EndMap(path="m", keep=False, rider=decision("r/decision", "1"))
        )
        assert answer.decided is not None
        assert (answer.decided.path, answer.decided.value) == ("r/decision", "1")


async def check_many_items_give_their_number(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        await bench.store.store_items(claim, items_of(_array(*range(10_001))))
        await bench.store.end_item(claim, end_item(10_001, None, error=error_of("x")))
        found = await fetch(bench, claim, after=9_990)
        assert [json_of(item.value) for item in found.items] == list(range(9_990, 10_000))
        assert json_of(await _end(bench, claim)) == {"count": 10_001, "failed": 1}
        # Another map over it runs over its items.
        answer = await bench.store.store_items(
            claim, items_of(Items(instance=claim.instance, path="m"), 1000, path="n")
        )
        assert isinstance(answer.event, Completed)
        assert isinstance(answer.event.result, Rows)
        assert answer.event.result.row_count == 11


async def check_forgotten_map_can_be_filled_again(make: MakeBench) -> None:
    async with make() as bench:
        claim = await _three(bench)
        await bench.store.position(claim, position("l/round", 2, {}, "m/items", "m"))
        await _three(bench, claim)
        assert [item.number for item in (await fetch(bench, claim)).items] == [1, 2, 3]
        await _end(bench, claim)
        # The result is carried on; what it was made of stays with it.
        await bench.store.position(claim, position("l/round", 3, {"m": "m"}, "m/items"))
        assert len((await fetch(bench, claim, ended=True)).items) == 3


CHECKS: tuple[Check, ...] = (
    check_rows_become_items,
    check_elements_become_items,
    check_shapes_become_items,
    check_nothing_to_do_is_fine,
    check_what_is_no_array_fails_the_step,
    check_ended_items_are_not_fetched,
    check_first_error_is_that_of_the_first_item,
    check_item_ends_once_and_is_forgotten,
    check_end_of_an_item_rides_on_its_last_step,
    check_map_gives_an_array,
    check_end_rides_on_a_map,
    check_many_items_give_their_number,
    check_forgotten_map_can_be_filled_again,
)
