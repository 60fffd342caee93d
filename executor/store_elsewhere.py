"""What the database of the workflows knows of steps in other ones: permits, records, what is left there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from dfc.executor import answers
from dfc.executor.actions import Rider
from dfc.executor.claim import Claim, Place
from dfc.executor.compose import items_source, rider_json
from dfc.executor.control import Control, bytea
from dfc.executor.journal import Completed, Rows
from dfc.executor.ports import Answer
from dfc.executor.queries import query
from dfc.executor.quoting import array_literal
from dfc.executor.session import Answered, Message

_PERMIT: Final = "SELECT key, epoch, issued_at, pg_catalog.to_json(recorded) FROM df._permit($1, $2, $3)"
_NOTE_ELSEWHERE: Final = "SELECT df._note_elsewhere($1, $2, $3, $4, $5)"
_LEFT_ELSEWHERE: Final = "SELECT * FROM df._left_elsewhere($1, $2)"
_FORGET_ELSEWHERE: Final = "SELECT df._forget_elsewhere($1, $2)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """What a step has left in another database. `type_names`: of types that are not PostgreSQL's own."""

    path: str
    rows: Rows
    type_names: tuple[str | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What may be left in another database of an instance that has ended. `is_there`: the database is."""

    database: str
    role: str
    key: str
    is_there: bool


class ElsewhereStore:
    """The part of the store that other databases need."""

    def __init__(self, control: Control) -> None:
        self._control = control

    async def permit(self, claim: Claim, database: str) -> tuple[Place, str]:
        """Permission to put up the fence in another database, and when it was given; `done` is recorded.

        Raises FenceLost, Transient; StoreError where the submitter's steps cannot run there.
        """
        answer = await self._ask(_PERMIT, bytea(claim.token), claim.instance, database, claim=claim)
        place = Place(
            database=database,
            key=answers.text(answer, 0, 0),
            epoch=answers.integer(answer, 0, 1),
            paths={},
            done=set(answers.columns(answer, 0, 3)),
            gone=set(),
        )
        return place, answers.text(answer, 0, 2)

    async def record_elsewhere(
        self, claim: Claim, place: Place, records: Sequence[tuple[Marker, Rider | None]], note: str | None
    ) -> list[Answer]:
        """Record what has happened in another database, all of it in one transaction.

        Raises FenceLost, AlreadyRecorded, Transient, StoreError.
        """
        gone = array_literal(sorted(place.gone))
        messages = [
            Message(
                query("record_rows"),
                (
                    bytea(claim.token),
                    claim.instance,
                    marker.path,
                    array_literal(marker.rows.columns),
                    array_literal([str(oid) for oid in marker.rows.types]),
                    array_literal(marker.type_names),
                    array_literal(marker.rows.cells),
                    str(marker.rows.row_count),
                    None if rider is None else rider_json(rider),
                    note,
                    place.database,
                    gone,
                ),
                prepare=True,
            )
            for marker, rider in records
        ]
        found = await self._control.ask(*messages, on_doubt=claim.doubt)
        recorded: list[Answer] = []
        for (marker, rider), answer in zip(records, found, strict=True):
            rows = replace(marker.rows, types=answers.types(answer, 0, 3))
            event = Completed(number=answers.integer(answer, 0, 0), path=marker.path, result=rows)
            recorded.append(answers.answered(event, answer, rider))
        return recorded

    async def store_items_elsewhere(
        self, claim: Claim, place: Place, marker: Marker, batch_size: int
    ) -> Answer:
        """Store the rows of a query that has run elsewhere as the items of a map. As `store_items`."""
        token = bytea(claim.token)
        note = (
            token,
            claim.instance,
            place.database,
            array_literal([marker.path]),
            array_literal(sorted(place.gone)),
        )
        items = (token, claim.instance, marker.path, str(batch_size), *items_source(marker.rows))
        answer, _ = await self._control.ask(
            Message(query("store_items"), items, prepare=True),
            Message(_NOTE_ELSEWHERE, note, prepare=True),
            on_doubt=claim.doubt,
        )
        return answers.items_stored(marker.path, answer)

    async def type_names(self, oids: Sequence[int]) -> dict[int, str]:
        """Quoted and qualified names of types; those that are gone are missing."""
        answer = await self._ask(query("type_names"), array_literal([str(oid) for oid in oids]))
        return {answers.integer(answer, row, 0): answers.text(answer, row, 1) for row in range(len(answer))}

    async def left_elsewhere(self, roles: Sequence[str], limit: int) -> list[Left]:
        """What is left in other databases of instances that have ended."""
        answer = await self._ask(_LEFT_ELSEWHERE, array_literal(list(roles)), str(limit))
        return [
            Left(
                database=answers.text(answer, row, 1),
                role=answers.text(answer, row, 2),
                key=answers.text(answer, row, 3),
                is_there=answer.raw(row, 4) == b"t",
            )
            for row in range(len(answer))
        ]

    async def forget_elsewhere(self, database: str, keys: Sequence[str]) -> None:
        """Take note that nothing is left there under these keys."""
        await self._ask(_FORGET_ELSEWHERE, database, array_literal(list(keys)))

    async def _ask(self, text: str, *values: str | None, claim: Claim | None = None) -> Answered:
        message = Message(text, values, prepare=True)
        [answer] = await self._control.ask(message, on_doubt=None if claim is None else claim.doubt)
        return answer
