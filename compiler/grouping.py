"""Operators of several kinds in a row without parentheses, and how they group (for the lint DF201)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dfc.compiler.span import Span

_STEP = re.compile(r"df\.step\(\s*'(\w+)'")
OPERANDS_SHOWN_MAX = 6
OPERAND_CHARACTERS_MAX = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operator as written, and where. `names`: its right side is a name (`|=> 'x'`)."""

    sign: str
    span: Span
    names: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixed:
    """A row of mixed operators: the first that does not fit those before it, and the grouping as text.

    `parentheses`: where to write which ones, to say what the row means.
    """

    at: Span
    sign: str
    grouping: str
    parentheses: tuple[tuple[int, str], ...] = ()


def mixed(
    text: str, operands: Sequence[Span], operations: Sequence[Operation], prefixed: Sequence[bool]
) -> Mixed | None:
    """The mixture in a flat row of operands and operators; None when no reader can take it for another.

    `prefixed`: which operands begin with `@>`. A name right behind one operand groups as it looks, and so
    does `!>` behind `?>`.
    """
    before = ""
    for index, operation in enumerate(operations):
        behind_loop = prefixed[index]
        unlike = before not in ("", operation.sign) and (before, operation.sign) != ("?>", "!>")
        if behind_loop or unlike or (operation.names and before):
            grouping = _grouping([text[span.start : span.end] for span in operands], operations, prefixed)
            return Mixed(
                at=operation.span,
                sign=operation.sign,
                grouping=grouping,
                parentheses=_parentheses(operands, operations, prefixed),
            )
        if not operation.names:
            before = operation.sign
    return None


def _grouping(operands: Sequence[str], operations: Sequence[Operation], prefixed: Sequence[bool]) -> str:
    """The row with the parentheses that it stands for, its end left out when it is long."""
    shown = [_short(operand) for operand in operands]
    shown = [f"({each})" if loops else each for each, loops in zip(shown, prefixed, strict=True)]
    grouped, last = shown[0], ""
    for operation, operand in zip(operations[:OPERANDS_SHOWN_MAX], shown[1:], strict=False):
        kind = f"{operation.sign}{' name' if operation.names else ''}"
        if last not in ("", kind):
            grouped = f"({grouped})"
        grouped, last = f"{grouped} {operation.sign} {operand}", kind
    return grouped if len(operations) <= OPERANDS_SHOWN_MAX else f"{grouped} ..."


def _parentheses(
    operands: Sequence[Span], operations: Sequence[Operation], prefixed: Sequence[bool]
) -> tuple[tuple[int, str], ...]:
    """Around what stands before an operator of another kind, and around loops, in the order of the source."""
    first, last = operands[0].start, ""
    opened, written = 0, list[tuple[int, str]]()
    if prefixed[0] and operations:
        opened, written = 1, [(operands[0].end, ")")]
    for operation, loops, before, operand in zip(
        operations, prefixed[1:], operands, operands[1:], strict=False
    ):
        kind = f"{operation.sign}{' name' if operation.names else ''}"
        if last not in ("", kind) and (last, kind) != ("?>", "!>"):
            opened += 1
            written.append((before.end, ")"))
        last = kind
        if loops:
            written += [(operand.start, "("), (operand.end, ")")]
    return (*[(first, "(")] * opened, *written)


def _short(operand: str) -> str:
    step = _STEP.match(operand)
    if step is not None:
        return step[1]
    words = " ".join(operand.split())
    if len(words) <= OPERAND_CHARACTERS_MAX:
        return words
    return f"{words[: OPERAND_CHARACTERS_MAX - 3]}..."
