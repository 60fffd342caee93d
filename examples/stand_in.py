"""What the examples with an API share: a server on this machine that stands in for it, and the run against
it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread

Reply = tuple[int, object]
"""A status, and what the body says as JSON."""


class StandIn:
    """A server that answers what `reply(method, path, body)` says; one request after the other."""

    def __init__(self, port: int, reply: Callable[[str, str, str], Reply]) -> None:
        lock = Lock()

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                with lock:
                    status, said = reply(self.command, self.path, body)
                written = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(written)))
                if status == 503:
                    self.send_header("Retry-After", "0")
                self.end_headers()
                self.wfile.write(written)

            do_GET = do_POST = answer

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)

    def run(self, workflow: str) -> int:
        """Serve while `dfc run` runs a workflow of this folder; its exit code."""
        Thread(target=self._server.serve_forever, daemon=True).start()
        file = Path(__file__).parent / workflow
        try:
            return subprocess.run([sys.executable, "-m", "dfc", "run", str(file), *sys.argv[1:]]).returncode
        finally:
            self._server.shutdown()
