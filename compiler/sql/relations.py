"""What the statements beside a workflow say of its tables: what views read, and which tables have no key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from dfc.compiler.ast import Text
from dfc.compiler.sql.analysis import analyse
from dfc.compiler.sql.uses import Effect, Use

_VIEW: Final = re.compile(r"\s*create\b[^(]*\bview\b", re.IGNORECASE)
_TABLE: Final = re.compile(r"\s*(?:create|alter)\b[^(]*\btable\b|\s*create\s+unique\b", re.IGNORECASE)
_KEY: Final = re.compile(r"\b(?:primary\s+key|unique|exclude|like|inherits|partition\s+of)\b", re.IGNORECASE)
_PUBLIC: Final = "public."
VIEW_LEVELS_MAX: Final = 20


def plain(name: str) -> str:
    """A table's name without the schema in which it is looked for anyway."""
    return name.removeprefix(_PUBLIC)


@dataclass(frozen=True, slots=True)
class Relations:
    """`views` have what they read. `keyless` are the tables that are made here and have no unique key."""

    views: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    keyless: frozenset[str] = frozenset()

    def behind(self, use: Use) -> Iterator[Use]:
        """A use, by the plain name of its table; of a view also what happens to the tables behind it."""
        yield replace(use, table=plain(use.table)) if use.table.startswith(_PUBLIC) else use
        if plain(use.table) not in self.views:
            return
        known: set[str] = set()
        names = [plain(use.table)]
        for _ in range(VIEW_LEVELS_MAX):
            names = sorted({table for name in names for table in self.views.get(name, ())} - known)
            known.update(names)
            for name in names if use.effect is not Effect.DEFINE else ():
                yield replace(use, table=name, changed=None, read=None, rows=())


@lru_cache(maxsize=16)
def relations(scripts: tuple[str, ...]) -> Relations:
    """Read the statements beside a workflow. What cannot be analysed says nothing."""
    views: dict[str, frozenset[str]] = {}
    for text in scripts:
        if _VIEW.match(text) is None:
            continue
        found = analyse(Text(value=text)).tables
        views.update({plain(name): frozenset(map(plain, found.reads)) for name in found.writes})
    return Relations(views=views, keyless=_keyless(scripts))


def _keyless(scripts: Iterable[str]) -> frozenset[str]:
    without: set[str] = set()
    keyed: set[str] = set()
    for text in scripts:
        if _TABLE.match(text) is None:
            continue
        names = {plain(name) for name in analyse(Text(value=text)).writes}
        (keyed if _KEY.search(text) else without).update(names)
    return frozenset(without - keyed)
