"""An instance that a worker owns, and the secret by which the database knows it (ADR 0004, 0016)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from dfc.executor.failures import FenceLost

_T = TypeVar("_T")


async def _nothing_in_doubt() -> None:
    """Of a claim that nobody drives yet."""


@dataclass(slots=True, kw_only=True, eq=False)
class Place:
    """The instance's fence in another database, as this claim has put it up (ADR 0025).

    `key` is what the instance goes under there, as a bytea. `paths` are those with a marker, in order; of
    these `done` are recorded, so that the next step there may forget them. `gone` are paths that have no
    marker any more, which is still to be noted with the next record.
    """

    database: str
    key: str
    epoch: int
    paths: dict[str, None]
    done: set[str]
    gone: set[str]


@dataclass(slots=True, kw_only=True, eq=False)
class Claim:
    """An instance that this worker owns until the fence says otherwise.

    `token` is the fence's secret; an activation's token is sha256(token || path). It changes when the driver
    settles what it has lost: what was sent under an earlier one has no effect any more. `cancel_reason` is
    set when a cancel was requested before the claim. `resumed` says that checkpoints may exist. `input` is
    the JSON text given at the start, `timeout_seconds` the time limit of the whole instance. `retrying`: it
    had failed, and is to go on from there. `recorded`: its journal is kept (`recording.py`).

    `database` is where steps run that do not say where; None: in the database of the workflows. `databases`
    are those where an earlier holder of the fence may have left something; `places` are the fences that this
    one has put up elsewhere, under the lock `entering`.

    `in_doubt`: something was sent that has not been answered, and may be under way still. `settling` is held
    while the token changes. `settled` is the driver's: it returns when nothing is in doubt any more.
    """

    instance: str
    token: bytes
    submitted_by: str
    database: str | None
    search_path: str
    time_zone: str
    cancel_reason: str | None
    resumed: bool
    input: str | None = None
    timeout_seconds: float | None = None
    retrying: bool = False
    recorded: bool = False
    in_doubt: bool = False
    settling: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    settled: Callable[[], Awaitable[None]] = field(default=_nothing_in_doubt, repr=False)
    databases: tuple[str, ...] = ()
    places: dict[str, Place] = field(default_factory=dict[str, Place], repr=False)
    entering: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    def doubt(self) -> None:
        """Take note that something was sent and will not be answered."""
        self.in_doubt = True

    def next_token(self) -> bytes:
        """The token that settles this one.

        Derived, so that the call can be repeated when its answer is lost. A step may learn the token of its
        own activation, which is made of this one and its path: so here is what no path has in it, a NUL.
        """
        return hashlib.sha256(self.token + b"\0settled").digest()[: len(self.token)]

    async def moved(self, token: bytes) -> bool:
        """Whether the driver itself has changed the token, where the store says that this one is not good.

        Who was changing it may have been interrupted on the way, and the store has done it all the same:
        whoever asks brings that to its end first. Raises FenceLost.
        """
        await self.settled()
        return self.token != token

    async def under_its_token(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """What `ask` gives, asked again where the token has changed since it went out. Raises FenceLost."""
        while True:
            token = self.token
            try:
                return await ask()
            except FenceLost:
                if not await self.moved(token):
                    raise
