"""What the checkpoint of a step has answered, as the driver wants it."""

from __future__ import annotations

from dfc.executor import answers
from dfc.executor.actions import EndItem, RunItems, RunSql
from dfc.executor.failures import Transient
from dfc.executor.journal import Completed, Rows
from dfc.executor.ports import Answer
from dfc.executor.runners.statements import Sent
from dfc.executor.session import Answered, Session
from dfc.executor.sqlstates import LOST


def answer_of(session: Session, action: RunSql, sent: Sent | Rows, answer: Answered) -> Answer:
    """The answer to a step; `sent` is its result where that is known.

    Raises Transient, and closes the session, when it cannot be read.
    """
    if isinstance(action.rider, EndItem):
        # Its result is in the row of the item.
        event = Completed(number=int(answer.raw(0, 0) or 0), path=action.path, result=None)
    else:
        event = completed(session, action, sent, answer)
    return answers.answered(event, answer, action.rider)


def answer_of_items(session: Session, action: RunItems, sent: Sent, answer: Answered) -> Answer:
    """The answer to a map's query: how many items there are."""
    assert sent.described is not None
    result = Rows(
        columns=sent.described.columns,
        types=answers.types(answer, 0, 2),
        cells=(),
        row_count=int(answer.raw(0, 1) or 0),
    )
    return Answer(event=Completed(number=int(answer.raw(0, 0) or 0), path=action.path, result=result))


def completed(session: Session, action: RunSql, sent: Sent | Rows, answer: Answered) -> Completed:
    """The record of a step, with its result if that is wanted. Raises as `answer_of`."""
    try:
        result = _result(answer, sent) if action.keep else None
    except ValueError:
        # The step has changed client_encoding for its own answer. It has committed: read the journal.
        session.close()
        raise Transient("the answer is not UTF-8", LOST) from None
    return Completed(number=int(answer.raw(0, 0) or 0), path=action.path, result=result)


def _result(answer: Answered, sent: Sent | Rows) -> Rows:
    if isinstance(sent, Rows):
        return sent
    if sent.described is None:
        return Rows(columns=(), types=(), cells=(), row_count=int(answer.raw(0, 3) or 0))
    return Rows(
        columns=sent.described.columns,
        types=answers.types(answer, 0, 5),
        cells=answers.cells(answer, 0, 3),
        row_count=int(answer.raw(0, 4) or 0),
    )
