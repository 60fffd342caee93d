"""What the decisions of the core say: the one place that knows how they are written."""

from __future__ import annotations

import json
from typing import Any

END = "/decision"
"""The path of the decision how the instance ends, which its undos wait for."""


def _field(text: str, name: str) -> Any:
    return json.loads(text)[name]


def arm(text: str) -> int:
    """The number of the arm that won a race, or that failed a group; from 1."""
    return _field(text, "arm") + 1


def timed_out(text: str) -> bool:
    """Whether the time was up before the work was done."""
    return _field(text, "timed_out")


def left_at(text: str) -> str:
    """The path of the break that ended a loop."""
    return _field(text, "node")


def ends_as(text: str) -> str:
    """The status that the instance will end with, as far as it is known before the undos."""
    return _field(text, "status")
