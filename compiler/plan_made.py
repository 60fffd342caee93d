"""What the statements of a file make themselves, so that nobody takes it for unknown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

_MAKES: Final = re.compile(
    r"\s*(create|alter|do|call|import|execute|select\b.*?\binto)\b", re.IGNORECASE | re.DOTALL
)
_OPEN: Final = re.compile(r"\s*(create\s+extension|import\s+foreign)\b", re.IGNORECASE)
_CHANGES: Final = re.compile(
    r"""\s*(?:drop\s+(?:table|view|materialized\s+view)(?:\s+if\s+exists)?|create\s+or\s+replace\s+view
    |alter\s+table(?:\s+if\s+exists)?(?:\s+only)?)\s+([^\s;(]+)""",
    re.IGNORECASE | re.VERBOSE,
)
_WORDS: Final = re.compile(r'"(?:[^"]|"")+"|[^\W\d][\w$]*')


class Made:
    """The names in statements that make objects: what they name is there by the time it is needed.

    Which names a statement makes is not asked: a word in it is enough to say nothing against it. `steps` are
    the statements of workflows: a table that one of them drops or alters may have other columns by then.
    `is_open`: an extension is among what is made, and nobody knows its functions and types.
    """

    def __init__(self, around: Iterable[str] = (), steps: Iterable[str] = ()) -> None:
        steps = list(steps)
        self._makers = frozenset(text for text in (*around, *steps) if _MAKES.match(text))
        self._words: Counter[str] = Counter()
        for text in self._makers:
            self._words.update(_words(text))
        self.is_open = any(_OPEN.match(text) for text in self._makers)
        self._changed: Counter[str] = Counter()
        for text in steps:
            self._changed.update(_changed(text))

    def knows(self, name: str, asking: str) -> bool:
        """Whether a statement other than the one that asks has the last part of a name."""
        last = name.rpartition(".")[2]
        own = asking in self._makers and last in _words(asking)
        return self._words[last] > own

    def changes(self, asking: str) -> bool:
        """Whether a step other than the one that asks changes a table that it speaks of."""
        own = _changed(asking)
        return bool(self._changed) and any(self._changed[word] > (word in own) for word in _words(asking))


def _changed(text: str) -> set[str]:
    """The names in the place of the table that a statement drops or alters."""
    changed = _CHANGES.match(text)
    return set() if changed is None else set(map(_folded, _WORDS.findall(changed[1])))


def _words(text: str) -> set[str]:
    return {_folded(word) for word in _WORDS.findall(text)}


def _folded(word: str) -> str:
    return word[1:-1].replace('""', '"') if word.startswith('"') else word.lower()
