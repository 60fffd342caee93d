"""The paths of what the core records and asks for, from the path of a node (docs/internals.md, The core)."""

from __future__ import annotations


def decision(path: str) -> str:
    """Of the decision about a race, group, time limit or loop; of the workflow itself with an empty path."""
    return f"{path}/decision"


def timer(path: str) -> str:
    """Of the timer of a time limit."""
    return f"{path}/timer"


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
