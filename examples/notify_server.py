"""A web hook to try examples/notify.dfsql with: prints what it gets and answers 200.

python examples/notify_server.py [PORT]
"""

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Hook(BaseHTTPRequestHandler):
    """Prints each POST with its idempotency key."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        print(
            f"{self.path}  {self.headers.get('Idempotency-Key')}  {body.decode(errors='replace')}", flush=True
        )
        answer = b'{"received": true}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing more than what `do_POST` prints."""


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    server = HTTPServer(("127.0.0.1", port), Hook)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
