"""Where a worker gets the plans of its instances: what it knows, what is stored, or the compiler."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from dfc.compiler.plan import COMPILER_VERSION, Plan
from dfc.compiler.plan_json import PlanFormatError, from_json
from dfc.executor import limits, retry
from dfc.executor.actions import Finish
from dfc.executor.claim import Claim
from dfc.executor.compilation import CompiledReply, CompilerProcess
from dfc.executor.compiler_child import CompilerUnavailable
from dfc.executor.control import StoreError
from dfc.executor.failures import FenceLost, Transient
from dfc.executor.store import ClaimedInstance, PostgresStore

_NOT_RUN: Final = "dfc could not run this instance"

_log = logging.getLogger("dfc.worker")


class Plans:
    """Plans for one registration of a worker; `known` outlives it."""

    def __init__(
        self, store: PostgresStore, compiler: CompilerProcess, known: OrderedDict[str, Plan]
    ) -> None:
        self._store = store
        self._compiler = compiler
        self._known = known
        self._compiling: dict[tuple[bytes, str | None], asyncio.Task[CompiledReply]] = {}

    async def close(self) -> None:
        """Let go of what is being compiled."""
        tasks = list(self._compiling.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def plan_of(self, claimed: ClaimedInstance, cancel_reason: Callable[[], str | None]) -> Plan | None:
        """The plan of an instance; None when it has none and was ended with the reasons.

        Tried again while the compiler or the database is not well: the fence is ours. Raises FenceLost.
        """
        failures = 0
        while True:
            try:
                reason = cancel_reason()
                if claimed.plan_hash is None and reason is not None:
                    # Nothing has run yet, so there is nothing that a plan would be needed for.
                    ending = Finish(status="cancelled", reason=reason)
                    await self._store.finish(claimed.claim, ending)
                    return None
                return await self._look(claimed)
            except CompilerUnavailable as error:
                failures += 1
                _log.error("compiler unavailable instance=%s reason=%s", claimed.claim.instance, error)
            except Transient:
                failures += 1
            await self._store.wait(retry.delay(claimed.claim.instance, "", failures))

    async def _look(self, claimed: ClaimedInstance) -> Plan | None:
        if claimed.plan_hash is None:
            return await self._compile(claimed)
        if (known := self._known.get(claimed.plan_hash)) is not None:
            self._known.move_to_end(claimed.plan_hash)
            return known
        text = await self._store.plan_text(claimed.claim.instance)
        plan = await asyncio.to_thread(_read_plan, text or "null")
        self._keep(claimed.plan_hash, plan)
        return plan

    async def _compile(self, claimed: ClaimedInstance) -> Plan | None:
        # Many instances of one expression, started before its plan was known, are compiled once.
        key = (claimed.expression_hash, claimed.variables)
        task = self._compiling.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(
                self._compiler.compile_wire(claimed.expression, claimed.variables)
            )
            self._compiling[key] = task
            task.add_done_callback(lambda _: self._compiling.pop(key, None))
        reply = await asyncio.shield(task)
        if reply.plan is None:
            await fail(self._store, claimed.claim, _diagnosed(reply))
            return None
        await self._store.store_plan(claimed.claim, COMPILER_VERSION, reply.plan_json, reply.plan_hash)
        self._keep(reply.plan_hash, reply.plan)
        _log.info("compiled instance=%s plan=%s", claimed.claim.instance, reply.plan_hash[:12])
        return reply.plan

    def _keep(self, plan_hash: str, plan: Plan) -> None:
        self._known[plan_hash] = plan
        while len(self._known) > limits.PLANS_CACHED_MAX:
            self._known.popitem(last=False)


async def fail(store: PostgresStore, claim: Claim, error: dict[str, Any]) -> None:
    """End an instance as failed, however long it takes: the fence is ours, nobody else would end it."""
    failures = 0
    while True:
        try:
            await store.fail(claim, error)
            return
        except FenceLost as problem:
            _log.info("dropped instance=%s reason=%s", claim.instance, one_line(problem))
            return
        except Transient as problem:
            _log.warning("could not end instance=%s reason=%s", claim.instance, one_line(problem))
        except StoreError as problem:
            # Perhaps what is to be said is at fault: say less.
            _log.error("could not end instance=%s reason=%s", claim.instance, one_line(problem))
            error = {"message": _NOT_RUN, "sqlstate": problem.sqlstate}
        failures += 1
        await store.wait(retry.delay(claim.instance, "", failures))


async def fail_unforeseen(store: PostgresStore, claim: Claim, error: Exception) -> None:
    """End an instance that cannot be run because of something that no port may raise."""
    _log.error("broken instance=%s", claim.instance, exc_info=error)
    await fail(store, claim, {"message": f"{_NOT_RUN}: {error}", "sqlstate": "XX000"})


def one_line(error: BaseException) -> str:
    """What an error says, for a log."""
    return " ".join(str(error).split()) or type(error).__name__


def _read_plan(text: str) -> Plan:
    try:
        return from_json(json.loads(text))
    except PlanFormatError as error:
        raise ValueError(f"the stored plan cannot be read: {error}") from None


def _diagnosed(reply: CompiledReply) -> dict[str, Any]:
    empty: dict[str, Any] = {}
    first = next((found for found in reply.diagnostics if found.get("severity") == "error"), empty)
    return {
        "code": first.get("code", "DF590"),
        "sqlstate": first.get("code", "DF590"),
        "message": first.get("message", "the workflow does not compile"),
        "rendered": reply.rendered,
        "diagnostics": list(reply.diagnostics),
    }
