"""A compiler process: how it is started and bounded, what is asked until there is an answer, what that says.

Who sends and reads is elsewhere: `compilation` in an event loop, `child` in a thread.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from dfc.executor.limits import COMPILE_BYTES_MAX, COMPILE_CLOCK_SECONDS_MAX, COMPILE_SECONDS_MAX

CRASHED: Final = "DF590"
SERVE: Final = "dfc.compiler.serve"
REPLY_BYTES_MAX: Final = 512 * 1024 * 1024

_KEPT: Final = (
    "PATH",
    "HOME",
    "LANG",
    "LANGUAGE",
    "TMPDIR",
    "TZ",
    "VIRTUAL_ENV",
    "SYSTEMROOT",
    "COVERAGE_RCFILE",
)
_KEPT_PREFIXES: Final = ("LC_", "PYTHON")
# The limits are set by the child itself before it imports anything: no code between fork and exec, which is
# not safe in a process with threads.
_START: Final = """\
import resource, runpy, sys
for name, wanted in (("RLIMIT_AS", {memory}), ("RLIMIT_CORE", 0)):
    kind = getattr(resource, name)
    hard = resource.getrlimit(kind)[1]
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(kind, (limit, limit))
    except (ValueError, OSError):
        pass
sys.argv[0] = "{module}"
runpy.run_module("{module}", run_name="__main__")
"""

Json: TypeAlias = dict[str, Any]

_PROBE: Final[Json] = {"do": "compile_wire", "wire": '/*dfc:1:18*/{"sql":"SELECT 1"}'}
ATTEMPTS_MAX: Final = 2
"""How many processes a text may kill."""


class CompilerUnavailable(Exception):
    """The compiler process does not work at all, whatever the text."""


ENDING_SECONDS_MAX: Final = 1.0
"""How long a process that has closed its output may take to end by itself."""


SMALLER: Final = "make the statements of the workflow smaller: shorter operator chains, less nesting"
DIVIDED: Final = f"divide the file into several, or {SMALLER}"
RESUMED: Final = "look whether something has stopped it, and try again when this machine has less to do"


@dataclass(frozen=True, slots=True)
class Died:
    """In place of an answer: the process ended, or was ended because it took too long; `why` says which.

    `help` is what may be done about it; `final`: it would come to the same end again.
    """

    why: str
    help: str = SMALLER
    final: bool = False


@dataclass(frozen=True, slots=True)
class Allowance:
    """How long a process may be at a text: as long as it computes, and by the clock."""

    processor_seconds: float = COMPILE_SECONDS_MAX
    clock_seconds: float = COMPILE_CLOCK_SECONDS_MAX

    def of(self, characters: int) -> Allowance:
        """What a text of so many characters has."""
        times = max(1.0, characters / 1_000_000)
        return Allowance(self.processor_seconds * times, self.clock_seconds * times)

    def late(self) -> Died:
        """There was no answer, and the process is ended for it."""
        why = f"there was no answer within {self.clock_seconds:g} s (`compile_clock_seconds_max`)"
        return Died(f"{why}, and it did not compute all the time", RESUMED, final=True)

    def death(self, code: int | None) -> Died:
        """The process has ended by itself, or the system has ended it: with this exit status."""
        if code != -signal.SIGXCPU:
            return Died(ending(code))
        why = f"it takes more than {self.processor_seconds:g} s of processor time (`compile_seconds_max`)"
        return Died(why, DIVIDED, final=True)


class Asking:
    """What is sent, one thing after the other, until there is an `answer` about a text.

    A process may die of something else than the text, as of the machine's memory or an administrator: so it
    is tried twice, and then something small is asked, to tell a deadly text from a compiler that is broken.
    """

    def __init__(self, request: Json, text: str, allowance: Allowance) -> None:
        self.request = request
        self.allowance = allowance.of(len(text))
        self.answer: Json | None = None
        self._text = text
        self._deaths: list[Died] = []

    def line(self, number: int) -> bytes:
        """What is sent, as request `number`."""
        head = {"id": number, "seconds": self.allowance.processor_seconds}
        return json.dumps({**head, **self.request}).encode() + b"\n"

    def took(self, outcome: Json | Died) -> None:
        """What has come of `request`. Raises CompilerUnavailable."""
        probed = self.request is _PROBE
        if not isinstance(outcome, Died):
            self.answer = crashed(self._text, self._deaths[-1]) if probed else outcome
        elif probed:
            raise CompilerUnavailable(
                f"the compiler process does not work ({outcome.why}): what it has written to standard error"
                " says why, or this machine is out of memory"
            )
        else:
            self._deaths.append(outcome)
            if outcome.final or len(self._deaths) == ATTEMPTS_MAX:
                self.request = _PROBE


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReply:
    """What became of a file: its statements in order (docs/internals.md) and all diagnostics."""

    statements: tuple[Json, ...]
    diagnostics: tuple[Json, ...]
    rendered: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatReply:
    """A file in its canonical layout; None where it has errors.

    `kept` counts the statements that were left as they are.
    """

    formatted: str | None
    kept: int
    diagnostics: tuple[Json, ...]
    rendered: str


def started(module: str = SERVE, arguments: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """A process that waits for requests, with the limits of a compiler. Raises CompilerUnavailable."""
    try:
        return subprocess.Popen(
            [*command(COMPILE_BYTES_MAX, module), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(os.environ),
            start_new_session=True,
        )
    except OSError as error:
        raise not_startable(error) from None


def not_startable(error: OSError) -> CompilerUnavailable:
    """The machine has no process to give."""
    return CompilerUnavailable(
        f"no compiler process can be started ({error.strerror or error}): this machine is short of processes"
        " or memory, try again when it has some"
    )


def ending(code: int | None) -> str:
    """How a process that gave no answer came to its end, for people."""
    if code is None:
        return "it stopped answering"
    return f"signal {-code}" if code < 0 else f"exit status {code}"


def parse(line: bytes, number: int) -> Json | None:
    """The answer to request `number`; None when the line is cut off or is not one."""
    if not line.endswith(b"\n"):
        return None
    try:
        reply: Any = json.loads(line)
    except ValueError:
        return None
    return reply if isinstance(reply, dict) and reply.get("id") == number else None  # pyright: ignore


def file_reply(reply: Json) -> FileReply:
    """The answer to `compile_file`, as a value."""
    return FileReply(
        statements=tuple(reply.get("statements") or ()),
        diagnostics=tuple(reply.get("diagnostics") or ()),
        rendered=str(reply.get("rendered") or ""),
    )


def format_reply(reply: Json) -> FormatReply:
    """The answer to `format_file`, as a value."""
    formatted = reply.get("formatted")
    return FormatReply(
        formatted=formatted if isinstance(formatted, str) else None,
        kept=int(reply.get("kept") or 0),
        diagnostics=tuple(reply.get("diagnostics") or ()),
        rendered=str(reply.get("rendered") or ""),
    )


def crashed(text: str, died: Died) -> Json:
    """The answer in place of one that the compiler died over (DF590)."""
    message = f"the compiler could not survive this text ({died.why})"
    diagnostic: Json = {
        "code": CRASHED,
        "severity": "error",
        "message": message,
        "span": [0, len(text)],
        "line": 1,
        "column": 1,
        "end_line": 1,
        "end_column": 1,
        "label": "",
        "notes": [],
        "help": died.help,
    }
    rendered = f"error[{CRASHED}]: {message}\n  = help: {died.help}\n"
    return {"plan": None, "statements": [], "diagnostics": [diagnostic], "rendered": rendered}


def command(memory: int, module: str = SERVE) -> list[str]:
    """The command line of a compiler process that may use `memory` bytes."""
    program = _START.format(memory=memory, module=module)
    return [sys.executable, "-P", "-c", program]


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """Nothing that names a database or holds a secret."""
    return {name: value for name, value in given.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)}
