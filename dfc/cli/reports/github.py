"""Remarks of GitHub: lines that a workflow of GitHub Actions turns into annotations beside the source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dfc.cli.reports.examined import Examined, relative
from dfc.cli.sources import Problem
from dfc.compiler.source import Source

_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def lines(files: Iterable[Examined], *, notes: bool) -> Iterator[str]:
    """A line for each problem, in the order of the files."""
    for file in files:
        for problem in file.problems:
            if notes or problem.severity != "note":
                yield line(file, problem)


def line(file: Examined, problem: Problem) -> str:
    """`::error file=...,line=...::message`; columns only within one line, as GitHub wants them."""
    found = problem.json
    properties: dict[str, object] = {"file": relative(file.name)}
    if file.text is not None:
        properties["line"] = found["line"]
        if found["line"] == found["end_line"]:
            properties["col"] = found["column"]
        properties["endLine"] = found["end_line"]
        if found["line"] == found["end_line"]:
            properties["endColumn"] = found["end_column"]
    properties["title"] = problem.code
    said = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    return f"::{_COMMANDS[problem.severity]} {said}::{_data(_message(file, problem))}"


def _message(file: Examined, problem: Problem) -> str:
    lines = [problem.message]
    source = None if file.text is None else Source(file.name, file.text)
    for note in problem.json.get("notes") or ():
        place = ""
        if note.get("span") and source is not None:
            number, column = source.position(note["span"][0])
            place = f" (line {number}, column {column})"
        lines.append(f"note: {note['message']}{place}")
    if problem.json.get("help"):
        lines.append(f"help: {problem.json['help']}")
    return "\n".join(lines)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
