"""One process that is asked from a thread, and what comes back: an answer, or how the process died."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from typing import IO, Final, TypeVar

from dfc.executor.compiler_child import ENDING_SECONDS_MAX, Allowance, Died, started

WATCH_SECONDS: Final = 0.5
"""How often it is looked whether a process takes too long by the clock."""

T = TypeVar("T")


class Child:
    """A process with the limits of a compiler that answers requests, one at a time.

    Making one raises CompilerUnavailable.
    """

    def __init__(self, module: str, arguments: Sequence[str] = ()) -> None:
        self._process = started(module, arguments)
        self._deadline: float | None = None
        self._late = False
        self._gone = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it is of no use any more."""
        return self._gone.is_set() or self._process.poll() is not None

    def ask(
        self,
        send: Callable[[IO[bytes]], object],
        receive: Callable[[IO[bytes]], T | None],
        allowance: Allowance,
    ) -> T | Died:
        """What it answers to what is sent. Where it dies, or is too late, it is stopped.

        That it computes for too long is for the request to say: the process bounds that by itself. `receive`
        gives None, or raises OSError, EOFError or ValueError, where there is no answer.
        """
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        self._deadline = time.monotonic() + allowance.clock_seconds
        answer: T | None = None
        try:
            with contextlib.suppress(OSError, EOFError, ValueError):
                send(process.stdin)
                process.stdin.flush()
                answer = receive(process.stdout)
        finally:
            self._deadline = None
        if answer is not None:
            return answer
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(ENDING_SECONDS_MAX)
        died = allowance.late() if self._late else allowance.death(process.returncode)
        self.stop()
        return died

    def stop(self) -> None:
        """End the process now, and let go of its pipes."""
        self._gone.set()
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what was not sent any more
                    pipe.close()

    def _watch(self) -> None:
        while not self._gone.wait(WATCH_SECONDS):
            deadline = self._deadline
            if deadline is not None and time.monotonic() > deadline:
                self._late = True
                self._process.kill()
                return
