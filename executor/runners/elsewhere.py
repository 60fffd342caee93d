"""Runs SQL steps in other databases of the cluster, each effect exactly once (ADR 0025).

The statement and a marker with its result are one transaction there; the record in the database of the
workflows follows. Before the first step of a claim its fence is put up there, so that what an earlier holder
has under way does not commit any more; the markers found then say what has happened and is not recorded.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, Protocol, TypeVar

from dfc.compiler.plan import Form
from dfc.executor import answers, paths, retry
from dfc.executor.actions import Finish, RunAtomic, RunItems, RunSql
from dfc.executor.bind import FIRST_USER_OID, types_in
from dfc.executor.claim import Claim, Place
from dfc.executor.compose import MARKERS
from dfc.executor.control import StoreError
from dfc.executor.core.asking import statements_of
from dfc.executor.failures import AlreadyRecorded, FenceLost, StepFailed, Transient, Unreachable
from dfc.executor.journal import AtomicDone, Batch, Completed, Result, Rows, StepError
from dfc.executor.ports import Answer, Transaction
from dfc.executor.queries import query
from dfc.executor.quoting import array_literal, quote_literal
from dfc.executor.runners.alone import run_alone
from dfc.executor.runners.around import Around, guard
from dfc.executor.runners.atomic import run_atomic
from dfc.executor.runners.autocommit import Autocommit
from dfc.executor.runners.hygiene import ATTEMPTS_MAX, cleaned, exchange
from dfc.executor.runners.meaning import meaning
from dfc.executor.runners.statements import Statements
from dfc.executor.runners.step import at_hand, elsewhere_step
from dfc.executor.session import Answered, Message, ServerError, Session
from dfc.executor.sqlstates import LOST, OLD_PERMIT
from dfc.executor.store_elsewhere import ElsewhereStore, Marker
from dfc.executor.values import TEXT

LATE: Final = "completed after cancel"
"""What the record of a step says that nobody waited for any more when it turned out to have committed."""

PERMITS_MAX: Final = 5
"""How often a permit is asked for that was too old when it arrived: this worker is paused again and again."""

_ENTER: Final = "SELECT pg_catalog.to_json(df_markers.enter($1, $2, $3, $4))"
_NO_MARKERS: Final = frozenset({"3F000", "42883", "42P01"})
_NOT_ALLOWED: Final = "42501"
_NO_DATABASE: Final = "3D000"
_NO_MARKERS_STATE: Final = "DF332"
_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_Action = RunSql | RunItems | RunAtomic


class OnSession(Protocol):
    """Does something on a session of the submitter in a database."""

    async def __call__(
        self, claim: Claim, work: Callable[[Session], Awaitable[_T]], database: str | None = None
    ) -> _T: ...


class ElsewhereSql:
    """The part of a SqlRunner that knows other databases, and the port `Elsewhere` of a worker."""

    def __init__(self, home: str, on_session: OnSession, records: ElsewhereStore | None) -> None:
        self._home = home
        self._connected = on_session
        self._given = records
        self._statements: dict[str, Statements] = {}
        # OIDs of types in the database of the workflows; their names, and what they are elsewhere.
        self._names: dict[int, str] = {}
        self._oids: dict[str, dict[int, int]] = {}

    @property
    def _records(self) -> ElsewhereStore:
        assert self._given is not None, "this runner has no store for other databases"
        return self._given

    async def _on_session(self, claim: Claim, work: Callable[[Session], Awaitable[_T]], database: str) -> _T:
        """Do something there. Where nobody gets in, the next attempt asks whether it is still there."""
        try:
            return await self._connected(claim, work, database)
        except Unreachable:
            claim.places.pop(database, None)
            raise

    # Steps

    async def run(self, claim: Claim, action: RunSql | RunItems, database: str) -> Answer:
        """Run a statement there and record it. Raises as `ports.SqlRunner.run`."""
        if action.body.form is Form.AUTOCOMMIT:
            assert isinstance(action, RunSql)
            return await self._run_outside(claim, action, database)
        while True:
            place = await self._enter(claim, database)
            if action.path in place.paths:
                marker = await self._marker(claim, place, action.path)
            else:
                try:
                    marker = await self._leaving(claim, place, partial(self._effect, claim, action, place))
                except AlreadyRecorded:
                    self._leave(claim, place)  # look what there is
                    continue
                except FenceLost:
                    if claim.places.get(database) is place:
                        self._leave(claim, place)
                        raise
                    continue  # another loss has put the fence up anew: nothing of it has happened
            return await self._record(claim, action, place, marker)

    async def _effect(self, claim: Claim, action: RunSql | RunItems, place: Place) -> Marker:
        """The statement with its marker, in one transaction; the marker is read before it commits."""
        sources = await self.translated(claim, place.database, at_hand(action.sources))
        forgotten = tuple(place.done)
        step = elsewhere_step(claim, action, place, sources)
        look = Message(query("marker"), (place.key, action.path), prepare=True)

        async def work(session: Session) -> Answered:
            _, [_, found] = await run_alone(self._known(place.database), session, step, look)
            return found

        found = await self._on_session(claim, work, place.database)
        place.paths[action.path] = None
        _forget(place, forgotten)
        return _read(action.path, found)

    async def _run_outside(self, claim: Claim, action: RunSql, database: str) -> Answer:
        """Outside of a transaction: at least once, as in the database of the workflows."""
        place = await self._enter(claim, database)
        sources = await self.translated(claim, database, at_hand(action.sources))
        step = elsewhere_step(claim, action, place, sources)

        async def record(rows: Rows) -> Answer:
            types = tuple(oid if oid < FIRST_USER_OID else TEXT for oid in rows.types)
            marker = Marker(
                path=action.path, rows=replace(rows, types=types), type_names=tuple(None for _ in types)
            )
            return await self._record(claim, action, place, marker)

        outside = Autocommit(self._known(database), step, action, record)
        return await outside.run(lambda work: self._on_session(claim, work, database))

    async def run_atomic(
        self,
        claim: Claim,
        action: RunAtomic,
        database: str,
        work: Callable[[Transaction], Awaitable[None]],
    ) -> AtomicDone:
        """Several steps in one transaction there; their records follow, all at once."""
        while True:
            place = await self._enter(claim, database)
            if (known := await self._recorded_atomic(claim, action, place)) is not None:
                return known

            async def attempt(session: Session, place: Place = place) -> AtomicDone:
                statements = self._known(database)
                return await run_atomic(statements, session, claim, action, work, place)

            try:
                done = await self._leaving(claim, place, lambda: self._on_session(claim, attempt, database))
            except FenceLost:
                if claim.places.get(database) is place:
                    self._leave(claim, place)
                    raise
                continue
            for record in done.records:
                place.paths[record.path] = None
            return await self._recorded_atomic(claim, action, place) or done

    async def _recorded_atomic(
        self, claim: Claim, action: RunAtomic, place: Place, note: str | None = None
    ) -> AtomicDone | None:
        paths = [path for path in statements_of(action.block, action.frame) if path in place.paths]
        if not paths:
            return None
        markers = [await self._marker(claim, place, path) for path in paths]
        found = await self._recording(claim, place, [(marker, None) for marker in markers], note)
        records = [answer.event for answer in found if isinstance(answer.event, Completed)]
        return AtomicDone(path=action.path, records=tuple(records))

    # What is missing an answer: ports.Elsewhere

    async def take_over(self, claim: Claim) -> bool:
        """See `ports.Elsewhere`."""
        note = None if claim.cancel_reason is None else LATE
        recorded = False
        for database in claim.databases:
            try:
                place = await self._enter(claim, database)
            except StepFailed as failure:
                _log.warning(
                    "not entered instance=%s database=%s reason=%s", claim.instance, database, failure
                )
                continue
            for path in [path for path in place.paths if path not in place.done]:
                if _is_items(path):
                    continue  # rows that nobody has made items of; whoever asks for them finds them
                marker = await self._marker(claim, place, path)
                await self._recording(claim, place, [(marker, None)], note)
                recorded = True
        return recorded

    async def recover(self, claim: Claim, action: _Action, *, late: bool) -> Answer | AtomicDone | None:
        """See `ports.Elsewhere`."""
        database = action.database
        if database is None or database == self._home:
            return None
        try:
            place = await self._enter(claim, database)
        except StepFailed as failure:
            _log.warning("not looked up instance=%s database=%s reason=%s", claim.instance, database, failure)
            return None
        note = LATE if late else None
        if isinstance(action, RunAtomic):
            return await self._recorded_atomic(claim, action, place, note)
        if action.path not in place.paths:
            return None
        marker = await self._marker(claim, place, action.path)
        return await self._record(claim, action, place, marker, note)

    # The fence there

    async def _enter(self, claim: Claim, database: str) -> Place:
        """The fence of this claim there, put up if it is not yet. Raises StepFailed, FenceLost, Transient."""
        async with claim.entering:
            place = claim.places.get(database)
            for _ in range(PERMITS_MAX):
                if place is not None:
                    return place
                place = await self._put_up(claim, database)
        raise Transient(f"the permit for database `{database}` was too old each time", OLD_PERMIT)

    async def _put_up(self, claim: Claim, database: str) -> Place | None:
        """Put the fence up; None when the permit was too old by then."""
        try:
            place, issued_at = await claim.under_its_token(lambda: self._records.permit(claim, database))
        except StoreError as error:
            if error.sqlstate not in (_NO_DATABASE, _NOT_ALLOWED):
                raise
            raise StepFailed(error.of_step("")) from None
        message = Message(_ENTER, (place.key, claim.instance, str(place.epoch), issued_at))

        async def work(session: Session) -> Answered | None:
            try:
                return await _ask(session, claim, message)
            except ServerError as error:
                sqlstate = error.fields.sqlstate
                if sqlstate == OLD_PERMIT:
                    return None
                if sqlstate in _NO_MARKERS or sqlstate == _NOT_ALLOWED:
                    raise StepFailed(_no_markers(database, claim, error)) from None
                raise meaning("", error) from None

        answer = await self._on_session(claim, work, database)
        if answer is None:
            return None
        place.paths = dict.fromkeys(answers.columns(answer, 0, 0))
        place.gone = place.done - place.paths.keys()
        place.done &= place.paths.keys()
        claim.places[database] = place
        return place

    async def _leaving(self, claim: Claim, place: Place, work: Callable[[], Awaitable[_T]]) -> _T:
        """Do the work; where it may have committed without an answer, the fence is to be put up anew."""
        try:
            return await work()
        except (StepFailed, FenceLost, AlreadyRecorded, Unreachable):
            raise  # the server has said so, or was not asked
        except BaseException as problem:
            if isinstance(problem, Transient) and not retry.is_lost(problem.sqlstate):
                raise  # rolled back
            self._leave(claim, place)
            raise

    def _leave(self, claim: Claim, place: Place) -> None:
        if claim.places.get(place.database) is place:
            del claim.places[place.database]

    async def _marker(self, claim: Claim, place: Place, path: str) -> Marker:
        look = Message(query("marker"), (place.key, path), prepare=True)

        async def work(session: Session) -> Answered:
            try:
                return await _ask(session, claim, look)
            except ServerError as error:
                raise meaning(path, error) from None

        return _read(path, await self._on_session(claim, work, place.database))

    # Records

    async def _record(
        self,
        claim: Claim,
        action: RunSql | RunItems,
        place: Place,
        marker: Marker,
        note: str | None = None,
    ) -> Answer:
        if isinstance(action, RunItems):
            size = action.batch_size
            gone = frozenset(place.gone)
            answer = await claim.under_its_token(
                lambda: self._records.store_items_elsewhere(claim, place, marker, size)
            )
            _noted(place, gone, [marker.path])
            return answer
        rider = action.rider if isinstance(action.rider, Finish) and note is None else None
        [answer] = await self._recording(claim, place, [(marker, rider)], note)
        if not action.keep and isinstance(answer.event, Completed):
            return replace(answer, event=replace(answer.event, result=None))
        return answer

    async def _recording(
        self, claim: Claim, place: Place, records: Sequence[tuple[Marker, Finish | None]], note: str | None
    ) -> list[Answer]:
        gone = frozenset(place.gone)
        found = await claim.under_its_token(
            lambda: self._records.record_elsewhere(claim, place, records, note)
        )
        _noted(place, gone, [marker.path for marker, _ in records])
        return found

    # Types

    def _known(self, database: str) -> Statements:
        return self._statements.setdefault(database, Statements(MARKERS))

    async def translated(
        self, claim: Claim, database: str, sources: Mapping[str, Result]
    ) -> Mapping[str, Result]:
        """See `ports.Elsewhere`."""
        if database == self._home:
            return sources
        oids = {oid for oid in types_in(sources) if oid >= FIRST_USER_OID}
        known = self._oids.setdefault(database, {})
        if missing := sorted(oids - known.keys()):
            names = await self._records.type_names(missing)
            asked = [names.get(oid, "") for oid in missing]

            async def work(session: Session) -> list[int]:
                answer = await _ask(session, claim, Message(query("type_oids"), (array_literal(asked),)))
                return [answers.integer(answer, row, 0) or TEXT for row in range(len(answer))]

            found = await self._on_session(claim, work, database)
            known.update(zip(missing, found, strict=True))
        if not oids:
            return sources
        return {key: _with_types(result, known) for key, result in sources.items()}


async def _ask(session: Session, claim: Claim, message: Message) -> Answered:
    """The answer to a question of ours, on a session that an earlier step may have left unclean."""
    around = Around((guard(claim, MARKERS),), guard=0)
    attempts = 0
    while True:
        attempts += 1
        try:
            [answer] = await exchange(session, around, message)
            return answer
        except ServerError as error:
            hopeless = error.fields.sqlstate in _NO_MARKERS or error.fields.sqlstate == _NOT_ALLOWED
            if hopeless or attempts >= ATTEMPTS_MAX or not await cleaned(session, around, error):
                raise


def _read(path: str, answer: Answered) -> Marker:
    """A row of `queries/marker.sql`. Raises Transient where there is none."""
    rows = answers.result(answer, 0, 0) if len(answer) else None
    if not isinstance(rows, Rows):
        raise Transient(f"the marker of `{path}` is not there any more", LOST)
    names: list[str | None] = json.loads(answer.raw(0, 5) or b"[]")
    return Marker(path=path, rows=rows, type_names=tuple(names))


def _forget(place: Place, paths: Iterable[str]) -> None:
    """Take note that the markers of these paths are gone."""
    for path in paths:
        place.paths.pop(path, None)
        place.done.discard(path)
        place.gone.add(path)


def _noted(place: Place, gone: Iterable[str], paths: Iterable[str]) -> None:
    """Take note that these paths are recorded, and that it is known which markers are gone."""
    place.gone.difference_update(gone)
    place.done.update(path for path in paths if path in place.paths)


def _is_items(path: str) -> bool:
    """Whether the marker is that of the query of a map."""
    return paths.split(path)[1] == "items"


def _with_types(result: Result, types: Mapping[int, int]) -> Result:
    match result:
        case Rows():
            return replace(result, types=tuple(types.get(oid, oid) for oid in result.types))
        case Batch(rows=rows):
            return Batch(rows=replace(rows, types=tuple(types.get(oid, oid) for oid in rows.types)))
        case _:
            return result


def _no_markers(database: str, claim: Claim, error: ServerError) -> StepError:
    """What to do in a database where the markers are missing, or are not for this role."""
    if error.fields.sqlstate == _NOT_ALLOWED:
        return StepError(
            step="",
            message=f"role `{claim.submitted_by}` may not use the markers of database `{database}`",
            sqlstate=_NO_MARKERS_STATE,
            detail=error.fields.message,
            hint=f"Run there: SELECT df_markers.grant_usage({quote_literal(claim.submitted_by)})",
        )
    return StepError(
        step="",
        message=f"database `{database}` has no markers: run `dfc init --database {database} --markers`",
        sqlstate=_NO_MARKERS_STATE,
        detail=error.fields.message,
        hint="What dfc keeps there makes the effects of steps happen exactly once.",
    )
