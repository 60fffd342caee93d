"""What is wrong with a workflow, as values. Checks return them; only the command line prints them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from dfc.compiler.span import Span


class Severity(StrEnum):
    ERROR = "error"
    LINT = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A second place that belongs to a diagnostic, or a remark without a place."""

    message: str
    span: Span | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """`text` in the place of `old`, which stands at `span`; where it does not, the edit cannot be made."""

    span: Span
    old: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """Help that can be applied: edits that belong together.

    `safe`: there is nothing else that could have been meant, and what is valid keeps its meaning.
    """

    edits: tuple[Edit, ...]
    safe: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One problem: what, where, and the way out.

    `code` is stable and never reused. `label` stands under the caret. `help` is one imperative sentence,
    `fix` the same as edits of the source.
    """

    code: str
    severity: Severity
    message: str
    span: Span
    label: str = ""
    notes: tuple[Note, ...] = ()
    help: str = ""
    fix: Fix | None = None


def error(
    code: str,
    message: str,
    span: Span,
    *,
    label: str = "",
    notes: tuple[Note, ...] = (),
    help: str = "",
    fix: Fix | None = None,
) -> Diagnostic:
    """An error: the workflow does not compile."""
    return Diagnostic(
        code=code,
        severity=Severity.ERROR,
        message=message,
        span=span,
        label=label,
        notes=notes,
        help=help,
        fix=fix,
    )


def lint(
    code: str,
    message: str,
    span: Span,
    *,
    label: str = "",
    notes: tuple[Note, ...] = (),
    help: str = "",
    fix: Fix | None = None,
) -> Diagnostic:
    """A lint: the workflow compiles, and probably does not do what was meant."""
    return Diagnostic(
        code=code,
        severity=Severity.LINT,
        message=message,
        span=span,
        label=label,
        notes=notes,
        help=help,
        fix=fix,
    )


def replacing(span: Span, old: str, text: str, *, safe: bool = True) -> Fix:
    """The fix that writes `text` in the place of `old`."""
    return Fix(edits=(Edit(span=span, old=old, text=text),), safe=safe)


def note(code: str, message: str, span: Span, *, help: str = "") -> Diagnostic:
    """A note: something the reader should know, not a problem."""
    return Diagnostic(code=code, severity=Severity.NOTE, message=message, span=span, help=help)


def has_errors(problems: Iterable[Diagnostic]) -> bool:
    """Whether any of the problems keeps the workflow from compiling."""
    return any(problem.severity is Severity.ERROR for problem in problems)
