"""Recorded journals: what the core of an instance has seen and decided, written down before it is done.

Who drives a recorded instance has a `Recorder`. Entries are kept until something is to be done about them;
then all that have come since are written in one statement, under the fence. So of a worker that is killed
nothing is missing that has had consequences; what it had seen and not acted upon, the next one sees in the
records.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final, Protocol

from dfc.executor import answers, limits
from dfc.executor.actions import Action
from dfc.executor.claim import Claim
from dfc.executor.control import Control, bytea
from dfc.executor.journal import Event, Record
from dfc.executor.journal_json import action_json, event_json
from dfc.executor.quoting import array_literal
from dfc.executor.session import Message

_END: Final = "SELECT number, bytes, is_full FROM df._journal_end($1, $2)"
_WRITE: Final = "SELECT df._write_journal($1, $2, $3, $4, $5)"
ENTRIES_A_STATEMENT: Final = 500


class Journals(Protocol):
    """Where journals are kept. All raise FenceLost, Transient."""

    async def end(self, claim: Claim) -> tuple[int, int, bool]:
        """The number of the last entry, how many bytes there are, and whether no more is to be written."""
        ...

    async def write(self, claim: Claim, first: int, size: int, entries: Sequence[str]) -> None:
        """Write entries from a number on, behind `size` bytes. May be repeated."""
        ...


class PostgresJournals:
    """Journals in `df.journal_entries`."""

    def __init__(self, control: Control) -> None:
        self._control = control

    async def end(self, claim: Claim) -> tuple[int, int, bool]:
        """See `Journals`."""
        message = Message(_END, (bytea(claim.token), claim.instance), prepare=True)
        [answer] = await self._control.ask(message, on_doubt=claim.doubt)
        return answers.integer(answer, 0, 0), answers.integer(answer, 0, 1), answer.raw(0, 2) == b"t"

    async def write(self, claim: Claim, first: int, size: int, entries: Sequence[str]) -> None:
        """See `Journals`."""
        values = (bytea(claim.token), claim.instance, str(first), str(size), array_literal(entries))
        await self._control.ask(Message(_WRITE, values, prepare=True), on_doubt=claim.doubt)


class Recorder:
    """Writes the journal of one claimed instance. Used from one event loop."""

    def __init__(
        self,
        claim: Claim,
        journals: Journals,
        *,
        version: str,
        journal_bytes_max: int = limits.JOURNAL_BYTES_MAX,
    ) -> None:
        self._claim = claim
        self._journals = journals
        self._version = version
        self._bytes_max = journal_bytes_max
        self._unwritten: list[str] = []
        self._next = 0
        self._written = 0
        self._coming = 0
        self._full = False
        self._writing = asyncio.Lock()

    @property
    def behind(self) -> bool:
        """Whether something is to be written before anything is done."""
        return bool(self._unwritten)

    def began(
        self,
        records: Sequence[Record],
        actions: Sequence[Action],
        *,
        replay: bool,
        cancel_reason: str | None,
    ) -> None:
        """The core has begun with these records."""
        entry: dict[str, Any] = {"kind": "begin", "version": self._version}
        if cancel_reason is not None:
            entry["cancel_reason"] = cancel_reason
        if replay:
            entry["replay"] = True
        entry["records"] = [event_json(record) for record in records]
        self._add(entry, actions)

    def took(self, event: Event, actions: Sequence[Action]) -> None:
        """The core has been told of an event."""
        self._add({"kind": "event", "event": event_json(event)}, actions)

    def forgot(self, records: Sequence[str], maps: Sequence[str]) -> None:
        """Of an instance that is retried, these records and these maps' failed items are forgotten."""
        self._add({"kind": "forget", "records": list(records), "maps": list(maps)}, ())

    def _add(self, entry: dict[str, Any], actions: Sequence[Action]) -> None:
        if self._full:
            return
        if actions:
            entry["actions"] = [action_json(action) for action in actions]
        text = json.dumps(entry, separators=(",", ":"))
        if self._coming + self._written + len(text) > self._bytes_max:
            self._full = True
            text = self._full_text()
        self._unwritten.append(text)  # ASCII: as many bytes as characters
        self._coming += len(text)

    async def write(self) -> None:
        """Write what is not written yet. May be repeated when it has failed. Raises FenceLost, Transient."""
        async with self._writing:
            if self._next == 0:
                await self._go_on()
            while self._unwritten:
                some = self._unwritten[:ENTRIES_A_STATEMENT]
                await self._journals.write(self._claim, self._next, self._written, some)
                del self._unwritten[: len(some)]
                size = sum(map(len, some))
                self._next += len(some)
                self._written += size
                self._coming -= size

    def _full_text(self) -> str:
        return json.dumps({"kind": "full", "journal_bytes_max": self._bytes_max}, separators=(",", ":"))

    async def _go_on(self) -> None:
        """Find where earlier workers have stopped; a journal that is full stays as it is."""
        if not self._claim.resumed:
            self._next = 1
            return
        last, self._written, was_full = await self._journals.end(self._claim)
        self._next = last + 1
        if was_full or self._written + self._coming > self._bytes_max:
            self._full = True
            self._unwritten = [] if was_full else [self._full_text()]
            self._coming = sum(map(len, self._unwritten))
