"""A receiver of web hooks: `POST /<instance>/<signal>` becomes a signal to that workflow, with the body as
its data.

    python examples/webhook.py                           runs examples/webhook.dfsql, and plays its bank
    python examples/webhook.py postgresql://me@host/db   only receives, for workflows of that database

The header `Webhook-Id` is the same whenever a message is delivered again. It becomes the dedupe key, so that
of a message that is delivered twice the second changes nothing. The answer is 204 once the signal is
committed; who gets another one, or none, may safely deliver again. In life, check the signature first.
"""

from __future__ import annotations

import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote
from urllib.request import Request, urlopen

import psycopg

from dfc.executor.embedded import EmbeddedServer

FOLDER = Path(__file__).parent
PORT = 8769


class Receiver(BaseHTTPRequestHandler):
    """One message, one transaction."""

    conninfo: str

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode(errors="replace")
        if self.path == "/bank":
            Thread(target=pay, args=(json.loads(body),)).start()
            status = 202
        else:
            status = self.received(body)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def received(self, body: str) -> int:
        """Give the message to its workflow; the status of the answer."""
        _, instance, signal, *rest = (*map(unquote, self.path.split("/")), "", "")
        key = self.headers.get("Webhook-Id")
        if not instance or not signal or any(rest) or not key:
            return 400
        try:
            with psycopg.connect(self.conninfo) as connection:
                connection.execute("SELECT df.signal(%s, %s, %s, %s)", (instance, signal, body, key))
        except psycopg.errors.NoDataFound:
            return 404
        except psycopg.DataError:
            return 400
        print(f"{signal}: {body} (delivery {key})", file=sys.stderr)
        return 204

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def pay(order: dict[str, object]) -> None:
    """What the bank does when it has the money: it tells, and then tells again."""
    body = json.dumps({"amount": order["amount"], "reference": "RF18 5390 0754 7034"}).encode()
    for _ in range(2):
        urlopen(Request(str(order["tell"]), body, {"Webhook-Id": "msg_7"}), timeout=30).close()


def receive(conninfo: str) -> ThreadingHTTPServer:
    """A server that listens."""
    return ThreadingHTTPServer(("127.0.0.1", PORT), type("Here", (Receiver,), {"conninfo": conninfo}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(f"listening on http://127.0.0.1:{PORT}", file=sys.stderr)
        receive(sys.argv[1]).serve_forever()
    with EmbeddedServer(FOLDER / ".dfc") as database:
        Thread(target=receive(database.conninfo).serve_forever, daemon=True).start()
        command = [sys.executable, "-m", "dfc", "run", str(FOLDER / "webhook.dfsql")]
        code = subprocess.run(command).returncode
    sys.exit(code)
