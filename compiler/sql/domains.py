"""Which values a column, or what is computed from columns, has in the rows that a statement is about.

Only what is plain counts: `=`, IN, comparisons and BETWEEN with constants. Two domains are apart when no
value can be in both, whatever the type of the column.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

_WORD: Final = re.compile(r"'[A-Za-z_][A-Za-z_-]*'")
_TRUTHS: Final = frozenset({"t", "true", "f", "false", "y", "yes", "n", "no", "on", "off"})
_DAY: Final = re.compile(r"'(\d{4}-\d{2}-\d{2})'")
VALUES_MAX: Final = 100
"""Longer lists are not looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """One of `values` (constants as SQL text), or, where there are none, between two constants.

    `low` and `high` are None where there is no bound; `above` and `below`: the bound itself is not in it.
    """

    values: tuple[str, ...] = ()
    low: str | None = None
    above: bool = False
    high: str | None = None
    below: bool = False


def apart(one: Domain, other: Domain) -> bool:
    """Whether two domains surely have no value in common."""
    if one.values and other.values:
        return all(differ(value, another) for value in one.values for another in other.values)
    if one.values:
        return all(_is_outside(value, other) for value in one.values)
    if other.values:
        return all(_is_outside(value, one) for value in other.values)
    return _is_below(one, other) or _is_below(other, one)


def differ(first: str, second: str) -> bool:
    """Whether two constants are surely not equal, whatever the type of the column."""
    one, two = _number(first), _number(second)
    if one is not None and two is not None:
        return one != two
    if {first, second} == {"true", "false"}:
        return True
    if not (_WORD.fullmatch(first) and _WORD.fullmatch(second)):
        days = _DAY.fullmatch(first), _DAY.fullmatch(second)
        return days[0] is not None and days[1] is not None and first != second
    words = {first[1:-1].casefold(), second[1:-1].casefold()}
    return len(words) == 2 and not words <= _TRUTHS


def both(domains: Sequence[Domain]) -> Domain:
    """What is in all of some domains of one column: at least not more than in each of them."""
    chosen = next((domain for domain in domains if domain.values), None)
    if chosen is not None:
        return chosen
    low = next((domain for domain in domains if domain.low is not None), Domain())
    high = next((domain for domain in domains if domain.high is not None), Domain())
    return Domain(low=low.low, above=low.above, high=high.high, below=high.below)


def _is_outside(value: str, domain: Domain) -> bool:
    single = Domain(low=value, high=value)
    return _is_below(single, domain) or _is_below(domain, single)


def _is_below(one: Domain, other: Domain) -> bool:
    """Whether all of one domain is less than all of the other."""
    if one.high is None or other.low is None:
        return False
    order = _compared(one.high, other.low)
    return order is not None and (order < 0 or (order == 0 and (one.below or other.above)))


def _compared(first: str, second: str) -> int | None:
    """-1, 0, 1 as the constants follow each other; None where that depends on the type."""
    one, two = _number(first), _number(second)
    if one is not None and two is not None:
        return (one > two) - (one < two)
    days = _DAY.fullmatch(first), _DAY.fullmatch(second)
    if days[0] is not None and days[1] is not None:
        return (days[0][1] > days[1][1]) - (days[0][1] < days[1][1])
    return None


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None
