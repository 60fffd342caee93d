"""Workflow files: found, read, compiled in the compiler's child process, and what it answered as values."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUFFIX = ".dfsql"
FILE_BYTES_MAX = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A diagnostic of the compiler, or one about a file that could not be read. `json` is for programs."""

    code: str
    severity: str
    message: str
    json: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A compiled workflow of a file. `plan` is None where it has errors.

    `provenance`: node id to the span of its string and the pieces of its SQL, see docs/internals.md.
    """

    span: tuple[int, int]
    label: str | None
    wire: str
    plan: Mapping[str, Any] | None
    hash: str
    drawing: str
    provenance: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A statement of a file that goes to the server as it is."""

    span: tuple[int, int]
    text: str


Statement = Workflow | Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A file after the compiler: its statements in order, its problems, and these as people read them."""

    name: str
    text: str
    statements: tuple[Statement, ...]
    problems: tuple[Problem, ...]
    rendered: str

    @property
    def workflows(self) -> tuple[Workflow, ...]:
        """The statements that are workflows."""
        return tuple(each for each in self.statements if isinstance(each, Workflow))

    @property
    def failed(self) -> bool:
        """Whether a problem is an error."""
        return any(problem.severity == "error" for problem in self.problems)


class Unreadable(Exception):
    """A file that is not text: a problem of its own, so that the other files are still looked at.

    `position` is line and column, both from 1; `fields` are more for `--format json`.
    """

    def __init__(
        self,
        name: str,
        message: str,
        help: str,
        position: tuple[int, int] | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message
        self.help = help
        self.position = position
        self.fields = fields or {}

    def problem(self) -> Problem:
        """The same as a diagnostic without a code: nothing was compiled."""
        json = {
            "code": "file",
            "severity": "error",
            "message": self.message,
            "file": self.name,
            "help": self.help,
            **({"line": self.position[0], "column": self.position[1]} if self.position else {}),
            **self.fields,
        }
        return Problem(code="file", severity="error", message=self.message, json=json)

    def rendered(self) -> str:
        """In the shape of the compiler's messages."""
        place = f":{self.position[0]}:{self.position[1]}" if self.position else ""
        return f"error: {self.message}\n  --> {self.name}{place}\n  = help: {self.help}"


def find(paths: Iterable[str]) -> list[str]:
    """Every file that the paths mean: files as they are, folders recursively, sorted, each once.

    Hidden folders are skipped (`.dfc`, `.git`). A path that does not exist stays, and is reported when read.
    """
    found: dict[str, None] = {}
    for path in paths:
        folder = Path(path)
        if path == "-" or not folder.is_dir():
            found[path] = None
            continue
        for file in sorted(folder.rglob(f"*{SUFFIX}")):
            hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
            if file.is_file() and not hidden:
                found[str(file)] = None
    return list(found)


def read(path: str) -> str:
    """The text of a file (`-`: standard input). Raises Unreadable."""
    name = "<stdin>" if path == "-" else path
    try:
        data = sys.stdin.buffer.read() if path == "-" else _bytes(path)
    except FileNotFoundError:
        raise Unreadable(name, f"there is no file `{name}`", _near(path)) from None
    except IsADirectoryError:
        raise Unreadable(name, f"`{name}` is a folder", "name a file in it") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Unreadable(
            name, f"cannot read `{name}`: {reason}", "check the path and its permissions"
        ) from None
    return decode(name, data)


def decode(name: str, data: bytes) -> str:
    """UTF-8 with or without a byte order mark. Raises Unreadable with the offset of the first wrong byte."""
    try:
        return data.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        offset = error.start + (3 if data.startswith(b"\xef\xbb\xbf") else 0)
        before = data[:offset]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode(errors="replace")) + 1
        message = f"not UTF-8: byte 0x{data[offset]:02x} at offset {offset}"
        utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        source = "UTF-16" if utf16 else "LATIN1"
        target = name if name != "<stdin>" else "file.dfsql"
        help_line = f"save it as UTF-8, for example with `iconv -f {source} -t UTF-8 {target}`"
        raise Unreadable(name, message, help_line, (line, column), {"byte_offset": offset}) from None


def _bytes(path: str) -> bytes:
    with Path(path).open("rb") as file:
        data = file.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise ValueError(f"it is larger than {FILE_BYTES_MAX // 1024 // 1024} MiB (file_bytes_max)")
    return data


def _near(path: str) -> str:
    """Help for a path that does not exist: a file beside it with nearly the same name, if there is one."""
    folder = Path(path).parent
    try:
        names = [file.name for file in folder.iterdir() if file.suffix == SUFFIX]
    except OSError:
        return f"there is no folder `{folder}` either"
    near = difflib.get_close_matches(Path(path).name, names, n=1)
    return f"did you mean `{folder / near[0]}`?" if near else "check the path"


def compiled(
    name: str,
    text: str,
    statements: Iterable[Mapping[str, Any]],
    diagnostics: Iterable[Mapping[str, Any]],
    rendered: str,
) -> Compiled:
    """The compiler process's answer to `compile_file` as values."""
    return Compiled(
        name=name,
        text=text,
        statements=tuple(_statement(each) for each in statements),
        problems=tuple(_problem(name, each) for each in diagnostics),
        rendered=rendered,
    )


def _statement(json: Mapping[str, Any]) -> Statement:
    start, end = json["span"]
    if json["kind"] == "server":
        return Server(span=(start, end), text=json["text"])
    return Workflow(
        span=(start, end),
        label=json["label"],
        wire=json["wire"],
        plan=json["plan"],
        hash=json["hash"],
        drawing=json["drawing"],
        provenance=json["provenance"],
    )


def _problem(name: str, json: Mapping[str, Any]) -> Problem:
    return Problem(
        code=json["code"], severity=json["severity"], message=json["message"], json={"file": name, **json}
    )
