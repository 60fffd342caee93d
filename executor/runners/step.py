"""A statement on its way: what is to be run, and for whom."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dfc.compiler.plan import DEFAULT_POLICY, Policy, SqlBody
from dfc.executor.actions import RunItems, RunSql, Sources
from dfc.executor.claim import Claim, Place
from dfc.executor.compose import DF, MARKERS, WITHIN, rider_json
from dfc.executor.journal import Batch, Items, Result, Rows, Value
from dfc.executor.limits import ITEMS_BLOCK_BYTES, ITEMS_BLOCK_ROWS

CLOCKS_APART: Final = 0.001
"""How far the server's clock may run ahead of ours, a second."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A time limit that runs until `ends_at` on the event loop's clock. `message` says that it has passed."""

    seconds: float
    ends_at: float
    message: str

    def passed(self, now: float) -> bool:
        """Whether the server may have found that the time is over."""
        return now >= self.ends_at - self.seconds * CLOCKS_APART

    def left_ms(self, now: float) -> int:
        """What is left in milliseconds, rounded up; at least one, because 0 is no limit."""
        return max(1, -int((now - self.ends_at) * 1000 // 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A statement with what its checkpoint needs. `values` are the checkpoint's own parameters, in order."""

    claim: Claim
    path: str
    body: SqlBody
    sources: Mapping[str, Result]
    keep: bool
    policy: Policy
    values: tuple[str | None, ...]
    items: bool = False
    schema: str = DF


def sql_step(claim: Claim, action: RunSql, *, within: bool = False) -> Step:
    """The step of a SQL activation. `within`: more follow in its transaction."""
    rider = WITHIN if within else None if action.rider is None else rider_json(action.rider)
    return Step(
        claim=claim,
        path=action.path,
        body=action.body,
        sources=at_hand(action.sources),
        keep=action.keep,
        policy=action.policy,
        values=(token(claim, action.path), claim.instance, action.path, rider),
    )


def elsewhere_step(
    claim: Claim,
    action: RunSql | RunItems,
    place: Place,
    sources: Mapping[str, Result],
    *,
    within: bool = False,
) -> Step:
    """The step of a statement that runs in another database; its result is read from its marker."""
    rider: dict[str, object] = {"epoch": place.epoch, "gone": sorted(place.done)}
    if within:
        rider = {"epoch": place.epoch, "within": True}
    return Step(
        claim=claim,
        path=action.path,
        body=action.body,
        sources=sources,
        keep=isinstance(action, RunSql) and action.keep and within,
        policy=action.policy if isinstance(action, RunSql) else DEFAULT_POLICY,
        values=(place.key, claim.instance, action.path, json.dumps(rider)),
        schema=MARKERS,
    )


def items_step(claim: Claim, action: RunItems) -> Step:
    """The step that stores the items of a map."""
    size = action.batch_size
    numbers = (size, max(1, ITEMS_BLOCK_ROWS // size) * size, ITEMS_BLOCK_BYTES)
    own = (token(claim, action.path), claim.instance, action.path, *map(str, numbers))
    return Step(
        claim=claim,
        path=action.path,
        body=action.body,
        sources=at_hand(action.sources),
        keep=True,
        policy=DEFAULT_POLICY,
        values=own,
        items=True,
    )


def token(claim: Claim, path: str) -> str:
    """What authorises one activation to be recorded, as a bytea."""
    return "\\x" + hashlib.sha256(claim.token + path.encode()).hexdigest()


def at_hand(sources: Sources) -> dict[str, Result]:
    """The results; the driver has fetched those that are only described."""
    found: dict[str, Result] = {}
    for name, source in sources.items():
        assert isinstance(source, Rows | Value | Items | Batch), f"{name} is not at hand"
        found[name] = source
    return found
