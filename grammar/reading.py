"""Tokens to what they mean: the rules that they make are handed over one by one, the innermost first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dfc.grammar.tables import END, Reduction, tables


class Unexpected(Exception):
    """A token that cannot stand where it stands."""


class Reading:
    """One expression while it is read. `build` makes a part of a rule's name and parts; a token is a part."""

    def __init__(self, build: Callable[[str, list[Any]], Any]) -> None:
        known = tables()
        self._actions = known.actions
        self._targets = known.targets
        self._end = known.end
        self._build = build
        self._stack = [known.start]
        self._parts: list[Any] = []

    def take(self, terminal: str, token: object) -> None:
        """Read a token. Raises Unexpected."""
        stack = self._stack
        while True:
            action = self._actions[stack[-1]].get(terminal)
            if action is None:
                raise Unexpected
            if isinstance(action, int):
                stack.append(action)
                self._parts.append(token)
                return
            if action.alone:
                # Half of all rules only stand for another one.
                stack[-1] = self._targets[stack[-2]][action.symbol]
            else:
                self._reduce(action)

    def result(self) -> Any:
        """What the whole is, behind the last token. Raises Unexpected."""
        while self._stack[-1] != self._end:
            action = self._actions[self._stack[-1]].get(END)
            if action is None or isinstance(action, int):
                raise Unexpected
            self._reduce(action)
        return self._parts[0]

    def expected(self) -> frozenset[str]:
        """The terminals that could be read instead of one that is unexpected."""
        return frozenset(filter(self._leads_on, self._actions[self._stack[-1]]))

    def _reduce(self, action: Reduction) -> None:
        """Put the part that a complete rule makes in the place of its parts."""
        stack, parts, size = self._stack, self._parts, action.size
        del stack[-size:]
        stack.append(self._targets[stack[-1]][action.symbol])
        if action.alone:
            return
        mine = parts[-size:]
        del parts[-size:]
        if action.spread:
            mine = _spread(mine, action.spread)
        if action.hidden:
            parts.append(mine)
        else:
            parts.append(mine[0] if action.single and len(mine) == 1 else self._build(action.rule, mine))

    def _leads_on(self, terminal: str) -> bool:
        """Whether a terminal can be read: it may be that rules are complete before it, and none goes on."""
        stack = self._stack.copy()
        while terminal != END or stack[-1] != self._end:
            action = self._actions[stack[-1]].get(terminal)
            if action is None or isinstance(action, int):
                return action is not None
            del stack[-action.size :]
            stack.append(self._targets[stack[-1]][action.symbol])
        return True


def _spread(parts: list[Any], places: tuple[int, ...]) -> list[Any]:
    """The parts, those of hidden rules one by one."""
    first: list[Any] = parts[0]
    if places == (0,):
        # A long list grows at its end: it is nobody else's.
        first.extend(parts[1:])
        return first
    found: list[Any] = []
    for index, part in enumerate(parts):
        if index in places:
            found.extend(part)
        else:
            found.append(part)
    return found
