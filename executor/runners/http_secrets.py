"""Where secrets come from: the environment, a file, a command. They live in memory for one attempt.

`DFC_SECRET_<NAME>` in the worker's environment counts first, then the file `<NAME>` in the folder
`DFC_SECRETS_DIR`, then what the command `DFC_SECRET_COMMAND`, called with the name, writes to its standard
output (no shell; its exit code has to be 0). One line break at the end is not part of a secret."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

FOLDER: Final = "DFC_SECRETS_DIR"
COMMAND: Final = "DFC_SECRET_COMMAND"
SECRET_BYTES_MAX: Final = 64 * 1024
COMMAND_SECONDS_MAX: Final = 30.0
END_SECONDS_MAX: Final = 5.0


class SecretFault(Exception):
    """A secret is not to be had; the message names it. `passing`: it may be there the next time."""

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


async def look_up(names: Iterable[str]) -> dict[str, str]:
    """The values of secrets. Raises SecretFault."""
    return {name: await _value(name) for name in sorted(names)}


async def _value(name: str) -> str:
    variable, command = f"DFC_SECRET_{name}", os.environ.get(COMMAND)
    given = os.environ.get(variable) if variable != COMMAND else None
    if given:
        return given
    folder = os.environ.get(FOLDER)
    found = _file(Path(folder) / name, name) if folder else None
    if found is None and command:
        found = await _command(command, name)
    try:
        text = (found or b"").decode().removesuffix("\n").removesuffix("\r")
    except UnicodeError:
        raise SecretFault(f"the secret `{name}` is not text in UTF-8") from None
    if not text:
        raise SecretFault(f"the secret `{name}` is not known to this worker")
    return text


def _file(path: Path, name: str) -> bytes | None:
    try:
        with path.open("rb") as file:
            found = file.read(SECRET_BYTES_MAX + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SecretFault(f"the file of the secret `{name}` cannot be read: {error.strerror}") from None
    return _bounded(found, name)


async def _command(command: str, name: str) -> bytes | None:
    try:
        words = shlex.split(command)
        process = await asyncio.create_subprocess_exec(
            *words,
            name,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else str(error)
        raise SecretFault(f"{COMMAND} cannot be run for the secret `{name}`: {what}") from None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(COMMAND_SECONDS_MAX):
            found = await _all_of(process.stdout)
            code = await process.wait() if len(found) <= SECRET_BYTES_MAX else 0
    except TimeoutError:
        message = f"{COMMAND} gave no secret `{name}` within {COMMAND_SECONDS_MAX:g} s"
        raise SecretFault(message, passing=True) from None
    finally:
        if process.returncode is None:
            await _end(process)
    if code != 0:
        raise SecretFault(f"{COMMAND} has no secret `{name}` (exit code {code})")
    return _bounded(found, name)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill a command with what it has started, and wait until its output has ended too."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        async with asyncio.timeout(END_SECONDS_MAX):
            await process.communicate()


async def _all_of(stream: asyncio.StreamReader) -> bytes:
    """What a stream gives until its end, or one byte more than a secret may have."""
    try:
        return await stream.readexactly(SECRET_BYTES_MAX + 1)
    except asyncio.IncompleteReadError as error:
        return error.partial


def _bounded(found: bytes, name: str) -> bytes:
    if len(found) > SECRET_BYTES_MAX:
        raise SecretFault(f"the secret `{name}` is over `secret_bytes_max` ({SECRET_BYTES_MAX} bytes)")
    return found
