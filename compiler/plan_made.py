"""What the statements of a file make themselves, so that nobody takes it for unknown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

from dfc.compiler.plan_extensions import brings_unknown_tables, extension
from dfc.compiler.plan_names import name_of

_MAKES: Final = re.compile(
    r"""\s*(?:(?:create|alter|do|call|import|execute)\b|explain\b.*?\bcreate\b
    |(?:select|with)\b.*?(?<!insert\s)(?<!merge\s)\binto\b)""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_DYNAMIC: Final = re.compile(
    r"""\s*(?:do|create\s+(?:or\s+replace\s+)?(?:function|procedure))\b
    (?=.*\bexecute\b)(?=.*\b(?:create|alter|import)\b)""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_OPERATOR: Final = re.compile(r"\s*create\s+operator\b(?!\s+(?:class|family)\s)", re.IGNORECASE)
_CAST: Final = re.compile(r"\s*create\s+cast\b", re.IGNORECASE)
_LABEL: Final = re.compile(r"\s*alter\s+type\b.*\bvalue\b", re.IGNORECASE | re.DOTALL)
_OPEN: Final = re.compile(r"\s*(create\s+extension|import\s+foreign)\b", re.IGNORECASE)
_EXTENSION: Final = re.compile(
    r"\s*create\s+extension\s+(?:if\s+not\s+exists\s+)?([\w-]+|\"(?:[^\"]|\"\")+\")", re.IGNORECASE
)
_CHANGES: Final = re.compile(
    r"""\s*(?:drop\s+(?:table|view|materialized\s+view)(?:\s+if\s+exists)?|create\s+or\s+replace\s+view
    |alter\s+(?:table|view|materialized\s+view|type|domain)(?:\s+if\s+exists)?(?:\s+only)?)\s+([^\s;(]+)""",
    re.IGNORECASE | re.VERBOSE,
)
_WORDS: Final = re.compile(r'"(?:[^"]|"")+"|[^\W\d][\w$]*')


class Made:
    """The names in statements that make objects: what they name is there by the time it is needed.

    Which names a statement makes is not asked: a word in it is enough to say nothing against it. `steps` are
    the statements of workflows: a table that one of them drops or alters may have other columns by then.
    `is_open`: an extension is among what is made, and nobody knows its functions and types; `tables_open`:
    nor its tables. `operators`, `casts`, `labels`: some of these are made, which no name in a refusal tells.
    `texts` are all that were given.
    """

    def __init__(self, around: Iterable[str] = (), steps: Iterable[str] = ()) -> None:
        around, steps = tuple(around), tuple(steps)
        self._makers = frozenset(text for text in (*around, *steps) if _MAKES.match(text))
        self._words: Counter[str] = Counter()
        for text in self._makers:
            self._words.update(_words(text))
        opened = [_extension_of(text) for text in self._makers if _OPEN.match(text)]
        self._extensions = tuple([found for name in opened if (found := extension(name)) is not None])
        self.is_open = len(self._extensions) < len(opened)
        self.tables_open = any(brings_unknown_tables(name) for name in opened)
        self.operators = self._some(_OPERATOR) or any(each.operators for each in self._extensions)
        self.casts = self._some(_CAST) or any(each.casts for each in self._extensions)
        self.labels = self._some(_LABEL)
        self._is_dynamic = self._some(_DYNAMIC)
        self.texts = (*around, *steps)
        self._said: frozenset[str] | None = None
        self._changed: Counter[str] = Counter()
        for text in steps:
            self._changed.update(_changed(text))

    def knows(self, name: str, asking: str) -> bool:
        """Whether a statement other than the one that asks has the last part of a name."""
        last = name.rpartition(".")[2]
        if any(each.has(last) for each in self._extensions):
            return True
        own = asking in self._makers and last in _words(asking)
        return self._words[last] > own

    def _some(self, pattern: re.Pattern[str]) -> bool:
        return any(pattern.match(text) for text in self._makers)

    def is_dynamic(self, makers: Iterable[str]) -> bool:
        """Whether names are made that only a run knows: by DO, or a call of one of these functions."""
        if self._is_dynamic:
            return True
        if self._said is None and makers:
            self._said = frozenset[str]().union(*map(_words, self.texts))
        return self._said is not None and not self._said.isdisjoint(makers)

    def changes(self, asking: str, certain: frozenset[str] = frozenset()) -> bool:
        """Whether a step other than the one that asks changes a table that it speaks of, but these."""
        own = _changed(asking)
        return bool(self._changed) and any(
            self._changed[word] > (word in own) for word in _words(asking) - certain
        )


def _extension_of(text: str) -> str:
    """The extension that a statement makes; empty for a foreign schema."""
    found = _EXTENSION.match(text)
    return "" if found is None else name_of(found[1])


def _changed(text: str) -> set[str]:
    """The names in the place of the table that a statement drops or alters."""
    changed = _CHANGES.match(text)
    return set() if changed is None else set(map(name_of, _WORDS.findall(changed[1])))


def _words(text: str) -> set[str]:
    return {name_of(word) for word in _WORDS.findall(text)}
