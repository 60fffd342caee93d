"""What commands know of workers."""

from __future__ import annotations

import click

from dfc.cli.database import Connection
from dfc.cli.queries import query


def why_unserved(conn: Connection) -> list[str]:
    """Why workflows wait for a worker that is not there: a line a reason, with what to do.

    Of other roles than one's own only the owner of the schema learns.
    """
    row = conn.execute(query("workers_alive")).fetchone()
    if row is None or row[0] is not True:
        return ["no worker is alive on this database: start one with `dfc worker` (embedded: `dfc up`)"]
    return [
        f"no worker serves role {role}: {waiting} waiting, the oldest is {oldest}. {hint}"
        for role, waiting, oldest, hint in conn.execute(query("unserved")).fetchall()
    ]


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
