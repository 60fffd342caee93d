"""Clears away what instances that have ended have left in other databases: fences and markers."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import Final

import psycopg

from dfc.executor.connections import RoleUnavailable, StepConnections
from dfc.executor.control import StoreError
from dfc.executor.failures import Transient
from dfc.executor.quoting import array_literal
from dfc.executor.session import ConnectionLost, Message, ServerError
from dfc.executor.store_elsewhere import ElsewhereStore

SWEEP_SECONDS: Final = 60.0
"""How often a worker looks for something to clear away."""

SWEPT_MAX: Final = 1000
"""Instances at a time."""

SWEEPING: Final = "sweeping"
"""Who holds a place for that. No instance has this id."""

_GUARD: Final = Message("SELECT df_markers.begin_step('', 'UTC')")
_FORGET: Final = "SELECT df_markers.forget($1)"
_GONE: Final = frozenset({"3F000", "42883"})
"""The markers have been dropped there: nothing is left."""

_log = logging.getLogger(__name__)


async def sweep_for_ever(store: ElsewhereStore, connections: StepConnections) -> None:
    """Sweep again and again, until cancelled."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        try:
            await sweep(store, connections)
        except (Transient, StoreError) as error:
            _log.warning("not swept reason=%s", error)


async def sweep(store: ElsewhereStore, connections: StepConnections) -> None:
    """Sweep once. What cannot be reached stays until the next time. Raises Transient, StoreError."""
    left: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    dropped: defaultdict[str, list[str]] = defaultdict(list)
    for one in await store.left_elsewhere(connections.roles, SWEPT_MAX):
        if one.is_there:
            left[one.database, one.role].append(one.key)
        else:
            dropped[one.database].append(one.key)
    for (database, role), keys in left.items():
        if await _clear(connections, database, role, keys):
            dropped[database] += keys
    for database, keys in dropped.items():
        await store.forget_elsewhere(database, keys)


async def _clear(connections: StepConnections, database: str, role: str, keys: list[str]) -> bool:
    try:
        async with connections.acquire(role, database, SWEEPING) as session:
            await session.exchange(_GUARD, Message(_FORGET, (array_literal(keys),)))
    except ServerError as error:
        if error.fields.sqlstate in _GONE:
            return True
        _log.warning("not swept database=%s reason=%s", database, error)
        return False
    except (ConnectionLost, psycopg.Error, OSError, RoleUnavailable) as error:
        _log.warning("not swept database=%s reason=%s", database, error)
        return False
    return True
