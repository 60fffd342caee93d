"""Misspelt words: the known one that is like it, and whether it is sure enough to be put in its place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from typing import Final

SURE_MIN: Final = 0.75
"""How alike two words have to be, in the measure of difflib, before one is put in the place of the other."""

MARGIN_MIN: Final = 0.1
"""How much less alike the next known word has to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """A known word that is like another. `sure`: it alone is, and no number in it is another."""

    word: str
    sure: bool


def near(word: str, known: Iterable[str], cutoff: float = 0.6) -> Near | None:
    """The known word that is most like `word`; None when there is none."""
    found = get_close_matches(word, known, n=2, cutoff=cutoff)
    if not found:
        return None
    likeness = [_likeness(word, each) for each in found]
    alone = len(found) == 1 or likeness[0] - likeness[1] >= MARGIN_MIN
    sure = alone and likeness[0] >= SURE_MIN and _digits(word) == _digits(found[0])
    return Near(word=found[0], sure=sure)


def _likeness(word: str, other: str) -> float:
    """In the measure of difflib, to which two letters in the wrong order look like two mistakes."""
    return 0.9 if _is_swapped(word, other) else SequenceMatcher(None, other, word).ratio()


def _is_swapped(word: str, other: str) -> bool:
    differ = [i for i, (one, two) in enumerate(zip(word, other, strict=False)) if one != two]
    if len(word) != len(other) or len(differ) != 2 or differ[1] != differ[0] + 1:
        return False
    first, second = differ
    return word[first] == other[second] and word[second] == other[first]


def _digits(word: str) -> str:
    """The numbers in a word: `s1` is no misspelt `s11`."""
    return "".join(character for character in word if character.isdecimal())
