"""Which workflow of one side of `dfc diff` belongs to which of the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from dfc.cli.sources import START
from dfc.cli.versions import Side, Version

Pair = tuple[Version | None, Version | None]
"""An old and a new one; None where there is none."""


def pairs(before: Side, after: Side) -> list[Pair]:
    """By label or name; those without one, and those whose label is gone, by what they say.

    What has no label, and says what no other says, goes by its place.
    """
    keys = [key for key in before if key in after and not (before[key].numbered and after[key].numbered)]
    old = [each for key, each in before.items() if key not in keys]
    new = [each for key, each in after.items() if key not in keys]
    alike = list(
        _alike([each for each in old if _has_no_name(each)], [each for each in new if _has_no_name(each)])
    )
    taken = {id(each) for pair in alike for each in pair}
    old = [each for each in old if id(each) not in taken]
    new = [each for each in new if id(each) not in taken]
    places = zip_longest([each for each in old if each.numbered], [each for each in new if each.numbered])
    return [
        *((before[key], after[key]) for key in keys),
        *alike,
        *((each, None) for each in old if not each.numbered),
        *places,
        *((None, each) for each in new if not each.numbered),
    ]


def _has_no_name(version: Version) -> bool:
    """Whether a workflow is not found again by its name: of a start it is only a label."""
    return version.submit == START


def _alike(old: Sequence[Version], new: Sequence[Version]) -> Iterator[tuple[Version, Version]]:
    """The pairs that say the same, in the order of the old ones; each in one pair at most."""
    left: dict[tuple[str, str], list[Version]] = {}
    for each in new:
        left.setdefault((each.submit, each.body.wire), []).append(each)
    for each in old:
        same = left.get((each.submit, each.body.wire))
        if same:
            yield each, same.pop(0)
