"""Corpora of workflow files with marked places: `## number level name`, then the text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Case:
    """A file, what is wanted of it, and its marked places."""

    number: str
    wanted: str
    name: str
    text: str
    places: tuple[tuple[int, int], ...]


def cases(file: str) -> list[Case]:
    """The cases of a corpus."""
    found: list[Case] = []
    written = (FOLDER / file).read_text(encoding="utf-8")
    for part in re.split(r"^## ", written, flags=re.MULTILINE)[1:]:
        head, body = part.split("\n", 1)
        number, wanted, name = head.split(" ", 2)
        places: list[tuple[int, int]] = []
        text, start = "", 0
        for piece in re.split("([«»])", body):
            if piece == "«":
                start = len(text)
            elif piece == "»":
                places.append((start, len(text)))
            else:
                text += piece
        found.append(Case(number, wanted, name, text, tuple(places)))
    return found
