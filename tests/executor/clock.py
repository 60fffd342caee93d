"""A PostgreSQL whose clock can be set while it runs: libfaketime in the server, of the package `faketime`."""

from __future__ import annotations

from pathlib import Path

from tests.postgres import FAST, Server

LIBRARY = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)

PRELOADED = {
    "LD_PRELOAD": str(LIBRARY),
    # What counts elapsed time goes on as it does when somebody sets the clock of a machine.
    "DONT_FAKE_MONOTONIC": "1",
    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    "NO_FAKE_STAT": "1",
}


class Clock:
    """A running server, and by how many seconds its clock is off."""

    def __init__(self, version: str) -> None:
        self.server = Server(
            version,
            FAST,
            lambda folder: {
                **PRELOADED,
                "FAKETIME_TIMESTAMP_FILE": str(folder / "clock"),
                "FAKETIME_NO_CACHE": "1",
            },
        )
        self.set(0)
        self.server.start()

    def set(self, hours: float) -> None:
        """Set it: so many hours ahead of the truth."""
        file = self.server.folder / "clock.new"
        file.write_text(f"{hours * 3600:+.0f}\n")
        file.chmod(0o644)
        file.rename(self.server.folder / "clock")
