"""`dfc validate --fix`: help that can be applied, and is safe, is.

What was valid stays what it was: a workflow that had a plan has the same plan afterwards, to the byte of its
hash, or the edits are not made. A file with errors never has more of them afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dfc.cli.reports.examined import CompileFile
from dfc.cli.sources import Compiled, Problem, Workflow
from dfc.compiler.source import Source

COMPILATIONS_MAX: Final = 50
"""How often a file is compiled in one round, in search of the edits that hold where all together do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A fix that was applied. Line and column are those of the text as it was then."""

    code: str
    line: int
    column: int
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """A text after all safe fixes, with what the compiler says of it."""

    compilation: Compiled
    changes: tuple[Change, ...]


def fix(name: str, text: str, compile_file: CompileFile) -> Fixed:
    """Apply safe fixes until there are none. Applied to its own result it changes nothing."""
    compilation = compile_file(name, text)
    changes: list[Change] = []
    # Each round leaves fewer problems with a fix than it found.
    while chosen := _apart([each for each in compilation.problems if _edits(each)]):
        compilation, made = _round(compilation, chosen, compile_file)
        if not made:
            break
        changes += made
    return Fixed(compilation=compilation, changes=tuple(changes))


def _round(
    compilation: Compiled, chosen: Sequence[Problem], compile_file: CompileFile
) -> tuple[Compiled, list[Change]]:
    """All fixes at once; where that does not hold, those of each half that do."""
    made: list[Change] = []
    left = [list(chosen)]
    for _ in range(COMPILATIONS_MAX):
        if not left:
            break
        group = left.pop()
        after = compile_file(compilation.name, _applied(compilation.text, group))
        if _holds(compilation, after):
            made += [_change(compilation, each) for each in reversed(group)]
            compilation = after
        elif len(group) > 1:
            # The later half comes first, so that the places of the other one stay right.
            middle = len(group) // 2
            left += [group[:middle], group[middle:]]
    return compilation, made[::-1]


def is_fixable(problem: Problem) -> bool:
    """Whether a problem has a fix that is safe."""
    return bool(_edits(problem))


def _edits(problem: Problem) -> list[dict[str, Any]]:
    """The edits of a problem's fix; none of one that is not safe."""
    found = problem.json.get("fix")
    return found["edits"] if found and found["safe"] else []


def _start(problem: Problem) -> int:
    return min(edit["span"][0] for edit in _edits(problem))


def _end(problem: Problem) -> int:
    return max(edit["span"][1] for edit in _edits(problem))


def _apart(problems: Sequence[Problem]) -> list[Problem]:
    """The problems whose edits do not touch those of another; the rest waits for the next round."""
    chosen: list[Problem] = []
    last = -1
    for problem in sorted(problems, key=lambda each: (_start(each), -_end(each))):
        if _start(problem) > last:
            chosen.append(problem)
            last = _end(problem)
    return chosen


def _applied(text: str, problems: Sequence[Problem]) -> str:
    edits = sorted((edit for each in problems for edit in _edits(each)), key=lambda edit: edit["span"][0])
    pieces: list[str] = []
    position = 0
    for edit in edits:
        start, end = edit["span"]
        pieces += [text[position:start], edit["text"]]
        position = end
    return "".join([*pieces, text[position:]])


def _holds(before: Compiled, after: Compiled) -> bool:
    """Whether something is mended, no error has come, and what was valid has stayed."""
    fewer = sum(map(is_fixable, after.problems)) < sum(map(is_fixable, before.problems))
    return fewer and _errors(after) <= _errors(before) and _is_within(_meaning(before), _meaning(after))


def _errors(compilation: Compiled) -> int:
    return sum(each.severity == "error" for each in compilation.problems)


def _meaning(compilation: Compiled) -> Iterator[object]:
    """What each valid statement of a file says, in order."""
    for statement in compilation.statements:
        if not isinstance(statement, Workflow):
            yield statement.text
        elif said := statement.hash or statement.wire:
            yield statement.submit, statement.label, tuple(statement.options.items()), said


def _is_within(few: Iterator[object], many: Iterator[object]) -> bool:
    """Whether the first row can be had from the second by leaving things out."""
    return all(any(each == other for other in many) for each in few)


def _change(compilation: Compiled, problem: Problem) -> Change:
    edits = _edits(problem)
    start, end = _start(problem), _end(problem)
    line, column = Source(compilation.name, compilation.text).position(start)
    return Change(
        code=problem.code,
        line=line,
        column=column,
        before=compilation.text[start:end],
        after=_applied(compilation.text, [problem])[start : end + _growth(edits)],
    )


def _growth(edits: Sequence[dict[str, Any]]) -> int:
    return sum(len(edit["text"]) - (edit["span"][1] - edit["span"][0]) for edit in edits)
