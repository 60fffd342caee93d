"""Runs examples/maintenance.dfsql, and plays the person who is asked for approval.

python examples/maintenance.py
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from threading import Thread

from stand_in import Reply, StandIn


def approve(instance: str) -> None:
    """What one would type in a shell."""
    database = str(Path(__file__).parent / ".dfc")
    command = ["signal", instance, "approve", '{"approved": true, "by": "Ann"}', "--database", database]
    subprocess.run([sys.executable, "-m", "dfc", *command], check=True, stdout=subprocess.DEVNULL)
    print("Ann approves", file=sys.stderr)


def reply(method: str, path: str, body: str) -> Reply:
    """The answer of the service that shows the request to Ann; she takes her time."""
    asked = json.loads(body)
    for table in asked["tables"]:
        print(f"may {table['tbl']} be vacuumed? {table['dead_rows']} dead rows", file=sys.stderr)
    Thread(target=approve, args=(asked["instance"],)).start()
    return 202, {"asked": "Ann"}


if __name__ == "__main__":
    sys.exit(StandIn(8768, reply).run("maintenance.dfsql"))
