"""Reads docs/reference/: headings, signatures, examples and what they say of their results.

A ```sql block is what a session runs, a ```dfsql block what a file may hold; other blocks are not run.
A comment `-- => ...` behind a statement is what it gives: rows, columns joined by ` | `. Behind a start
it is the workflow's result, or `failed: <message>`; `-- => ERROR: <message>` is a statement that is
refused. Lines that go on begin with `--    `, and `...` stands for anything. Without such a comment what
is started has to complete.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path

from dfc.compiler.plan import Policy
from tests.e2e.harness import Connection

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
FOLDER = DOCS / "reference"
PAGES = tuple(sorted(FOLDER.glob("*.md")))

WORKERS = frozenset({"begin_step", "checkpoint", "checkpoint_items", "commit_steps", "map_fill"})
"""What is called by workers only, although its name does not say so."""

POLICIES = frozenset(field.name for field in fields(Policy)) | {"autocommit"}
WITH_POLICIES = frozenset({"sql", "step", "http", "http_multipart", "call", "atomic"})
_DOLLARS = re.compile(r"\$[a-z]*\$")
_SAID, _SAID_ON = "-- => ", "--    "
_STEP = ("'", "(", "@>", "df.")


@dataclass(slots=True, kw_only=True)
class Statement:
    """A statement of an example, and the lines that say what it gives."""

    text: str
    said: list[str] = field(default_factory=list[str])

    @property
    def starts(self) -> bool:
        """Whether it gives the id of one instance."""
        return self.text.startswith("SELECT df.start(") or self.text.startswith(_STEP)

    @property
    def sql(self) -> str:
        """What a session runs: a bare expression is started."""
        if not self.text.startswith(_STEP):
            return self.text
        return f"SELECT df.start({self.text.rstrip().removesuffix(';')})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str

    def statements(self) -> list[Statement]:
        """Its statements: each ends with a line."""
        found: list[Statement] = []
        rest: list[str] = []
        for line in self.text.splitlines():
            if not rest and found and line.startswith((_SAID, _SAID_ON)):
                found[-1].said.append(line[len(_SAID) :])
            elif rest or (line.strip() and not line.startswith("--")):
                rest.append(line)
                text = "\n".join(rest)
                if re.search(r";\s*(--.*)?$", line) and len(_DOLLARS.findall(text)) % 2 == 0:
                    found.append(Statement(text=text))
                    rest = []
        assert not rest, f"{self.page}:{self.line}: the last statement has no end"
        return found


def examples(page: Path) -> Iterator[Example]:
    """The blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for block in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        yield Example(
            page=page.name,
            line=text.count("\n", 0, block.start()) + 1,
            language=block[1],
            text=block[2],
        )


def is_as_said(given: str, said: list[str]) -> bool:
    """Whether a text is what the comment behind a statement says."""
    pattern = re.escape("\n".join(line.rstrip() for line in said)).replace(r"\.\.\.", ".*")
    return (
        re.fullmatch(pattern, "\n".join(line.rstrip() for line in given.split("\n")), re.DOTALL) is not None
    )


def headings(page: Path) -> list[str]:
    """The headings of the third level: functions, operators, commands."""
    return re.findall(r"^### (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)


def documented() -> dict[str, Path]:
    """Each function that has a heading (several may share one), and its page."""
    found: dict[str, Path] = {}
    for page in PAGES:
        for heading in headings(page):
            for name in re.findall(r"df\.(\w+)", heading):
                assert name not in found, f"{name} is in {found[name].name} and {page.name}"
                found[name] = page
    return found


def shown_signatures() -> dict[str, list[str]]:
    """The signatures that the pages show, by function."""
    found: dict[str, list[str]] = {}
    for page in PAGES:
        for example in examples(page):
            for line in example.text.splitlines() if example.language == "text" else ():
                if match := re.match(r"(?:CALL )?df\.(\w+)\(.*\)( -> .*)?$", line):
                    found.setdefault(match[1], []).append(line)
    return found


SIGNATURES = """
SELECT p.proname::text, p.prokind::text, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid)
FROM pg_proc p WHERE p.pronamespace = 'df'::regnamespace AND p.proname !~ '^_'
ORDER BY p.proname, p.pronargs, 3
"""


def signatures(session: Connection) -> dict[str, list[str]]:
    """The public functions as the pages show them: overloads that differ in nothing a user sees are one."""
    found: dict[str, list[str]] = {}
    for name, kind, arguments, result in session.execute(SIGNATURES).fetchall():
        if name in WORKERS:
            continue
        ending = ")" if kind == "p" else f") -> {_short(result)}"
        inner = ", ".join(_arguments(name, arguments))
        lines = found.setdefault(name, [])
        line = f"{'CALL ' if kind == 'p' else ''}df.{name}({inner}{ending}"
        if line not in lines:
            lines.append(line)
    for lines in found.values():
        for line in tuple(lines):
            if line.replace(")", ", ...policies)", 1) in lines:
                lines.remove(line)
    return found


def _arguments(name: str, written: str) -> Iterator[str]:
    policies = False
    for argument in filter(None, re.split(r", (?![^(]*\))", written)):
        text = _short(re.sub(r"^IN ", "", argument))
        text = text.replace("duration", "any") if name == "break" else text
        called = text.split(" ")[0]
        if name in WITH_POLICIES and called in POLICIES:
            if not policies:
                yield "...policies"
            policies = True
        else:
            yield text


def _short(text: str) -> str:
    """A type or argument in fewer words."""
    text = re.sub(r" DEFAULT NULL::[a-z ]+(\[\])?", " = NULL", text)
    text = re.sub(r" DEFAULT ('[^']*')::[a-z]+", r" = \1", text)
    text = text.replace(" DEFAULT ", " = ").replace("character varying", "text")
    return text.replace("anycompatible", "duration").replace("timestamp with time zone", "timestamptz")
