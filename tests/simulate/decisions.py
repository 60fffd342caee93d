"""What the decisions of the core say: the one place that knows how they are written."""

from __future__ import annotations

import json


def arm(text: str) -> int:
    """The number of the arm that won a race, or that failed a group; from 1."""
    number = json.loads(text)
    assert isinstance(number, int), text
    return number


def timed_out(text: str) -> bool:
    """Whether the time was up before the work was done."""
    return bool(json.loads(text))


def left_at(text: str) -> str:
    """The path of the break that ended a loop."""
    path = json.loads(text)
    assert isinstance(path, str), text
    return path
