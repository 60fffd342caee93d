"""Keeps the tables bounded: instances that have ended go when their time is over (`df._sweep_finished`)."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from dfc.executor import answers
from dfc.executor.control import Control, StoreError
from dfc.executor.failures import Transient
from dfc.executor.session import Message

RETENTION_SECONDS: Final = 60.0
"""How often a worker looks whether something is to go; all of them together, how often a pass begins."""

REMOVED_FIRST: Final = 100
REMOVED_MIN: Final = 10
REMOVED_MAX: Final = 1000
"""Instances that one transaction removes: as many as fit into the time below."""

TRANSACTION_SECONDS: Final = 0.25

_SWEEP: Final = "SELECT gone, more FROM df._sweep_finished($1, $2)"

_log = logging.getLogger(__name__)


async def retain_for_ever(control: Control) -> None:
    """Look again and again, until cancelled."""
    while True:
        try:
            gone = await remove_finished(control)
        except (Transient, StoreError) as error:
            _log.warning("not removed reason=%s", error)
        else:
            if gone:
                _log.info("removed instances=%s", gone)
        await asyncio.sleep(RETENTION_SECONDS)


async def remove_finished(control: Control) -> int:
    """Remove what is to go, transaction by transaction, never for more than half of the time.

    How many instances that were; none where another worker is at it. Raises Transient, StoreError.
    """
    loop = asyncio.get_running_loop()
    most = REMOVED_FIRST
    removed = 0
    while True:
        began = loop.time()
        [answer] = await control.ask(Message(_SWEEP, (str(most), str(RETENTION_SECONDS * 0.9))))
        taken = loop.time() - began
        removed += answers.integer(answer, 0, 0)
        if answers.text(answer, 0, 1) != "t":
            return removed
        if taken > TRANSACTION_SECONDS:
            most = max(REMOVED_MIN, most // 2)
        elif taken < TRANSACTION_SECONDS / 4:
            most = min(REMOVED_MAX, most * 2)
        await asyncio.sleep(taken)
