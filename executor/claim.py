"""An instance that a worker owns, and the secret by which the database knows it (ADR 0004, 0016)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from dfc.executor.failures import FenceLost

_T = TypeVar("_T")


@dataclass(slots=True, kw_only=True, eq=False)
class Claim:
    """An instance that this worker owns until the fence says otherwise.

    `token` is the fence's secret; an activation's token is sha256(token || path). It changes when the driver
    settles what it has lost: what was sent under an earlier one has no effect any more. `cancel_reason` is
    set when a cancel was requested before the claim. `resumed` says that checkpoints may exist. `input` is
    the JSON text given at the start, `timeout_seconds` the time limit of the whole instance.

    `in_doubt`: something was sent that has not been answered, and may be under way still. `settling` is held
    while the token changes.
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
    in_doubt: bool = False
    settling: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

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
        """Whether the driver itself has changed the token, where the store says that this one is not good."""
        async with self.settling:
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
