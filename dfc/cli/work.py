"""What commands know of workers."""

from __future__ import annotations

import click

from dfc.cli.database import Connection
from dfc.cli.queries import query


def workers_alive(conn: Connection) -> bool:
    """Whether a worker is at work on this database."""
    row = conn.execute(query("workers_alive")).fetchone()
    return row is not None and row[0] is True


def _hosts(context: click.Context, parameter: click.Parameter, hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what no request could ever fit, so that it is not taken for a permission."""
    for host in hosts:
        if not host.strip() or any(sign in host for sign in "/@*?# "):
            message = f"`{host}` is not a host: write HOST or HOST:PORT, without http:// and path"
            raise click.BadParameter(message, context, parameter)
    return hosts


allow_host_option = click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="HOST[:PORT]",
    callback=_hosts,
    help="HTTP steps may reach this host; repeat it for more. No other is reached.",
)
"""`--allow-host`, as the parameter `hosts`."""
