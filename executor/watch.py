"""Looks whether other workers have died, more often than for anything else (ADR 0038)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from dfc.executor import limits
from dfc.executor.control import Control, StoreError
from dfc.executor.failures import Transient
from dfc.executor.queries import query
from dfc.executor.session import Message

LOOKS_A_DEATH: Final = 5
"""So many looks in a row may find the same dead workers and say so.

A step of theirs holds its fence until the server has noticed that its client is gone, half a second at most.
What is left after that nobody here may have: it is not worth more than the usual poll.
"""


async def watch_for_ever(
    control: Control, worker: int, wanted: Callable[[], bool], on_death: Callable[[], None]
) -> None:
    """Call `on_death` where another worker is found dead, until cancelled. `wanted`: whether it matters."""
    before: str | None = None
    looks = 0
    while True:
        await asyncio.sleep(limits.WATCH_SECONDS if wanted() else limits.POLL_SECONDS)
        if not wanted():
            continue
        try:
            [answer] = await control.ask(Message(query("dead_workers"), (str(worker),), prepare=True))
        except (Transient, StoreError):
            continue  # what the poll does, says what it means
        dead = answer.text(0, 0)
        looks = looks + 1 if dead == before else 1
        before = dead
        if dead is not None and looks <= LOOKS_A_DEATH:
            on_death()
