"""Objects that a workflow makes itself and that are certain: later steps find them as they were made.

One is certain when a single step makes it, in plain words, and no other step but a DROP speaks of changing
it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dfc.compiler.plan_names import name_of
from dfc.compiler.plan_statement import SqlBody

_MAKES: Final = re.compile(
    r"""\s*create\s+(?P<kind>(?:(?:temp|temporary|unlogged)\s+)?table|view|type|domain)\s+
    (?:if\s+not\s+exists\s+)?(?P<name>[^\s;(]+)""",
    re.IGNORECASE | re.VERBOSE,
)
_DROPS: Final = re.compile(
    r"\s*drop\s+(?:table|view|type|domain)\s+(?:if\s+exists\s+)?(?P<name>[^\s;(,]+)\s*(?:cascade|restrict)?\s*;?\s*\Z",
    re.IGNORECASE,
)
_ALTERS: Final = re.compile(r"\s*alter\b|.*\brename\s+to\b", re.IGNORECASE | re.DOTALL)
_INTO: Final = re.compile(
    r"\s*(?:select|with)\b.*?(?<!insert\s)(?<!merge\s)\binto\b", re.IGNORECASE | re.DOTALL
)
_TIED: Final = re.compile(r"\b(?:partition\s+of|inherits)\b|\bexecute\b", re.IGNORECASE)
_WORDS: Final = re.compile(r'"(?:[^"]|"")+"|[^\W\d][\w$]*')


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """A statement that makes `name`; `within`: the transaction outside of which it is not there any more."""

    name: str
    sql: str
    within: str | None = None


class Settled:
    """What has been made so far on the way through a plan. `texts` are the statements of all its steps."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._made: Counter[str] = Counter()
        self._unsafe: set[str] = set()
        self._open = False
        for text in texts:
            found = _MAKES.match(text)
            if found is not None:
                self._made[_last(found["name"])] += 1
            elif _ALTERS.match(text) or _INTO.match(text):
                self._unsafe.update(words(text))
        self._makers: list[Maker] = []
        self._dropped: dict[str, str] = {}

    def see(self, body: SqlBody, within: str | None) -> None:
        """A step has run, in the transaction `within`."""
        dropped = _DROPS.match(body.sql)
        if dropped is not None and not body.parameters:
            self._dropped[_last(dropped["name"])] = body.sql
            return
        found = _MAKES.match(body.sql)
        if found is None or body.parameters or body.literals or _TIED.search(body.sql):
            return
        name = _last(found["name"])
        temporary = found["kind"].lower().startswith("temp")
        if self._made[name] == 1 and name not in self._unsafe and (within is not None or not temporary):
            self._makers.append(Maker(name=name, sql=body.sql, within=within if temporary else None))

    def named_in(self, sql: str, within: str | None) -> tuple[tuple[str, ...], frozenset[str]]:
        """The statements that make what a statement speaks of, in order; and the names that they make."""
        wanted = words(sql)
        chosen: list[Maker] = []
        for maker in reversed(self._makers):
            if maker.name in wanted and maker.within in (None, within) and maker.sql != sql:
                chosen.append(maker)
                wanted |= words(maker.sql)
        chosen.reverse()
        drops = [self._dropped[maker.name] for maker in chosen if maker.name in self._dropped]
        return (*drops, *(maker.sql for maker in chosen)), frozenset(maker.name for maker in chosen)


def words(text: str) -> set[str]:
    """The words of a statement, as PostgreSQL folds names."""
    return {name_of(word) for word in _WORDS.findall(text)}


def _last(name: str) -> str:
    """The last part of a name as it is written."""
    parts = _WORDS.findall(name)
    return name_of(parts[-1]) if parts else ""
