"""Which kills are tried: every boundary, the inside of every step; a fair choice where they are too many."""

from __future__ import annotations

from collections.abc import Sequence

from dfc.cli.crashing.bench import Kill
from dfc.cli.crashing.processes import Passed
from dfc.executor import paths

Kind = tuple[bool, str, str, str]


def kind_of(passed: Passed) -> Kind:
    """What points have in common that differ only in the round, item or attempt they belong to."""
    node, part = paths.split(passed.point.path)
    return passed.called, passed.point.what, node, part


def kills_of(passed: Sequence[Passed], kills_max: int) -> tuple[list[Kill], int]:
    """The kills for the points of an undisturbed run, in order, and how many were left out.

    Of a step that comes in many rounds one inside is enough. Where there are more than `kills_max`, what is
    kept of the boundaries is a fair choice (`_fair`).
    """
    inside: dict[Kind, Kill] = {}
    for each in passed:
        if each.point.held is not None:
            inside.setdefault(kind_of(each), Kill(where="inside", passed=each))
    after = [Kill(where="after", passed=each) for each in passed]
    room = max(kills_max - len(inside), 1)
    kept = set(range(len(after))) if len(after) <= room else _fair(passed, room)
    chosen: list[Kill] = []
    for number, each in enumerate(passed):
        mine = inside.get(kind_of(each))
        if mine is not None and mine.passed is each:
            chosen.append(mine)
        if number in kept:
            chosen.append(after[number])
    return chosen, len(after) - len(kept)


def _fair(passed: Sequence[Passed], room: int) -> set[int]:
    """Numbers of points: of each kind the first, the last, the second, then others, evenly."""
    kinds: dict[Kind, list[int]] = {}
    for number, each in enumerate(passed):
        kinds.setdefault(kind_of(each), []).append(number)
    ranked: list[tuple[int, int]] = []
    for numbers in kinds.values():
        order = list(dict.fromkeys([numbers[0], numbers[-1], *_spread(numbers)]))
        ranked += [(rank, number) for rank, number in enumerate(order)]
    return {number for _, number in sorted(ranked)[:room]}


def _spread(numbers: list[int]) -> list[int]:
    """The second, then the rest in an order in which every beginning is spread over the whole."""
    rest = numbers[2:-1]
    found = numbers[1:2]
    step = len(rest)
    while step >= 1 and rest:
        found += rest[step // 2 :: step]
        step //= 2
    return found
