"""`dfc worker`: runs the workflows of a database until it is asked to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import threading

import click

from dfc.cli.database import database_option, say, target
from dfc.cli.errors import NEWER, NOT_INSTALLED, OLDER, CliError
from dfc.cli.mocking import http_mock_option, mock_of
from dfc.cli.work import allow_host_option
from dfc.executor import limits
from dfc.executor.migrate import SchemaState, check
from dfc.executor.worker import Worker, WorkerSettings, run_until_signal

EXIT_GRACE_SECONDS = 8.0
"""How much longer than `shutdown_seconds` a worker without its parent may take before it is ended."""


@click.command("worker")
@database_option
@click.option(
    "--slots",
    type=click.IntRange(1, 1000),
    default=limits.SLOTS,
    show_default=True,
    help="Workflows at once.",
)
@click.option(
    "--connections",
    type=click.IntRange(1, 1000),
    default=limits.CONNECTIONS_MAX,
    show_default=True,
    help="Connections for steps.",
)
@click.option(
    "--lease",
    type=click.FloatRange(0.2, 3600),
    default=limits.LEASE_SECONDS,
    show_default=True,
    help="Seconds without a heartbeat after which others take over.",
)
@click.option(
    "--queue", "queues", multiple=True, metavar="NAME", help="Only this queue; may be given several times."
)
@allow_host_option
@http_mock_option
@click.option("-v", "--verbose", is_flag=True, help="Log what the worker does.")
@click.option("--allow-loopback", is_flag=True, hidden=True)
@click.option("--stop-at-eof", is_flag=True, hidden=True)
def command(
    database: str | None,
    slots: int,
    connections: int,
    lease: float,
    queues: tuple[str, ...],
    hosts: tuple[str, ...],
    http_mock: str | None,
    verbose: bool,
    allow_loopback: bool,
    stop_at_eof: bool,
) -> int:
    """Run the workflows of a database. One line says when it is ready; SIGTERM and Ctrl-C stop it in order.

    Start as many as you like, on any machine that reaches the database. Without --queue a worker serves all
    queues.
    """
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s")
    for name in ("httpx", "httpcore", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with target(database) as where:
        _require_schema(where.conninfo)
        settings = WorkerSettings(
            database=where.conninfo,
            slots=slots,
            connections_max=connections,
            lease_seconds=lease,
            queues=queues,
            allow_hosts=hosts,
            http_mock=mock_of(http_mock),
            allow_loopback=allow_loopback or where.folder is not None,
        )
        return asyncio.run(_work(settings, stop_at_eof=stop_at_eof))


def _require_schema(conninfo: str) -> None:
    state = check(conninfo)
    if state is SchemaState.NOT_INSTALLED:
        raise CliError(NOT_INSTALLED)
    if state is SchemaState.OLDER:
        raise CliError(OLDER)
    if state is SchemaState.NEWER:
        raise CliError(NEWER)


async def _work(settings: WorkerSettings, *, stop_at_eof: bool) -> int:
    worker = Worker(settings)
    loop = asyncio.get_running_loop()
    if stop_at_eof:
        _stop_at_eof(loop, worker, settings.shutdown_seconds + EXIT_GRACE_SECONDS)
    announcing = loop.create_task(_announce(worker, settings))
    try:
        await run_until_signal(worker)
    finally:
        announcing.cancel()
    return 0


async def _announce(worker: Worker, settings: WorkerSettings) -> None:
    await worker.ready.wait()
    queues = f", queue {', '.join(settings.queues)}" if settings.queues else ""
    click.echo(f"worker {worker.worker_id} is ready: {settings.slots} slots, process {os.getpid()}{queues}")


def _stop_at_eof(loop: asyncio.AbstractEventLoop, worker: Worker, seconds_max: float) -> None:
    """Stop when standard input ends, because that is how a child learns of its parent's death."""

    def watch() -> None:
        while True:
            try:
                if os.read(0, 4096) == b"":
                    break
            except OSError:
                break
        fallback = threading.Timer(seconds_max, os._exit, (1,))
        fallback.daemon = True
        fallback.start()
        try:
            loop.call_soon_threadsafe(worker.stop)
        except RuntimeError:
            say("the worker had stopped before its parent")

    threading.Thread(target=watch, name="dfc-parent-watch", daemon=True).start()
