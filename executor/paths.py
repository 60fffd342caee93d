"""The paths of what is recorded and asked for, made from the path of a node, and taken apart again. Pure.

A path is `<frames><node id>`, with what the node does behind it (docs/internals.md, The core).
"""

from __future__ import annotations

import re
from typing import Final

_FRAME: Final = re.compile(r"\[(\d+)\]/")


def decision(path: str) -> str:
    """Of the decision about a race, group, time limit or loop; of the workflow itself with an empty path."""
    return f"{path}/decision"


def timer(path: str) -> str:
    """Of the timer of a time limit, or of a wait."""
    return f"{path}/timer"


def child(path: str, attempt: int) -> str:
    """Of the instance that an attempt of a call has started."""
    return f"{path}/child{attempt}"


def awaited(path: str) -> str:
    """Of which instance a wait for another one waits for."""
    return f"{path}/awaited"


def turn(path: str, attempt: int) -> str:
    """Of the timer of an attempt that waits for its turn under a rate limit."""
    return f"{path}/turn{attempt}"


def turns(path: str, attempts: int) -> list[str]:
    """Of the timers that attempts up to the one behind `attempts` failed ones may have waited for."""
    return [turn(path, number) for number in range(1, attempts + 2)]


def position(path: str) -> str:
    """Of where a loop or retry stands."""
    return f"{path}/round"


def request(path: str) -> str:
    """Of the computing of a request."""
    return f"{path}/request"


def response(path: str) -> str:
    """Of the sending of a request."""
    return f"{path}/response"


def items(path: str) -> str:
    """Of the storing of the items of a map."""
    return f"{path}/items"


def fetch(path: str) -> str:
    """Of the fetching of items, which leaves no record."""
    return f"{path}/fetch"


def read(path: str) -> str:
    """Of the reading of a result, which leaves no record."""
    return f"{path}/read"


def item(path: str, number: int) -> str:
    """Of the end of an item of a map."""
    return f"{path}[{number}]"


def frame(path: str, number: int) -> str:
    """What stands in front of the paths in a round, an attempt, or an item, numbered from 1."""
    return f"{path}[{number}]/"


def frame_number(path: str, of: str) -> int | None:
    """The number of the round, attempt or item of `of` that a path lies in; None where it lies in none."""
    found = _FRAME.match(path, len(of)) if path.startswith(of) else None
    return None if found is None else int(found[1])


def split(path: str) -> tuple[str, str]:
    """The id of the node that a path belongs to, and what stands behind it: `response`, or nothing."""
    id, _, part = path.rpartition("]/")[2].partition("/")
    return id, part


def node_of(path: str) -> str:
    """The id of the node that a path belongs to, whatever rounds and items stand in front of it."""
    return split(path)[0]


def is_request(path: str) -> bool:
    """Whether it is the path of the computing of a request."""
    return split(path)[1] == "request"
