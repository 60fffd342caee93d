"""The items of maps at their functions: how they are stored, ended, read, and by whom."""

from __future__ import annotations

import json

import psycopg
import pytest

from tests.sql.worker import (
    FILL,
    RECORD_ITEMS,
    STORE,
    Run,
    code_of,
    connect,
    refusal,
    value,
)


def _fill(run: Run, first: int, *words: str, batch: int = 1, path: str = "m/items") -> None:
    value(
        run.worker, FILL, run.of(path), run.instance, path, first, ["w"], [25], list(words), len(words), batch
    )


def test_blocks_of_rows_become_items(run: Run) -> None:
    run.worker.execute("BEGIN")
    _fill(run, 1, "a", "b", "c", "d", batch=2)
    _fill(run, 5, "e", batch=2)
    assert value(run.worker, RECORD_ITEMS, run.of("m/items"), run.instance, "m/items", ["w"], [25], 3)
    run.worker.execute("COMMIT")
    rows = run.worker.execute("SELECT item, rows, cells, status FROM df.map_items ORDER BY item").fetchall()
    assert rows == [(1, 2, ["a", "b"], "pending"), (2, 2, ["c", "d"], "pending"), (3, 1, ["e"], "pending")]
    assert run.worker.execute("SELECT path, row_count, columns, cells FROM df.checkpoints").fetchall() == [
        ("m/items", 3, ["w"], [])
    ]
    # Once and for all.
    with pytest.raises(psycopg.Error, match="checkpoint already") as caught:
        _fill(run, 1, "a", batch=2)
    assert caught.value.sqlstate == "DX002"
    with pytest.raises(psycopg.Error) as caught:
        _fill(run, 7, "a", batch=2)
    assert caught.value.sqlstate == "DX002"
    again = refusal(run.worker, RECORD_ITEMS, run.of("m/items"), run.instance, "m/items", ["w"], [25], 3)
    assert again == "DX002"


def test_an_order_of_many_cells_is_kept(run: Run) -> None:
    cells = [str(n) for n in range(6000)]
    run.worker.execute("BEGIN")
    arguments = [run.of("m/items"), run.instance, "m/items", 1, ["a", "b", "c"], [25] * 3, cells, 2000, 7]
    assert value(run.worker, FILL, *arguments) == 286
    run.worker.execute("COMMIT")
    rows = run.worker.execute("SELECT item, rows, cells FROM df.map_items ORDER BY item").fetchall()
    assert [n for _, n, _ in rows] == [7] * 285 + [5]
    assert [cell for _, _, row in rows for cell in row] == cells  # type: ignore[attr-defined]


def test_what_is_no_block_is_refused(run: Run) -> None:
    good: list[object] = [run.of("m/items"), run.instance, "m/items", 1, ["w"], [25], ["a"], 1, 1]
    for place, odd in (
        (3, 0), (3, 2), (4, ["w", "x"]), (4, [None]), (5, [25, 25]), (5, [None]), (6, ["a", "b"]), (6, []),
        (7, 0), (7, 2), (7, None), (8, 0), (8, -1), (8, None), (4, None),
    ):  # fmt: skip
        arguments = [*good]
        arguments[place] = odd
        assert refusal(run.worker, FILL, *arguments) == "22023", (place, odd)
    for path in ("m", "/items", "m/item", "items"):
        arguments = [run.of(path), run.instance, path, *good[3:]]
        assert refusal(run.worker, FILL, *arguments) == "22023", path
        arguments = [run.of(path), run.instance, path, ["w"], [25], 0]
        assert refusal(run.worker, RECORD_ITEMS, *arguments) == "22023", path
    _fill(run, 1, "a", batch=1)
    gap: list[object] = [run.of("m/items"), run.instance, "m/items", 3, ["w"], [25], ["a"], 1, 1]
    assert refusal(run.worker, FILL, *gap) == "22023"
    gap[3], gap[8] = 2, 2
    assert refusal(run.worker, FILL, *gap) == "22023"
    for columns, types, items in (
        (["w"], [25], 0), (["w"], [25], 2), (["w"], [25], -1), (["w"], [25], None), (["x"], [25], 1),
        (["w"], [], 1),
    ):  # fmt: skip
        arguments = [run.of("m/items"), run.instance, "m/items", columns, types, items]
        assert refusal(run.worker, RECORD_ITEMS, *arguments) in ("22023", "DX002"), (columns, types, items)
    _fill(run, 2, "b", batch=1)
    fewer = [run.of("m/items"), run.instance, "m/items", ["w"], [25], 1]
    assert refusal(run.worker, RECORD_ITEMS, *fewer) == "22023"
    assert value(run.worker, "SELECT count(*) FROM df.checkpoints") == 0


def test_what_has_ended_is_passed_over_once(run: Run) -> None:
    value(run.worker, STORE, run.token, run.instance, "m/items", "[1, 2, 3, 4, 5]")
    fetch = "SELECT array_agg(item) FROM df._fetch_items(%s, %s, 'm', %s, 2, false) WHERE item IS NOT NULL"
    end = "SELECT df._end_item(%s, %s, 'm', %s, '{\"value\": 1}', NULL, '{}')"

    def ended_to() -> object:
        return value(run.worker, "SELECT ended_to FROM df.maps")

    for item, behind, found, passed in (
        (1, 0, [2, 3], 1), (3, 0, [2, 4], 1), (4, 3, [5], 1), (2, 2, [5], 1), (2, 0, [5], 4), (5, 4, None, 4),
        (5, 0, None, 5),
    ):  # fmt: skip
        run.worker.execute(end, [run.token, run.instance, item])
        assert value(run.worker, fetch, run.token, run.instance, behind) == found
        assert ended_to() == passed, (item, behind)


def test_rows_without_columns_are_items(run: Run) -> None:
    nothing: list[object] = []
    arguments = [run.of("m/items"), run.instance, "m/items", 1, nothing, nothing, nothing, 5, 2]
    assert value(run.worker, FILL, *arguments) == 3
    assert value(run.worker, RECORD_ITEMS, run.of("m/items"), run.instance, "m/items", [], [], 3)
    assert value(run.worker, "SELECT array_agg(rows ORDER BY item) FROM df.map_items") == [2, 2, 1]


def test_a_long_query_keeps_no_other_step_from_recording(database: str, run: Run) -> None:
    with connect(database) as slow:
        slow.execute("BEGIN")
        slow.execute(FILL, [run.of("m/items"), run.instance, "m/items", 1, ["w"], [25], ["a"], 1, 1])
        run.worker.execute("SET lock_timeout = '10s'")
        run.step(run.worker, "other")
        slow.execute(RECORD_ITEMS, [run.of("m/items"), run.instance, "m/items", ["w"], [25], 1])
        slow.execute("COMMIT")
    paths = run.worker.execute("SELECT path FROM df.checkpoints ORDER BY journal").fetchall()
    assert paths == [("other",), ("m/items",)]


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ"])
def test_an_attempt_that_overtakes_another_ends_no_item(database: str, run: Run, isolation: str) -> None:
    """The first attempt, of whose outcome nobody knew, commits its record while the second one runs."""
    value(run.worker, STORE, run.token, run.instance, "m/items", "[1, 2]")
    rider = {"item": {"path": "m", "item": 1, "shape": "m[1]/a", "forget": ["m[1]/z"]}}
    with connect(database) as second:
        second.execute(f"BEGIN ISOLATION LEVEL {isolation}".encode())
        second.execute("SELECT 1")
        run.step(run.worker, "m[1]/a")
        assert code_of(lambda: run.step(second, "m[1]/a", rider)) in ("DX002", "40001")
        second.execute("ROLLBACK")
        run.worker.execute("SELECT df._forget(%s, '{m[1]/a}')", [run.instance])
        second.execute(f"BEGIN ISOLATION LEVEL {isolation}".encode())
        second.execute("SELECT 1")
        run.step(second, "m[1]/a", rider)
        second.execute("COMMIT")
    assert value(run.worker, "SELECT result::text FROM df.map_items WHERE item = 1") == (
        '{"rows": [{"answer": 42}], "row_count": 1}'
    )
    assert value(run.worker, "SELECT array_agg(path) FROM df.checkpoints") == ["m/items"]


def test_a_learned_token_ends_only_its_own_item(run: Run) -> None:
    value(run.worker, STORE, run.token, run.instance, "m/items", "[1, 2]")
    run.step(run.worker, "a")
    run.step(run.worker, "m[2]/a")

    def ride(path: str, rider: object) -> str | None:
        return code_of(lambda: run.step(run.worker, path, rider))

    riders: tuple[object, ...] = (
        {"item": {"path": "m", "item": 2, "shape": "m[1]/a", "forget": []}},
        {"item": {"path": "m", "item": 1, "shape": "m[1]/a", "forget": ["a"]}},
        {"item": {"path": "m", "item": 1, "shape": "m[1]/a", "forget": ["m[2]/a"]}},
        {"item": {"path": "m", "item": 1, "shape": "m[1]/a", "forget": ["m/items"]}},
        {"item": {"path": "m", "item": None, "shape": "m[1]/a"}},
        {"item": {}},
        {"item": []},
        {"item": 1},
        {"decide": {"path": "m[1]/b", "value": 1}},
        {"decide": {"path": "r/decision"}},
        {"decide": {}},
        {"decide": 1},
        {},
        [],
        "x",
    )
    for rider in riders:
        assert ride("m[1]/a", rider) in ("22023", "22P02", "XX000"), rider
    assert ride("m[3]/a", {"item": {"path": "m", "item": 3, "shape": "m[3]/a"}}) == "XX000"
    assert ride("n[1]/a", {"item": {"path": "n", "item": 1, "shape": "n[1]/a"}}) == "XX000"
    left = run.worker.execute("SELECT path FROM df.checkpoints ORDER BY path").fetchall()
    assert left == [("a",), ("m/items",), ("m[2]/a",)]
    assert value(run.worker, "SELECT count(*) FROM df.marks") == 0
    assert value(run.worker, "SELECT count(*) FROM df.map_items WHERE status = 'pending'") == 2


def test_an_item_may_fail_with_its_last_step(run: Run) -> None:
    value(run.worker, STORE, run.token, run.instance, "m/items", "[1]")
    error = {"message": "no", "sqlstate": "P0001"}
    item: dict[str, object] = {"path": "m", "item": 1, "error": error, "forget": []}
    run.step(run.worker, "m[1]/a", {"item": item})
    row = run.worker.execute("SELECT status, result, error->>'message' FROM df.map_items").fetchone()
    assert row == ("failed", None, "no")
    assert run.worker.execute("SELECT failed, first_failed FROM df.maps").fetchone() == (1, 1)
    assert value(run.worker, "SELECT array_agg(path) FROM df.checkpoints") == ["m/items"]


def test_results_of_a_map(run: Run) -> None:
    value(run.worker, STORE, run.token, run.instance, "m/items", "[1, 2, 3, 4, 5]")
    end = "SELECT df._end_item(%s, %s, 'm', %s, %s, %s, '{}')"
    record = "SELECT df._record(%s, %s, %s, 'completed', %s, NULL, NULL)"
    for item, result in ((4, '"\\u0000"'), (1, '{"b": 1, "a": 1e9999}'), (2, "[" * 900 + "]" * 900)):
        path = f"m[{item}]/a"
        run.worker.execute(record, [run.token, run.instance, path, result])
        run.worker.execute(end, [run.token, run.instance, item, json.dumps(path), None])
    run.worker.execute(end, [run.token, run.instance, 5, None, '{"message": "no"}'])
    query = "SELECT item, status, result::text, error->>'message' FROM df.map_results(%s, %s)"
    rows = run.worker.execute(query, [run.instance, "m"]).fetchall()
    assert [(item, status, error) for item, status, _, error in rows] == [
        (1, "completed", None), (2, "completed", None), (3, "pending", None), (4, "completed", None),
        (5, "failed", "no"),
    ]  # fmt: skip
    # What jsonb cannot hold is a text.
    assert rows[3][2] == '"\\"\\\\u0000\\""'
    assert str(rows[0][2]).startswith('{"a": 1000')
    assert rows[1][2] == "[" * 900 + "]" * 900
    assert run.worker.execute(query, [run.instance, "n"]).fetchall() == []


def test_a_large_result_of_a_map_is_its_numbers(run: Run) -> None:
    value(run.worker, STORE, run.token, run.instance, "m/items", "[1, 2, 3]")
    end = "SELECT df._end_item(%s, %s, 'm', %s, json_build_object('value', repeat('x', %s)), NULL, '{}')"
    for item in (1, 2):
        run.worker.execute(end, [run.token, run.instance, item, 8 * 1024 * 1024])
    give = "SELECT value::text FROM df._end_map(%s, %s, 'm', true, NULL)"
    assert value(run.worker, give, run.token, run.instance) == '{"count": 3, "failed": 0}'
