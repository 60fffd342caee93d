"""The fold law on recorded journals: the state that comes of the events is the state that comes of the rows.

Whoever drove an instance before a take-over has not been told of what he did last. His state, brought up
to date with what the rows of the take-over show of that, has to be the one that is rebuilt from them alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from dfc.executor.decide import State, begin, step, view
from dfc.executor.journal import Begun, CancelRequested, Child, Record, Retrying, Stopped
from dfc.executor.journal_json import read_event
from dfc.executor.replay import Fold, Recording, read_document
from dfc.executor.states import InstanceState, JobState


def check_document(document: Mapping[str, Any]) -> int:
    """Compare at every take-over of a document, and with its live rows; how often that was."""
    recording = read_document(document)
    fold = Fold(recording)
    compared = 0
    retrying = False
    for entry in recording.entries:
        if entry.kind == "begin":
            if fold.state is not None and not retrying and not entry.replay:
                records = [cast(Record, event) for event in entry.events]
                check(recording, fold.state, records, entry.cancel_reason)
                compared += 1
            retrying = entry.replay
        assert fold.take(entry) is None, entry.number
    if fold.state is not None and document["completed_at"] is None:
        live = [cast(Record, read_event(event)) for event in document["live"]]
        check(recording, fold.state, live, fold.state.cancel_reason)
        compared += 1
    return compared


def check(recording: Recording, state: State, records: Sequence[Record], cancel_reason: str | None) -> None:
    """Compare; `state` is spent afterwards."""
    if cancel_reason is not None and state.cancel_reason is None:
        catch_up(state, records)
        step(state, CancelRequested(reason=cancel_reason))
    catch_up(state, records)
    rebuilt = begin(
        recording.plan,
        records,
        instance=recording.instance,
        cancel_reason=cancel_reason,
        input=recording.input,
        database=recording.database,
    )
    catch_up(rebuilt, records)
    ours, theirs = view(state), view(rebuilt)
    different = {
        path: (ours.get(path), theirs.get(path))
        for path in ours.keys() | theirs.keys()
        if ours.get(path) != theirs.get(path)
    }
    assert not different, f"(from the events, from the rows): {different}"


def catch_up(state: State, records: Sequence[Record]) -> None:
    """Tell the core what the rows show of what it has asked for."""
    by_path = {record.path: record for record in records if not isinstance(record, Child)}
    told: set[tuple[str, int]] = set()
    while state.status is InstanceState.RUNNING and state.finish is None:
        found: Record | Stopped | None = None
        for path, job in state.jobs.items():
            record = by_path.get(path)
            waits = job.state is JobState.RETRYING or isinstance(record, Retrying | Begun)
            if record is not None and not waits and (path, id(record)) not in told:
                told.add((path, id(record)))
                found = record
            elif record is None and job.state is JobState.STOPPING:
                found = Stopped(path=path)
            if found is not None:
                break
        if found is None:
            return
        step(state, found)
