"""`dfc up`: the embedded database and a worker, until Ctrl-C."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType

import click

from dfc.cli.database import EMBEDDED, embedded, say, shown
from dfc.cli.errors import CliError
from dfc.cli.run import Wanted, worker_child
from dfc.cli.work import allow_host_option
from dfc.executor.migrate import install

LOOK_SECONDS = 0.5


@click.command("up")
@click.argument("folder", default=".")
@click.option("--slots", type=click.IntRange(1, 1000), help="Workflows at the same time.")
@allow_host_option
def command(folder: str, slots: int | None, hosts: tuple[str, ...]) -> int:
    """Keep the embedded database of FOLDER (default: this one) and a worker running.

    Prints the URL for psql, then stays until Ctrl-C or SIGTERM.
    """
    parent = Path(folder)
    if not parent.is_dir():
        raise CliError(f"there is no folder `{folder}`")
    data = parent if parent.name == EMBEDDED else parent / EMBEDDED
    asked = threading.Event()
    _stop_on_sigterm(asked)
    with embedded(data) as where:
        install(where.conninfo)
        with worker_child(where.conninfo, data, Wanted(slots=slots, hosts=hosts)) as worker:
            click.echo(f"database  psql '{where.uri}'")
            click.echo(f"worker    process {worker.pid}, log {shown(data / 'worker.log')}")
            click.echo("ready; Ctrl-C stops both")
            try:
                while not asked.wait(LOOK_SECONDS):
                    worker.check()
                    # After a crash of PostgreSQL: this starts it again, and costs one ping otherwise.
                    with embedded(data):
                        pass
            except KeyboardInterrupt:
                pass
            say("stopping")
    return 0


def _stop_on_sigterm(asked: threading.Event) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        asked.set()

    signal.signal(signal.SIGTERM, stop)
