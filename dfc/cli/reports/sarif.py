"""SARIF 2.1.0 (OASIS): the form in which services that show the findings of many tools want them.

The spec is https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html; lines and columns count from 1,
columns in UTF-16 code units.
"""

from __future__ import annotations

import hashlib
import os
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import dfc
from dfc.cli.reports.examined import Examined, relative
from dfc.cli.reports.pages import page
from dfc.cli.sources import Problem
from dfc.compiler.source import Source

Json = dict[str, Any]

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_FINGERPRINT = "dfc/v1"
_BASE = "%SRCROOT%"

FINGERPRINT_CHARACTERS: Final = 1_000
_LINK = re.compile(r"\[(?=[^\]]*\]\()")


def sarif(files: Sequence[Examined]) -> Json:
    """The log of one run over these files."""
    codes = sorted({problem.code for file in files for problem in file.problems})
    results: list[Json] = []
    for index, file in enumerate(files):
        results += _File(file, index).results(codes)
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "dfc",
                        "semanticVersion": dfc.__version__,
                        "rules": [_rule(code, files) for code in codes],
                    }
                },
                "invocations": [{"executionSuccessful": True}],
                "originalUriBaseIds": {_BASE: {"uri": f"{Path.cwd().as_uri().rstrip('/')}/"}},
                "artifacts": [
                    {"location": {**_location(file.name), "index": index}, "sourceLanguage": "sql"}
                    for index, file in enumerate(files)
                ],
                "columnKind": "utf16CodeUnits",
                "results": results,
            }
        ],
    }


def _rule(code: str, files: Iterable[Examined]) -> Json:
    level = next(p.severity for file in files for p in file.problems if p.code == code)
    found = page(code)
    if found is None:
        return {"id": code, "defaultConfiguration": {"level": level}}
    return {
        "id": code,
        "shortDescription": {"text": found.title},
        "fullDescription": {"text": found.summary},
        "help": {"text": found.text, "markdown": found.text},
        "defaultConfiguration": {"level": level},
    }


def _location(name: str) -> Json:
    """The artifact's URI: relative to the folder of the run where it is in there."""
    shown = relative(name)
    if Path(shown).is_absolute():
        return {"uri": Path(shown).as_uri()}
    # A colon in the first segment would make it a scheme; a name may be any bytes.
    return {"uri": quote(os.fsencode(shown), safe="/"), "uriBaseId": _BASE}


def _message(text: str) -> Json:
    """A message that is no template: braces would be placeholders, and `[a](1)` a link."""
    return {"text": _LINK.sub(r"\\[", text.replace("{", "{{").replace("}", "}}"))}


class _File:
    """One file: its places as SARIF counts them."""

    def __init__(self, file: Examined, index: int) -> None:
        self._file = file
        self._index = index
        self._source = Source(file.name, file.text or "")
        self._seen: dict[str, int] = {}

    def results(self, codes: Sequence[str]) -> list[Json]:
        """A result for each problem."""
        return [self._result(problem, codes) for problem in self._file.problems]

    def _result(self, problem: Problem, codes: Sequence[str]) -> Json:
        found = problem.json
        location: Json = {"physicalLocation": self._place(found["span"])}
        if found.get("label"):
            location["message"] = _message(found["label"])
        notes = found.get("notes") or ()
        texts = [problem.message, *(f"note: {n['message']}" for n in notes if not n.get("span"))]
        if found.get("help"):
            texts.append(f"help: {found['help']}")
        result: Json = {
            "ruleId": problem.code,
            "ruleIndex": bisect_left(codes, problem.code),
            "level": problem.severity,
            "message": _message("\n".join(texts)),
            "locations": [location],
            "partialFingerprints": {_FINGERPRINT: self._fingerprint(problem)},
        }
        placed = [note for note in notes if note.get("span")]
        if placed:
            result["relatedLocations"] = [
                {
                    "id": number,
                    "physicalLocation": self._place(note["span"]),
                    "message": _message(note["message"]),
                }
                for number, note in enumerate(placed, 1)
            ]
        if found.get("fix"):
            result["fixes"] = [self._fix(found["fix"], found.get("help") or problem.message)]
        return result

    def _artifact(self) -> Json:
        return {**_location(self._file.name), "index": self._index}

    def _place(self, span: Sequence[int]) -> Json:
        place: Json = {"artifactLocation": self._artifact()}
        if self._file.text is not None:
            place["region"] = self._region(span)
        return place

    def _region(self, span: Sequence[int]) -> Json:
        length = len(self._source.text)
        start = min(max(span[0], 0), length)
        line, column = self._position(start)
        end_line, end_column = self._position(min(max(span[1], start), length))
        return {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}

    def _position(self, offset: int) -> tuple[int, int]:
        line, column = self._source.position(offset)
        start = offset - (column - 1)
        beyond = bisect_left(self._wide, offset) - bisect_left(self._wide, start)
        return line, column + beyond

    @cached_property
    def _wide(self) -> list[int]:
        """The offsets of what takes two code units."""
        text = self._source.text
        return [] if text.isascii() else [i for i, character in enumerate(text) if character > "\uffff"]

    def _fix(self, fix: Mapping[str, Any], said: str) -> Json:
        replacements = [
            {"deletedRegion": self._region(each["span"]), "insertedContent": {"text": each["text"]}}
            for each in fix["edits"]
        ]
        return {
            "description": _message(said),
            "artifactChanges": [{"artifactLocation": self._artifact(), "replacements": replacements}],
        }

    def _fingerprint(self, problem: Problem) -> str:
        """The same for the same problem when lines are added elsewhere; equal ones of a file are numbered."""
        line = ""
        if self._file.text is not None:
            start, end = self._source.line(problem.json["line"])
            # Of a line of megabytes the beginning tells enough.
            line = " ".join(self._file.text[start : min(end, start + FINGERPRINT_CHARACTERS)].split())
        said = "\0".join((problem.code, problem.message, line))
        number = self._seen[said] = self._seen.get(said, 0) + 1
        hashed = hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{hashed[:32]}:{number}"
