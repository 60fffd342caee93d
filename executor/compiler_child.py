"""A compiler process: how it is started and bounded, what it answers; and one for a single file, waited for.

Nothing here needs an event loop, which a command that compiles one file would only pay for.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from dfc.executor.limits import COMPILE_BYTES_MAX, COMPILE_SECONDS_MAX

CRASHED: Final = "DF590"
SERVE: Final = "dfc.compiler.serve"
REPLY_BYTES_MAX: Final = 512 * 1024 * 1024
PROBE: Final = '/*dfc:1:18*/{"sql":"SELECT 1"}'
PROCESS_SECONDS_MAX: Final = 600
"""Processor time after which a compiler process is replaced; RLIMIT_CPU counts over its whole life."""

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
for name, wanted in (("RLIMIT_AS", {memory}), ("RLIMIT_CPU", {seconds}), ("RLIMIT_CORE", 0)):
    kind = getattr(resource, name)
    hard = resource.getrlimit(kind)[1]
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(kind, (limit, limit))
    except (ValueError, OSError):
        pass
sys.argv = ["{module}"]
runpy.run_module("{module}", run_name="__main__")
"""

TOO_LONG: Final = "it took longer than `compile_seconds_max`"

Json: TypeAlias = dict[str, Any]


class CompilerUnavailable(Exception):
    """The compiler process does not work at all, whatever the text."""


ENDING_SECONDS_MAX: Final = 1.0
"""How long a process that has closed its output may take to end by itself."""


class Died(Exception):
    """The process ended, or was ended because it took too long; the message says which."""


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


def compile_file(
    name: str, text: str, *, durability: bool = False, seconds_max: float = COMPILE_SECONDS_MAX
) -> FileReply:
    """Compile a file in a compiler process of its own, waiting for it. Raises CompilerUnavailable."""
    request: Json = {"do": "compile_file", "name": name, "text": text, "durability": durability}
    try:
        return file_reply(_run_once(request, seconds_max))
    except Died as death:
        why = str(death)
    with unavailable():
        _run_once({"do": "compile_wire", "wire": PROBE}, seconds_max)
    return file_reply(crashed(text, why))


def started(module: str = SERVE) -> subprocess.Popen[bytes]:
    """A compiler process that waits for requests, with the limits of a command of ours."""
    return subprocess.Popen(
        command(COMPILE_BYTES_MAX, module),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(os.environ),
        start_new_session=True,
    )


def _run_once(request: Json, seconds_max: float) -> Json:
    with started() as process:
        late = threading.Event()

        def kill() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(seconds_max, kill)
        timer.start()
        try:
            # communicate: a child that answers before it has read everything cannot block both sides.
            answer, _ = process.communicate(json.dumps({"id": 1, **request}).encode() + b"\n")
        except BaseException:
            process.kill()
            raise
        finally:
            timer.cancel()
            timer.join()
    reply = parse(answer.split(b"\n", 1)[0] + b"\n" if b"\n" in answer else b"", 1)
    if reply is None:
        raise Died(TOO_LONG if late.is_set() else ending(process.returncode))
    return reply


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


def crashed(text: str, why: str) -> Json:
    """The answer in place of one that the compiler died over (DF590)."""
    message = f"the compiler could not survive this text ({why})"
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
        "help": "make the statements of the workflow smaller: shorter operator chains, less nesting",
    }
    rendered = f"error[{CRASHED}]: {message}\n  = help: {diagnostic['help']}\n"
    return {"plan": None, "statements": [], "diagnostics": [diagnostic], "rendered": rendered}


class unavailable(contextlib.AbstractContextManager[None]):
    """Turns the death of the probe into CompilerUnavailable."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Died):
            raise CompilerUnavailable(f"the compiler process does not work: {error}") from None


def command(memory: int, module: str = SERVE) -> list[str]:
    """The command line of a compiler process that may use `memory` bytes."""
    program = _START.format(memory=memory, seconds=PROCESS_SECONDS_MAX, module=module)
    return [sys.executable, "-P", "-c", program]


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """Nothing that names a database or holds a secret."""
    return {name: value for name, value in given.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)}
