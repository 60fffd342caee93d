"""Workflow files: found, read, compiled in the compiler's child process, and what it answered as values."""

from __future__ import annotations

import difflib
import os
import stat
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from dfc.cli.errors import CliError
from dfc.compiler.diagnostics import Diagnostic, Note, Severity, error
from dfc.compiler.render import clean, render, to_json
from dfc.compiler.source import Source
from dfc.compiler.span import NOWHERE, Span

SUFFIX = ".dfsql"
NOT_UTF8 = "DF157"
UNREADABLE = "DF158"
START = "start"
FILE_BYTES_MAX = 64 * 1024 * 1024

_RESTORE = "write its schema as SQL, with `pg_restore --schema-only -f schema.sql {}`"
_NO_TEXT = (
    (0, b"PGDMP", "a dump in the custom format", _RESTORE),
    (257, b"ustar", "a tar archive", _RESTORE),
    (0, b"\x1f\x8b", "compressed with gzip", "unpack it, with `gunzip -k {}`"),
    (4, b"1AY&SY", "compressed with bzip2", "unpack it, with `bunzip2 -k {}`"),
    (0, b"\xfd7zXZ\0", "compressed with xz", "unpack it, with `unxz -k {}`"),
    (0, b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it, with `unzstd {}`"),
    (0, b"PK\x03\x04", "a zip archive", "unpack it, with `unzip {}`"),
)
"""What dumps are kept in: where a file has which bytes, what it is then, and what makes text of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A diagnostic of the compiler, or one about a file that could not be read. `json` is for programs."""

    code: str
    severity: str
    message: str
    json: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A compiled workflow of a file. `plan` is None where it has errors, and where nobody wants it.

    It is None, too, and `wire` is there, where variables decide what it says: it is compiled when it starts.

    `provenance`: node id to the span of its string and the pieces of its SQL, see docs/internals.md. `submit`
    is what its statement does with it: `start`, `define` or `schedule`; of the last two `label` is the name.
    `options` are the other arguments, by name, as the texts that SQL reads. `durability` is the report on it
    (docs/reference/durability.md), None where there is no plan, or nobody has asked for it. `draft` is the
    plan that it would have, were it not for columns that its steps do not return (DF406). `on_failure` is
    what its definition starts when it fails.
    """

    span: tuple[int, int]
    submit: str
    label: str | None
    options: Mapping[str, str]
    wire: str
    plan: Mapping[str, Any] | None
    hash: str | None
    drawing: str | None
    provenance: Mapping[str, Any]
    durability: Mapping[str, Any] | None = None
    draft: Mapping[str, Any] | None = None
    on_failure: OnFailure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OnFailure:
    """What starts when a workflow has failed; the fields are those of a `Workflow`."""

    wire: str | None
    plan: Mapping[str, Any] | None
    hash: str | None
    provenance: Mapping[str, Any]
    draft: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A statement of a file that goes to the server as it is. `starts`: it gives the id of a new instance.

    Of one that starts or schedules a definition, `workflow` is its name, and the others are as in `Workflow`.
    """

    span: tuple[int, int]
    text: str
    starts: bool = False
    submit: str | None = None
    label: str | None = None
    workflow: str | None = None
    options: Mapping[str, str] = field(default_factory=dict[str, str])


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
    def starts(self) -> bool:
        """Whether a statement of it starts a workflow."""
        return any(is_start(each) for each in self.statements)

    def server(self, workflow: Workflow) -> Server:
        """The statement of a workflow that is defined or scheduled, as the server gets it."""
        start, end = workflow.span
        return Server(span=workflow.span, text=self.text[start:end])

    def shown(self, *, notes: bool, color: bool) -> str:
        """The problems as people read them, without the notes if they are not wanted."""
        wanted = [each for each in self.problems if notes or each.severity != "note"]
        if wanted and not all("span" in each.json for each in wanted):
            return self.rendered.strip("\n")
        diagnostics = [_diagnostic(each.json) for each in wanted]
        return render(diagnostics, Source(self.name, self.text), color).strip("\n")

    @property
    def failed(self) -> bool:
        """Whether a problem is an error."""
        return any(problem.severity == "error" for problem in self.problems)


CompileFile = Callable[[str, str], Compiled]
"""From the name and text of a file to what the compiler says."""


def is_start(statement: Statement) -> bool:
    """Whether a statement starts a workflow, whose end can be waited for."""
    return statement.starts if isinstance(statement, Server) else statement.submit == START


class Unreadable(Exception):
    """A file that is not text: a problem of its own, so that the other files are still looked at.

    `place` is the text as far as it can be shown and the code point that is wrong; `fields` are more for
    programs.
    """

    def __init__(
        self,
        name: str,
        code: str,
        message: str,
        help: str,
        place: tuple[str, int] | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.diagnostic = error(code, message, NOWHERE, help=help)
        self.source: Source | None = None
        self.fields = fields or {}
        if place is not None:
            self.source = Source(name, place[0])
            self.diagnostic = replace(self.diagnostic, span=Span(place[1], place[1] + 1))

    def problem(self) -> Problem:
        """The same as the compiler's problems are."""
        shown = to_json(self.diagnostic, self.source or Source(self.name, ""))
        json = {"file": self.name, **shown, **self.fields}
        return Problem(code=shown["code"], severity="error", message=shown["message"], json=json)

    def rendered(self, color: bool = False) -> str:
        """As people read it; without a line and a caret where there is no text."""
        if self.source is not None:
            return render([self.diagnostic], self.source, color).strip("\n")
        found = self.diagnostic
        message, name, help = clean(found.message), clean(self.name), clean(found.help)
        return f"error[{found.code}]: {message}\n  --> {name}\n  = help: {help}"


def find(paths: Iterable[str]) -> list[str]:
    """Every file that the paths mean: files as they are, folders recursively, sorted, each once.

    Hidden folders are skipped (`.dfc`, `.git`), and links to folders in a folder. What can only be reported
    when it is read stays: a path that does not exist, a folder without files, one that cannot be listed.
    Raises CliError for an empty name.
    """
    found: dict[str, str] = {}
    for path in paths:
        _named(path)
        for file in [path] if path == "-" or not _is_folder(Path(path)) else _inside(path):
            found.setdefault(_identity(file), file)
    return list(found.values())


def _named(path: str) -> None:
    """Raises CliError for an empty name, which would stand for the current folder."""
    if not path:
        raise CliError("the name of a file is empty: is a variable of the shell not set?", exit_code=2)


def _identity(path: str) -> str:
    """The same for two ways to write the name of a file; a link is another file."""
    if path == "-":
        return path
    folder, name = os.path.split(path)
    if name in ("", ".", ".."):
        return os.path.realpath(path)
    return os.path.join(os.path.realpath(folder), name)  # noqa: PTH118


def _inside(folder: str) -> list[str]:
    """The files of a folder and those in it; folders that cannot be listed; itself, where there are none."""
    found: list[Path] = []

    def refused(error: OSError) -> None:
        found.append(Path(error.filename))

    for where, folders, names in os.walk(folder, onerror=refused):
        folders[:] = [each for each in folders if not each.startswith(".")]
        found += [Path(where, each) for each in names if each.endswith(SUFFIX)]
    files = [str(each) for each in sorted(found) if _may_be_text(each)]
    return files or [folder]


def _may_be_text(path: Path) -> bool:
    """Not a device, pipe or socket; a link to nothing is to be reported."""
    try:
        return stat.S_IFMT(path.stat().st_mode) in (stat.S_IFREG, stat.S_IFDIR)
    except OSError:
        return True


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        # Such as a name that is too long.
        return False


def needed(path: str) -> str:
    """The text of a file (`-`: standard input) without which there is nothing to do. Raises CliError."""
    try:
        return read(path)
    except Unreadable as error:
        raise CliError(clean(f"{error.diagnostic.message}: {error.diagnostic.help}")) from None


def read(path: str) -> str:
    """The text of a file (`-`: standard input). Raises Unreadable."""
    return decode("<stdin>" if path == "-" else path, read_bytes(path))


def read_bytes(path: str) -> bytes:
    """What is in a file (`-`: standard input). Raises Unreadable."""
    name = "<stdin>" if path == "-" else path
    _named(path)
    try:
        if path == "-":
            return _bytes(sys.stdin.buffer)
        with Path(path).open("rb") as file:
            return _bytes(file)
    except FileNotFoundError:
        raise Unreadable(name, UNREADABLE, f"there is no file `{name}`", _near(path)) from None
    except IsADirectoryError:
        raise Unreadable(name, UNREADABLE, *_of_folder(path)) from None
    except (OSError, ValueError) as wrong:
        reason = wrong.strerror if isinstance(wrong, OSError) and wrong.strerror else str(wrong)
        message = f"cannot read `{name}`: {reason}"
        raise Unreadable(name, UNREADABLE, message, "check the path and its permissions") from None


def decode(name: str, data: bytes) -> str:
    """UTF-8 with or without a byte order mark. Raises Unreadable with the offset of the first wrong byte."""
    for offset, mark, what, command in _NO_TEXT:
        if data.startswith(mark, offset):
            file = name if name != "<stdin>" else "FILE"
            raise Unreadable(name, NOT_UTF8, f"not text: {what}", command.format(file))
    try:
        return data.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as wrong:
        offset = wrong.start + (3 if data.startswith(b"\xef\xbb\xbf") else 0)
        message = f"not UTF-8: byte 0x{data[offset]:02x} at offset {offset}"
        source = "UTF-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "LATIN1"
        target = name if name != "<stdin>" else "file.dfsql"
        help_line = f"save it as UTF-8, for example with `iconv -f {source} -t UTF-8 {target}`"
        place = (data.decode(errors="replace"), len(data[:offset].decode(errors="replace")))
        raise Unreadable(name, NOT_UTF8, message, help_line, place, {"byte_offset": offset}) from None


def _bytes(file: BinaryIO) -> bytes:
    data = file.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise ValueError(f"it is larger than {FILE_BYTES_MAX // 1024 // 1024} MiB (file_bytes_max)")
    return data


def _of_folder(path: str) -> tuple[str, str]:
    """What is wrong with a folder in the place of a file, and what to do."""
    if Path(path, "toc.dat").is_file():
        return f"`{path}` is a dump in the directory format", _RESTORE.format(path)
    has_files = any(Path(path).glob(f"*{SUFFIX}"))
    return f"`{path}` is a folder", "name a file in it" if has_files else f"there is no *{SUFFIX} in it"


def _near(path: str) -> str:
    """Help for a path that does not exist: a file beside it with nearly the same name, if there is one."""
    folder = Path(path).parent
    try:
        names = [file.name for file in folder.iterdir() if file.suffix == SUFFIX and file.is_file()]
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
        problems=tuple(problem_of(name, each) for each in diagnostics),
        rendered=rendered,
    )


def left_out(compilation: Compiled) -> int | None:
    """Where text begins that is in no statement and is neither blank nor comment; None for none.

    A compiler that loses a statement must not go unnoticed: it would simply not be run.
    """
    position = 0
    text = compilation.text
    for start, end in [*(each.span for each in compilation.statements), (len(text), len(text))]:
        while position < start:
            if text.startswith("--", position):
                newline = text.find("\n", position)
                position = start if newline == -1 else newline
            elif text.startswith("/*", position):
                position = _comment_end(text, position)
            elif text[position].isspace() or text[position] in ";\ufeff":
                position += 1
            else:
                return position
        position = max(position, end)
    return None


def _comment_end(text: str, position: int) -> int:
    """The end of a block comment, which may hold others."""
    depth = 0
    while position < len(text):
        pair = text[position : position + 2]
        if pair in ("/*", "*/"):
            depth += 1 if pair == "/*" else -1
            position += 2
            if depth == 0:
                break
        else:
            position += 1
    return position


def _statement(json: Mapping[str, Any]) -> Statement:
    start, end = json["span"]
    if json["kind"] == "server":
        return Server(
            span=(start, end),
            text=json["text"],
            starts=json.get("starts", False),
            submit=json.get("submit"),
            label=json.get("label"),
            workflow=json.get("workflow"),
            options=json.get("options") or {},
        )
    later = json.get("on_failure")
    return Workflow(
        span=(start, end),
        submit=json["submit"],
        label=json["label"],
        options=json.get("options") or {},
        wire=json.get("wire", ""),
        plan=json.get("plan"),
        hash=json.get("hash"),
        drawing=json.get("drawing"),
        provenance=json.get("provenance") or {},
        durability=json.get("durability"),
        draft=json.get("draft"),
        on_failure=None
        if later is None
        else OnFailure(
            wire=later["wire"],
            plan=later["plan"],
            hash=later["hash"],
            provenance=later["provenance"],
            draft=later.get("draft"),
        ),
    )


def _diagnostic(json: Mapping[str, Any]) -> Diagnostic:
    return Diagnostic(
        code=json["code"],
        severity=Severity(json["severity"]),
        message=json["message"],
        span=Span(*json["span"]),
        label=json.get("label") or "",
        notes=tuple(
            Note(message=note["message"], span=Span(*note["span"]) if note.get("span") else None)
            for note in json.get("notes") or ()
        ),
        help=json.get("help") or "",
    )


def problem_of(name: str, json: Mapping[str, Any]) -> Problem:
    """A diagnostic, as `render.to_json` writes it, of this file."""
    return Problem(
        code=json["code"], severity=json["severity"], message=json["message"], json={"file": name, **json}
    )
