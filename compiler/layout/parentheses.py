"""Parentheses: those that mean nothing go, those that show how mixed operators group (DF201) come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from operator import is_

from dfc.compiler.build import SIGNS, Leaf
from dfc.compiler.layout.stream import CLOSING, OPENING, Item
from dfc.compiler.names import is_identifier
from dfc.compiler.parse import fold
from dfc.compiler.strings import StringFault, string_value
from dfc.grammar.lexer import STRINGS, Kind, Lexeme, scan

_ROUNDS_MAX = 10
_CALLS = frozenset({"IDENT", "CAST", "OPERATOR"})
"""Behind these an opening parenthesis belongs to them."""
_ALONE = frozenset({"string", "number", "word", "call", "array", "typed", "converted", "group"})
"""What groups by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What a rule has found: its first and last token."""

    kind: str
    first: int
    last: int


@dataclass(slots=True)
class _Edits:
    """Tokens to leave out, and how many parentheses come before and behind which."""

    items: Sequence[Item]
    places: list[int]
    out: set[int] = field(default_factory=set[int])
    opens: Counter[int] = field(default_factory=Counter[int])
    closes: Counter[int] = field(default_factory=Counter[int])

    def build(self, rule: str, parts: list[_Part | Leaf]) -> _Part:
        found = [_leaf(part) if isinstance(part, Leaf) else part for part in parts]
        whole = _Part(kind=rule, first=found[0].first, last=found[-1].last)
        match rule:
            case "group":
                inner = found[1]
                if inner.kind in _ALONE and self._without(whole):
                    return replace(whole, kind=inner.kind)
            case "start" | "arguments" | "array":
                for each in found:
                    self._argument(each)
            case "named":
                self._argument(found[-1])
            case "operand":
                return replace(whole, kind="loop")
            case "spelled":
                return replace(whole, kind=found[-2].kind)
            case "expression":
                self._row(found)
            case _:
                pass
        return whole

    def _argument(self, part: _Part) -> None:
        if part.kind == "group":
            self._without(part)

    def _without(self, group: _Part) -> bool:
        """Take the parentheses of a group away, unless comments stand at them."""
        for at in (self.places[group.first], self.places[group.last]):
            around = self.items[max(at - 1, 0) : at + 2]
            if any(item.comment for item in around):
                return False
        self.out |= {group.first, group.last}
        return True

    def _row(self, parts: list[_Part]) -> None:
        """Parentheses around each left side that the next operator would not show to be one."""
        first, before, last = parts[0].first, "", parts[0]
        for operator, operand in zip(parts[1::2], parts[2::2], strict=True):
            sign = SIGNS.get(operator.kind, "")
            if sign:
                names = operator.kind == "FAN" and self._is_name(operand)
                if last.kind == "loop":
                    self._wrap(last.first, last.last)
                unlike = before not in ("", sign) and (before, sign) != ("?>", "!>")
                if unlike or (names and before):
                    self._wrap(first, last.last)
                    before = ""
                before = before if names else sign
            last = operand

    def _wrap(self, first: int, last: int) -> None:
        self.opens[first] += 1
        self.closes[last] += 1

    def _is_name(self, part: _Part) -> bool:
        inside = [index for index in range(part.first, part.last + 1) if index not in self.out]
        if part.kind != "string" or len(inside) != 1:
            return False
        value = plain(self.items[self.places[inside[0]]].text)
        return value is not None and is_identifier(value)


def _leaf(leaf: Leaf) -> _Part:
    return _Part(kind=leaf.type, first=leaf.lexeme.start, last=leaf.lexeme.start)


def plain(written: str) -> str | None:
    """The value of a string literal."""
    lexeme = next(scan(written), None)
    if lexeme is None or lexeme.kind not in STRINGS:
        return None
    try:
        return string_value(written, lexeme)[0]
    except StringFault:
        return None


def leaves_of(types: Sequence[str], texts: Sequence[str]) -> list[Leaf]:
    """Tokens for the grammar; each has its number for its place."""
    return [
        Leaf(type=type, written=text, lexeme=Lexeme(Kind.OTHER, index, index + 1))
        for index, (type, text) in enumerate(zip(types, texts, strict=True))
    ]


def with_parentheses(items: list[Item], levels_max: int) -> list[Item]:
    """The items with the parentheses that they should have; none are added where that would nest too deep.

    The very list where nothing is to be done.
    """
    if not _concerned(items):
        return items
    # One that comes may part another one from its comment, which then may go.
    for _ in range(_ROUNDS_MAX):
        after = _once(items, levels_max)
        if len(after) == len(items) and all(map(is_, after, items)):
            break
        items = after
    return items


def _concerned(items: Sequence[Item]) -> bool:
    """Whether there are parentheses around an expression, or operators that could need some."""
    tokens = [item.type for item in items if not item.comment]
    operators = SIGNS.keys() & set(tokens)
    if len(operators) > 1 or "FAN" in operators or "LOOP" in tokens:
        return True
    before = ["", *tokens]
    return any(each == "LPAR" and before[at] not in _CALLS for at, each in enumerate(tokens))


def _once(items: Sequence[Item], levels_max: int) -> list[Item]:
    places = [index for index, item in enumerate(items) if not item.comment]
    tokens = [items[place] for place in places]
    edits = _Edits(items, places)
    fold(leaves_of([token.type for token in tokens], [token.text for token in tokens]), edits.build)
    found = _edited(items, edits)
    if _levels(found) > levels_max:
        edits.opens.clear()
        edits.closes.clear()
        found = _edited(items, edits)
    return found


def _edited(items: Sequence[Item], edits: _Edits) -> list[Item]:
    found: list[Item] = []
    breaks, number = 0, -1
    for item in items:
        number += not item.comment
        if not item.comment and number in edits.out:
            opens = item.type == "LPAR"
            if not opens:
                found += [CLOSING] * edits.closes[number]
            if opens:
                breaks = max(breaks, item.breaks)
                if edits.opens[number]:
                    found += [replace(OPENING, breaks=breaks), *[OPENING] * (edits.opens[number] - 1)]
                    breaks = 0
            continue
        kept = replace(item, breaks=max(breaks, item.breaks)) if breaks else item
        breaks = 0
        opens = 0 if item.comment else edits.opens[number]
        if opens:
            found += [replace(OPENING, breaks=kept.breaks), *[OPENING] * (opens - 1)]
            kept = replace(kept, breaks=0)
        found.append(kept)
        if not item.comment:
            found += [CLOSING] * edits.closes[number]
    return found


def _levels(items: Sequence[Item]) -> int:
    """How deep the brackets nest."""
    level = deepest = 0
    for item in items:
        if item.type in ("LPAR", "LSQB"):
            level += 1
            deepest = max(deepest, level)
        elif item.type in ("RPAR", "RSQB"):
            level -= 1
    return deepest
