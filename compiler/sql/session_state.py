"""What a statement leaves in its session: a step has one only while it runs."""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

from dfc.compiler.sql.tokens import Token, split_comments, tokens

_MADE_TEMPORARY: Final = frozenset({"create table", "create table as", "create view", "create sequence"})
_BEFORE_TEMPORARY: Final = frozenset({"create", "or", "replace", "local", "global", "recursive"})
_LOCKS: Final = frozenset(
    f"pg_{name}{shared}" for name in ("advisory_lock", "try_advisory_lock") for shared in ("", "_shared")
)
_UNLOCKS: Final = frozenset({"pg_advisory_unlock", "pg_advisory_unlock_shared", "pg_advisory_unlock_all"})

_TABLE = "create an ordinary table (UNLOGGED where it may be lost), and drop it when it is done with"


class Left(NamedTuple):
    """`sql[start:end]` changes the session. `shared`: within one transaction other steps notice."""

    start: int
    end: int
    fact: str
    help: str
    shared: bool


_COMMANDS: Final = {
    "set": (
        "`SET` holds no longer than its step",
        "give the step that needs it `settings => '{...}'`",
        False,
    ),
    "reset": (
        "`RESET` holds no longer than its step",
        "leave it out: every step begins with defaults",
        False,
    ),
    "listen": ("nobody listens any more when its step has ended", "poll for it in a `df.loop`", False),
    "unlisten": ("no step listens to anything", "leave it out", False),
    "lock table": (
        "the lock is released when its step ends",
        "put it into `df.atomic(...)` with the steps that need it",
        True,
    ),
    "set constraints": (
        "`SET CONSTRAINTS` holds no longer than its step",
        "put it into `df.atomic(...)` with the steps that need it",
        True,
    ),
    "declare cursor": (
        "the cursor is closed when its step ends",
        "let one query read the rows, or a `df.map` go through them",
        False,
    ),
    "prepare": ("what is prepared is gone when its step ends", "write the statement itself as a step", False),
    "execute": ("no step finds what another one has prepared", "write the statement itself as a step", False),
    "deallocate": ("no step finds what another one has prepared", "leave it out", False),
    "deallocate all": ("no step finds what another one has prepared", "leave it out", False),
}


def left_in_session(sql: str, kind: str) -> Left | None:
    """The first thing that a statement of this kind leaves in its session, where it is certain."""
    if kind in _COMMANDS or kind.startswith("discard"):
        discarded = ("a step's session is a clean one, and given back", "leave it out", False)
        fact, help, shared = _COMMANDS.get(kind, discarded)
        return Left(0, len(sql), fact, help, shared)
    # Few statements have one of these, and to take a statement apart costs as much as all else about it.
    folded = sql.lower()
    if "advisory" not in folded and not ("temp" in folded and kind in _MADE_TEMPORARY):
        return None
    items = tokens(sql, split_comments(sql)[0])
    if kind in _MADE_TEMPORARY and (word := _temporary(items)) is not None:
        fact = f"a temporary {kind.removeprefix('create ').removesuffix(' as')} is gone when its step ends"
        return Left(word.start, word.end, fact, _TABLE, True)
    for item, following in pairwise(items):
        if following.word == "(" and item.word in _LOCKS:
            xact = item.word.replace("advisory_lock", "advisory_xact_lock")
            fact = f"`{item.word}` is released when its step ends"
            help = f"write `{xact}`, and `df.atomic(...)` around the steps that need it"
            return Left(item.start, item.end, fact, help, False)
        if following.word == "(" and item.word in _UNLOCKS:
            return Left(item.start, item.end, "no step holds a lock of another one", "leave it out", False)
    return None


def _temporary(items: list[Token]) -> Token | None:
    for item in items:
        if item.word in ("temp", "temporary"):
            return item
        if item.word not in _BEFORE_TEMPORARY:
            return None
    return None
