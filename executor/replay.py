"""A recorded journal, folded once more: whether the core decides what it decided then. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from dfc.compiler.plan import Plan
from dfc.compiler.plan_json import PlanFormatError, from_json
from dfc.executor.actions import Action
from dfc.executor.decide import CorruptJournal, InvalidPlan, State, begin, forgotten, pending, step
from dfc.executor.journal import Event, Record
from dfc.executor.journal_json import UnreadableJournal, action_json, read_event
from dfc.executor.limited import limited

FORMAT: Final = 1
"""Of documents that `dfc export` writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry as it is read: `events` are what the core was told of, records where it began with them."""

    number: int
    kind: str
    events: tuple[Event, ...] = ()
    expected: tuple[Mapping[str, Any], ...] = ()
    cancel_reason: str | None = None
    replay: bool = False
    forget: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What of a document is needed to fold it."""

    instance: str
    plan: Plan
    input: str | None
    database: str | None
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A decision that is another one now. `expected` is what was recorded, None where there is nothing."""

    number: int
    what: str
    expected: Mapping[str, Any] | None
    found: Mapping[str, Any] | None

    def __str__(self) -> str:
        return (
            f"entry {self.number} ({self.what}): expected {_shown(self.expected)}, found {_shown(self.found)}"
        )


@dataclass(slots=True)
class Fold:
    """A fold over the entries of a recording. `state` is the core's; None before the first beginning."""

    recording: Recording
    state: State | None = None
    records: list[Record] = field(default_factory=list[Record])

    def take(self, entry: Entry) -> Changed | None:
        """Fold one entry; the first decision that is another one, if there is one.

        Raises UnreadableJournal where the entry does not fit those before.
        """
        try:
            if entry.kind == "forget" and self.state is not None:
                gone = forgotten(self.state, self.records)
                return _compare_forgotten(entry, (tuple(gone.records), tuple(gone.maps)))
            return compare(entry, self.advance(entry))
        except CorruptJournal as error:
            return Changed(
                number=entry.number,
                what=_what(entry),
                expected=entry.expected[0] if entry.expected else None,
                found={"refused": str(error)},
            )

    def advance(self, entry: Entry) -> tuple[Action, ...]:
        """Fold one entry; what is decided. Raises CorruptJournal, UnreadableJournal."""
        match entry.kind:
            case "begin":
                self.records = [cast(Record, event) for event in entry.events]
                self.state = begin(
                    self.recording.plan,
                    self.records,
                    instance=self.recording.instance,
                    cancel_reason=entry.cancel_reason,
                    input=self.recording.input,
                    database=self.recording.database,
                    trace=entry.replay,
                )
                return pending(self.state)
            case "event" if self.state is not None:
                return step(self.state, entry.events[0])
            case "full" | "forget":
                return ()
            case _:
                raise UnreadableJournal(f"entry {entry.number} does not fit: {entry.kind}")


def replay(document: Mapping[str, Any]) -> Changed | None:
    """The first changed decision of a document; what comes behind it follows from it.

    Raises UnreadableJournal, InvalidPlan.
    """
    recording = read_document(document)
    fold = Fold(recording)
    for entry in recording.entries:
        try:
            changed = fold.take(entry)
        except UnreadableJournal:
            raise
        except Exception as error:
            raise UnreadableJournal(
                f"entry {entry.number} cannot be folded ({type(error).__name__}: {error}): export it anew; if"
                " nobody has edited it, this is a mistake of dfc"
            ) from error
        if changed is not None:
            return changed
    return None


def compare(entry: Entry, actions: Sequence[Action]) -> Changed | None:
    """The first action that is not the recorded one."""
    found = [action_json(action) for action in actions]
    expected = list(entry.expected)
    for place in range(max(len(found), len(expected))):
        was = expected[place] if place < len(expected) else None
        now = found[place] if place < len(found) else None
        if was != now:
            return Changed(number=entry.number, what=_what(entry), expected=was, found=now)
    return None


def read_document(document: Mapping[str, Any]) -> Recording:
    """Read what `dfc export` has written. Raises UnreadableJournal with a way out."""
    format = document.get("format")
    if format != FORMAT:
        raise UnreadableJournal(
            f"its format is {format!r}, this program reads {FORMAT}: export it anew, or upgrade dfc"
        )
    if not document.get("recorded"):
        raise UnreadableJournal(
            "it was not recorded, so there is nothing to replay: start it with dfc start --record"
        )
    if not document.get("entries"):
        raise UnreadableJournal("nothing had happened when it was exported: export it again")
    try:
        plan = limited(from_json(document["plan"]), document.get("timeout_seconds"))
        return Recording(
            instance=document["instance"],
            plan=plan,
            input=document.get("input"),
            database=document.get("database"),
            entries=tuple(_entries(document["entries"])),
        )
    except (PlanFormatError, InvalidPlan) as error:
        raise UnreadableJournal(f"its plan cannot be read: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableJournal(f"it is not what `dfc export` writes: {error!r}") from None


def _entries(written: Sequence[Mapping[str, Any]]) -> Iterator[Entry]:
    for number, entry in enumerate(written, 1):
        events: Sequence[Mapping[str, Any]] = ()
        forget: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        match entry["kind"]:
            case "begin":
                events = entry["records"]
            case "forget":
                forget = tuple(entry["records"]), tuple(entry["maps"])
            case "event" if "event" not in entry:
                raise UnreadableJournal(f"entry {number} has no event")
            case "event":
                events = (entry["event"],)
            case _:
                pass
        if not all(isinstance(action, dict) for action in entry.get("actions", ())):
            raise UnreadableJournal(f"entry {number} has actions that are none")
        yield Entry(
            number=int(entry.get("number", number)),
            kind=entry["kind"],
            events=tuple([read_event(event) for event in events]),
            expected=tuple(entry.get("actions", ())),
            cancel_reason=entry.get("cancel_reason"),
            replay=bool(entry.get("replay")),
            forget=forget,
        )


def _compare_forgotten(entry: Entry, found: tuple[tuple[str, ...], tuple[str, ...]]) -> Changed | None:
    if found == entry.forget:
        return None
    return Changed(
        number=entry.number,
        what="forget",
        expected={"records": list(entry.forget[0]), "maps": list(entry.forget[1])},
        found={"records": list(found[0]), "maps": list(found[1])},
    )


def _what(entry: Entry) -> str:
    if entry.kind != "event":
        return entry.kind
    event = entry.events[0]
    path = str(getattr(event, "path", ""))
    return f"{type(event).__name__}{f' `{path}`' if path else ''}"


def _shown(action: Mapping[str, Any] | None) -> str:
    if action is None:
        return "nothing"
    where = [f"`{action['path']}`"] if action.get("path") else []
    parts = [f"{key}={value}" for key, value in action.items() if key not in ("@", "path")]
    return " ".join([*([str(action["@"])] if "@" in action else []), *where, *parts])
