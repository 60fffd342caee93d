"""What `dfc validate` prints: problems in one of four forms, and what was changed."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import Final

import click

from dfc.cli.printing import has_color
from dfc.cli.replacing import difference, refusal, write
from dfc.cli.reports import github
from dfc.cli.reports.examined import CompileFile, Examined, examined, name_of, unreadable
from dfc.cli.reports.fixing import Fixed, fix, is_fixable
from dfc.cli.sources import Problem, Unreadable, read
from dfc.compiler.render import clean

FORMS: Final = ("human", "json", "sarif", "github")
SHOWN_CHARACTERS_MAX: Final = 60


@dataclass(kw_only=True)
class Report:
    """A run of `dfc validate`. In the form for people each file is shown as soon as it has been looked at."""

    form: str = "human"
    notes: bool = False
    fix: bool = False
    diff: bool = False
    files: list[Examined] = field(default_factory=list[Examined])
    changes: int = 0
    not_written: int = 0

    def look(self, path: str, compile_file: CompileFile) -> None:
        """Look at a file, and apply what can be applied if that was asked for."""
        file = self._examined(path, compile_file)
        self.files.append(file)
        if file.rendered and self.form == "human":
            click.echo(file.rendered + "\n")

    def finish(self) -> None:
        """Print what comes at the end."""
        match self.form:
            case "json":
                found = [dict(each.json) for each in self.problems()]
                click.echo(json.dumps(found, ensure_ascii=False, indent=2))
            case "sarif":
                from dfc.cli.reports.sarif import sarif

                click.echo(json.dumps(sarif(self.files), indent=2))
            case "github":
                for line in github.lines(self.files, notes=self.notes):
                    click.echo(line)
            case _:
                click.echo(self._summary())

    def problems(self) -> list[Problem]:
        """Every problem of every file."""
        return [problem for file in self.files for problem in file.problems]

    def failed(self, *, strict: bool) -> bool:
        """Whether there are errors; strictly also warnings.

        A file that `--diff` would change fails, too, and one that could not be written.
        """
        failing = {"error", "warning"} if strict else {"error"}
        if (self.diff and self.changes > 0) or self.not_written > 0:
            return True
        return any(each.severity in failing for each in self.problems())

    def _examined(self, path: str, compile_file: CompileFile) -> Examined:
        try:
            text = read(path)
        except Unreadable as error:
            return unreadable(error)
        color = self.form == "human" and has_color(sys.stdout)
        name = name_of(path)
        if self.fix or self.diff:
            fixed = fix(name, text, compile_file)
            written = self.fix and (not fixed.changes or self._written(path, text, fixed))
            if written or self.diff:
                self.changes += len(fixed.changes)
            if self.diff and fixed.changes:
                for line in difference(name, text, fixed.compilation.text):
                    self._tell(line)
            if written:
                return examined(fixed.compilation, notes=self.notes, color=color)
        return examined(compile_file(name, text), notes=self.notes, color=color)

    def _written(self, path: str, text: str, fixed: Fixed) -> bool:
        """Whether the file could be written; the other files are looked at all the same."""
        try:
            write(path, text, fixed.compilation.text)
        except OSError as error:
            click.echo(f"dfc: {refusal(path, error)}", err=True)
            self.not_written += 1
            return False
        for change in fixed.changes:
            place = f"{clean(path)}:{change.line}:{change.column}"
            said = f"{_short(change.before)} -> {_short(change.after)}" if change.before else change.after
            self._tell(f"fixed[{change.code}] {place}: {said}")
        return True

    def _tell(self, line: str) -> None:
        """Beside a report for programs, what is for people goes to standard error."""
        click.echo(line, err=self.form != "human", color=True)

    def _summary(self) -> str:
        counts: dict[str, int] = {}
        for problem in self.problems():
            counts[problem.severity] = counts.get(problem.severity, 0) + 1
        workflows = sum(file.workflows for file in self.files)
        parts = [_count(len(self.files), "file"), _count(workflows, "workflow")]
        parts += [_count(counts[key], key) for key in ("error", "warning", "note") if key in counts]
        if self.fix:
            parts.append(f"{self.changes} fixed")
        elif fixable := sum(is_fixable(each) for each in self.problems()):
            parts.append(f"{fixable} of them to be fixed with --fix")
        return ", ".join(parts) + ("" if counts else ", no problems")


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _short(text: str) -> str:
    words = clean(" ".join(text.split()))
    return f"`{words if len(words) <= SHOWN_CHARACTERS_MAX else words[: SHOWN_CHARACTERS_MAX - 3] + '...'}`"
