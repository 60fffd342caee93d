"""What a death does to each kind of step of a plan, in words; `plan_durability` says which is of which."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class How(StrEnum):
    """How a step and its record belong together, which decides what a death does."""

    TRANSACTION = "transaction"
    ATOMIC = "atomic"
    MARKER = "marker"
    MIXED = "mixed"
    OUTSIDE = "outside"
    REQUEST = "request"
    ANNOUNCED = "announced"
    CALL = "call"
    SIGNAL = "signal"
    TIMER = "timer"
    INSTANCE = "instance"
    ITEMS = "items"
    RACE = "race"
    ROUNDS = "rounds"
    LIMIT = "limit"
    UNDO = "undo"
    DERIVED = "derived"


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """What becomes of a step whose process dies before, during, behind it; and what one sees of that."""

    before: str
    during: str
    behind: str
    seen: str


NOTHING_SEEN: Final = "nothing, but that it takes longer"
_BEHIND: Final = "it is done: its result is there, and it is not run again"

DEATHS: Final[dict[How, Death]] = {
    How.TRANSACTION: Death(
        before="nothing of it has happened, and another worker runs it",
        during="its transaction is rolled back, record and all, and it is run again",
        behind=_BEHIND,
        seen=NOTHING_SEEN,
    ),
    How.ATOMIC: Death(
        before="nothing of it has happened, and another worker runs it",
        during="the whole transaction is rolled back, with the records of all its steps, and all run again",
        behind="all its steps are done: their results are there, and none is run again",
        seen=NOTHING_SEEN,
    ),
    How.MARKER: Death(
        before="nothing of it has happened, and another worker runs it",
        during="what has not committed is rolled back and run again; what has committed there has left its"
        " marker, from which it is recorded, and is not run again",
        behind=_BEHIND,
        seen=NOTHING_SEEN,
    ),
    How.MIXED: Death(
        before="nothing of it has happened, and another worker runs it",
        during="what it has changed in its transaction is rolled back, what it has done outside stays, and"
        " both are done again",
        behind=_BEHIND,
        seen="what it does outside of the transaction a second time",
    ),
    How.OUTSIDE: Death(
        before="nothing of it has happened, and another worker runs it",
        during="what it has done so far stays, all of it where the death comes between its end and its"
        " record, and it is run again from its beginning",
        behind=_BEHIND,
        seen="what it does a second time, or why that fails",
    ),
    How.REQUEST: Death(
        before="nothing was sent, and another worker sends it",
        during="it may have been sent, and been answered; it is sent again, with the same Idempotency-Key",
        behind="its response is there, and it is not sent again",
        seen="the server gets it a second time",
    ),
    How.ANNOUNCED: Death(
        before="nothing of it has happened, and another worker runs it",
        during="it has begun, and may have happened; it is not repeated, and fails as `ambiguous`",
        behind=_BEHIND,
        seen="the error `ambiguous`: look whether it has happened, then retry or compensate",
    ),
    How.CALL: Death(
        before="nothing was started, and another worker calls it",
        during="the other instance is started together with the record of that, once; it goes on by itself,"
        " and its end is waited for again",
        behind="its result is there, and it is not called again",
        seen=NOTHING_SEEN,
    ),
    How.SIGNAL: Death(
        before="a signal that has come stays until it is taken",
        during="a signal is taken together with the record of that, or stays; no other wait gets it",
        behind="what it has brought is there, and no other signal is taken for it",
        seen=NOTHING_SEEN,
    ),
    How.TIMER: Death(
        before="it has not begun, and another worker begins it",
        during="when it is over was recorded at its beginning, and time passes while no worker is there",
        behind="it is over, and does not begin again",
        seen=NOTHING_SEEN,
    ),
    How.INSTANCE: Death(
        before="it has not begun, and another worker begins it",
        during="it only looks at the other instance, and looks again; what it waits for goes on by itself",
        behind="what it has seen is recorded, and stays",
        seen=NOTHING_SEEN,
    ),
    How.ITEMS: Death(
        before="there are no items, and another worker makes them",
        during="the items are stored in one transaction, all or none; of the items those that have ended"
        " stay, those under way go on where each stands",
        behind="its result is there, and no item begins again",
        seen=NOTHING_SEEN,
    ),
    How.RACE: Death(
        before="no arm has begun, and another worker begins all",
        during="which arm counts is recorded once, before anything follows from it; until then the arms go on"
        " where each stands, and another one may win than without the death",
        behind="the decision is recorded, and stays",
        seen=NOTHING_SEEN,
    ),
    How.ROUNDS: Death(
        before="no round has begun, and another worker begins the first",
        during="how far it has come is recorded behind each round: it goes on in the round in which it was",
        behind="its result is there, and no round begins again",
        seen=NOTHING_SEEN,
    ),
    How.LIMIT: Death(
        before="its time has not begun to run",
        during="when it is over was recorded at its beginning, and time passes while no worker is there",
        behind="whether its time was over is recorded, and stays",
        seen=NOTHING_SEEN,
    ),
    How.UNDO: Death(
        before="what has not completed is not undone",
        during="which undo steps are to run follows from the records: they go on, the last committed first",
        behind="an undo step that has run does not run again",
        seen=NOTHING_SEEN,
    ),
    How.DERIVED: Death(
        before="it follows from what is recorded, and is worked out again",
        during="it follows from what is recorded, and is worked out again",
        behind="it follows from what is recorded, and is worked out again",
        seen=NOTHING_SEEN,
    ),
}
"""What a death does to each. A process that dies is a worker; PostgreSQL's own death rolls back what has not
committed, and is the same but where a remark says otherwise."""

WORDS: Final[dict[How, str]] = {
    How.TRANSACTION: "one transaction with its record",
    How.ATOMIC: "one transaction with its record and the other steps in it",
    How.MARKER: "one transaction with its marker; its record follows",
    How.MIXED: "one transaction with its record, and effects outside of it",
    How.OUTSIDE: "outside of a transaction; its record follows",
    How.REQUEST: "a request; its record follows",
    How.ANNOUNCED: "recorded before it begins, and not repeated",
    How.CALL: "another instance is started together with a record",
    How.SIGNAL: "a signal is taken together with its record",
    How.TIMER: "its end is recorded when it begins",
    How.INSTANCE: "it only looks at another instance",
    How.ITEMS: "its items are stored in one transaction",
    How.RACE: "which arm counts is recorded once",
    How.ROUNDS: "where it stands is recorded behind each round",
    How.LIMIT: "its end is recorded when it begins",
    How.UNDO: "what is to be undone follows from the records",
    How.DERIVED: "it follows from the records",
}
"""Each in a few words, for a table."""
