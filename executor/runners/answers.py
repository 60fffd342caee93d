"""What the checkpoint of a step has answered, as the driver wants it."""

from __future__ import annotations

import json

from dfc.executor.actions import EndItem, RecordDecision, RunItems, RunSql
from dfc.executor.journal import Completed, Decided, ItemEnded, Rows
from dfc.executor.ports import Answer, Transient
from dfc.executor.runners.statements import Sent
from dfc.executor.session import Answered, Session
from dfc.executor.sqlstates import LOST


def answer_of(session: Session, action: RunSql, sent: Sent | None, answer: Answered) -> Answer:
    """The answer to a step. Raises Transient, and closes the session, when it cannot be read."""
    rider = action.rider
    number = int(answer.raw(0, 0) or 0)
    if isinstance(rider, EndItem):
        # Its result is in the row of the item.
        event = Completed(number=number, path=action.path, result=None)
        return Answer(event=event, item=ItemEnded(path=rider.path, item=rider.item))
    decided = None
    if isinstance(rider, RecordDecision):
        decided = Decided(number=number, path=rider.path, value=rider.value)
    return Answer(
        event=completed(session, action, sent, answer),
        finished=answer.raw(0, 1) == b"t",
        cancel_reason=answer.text(0, 2),
        decided=decided,
    )


def answer_of_items(session: Session, action: RunItems, sent: Sent, answer: Answered) -> Answer:
    """The answer to a map's query: how many items there are."""
    assert sent.described is not None
    result = Rows(
        columns=sent.described.columns,
        types=_types(answer, 2),
        cells=(),
        row_count=int(answer.raw(0, 1) or 0),
    )
    return Answer(event=Completed(number=int(answer.raw(0, 0) or 0), path=action.path, result=result))


def completed(session: Session, action: RunSql, sent: Sent | None, answer: Answered) -> Completed:
    """The record of a step, with its result if that is wanted. Raises as `answer_of`."""
    try:
        result = _result(answer, sent) if action.keep else None
    except ValueError:
        # The step has changed client_encoding for its own answer. It has committed: read the journal.
        session.close()
        raise Transient("the answer is not UTF-8", LOST) from None
    return Completed(number=int(answer.raw(0, 0) or 0), path=action.path, result=result)


def _result(answer: Answered, sent: Sent | None) -> Rows:
    if sent is None or sent.described is None:
        return Rows(columns=(), types=(), cells=(), row_count=int(answer.raw(0, 3) or 0))
    cells: list[str | None] = json.loads(answer.raw(0, 3) or b"[]")
    return Rows(
        columns=sent.described.columns,
        types=_types(answer, 5),
        cells=tuple(cells),
        row_count=int(answer.raw(0, 4) or 0),
    )


def _types(answer: Answered, column: int) -> tuple[int, ...]:
    oids: list[int | str] = json.loads(answer.raw(0, column) or b"[]")
    return tuple(int(oid) for oid in oids)
