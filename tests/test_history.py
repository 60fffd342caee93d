"""Recorded histories: this program decides what was decided then; their states are those of their rows."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from dfc.compiler.plan import every_node
from dfc.executor.journal import Record
from dfc.executor.journal_json import UnreadableJournal, event_json, read_event
from dfc.executor.redact import NeedsValues, without_values
from dfc.executor.replay import read_document, replay
from tests.fold_law import check_document

FOLDER = Path(__file__).resolve().parent.parent / "golden" / "history"
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/journal.json"))


def document(name: str) -> dict[str, Any]:
    """A recorded history."""
    return cast(dict[str, Any], json.loads((FOLDER / name / "journal.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", NAMES)
def test_decisions_are_those_that_were_recorded(name: str) -> None:
    changed = replay(document(name))
    assert changed is None, f"golden/history/{name}: {changed}"


def test_every_construct_has_a_history() -> None:
    kinds = {
        type(node).__name__ for name in NAMES for node in every_node(read_document(document(name)).plan.nodes)
    }
    steps = "SqlNode HttpNode JoinNode IfNode LoopNode BreakNode ArmsNode MapNode AtomicNode RetryNode"
    others = "TimeoutNode TryNode CompensateNode SleepNode UntilNode SignalNode CallNode"
    assert {*steps.split(), *others.split()} <= kinds
    entries = [entry for name in NAMES for entry in document(name)["entries"]]
    assert {entry["kind"] for entry in entries} == {"begin", "event", "forget"}
    assert any(entry.get("replay") for entry in entries)


# A deliberate change of the core, the history that notices it, and what its message names.
def _undoes_nothing(_: object) -> list[object]:
    return []


CHANGES: tuple[tuple[str, object, str, tuple[str, ...]], ...] = (
    (
        "dfc.executor.core.loops.FOLDED_ROUNDS",
        4,
        "loop",
        (
            "entry 13 (Completed `loop_6[4]/sql_5`)",
            "expected run_sql `loop_6[5]/sql_1`",
            "found position `loop_6/round` round=5",
        ),
    ),
    (
        "dfc.executor.core.maps.PAGE_ITEMS",
        1,
        "map",
        (
            "entry 2",
            "expected fetch_items `map_3` after=0 limit=64",
            "found fetch_items `map_3` after=0 limit=4",
        ),
    ),
    (
        "dfc.executor.retry.RECORDED_SECONDS",
        9.0,
        "retry",
        ("expected record_attempt `flaky`", "found wait `flaky`"),
    ),
    (
        "dfc.executor.core.unwinding._to_undo",
        _undoes_nothing,
        "compensate",
        ("expected record_decision", "found finish"),
    ),
)


@pytest.mark.parametrize(("what", "value", "name", "said"), CHANGES, ids=[change[2] for change in CHANGES])
def test_a_changed_decision_is_noticed(
    monkeypatch: pytest.MonkeyPatch, what: str, value: object, name: str, said: tuple[str, ...]
) -> None:
    monkeypatch.setattr(what, value)
    changed = replay(document(name))
    for part in said:
        assert part in str(changed)


def test_a_changed_record_is_noticed() -> None:
    changed = copy.deepcopy(document("if_and_input"))
    first = changed["entries"][1]
    assert first["event"]["result"]["cells"] == ["t"]
    first["event"]["result"]["cells"] = ["f"]
    found = replay(changed)
    assert str(found).startswith("entry 2 (Completed `sql_1`): expected run_sql `large`"), str(found)
    assert "found run_sql `small`" in str(found)


def test_what_is_no_journal_is_refused() -> None:
    good = document("if_and_input")
    for wrong in (
        {**good, "format": 2},
        {**good, "recorded": False},
        {**good, "plan": {"format": 99}},
        {**good, "entries": [{"kind": "event", "event": {"@": "completed", "path": "a"}}]},
        {**good, "entries": [{"kind": "event", "event": {"@": "nonsense"}}]},
        {**good, "entries": good["entries"][1:]},
        {**good, "entries": [{"kind": "else"}]},
        {**good, "entries": [*good["entries"][:1], {"kind": "event"}]},
        {"format": 1, "recorded": True},
    ):
        with pytest.raises(UnreadableJournal):
            replay(wrong)


@pytest.mark.parametrize("name", NAMES)
def test_the_state_from_the_rows_is_the_state_from_the_journal(name: str) -> None:
    found = document(name)
    takeovers = sum(entry["kind"] == "begin" for entry in found["entries"]) - 1
    # What is retried begins twice: as it had ended, and with what led there forgotten.
    retries = 2 * sum(entry["kind"] == "forget" for entry in found["entries"])
    assert check_document(found) >= takeovers - retries


@pytest.mark.parametrize("name", NAMES)
def test_without_values(name: str) -> None:
    found = document(name)
    try:
        bare = without_values(found)
    except NeedsValues:
        raise AssertionError(f"{name} needs values") from None
    assert replay(bare) is None
    assert without_values(bare)["entries"] is not None
    text = json.dumps({**bare, "plan": None})
    assert "anna" not in text


def test_without_values_in_a_decision() -> None:
    found = document("loop")
    value = '{"round": 2, "node": "b", "value": {"type": 25, "cell": "anna"}}'
    found["live"] = [{"@": "decided", "number": 1, "path": "l/decision", "value": value}]
    decided = json.loads(without_values(found)["live"][0]["value"])
    assert decided["round"] == 2 and decided["value"]["cell"].startswith("#")


def test_without_values_in_how_it_has_ended() -> None:
    found = document("cancelled")
    found["error"] = {
        "message": "Cancelled: anna has asked",
        "reason": "anna has asked",
        "undo": [{"step": "u", "sqlstate": "P0001", "message": "anna", "cause": {"detail": "anna"}}],
    }
    error = without_values(found)["error"]
    assert "anna" not in json.dumps(error)
    assert error["undo"][0]["sqlstate"] == "P0001"


def test_without_values_in_what_cannot_be_computed() -> None:
    found = document("waits")
    kept = [entry["event"]["path"] for entry in found["entries"] if "/request" in str(entry.get("event"))]
    failure = {"@": "step_error", "step": "s", "message": "'anna' is not a duration", "sqlstate": "DF166"}
    found["live"] = [{"@": "failed", "number": 1, "path": kept[0], "error": failure}]
    assert "anna" not in json.dumps(without_values(found)["live"])


def _without_event(entry: dict[str, Any]) -> None:
    del entry["event"]


def _without_actions(entry: dict[str, Any]) -> None:
    entry["actions"] = ["run"]


def _without_number(entry: dict[str, Any]) -> None:
    entry["event"]["number"] = "1"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_without_event, "entry 2 has no event"),
        (_without_actions, "entry 2 has actions that are none"),
        (_without_number, "entry 2 cannot be folded"),
    ],
)
def test_a_journal_that_was_edited_is_refused(change: Callable[[dict[str, Any]], None], said: str) -> None:
    found = document("chain_and_join")
    change(found["entries"][1])
    with pytest.raises(UnreadableJournal, match=said):
        replay(found)


def test_an_action_that_was_edited_is_shown() -> None:
    found = document("chain_and_join")
    found["entries"][1]["actions"] = [{"@": 7, "path": ["x"]}]
    changed = replay(found)
    assert "expected 7 `['x']`" in str(changed)


@pytest.mark.parametrize("name", NAMES)
def test_events_are_read_as_they_were_written(name: str) -> None:
    for entry in document(name)["entries"]:
        for written in [*entry.get("records", ()), *([entry["event"]] if "event" in entry else [])]:
            if entry["kind"] != "forget":
                assert event_json(read_event(written)) == written


def test_what_is_infinite() -> None:
    record: Record = cast(Record, read_event({"@": "timed", "path": "a/timer", "seconds": "inf"}))
    assert event_json(record) == {"@": "timed", "path": "a/timer", "seconds": "inf"}
