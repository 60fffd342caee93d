"""A worker as the whole of a process, with what it logs on standard error."""

from __future__ import annotations

import asyncio
import logging

from dfc.executor.worker import Refused, Worker, WorkerSettings, run_until_signal


def run_worker(settings: WorkerSettings) -> int:
    """Run until SIGTERM or SIGINT; the process's exit code. Logs through `logging`, to standard error."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return asyncio.run(_main(settings))


async def _main(settings: WorkerSettings) -> int:
    try:
        await run_until_signal(Worker(settings))
    except Refused as refusal:
        logging.getLogger("dfc.worker").error("%s", refusal)
        return 1
    return 0
